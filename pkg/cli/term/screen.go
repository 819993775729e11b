package term

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Screen is a writer that people read in a terminal. What a host or an object of the cluster put into a text
// must not move the cursor, clear the screen or turn the line around: all but printable characters and ends of
// lines is written as \u and four hexadecimal digits, which JSON reads as the same text.
type Screen struct{ io.Writer }

// Write implements io.Writer.
func (s Screen) Write(b []byte) (int, error) {
	text := string(b)
	if strings.IndexFunc(text, hidden) < 0 && utf8.ValidString(text) {
		return s.Writer.Write(b)
	}
	var safe strings.Builder
	for _, r := range text {
		switch high, low := utf16.EncodeRune(r); {
		case !hidden(r):
			safe.WriteRune(r) // U+FFFD in place of what is no UTF-8
		case low == unicode.ReplacementChar:
			fmt.Fprintf(&safe, `\u%04x`, r)
		default:
			fmt.Fprintf(&safe, `\u%04x\u%04x`, high, low)
		}
	}
	if _, err := io.WriteString(s.Writer, safe.String()); err != nil {
		return 0, err
	}
	return len(b), nil
}

func hidden(r rune) bool { return r != '\n' && r != '\t' && !unicode.IsPrint(r) }
