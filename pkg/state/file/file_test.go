package file

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/filelock"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/statetest"
)

func snapshot(epoch string) state.Snapshot {
	return state.Snapshot{Epoch: epoch, Repositories: map[string]state.Repository{
		"rag": {Branches: state.NewBranches(map[string]state.Branch{
			"main": {SHA: statetest.SHA("a"), N: 1, Time: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		})},
	}}
}

func open(path string) *Store { return New(path, slog.New(slog.DiscardHandler)) }

func load(t *testing.T, s *Store) state.Snapshot {
	t.Helper()
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return got
}

func save(t *testing.T, s *Store, snapshot state.Snapshot) {
	t.Helper()
	if err := s.Save(t.Context(), snapshot); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

func TestPromises(t *testing.T) {
	statetest.Test(t, func(t *testing.T) statetest.Place {
		path := filepath.Join(t.TempDir(), "state.json")
		write := func(text string) {
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return statetest.Place{
			Open:  func() statetest.Store { return open(path) },
			Write: write,
			Edit: func(replace, with string) {
				text, err := os.ReadFile(path)
				if err != nil {
					t.Fatal(err)
				}
				write(strings.ReplaceAll(string(text), replace, with))
			},
			Delete: func() {
				if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
					t.Fatal(err)
				}
			},
			TooLarge: func() state.Snapshot {
				return state.Snapshot{Repositories: map[string]state.Repository{
					"huge": {Damaged: []byte(`"` + strings.Repeat("x", state.MaxSize) + `"`)},
				}}
			},
		}
	})
}

// What is made is for nobody else, and nothing is made by a Load.
func TestWhatIsMade(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "state.json")
	s := open(path)
	if _, err := s.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load made the directory: %v", err)
	}
	save(t, s, snapshot("e1"))
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700 | fs.ModeDir} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("mode of %s = %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file is left: %v", err)
	}
}

func TestLoadRefuses(t *testing.T) {
	tests := map[string]struct {
		make func(path string) error
		want string
	}{
		"cut short":  {func(path string) error { return os.WriteFile(path, []byte(`{"version":1,`), 0o600) }, "unexpected end of JSON input"},
		"directory":  {func(path string) error { return os.Mkdir(path, 0o700) }, "is not a regular file"},
		"named pipe": {func(path string) error { return syscall.Mkfifo(path, 0o600) }, "is not a regular file"},
	}
	for name, tt := range tests {
		path := filepath.Join(t.TempDir(), "state.json")
		if err := tt.make(path); err != nil {
			t.Fatal(err)
		}
		s := open(path)
		got, err := s.Load(t.Context())
		if err == nil || !strings.Contains(err.Error(), tt.want) || !strings.Contains(err.Error(), path) {
			t.Errorf("%s: Load = %+v, %v, want an error with the path and %q", name, got, err, tt.want)
		}
		if err := s.Save(t.Context(), snapshot("e")); err == nil {
			t.Errorf("%s: Save replaced what could not be read", name)
		}
	}
}

// A process that was killed while it wrote leaves path.tmp behind.
func TestSaveAfterCrash(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	if err := os.WriteFile(path+".tmp", []byte("half"), 0o644); err != nil {
		t.Fatal(err)
	}
	save(t, open(path), snapshot("e1"))
	if got := load(t, open(path)); got.Epoch != "e1" {
		t.Errorf("Load = %+v, want e1", got)
	}
	if info, err := os.Stat(path); err != nil || info.Mode() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
}

func lock(t *testing.T, path string) *filelock.Lock {
	t.Helper()
	l, err := filelock.Try(path + ".lock")
	if err != nil {
		t.Fatal(err)
	}
	return l
}

func TestSaveWaitsForTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	held := lock(t, path)
	ctx, cancel := context.WithCancel(t.Context())
	result := make(chan error)
	go func() { result <- open(path).Save(ctx, snapshot("e1")) }()
	cancel()
	if err := <-result; !errors.Is(err, context.Canceled) || !strings.Contains(err.Error(), "is held by") {
		t.Errorf("Save while another holds the lock = %v, want the context's error", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the file was written without the lock: %v", err)
	}
	go func() { result <- open(path).Save(t.Context(), snapshot("e2")) }()
	held.Unlock()
	if err := <-result; err != nil {
		t.Errorf("Save after the lock was released = %v", err)
	}
}

// told is what a log got, and when.
type told struct {
	text string
	at   []time.Time
}

func (l *told) Write(b []byte) (int, error) {
	l.text, l.at = l.text+string(b), append(l.at, time.Now())
	return len(b), nil
}

// A lock that nobody gives back is told of once, after a second, and costs one Save and not the next.
func TestSaveGivesUpOnTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	held := lock(t, path)
	var log told
	s := New(path, slog.New(slog.NewTextHandler(&log, nil)))
	pid := fmt.Sprint(os.Getpid())
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		err := s.Save(t.Context(), snapshot("e1"))
		if elapsed := time.Since(start); elapsed < 10*time.Second || elapsed > 11*time.Second {
			t.Errorf("Save gave up after %s, want 10 s", elapsed)
		}
		for _, want := range []string{path, "process " + pid, "--state"} {
			if err == nil || !strings.Contains(err.Error(), want) {
				t.Errorf("Save = %v, want an error that names %q", err, want)
			}
		}
		if len(log.at) != 1 || log.at[0].Sub(start).Round(100*time.Millisecond) != time.Second {
			t.Errorf("the log was written at %v, want once, a second after %v", log.at, start)
		}
		if !strings.Contains(log.text, path+".lock") || !strings.Contains(log.text, "pid="+pid) {
			t.Errorf("the log has %q, want the lock file and the holder's pid", log.text)
		}
	})
	held.Unlock()
	save(t, s, snapshot("e2"))
}
