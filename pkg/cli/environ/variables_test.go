package environ

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestVariables(t *testing.T) {
	t.Setenv("ONLY_ENV", "from the environment")
	t.Setenv("BOTH", "from the environment")
	dir := t.TempDir()
	// As a kubelet mounts a Secret: links to a folder that is replaced as a whole.
	if err := os.Mkdir(filepath.Join(dir, "..2026"), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "..2026", "BOTH"), "from the file")
	for link, to := range map[string]string{"..data": "..2026", "BOTH": "..data/BOTH", "GONE": "..data/GONE", "not-a-variable": "/"} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	v := Variables{Dir: dir}
	for _, want := range []bool{true, false} {
		if changed, err := v.Read(); changed != want || err != nil {
			t.Fatalf("changed %v, %v, want %v", changed, err, want)
		}
	}
	for name, want := range map[string]string{"BOTH": "from the file", "ONLY_ENV": "from the environment", "GONE": ""} {
		if got, ok := v.Lookup(name); got != want || ok != (want != "") {
			t.Errorf("%s is %q, %v, want %q", name, got, ok, want)
		}
	}
	if env := v.Environ(); env[len(env)-1] != "BOTH=from the file" || !slices.Contains(env, "ONLY_ENV=from the environment") {
		t.Errorf("the environment for commands ends with %q", env[len(env)-1])
	}
	write(t, filepath.Join(dir, "..2026", "BOTH"), "changed")
	if changed, err := v.Read(); !changed || err != nil {
		t.Errorf("after a change: %v, %v", changed, err)
	}
}

func TestVariablesThatCannotBeRead(t *testing.T) {
	for name, tt := range map[string]struct {
		make func(path string) error
		want string
	}{
		"too large": {func(path string) error { return os.WriteFile(path, make([]byte, 64<<10+1), 0o600) }, "A is larger than 64 KiB"},
		"a pipe":    {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "A is no regular file"},
		"a folder":  {func(path string) error { return os.Mkdir(path, 0o700) }, "A is no regular file"},
		"no folder": {func(path string) error { return os.Remove(filepath.Dir(path)) }, "no such file or directory"},
	} {
		dir := filepath.Join(t.TempDir(), "env")
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
		v := Variables{Dir: dir, values: map[string]string{"B": "kept"}}
		if err := tt.make(filepath.Join(dir, "A")); err != nil {
			t.Fatal(err)
		}
		if changed, err := v.Read(); changed || err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: changed %v, error %v, want %q", name, changed, err, tt.want)
		}
		if got, _ := v.Lookup("B"); got != "kept" {
			t.Errorf("%s: what was read before is %q now", name, got)
		}
	}
}
