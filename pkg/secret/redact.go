package secret

import (
	"bytes"
	"regexp"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Redacted stands in the place of a secret.
const Redacted = "[redacted]"

// leastCut is the length in bytes from which on the start of a secret is hidden, too, where a text was cut off
// within it. What is shorter, such as the prefix that all tokens of a host have, gives nothing away.
const leastCut = 8

// MaxRedacted bounds the text, in bytes. Messages have some hundred; and a text takes fifty times its size.
const MaxRedacted = 8 << 10

// Redact returns a text from outside, cut to 8 KiB, with each secret in it replaced by "[redacted]": in upper or lower case, and
// with any of its characters written as %41, \x41 or \u0041, or after a backslash.
func Redact(text string, secrets ...string) string {
	text = text[:min(len(text), MaxRedacted)]
	hidden := make([]bool, len(text))
	found := false
	for _, decode := range []bool{false, true} {
		in, at := fold(text, decode)
		end := len(bytes.TrimSuffix(in, []byte("…")))
		hide := func(from, to int) {
			found = true
			for i := at[from]; i < at[to]; i++ {
				hidden[i] = true
			}
		}
		for _, s := range secrets {
			secret, _ := fold(s, decode)
			if len(secret) == 0 {
				continue
			}
			for i := range in {
				if bytes.HasPrefix(in[i:], secret) {
					hide(i, i+len(secret))
				}
			}
			for n := min(len(secret)-1, end); n >= leastCut; n-- {
				if bytes.HasSuffix(in[:end], secret[:n]) {
					hide(end-n, end)
				}
			}
		}
	}
	if !found {
		return text
	}
	var b strings.Builder
	for i := range len(text) {
		switch {
		case !hidden[i]:
			b.WriteByte(text[i])
		case i == 0 || !hidden[i-1]:
			b.WriteString(Redacted)
		}
	}
	return b.String()
}

// maxLayers is how often a text may be encoded. A secret that reads as encoded itself, such as one with many
// backslashes, counts with its own layers.
const maxLayers = 8

// fold returns s in lower case, decoded or not, and where in s each of its bytes comes from, with the end of s last.
func fold(s string, decode bool) (text []byte, at []int) {
	raw, from := []byte(s), make([]int, len(s))
	for i := range from {
		from[i] = i
	}
	for range maxLayers {
		was := len(raw)
		if decode {
			raw, from = unescape(raw, from)
		}
		if len(raw) == was {
			break
		}
	}
	for i := 0; i < len(raw); {
		r, n := utf8.DecodeRune(raw[i:])
		before := len(text)
		if r == utf8.RuneError {
			text = append(text, raw[i:i+n]...)
		} else {
			text = utf8.AppendRune(text, unicode.ToLower(r))
		}
		for range len(text) - before {
			at = append(at, from[i])
		}
		i += n
	}
	return text, append(at, len(s))
}

// escaped is one character that is not written as itself.
var escaped = regexp.MustCompile(`(?i)%([0-9a-f]{2})|\\x([0-9a-f]{2})|\\u00([0-7][0-9a-f])|\\([!-/:-@[-` + "`" + `{-~])`)

// unescape returns what raw, whose bytes come from there, stands for.
func unescape(raw []byte, from []int) (text []byte, at []int) {
	raw = bytes.ReplaceAll(raw, []byte("+"), []byte(" ")) // as in a query
	end := 0
	for _, m := range escaped.FindAllSubmatchIndex(raw, -1) {
		text, at = append(text, raw[end:m[0]]...), append(at, from[end:m[0]]...)
		end = m[1]
		c := raw[end-1]
		if m[8] < 0 {
			v, _ := strconv.ParseUint(string(raw[end-2:end]), 16, 8) // as matched
			c = byte(v)
		}
		text, at = append(text, c), append(at, from[m[0]])
	}
	return append(text, raw[end:]...), append(at, from[end:]...)
}
