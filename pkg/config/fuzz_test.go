package config

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
)

// FuzzParse holds that no file panics, that errors are one line each with a line of the file and no
// secret, and that a file that is good is read the same way again, into something that can run.
func FuzzParse(f *testing.F) {
	for _, glob := range []string{"../../examples/*.yaml", "testdata/*.good.yaml"} {
		paths, err := filepath.Glob(glob)
		if err != nil || len(paths) == 0 {
			f.Fatalf("no files %s: %v", glob, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(data)
		}
	}
	archives, _ := filepath.Glob("testdata/bad/*.txtar")
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".yaml") {
				f.Add(file.Data)
			}
		}
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := Parse(data, options())
		sameInChunks(t, data, c, err)
		if err != nil {
			checkErrors(t, data, err)
			return
		}
		if again, err := Parse(data, options()); err != nil || !reflect.DeepEqual(c, again) {
			t.Errorf("read again, it is another: %v\n%s", err, data)
		}
		for _, r := range c.Repositories {
			commands := len(r.Deploy.Commands) > 0 && r.Deploy.Type != ""
			if !rule.IsName(r.Name) || r.Monitor.Type == "" || len(r.Monitor.Branches) == 0 ||
				!commands && r.Deploy.Task == nil && r.Deploy.Pipeline == nil ||
				r.Deploy.Timeout <= 0 || r.Deploy.Image == "" || r.Deploy.ServiceAccount == "" ||
				r.Project == "" || r.Deploy.Branch == "" {
				t.Errorf("%+v cannot run\n%s", r, data)
			}
			if a := r.Deploy.Auth; a.Token.IsSet() && (a.Token.Variable() == "" || !a.Username.IsSet()) {
				t.Errorf("a deployment's token %q with user name %q\n%s", a.Token.Text(), a.Username.Text(), data)
			}
		}
	})
}

func checkErrors(t *testing.T, data []byte, err error) {
	t.Helper()
	var es Errors
	if !errors.As(err, &es) || len(es) == 0 {
		t.Fatalf("%T %v, want Errors\n%s", err, err, data)
	}
	for _, e := range es {
		if e.Line < 1 || e.Message == "" || strings.ContainsAny(e.Error(), "\n\r\x1b") {
			t.Errorf("%q, line %d: want one line of text and a line of the file\n%s", e.Error(), e.Line, data)
		}
		if strings.Contains(e.Error(), "s3cr3t") && !strings.Contains(string(data), "s3cr3t") {
			t.Errorf("a variable's value is in %q\n%s", e.Error(), data)
		}
	}
}
