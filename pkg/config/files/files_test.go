package files

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, name, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// link has name lead to a target, as the kubelet does: at once, in place of where it led before.
func link(t *testing.T, target, name string) {
	t.Helper()
	if err := os.Symlink(target, name+"_tmp"); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(name+"_tmp", name); err != nil {
		t.Fatal(err)
	}
}

// texts returns names and texts of what is read, or the error.
func texts(paths ...string) string {
	read, err := Read(strings.NewReader("input"), paths)
	if err != nil {
		return err.Error()
	}
	var parts []string
	for _, f := range read {
		parts = append(parts, f.Name+"="+string(f.Text))
	}
	return strings.Join(parts, " ")
}

func TestRead(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "one.yaml", "1")
	write(t, "teams/web.yml", "w")
	write(t, "teams/api.yaml", "a")
	write(t, "teams/.hidden.yaml", "x")
	write(t, "teams/README.md", "x")
	write(t, "teams/old.yaml.bak", "x")
	write(t, "teams/below/lib.yaml", "x")
	write(t, "teams/below.yaml/lib.yaml", "x")
	write(t, "empty/notes.txt", "x")
	write(t, "mounted/..2026_1/web.yaml", "m")
	link(t, "..2026_1", "mounted/..data")
	link(t, "..data/web.yaml", "mounted/web.yaml")
	write(t, "broken/web.yaml", "b")
	link(t, "nowhere", "broken/lib.yaml")
	for _, tt := range []struct{ paths, want string }{
		{"one.yaml", "one.yaml=1"},
		{"one.yaml teams", "one.yaml=1 teams/api.yaml=a teams/web.yml=w"},
		{"teams/ one.yaml", "teams/api.yaml=a teams/web.yml=w one.yaml=1"},
		{"mounted", "mounted/web.yaml=m"},
		{"-", "<stdin>=input"},
		{"one.yaml -", "- is standard input, and no other file goes with it; want it alone"},
		{"empty", "read the configuration: the folder empty has no file that ends in .yaml or .yml"},
		{"one.yaml gone.yaml", "read the configuration: open gone.yaml: no such file or directory"},
		{"broken", "read the configuration: open broken/lib.yaml: no such file or directory"},
	} {
		if got := texts(strings.Fields(tt.paths)...); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.paths, got, tt.want)
		}
	}
}

// A look tells of each change, and of what cannot be read again.
func TestLook(t *testing.T) {
	t.Chdir(t.TempDir())
	write(t, "team/..1/web.yaml", "w")
	link(t, "..1", "team/..data")
	link(t, "..data/web.yaml", "team/web.yaml")
	look := func() Seen {
		t.Helper()
		s, err := Look([]string{"team"})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	before := look()
	if !look().Same(before) || !before.Regular() || before.Same(Seen{}) {
		t.Error("what stayed the same does not look so")
	}
	write(t, "team/..2/web.yaml", "w")
	link(t, "..2", "team/..data")
	replaced := look()
	write(t, "team/lib.yaml", "l")
	added := look()
	if replaced.Same(before) || added.Same(replaced) {
		t.Error("a change does not show")
	}
	if s, err := Look([]string{os.DevNull}); err != nil || s.Regular() {
		t.Errorf("of a device the look is %v, %v", s, err)
	}
	if _, err := Look([]string{"team/gone.yaml"}); err == nil {
		t.Error("a file that is gone is no error")
	}
}

// A folder is read again until it holds still, as it may be replaced while it is read.
func TestFolderIsReadWhole(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, version := range []string{"1", "2"} {
		for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
			write(t, "team/.."+version+"/"+name+".yaml", version)
		}
	}
	link(t, "..1", "team/..data")
	for _, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h"} {
		link(t, "..data/"+name+".yaml", "team/"+name+".yaml")
	}
	done, swapped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(swapped)
		for i := 0; ; i++ {
			select {
			case <-done:
				return
			case <-time.After(500 * time.Microsecond):
				link(t, ".."+[]string{"1", "2"}[i%2], "team/..data")
			}
		}
	}()
	for range 300 {
		read, err := Read(nil, []string{"team"})
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range read {
			if string(f.Text) != string(read[0].Text) {
				t.Fatalf("%s is of version %s, and %s of %s", read[0].Name, read[0].Text, f.Name, f.Text)
			}
		}
	}
	close(done)
	<-swapped
}
