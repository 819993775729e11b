package file

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
)

// known is what was found by a list of that number.
func known(number int64) *discover.Found {
	return found.Of([]discover.List{{Question: discover.Question{Host: "https://git.example", Owner: "team"}, Repositories: []discover.Repository{
		{ID: "1", Name: "web", Path: "team/web", Branch: "main", Since: 5},
	}}}, nil, number, "abc")
}

func expect(t *testing.T, s *Store, when string, changed bool, want *discover.Found) {
	t.Helper()
	if got, err := s.Changed(t.Context()); got != changed || err != nil {
		t.Errorf("%s: changed: %t, %v; want %t", when, got, err, changed)
	}
	if got, err := s.Load(t.Context()); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%s: loaded is %+v, %v", when, got, err)
	}
}

// What is saved is loaded, and what somebody changes or takes away is noticed.
func TestStore(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s := New(path)
	expect(t, s, "at first", false, &discover.Found{})
	if err := s.Save(t.Context(), known(1)); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "what it saved", false, known(1))
	expect(t, New(path), "another process", true, known(1))
	if err := New(path).Save(t.Context(), known(2)); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "what another process saved", true, known(2))
	if err := os.Remove(path + ".found"); err != nil {
		t.Fatal(err)
	}
	expect(t, s, "deleted", true, &discover.Found{})
	if info, err := os.Stat(path); err == nil {
		t.Errorf("the state is %v", info)
	}
}

// What cannot be read is an error that names the file, and nothing waits for a pipe.
func TestDamaged(t *testing.T) {
	for name, write := range map[string]func(path string) error{
		"damaged":   func(path string) error { return os.WriteFile(path, []byte("damaged"), 0o600) },
		"too large": func(path string) error { return os.WriteFile(path, make([]byte, found.MaxSize+1), 0o600) },
		"a folder":  func(path string) error { return os.Mkdir(path, 0o700) },
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.json")
			if err := write(path + ".found"); err != nil {
				t.Fatal(err)
			}
			if got, err := New(path).Load(t.Context()); got != nil || err == nil || !strings.Contains(err.Error(), path+".found") {
				t.Errorf("loaded is %+v, %v", got, err)
			}
		})
	}
}
