package answers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"time"
)

// What is shown again replaces what was shown before, a failure is shown and ends nothing, but for the first, and an
// interrupt is no failure.
func TestRedraw(t *testing.T) {
	var screen bytes.Buffer
	var out io.Writer = &screen
	ctx, cancel := context.WithCancel(t.Context())
	n := 0
	err := redraw(ctx, &out, time.Millisecond, func() error {
		n++
		switch n {
		case 2:
			return errors.New("down\x1b[2J")
		case 3:
			cancel()
		}
		fmt.Fprintf(out, "a\n%d\n", n)
		return nil
	})
	want := "\x1b[Ha\x1b[K\n1\x1b[K\n\x1b[J" + "\x1b[Hdown\\u001b[2J\x1b[K\n\x1b[J" + "\x1b[Ha\x1b[K\n3\x1b[K\n\x1b[J"
	if got := screen.String(); got != want || err != nil || out != io.Writer(&screen) {
		t.Errorf("redraw wrote\n%q, want\n%q; error %v", got, want, err)
	}
	if err := redraw(t.Context(), &out, time.Millisecond, func() error { return errors.New("no such place") }); err == nil {
		t.Error("a first failure is no error")
	}
}
