package term

import (
	"bytes"
	"os"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var out bytes.Buffer
	table := Table{Out: &out, Colours: true}
	green := func(column int, cell string) Colour {
		if column == 1 && cell == "ok" {
			return Green
		}
		return None
	}
	for range 2 {
		if err := table.Print([]string{"NAME", "STATUS", "WHAT"}, [][]any{{"größer", "ok", "a\nb"}, {1, "failed", ""}}, green); err != nil {
			t.Fatal(err)
		}
	}
	one := "NAME     STATUS   WHAT\ngrößer   \x1b[32mok\x1b[0m       \"a\\nb\"\n1        failed   \n"
	if got, want := out.String(), one+"\n"+one; got != want {
		t.Errorf("got\n%q, want\n%q", got, want)
	}
	out.Reset()
	table = Table{Out: &out, NoHeaders: true}
	if err := table.Print([]string{"A LONG HEADER", "B"}, [][]any{{"x", "ok"}}, green); err != nil {
		t.Fatal(err)
	}
	if got, want := out.String(), "x   ok\n"; got != want {
		t.Errorf("without headers and colours: got %q, want %q", got, want)
	}
}

// A file is no terminal, and neither has colours where the environment objects.
func TestColours(t *testing.T) {
	if Colours(&bytes.Buffer{}) {
		t.Error("a buffer has colours")
	}
	tty, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Logf("no pseudo-terminal on this machine: %v", err)
		return
	}
	defer tty.Close()
	for _, tt := range []struct {
		env  string
		want bool
	}{{"TERM=xterm", true}, {"TERM=dumb", false}, {"TERM=xterm NO_COLOR=1", false}} {
		t.Setenv("NO_COLOR", "")
		for _, v := range strings.Fields(tt.env) {
			name, value, _ := strings.Cut(v, "=")
			t.Setenv(name, value)
		}
		if got := Colours(tty); got != tt.want {
			t.Errorf("with %s, a terminal has colours: %v, want %v", tt.env, got, tt.want)
		}
	}
}
