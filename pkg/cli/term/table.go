package term

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"
)

// Colour is the number of a terminal's colour.
type Colour int

// The colours. None leaves a text as it is.
const (
	None  Colour = 0
	Red   Colour = 31
	Green Colour = 32
	Blue  Colour = 34
)

// Table writes tables below each other, as kubectl does: columns are padded and never cut, whatever the terminal's width.
type Table struct {
	Out       io.Writer
	NoHeaders bool
	Colours   bool
	begun     bool
}

// Print writes the rows below the header, and an empty line before them unless they are the first. No cell can break
// the line or forge another one. paint chooses the colour of a cell; nil for none.
func (t *Table) Print(header []string, rows [][]any, paint func(column int, cell string) Colour) error {
	var text strings.Builder
	if t.begun {
		text.WriteByte('\n')
	}
	t.begun = true
	lines := make([][]string, 0, len(rows)+1)
	if !t.NoHeaders {
		lines = append(lines, header)
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, c := range row {
			cells[i] = Printable(fmt.Sprint(c), "")
		}
		lines = append(lines, cells)
	}
	widths := make([]int, len(header))
	for _, cells := range lines {
		for i, c := range cells {
			widths[i] = max(widths[i], utf8.RuneCountInString(c))
		}
	}
	for n, cells := range lines {
		for i, c := range cells {
			colour := None
			if t.Colours && paint != nil && (n > 0 || t.NoHeaders) {
				colour = paint(i, c)
			}
			pad := widths[i] - utf8.RuneCountInString(c) + 3
			if colour != None {
				c = fmt.Sprintf("\x1b[%dm%s\x1b[0m", colour, c)
			}
			text.WriteString(c)
			if i < len(cells)-1 {
				text.WriteString(strings.Repeat(" ", pad))
			}
		}
		text.WriteByte('\n')
	}
	_, err := io.WriteString(t.Out, text.String())
	return err
}

// Colours reports whether what is written to w may have colours: it is a terminal, and the environment does not object.
// See https://no-color.org.
func Colours(w io.Writer) bool {
	return os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb" && IsTerminal(w)
}

// IsTerminal reports whether a stream is a terminal.
func IsTerminal(stream any) bool {
	f, ok := stream.(interface{ Fd() uintptr })
	return ok && term.IsTerminal(int(f.Fd()))
}

// Width returns the columns of a terminal, and otherwise for what is none.
func Width(stream any, otherwise int) int {
	if f, ok := stream.(interface{ Fd() uintptr }); ok {
		if width, _, err := term.GetSize(int(f.Fd())); err == nil && width > 0 {
			return width
		}
	}
	return otherwise
}

// Age is how long ago t was, as kubectl shows an age.
func Age(now, t time.Time) string {
	switch d := now.Sub(t); {
	case t.IsZero():
		return "-"
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", max(0, int(d.Seconds())))
	case d < 2*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours()/24))
	}
}
