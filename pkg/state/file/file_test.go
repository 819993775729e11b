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
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/filelock"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

func snapshot(epoch string) state.Snapshot {
	return state.Snapshot{Epoch: epoch, Repositories: map[string]state.Repository{
		"rag": {Branches: map[string]state.Branch{
			"main": {SHA: repo.SHA(strings.Repeat("a", 40)), N: 1, Time: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)},
		}},
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

func TestSaveAndLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a", "b", "state.json")
	s := open(path)
	if got := load(t, s); !got.Equal(state.Snapshot{}) {
		t.Fatalf("Load without a file = %+v, want an empty snapshot", got)
	}
	if _, err := os.Stat(filepath.Dir(path)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Load made the directory: %v", err)
	}
	save(t, s, snapshot("e1"))
	save(t, s, snapshot("e2")) // without a Load in between
	if got := load(t, open(path)); !got.Equal(snapshot("e2")) {
		t.Errorf("Load = %+v, want %+v", got, snapshot("e2"))
	}
	for name, want := range map[string]fs.FileMode{path: 0o600, filepath.Dir(path): 0o700 | fs.ModeDir} {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("mode of %s = %v, %v, want %v", name, info.Mode(), err, want)
		}
	}
	if _, err := os.Stat(path + ".tmp"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the temporary file is left: %v", err)
	}
}

func TestSaveNoticesOthers(t *testing.T) {
	tests := map[string]struct {
		before bool // whether there is a state when ours is loaded
		other  func(t *testing.T, path string)
	}{
		"written for the first time": {false, func(t *testing.T, path string) { s := open(path); load(t, s); save(t, s, snapshot("theirs")) }},
		"written again":              {true, func(t *testing.T, path string) { s := open(path); load(t, s); save(t, s, snapshot("theirs")) }},
		"deleted": {true, func(t *testing.T, path string) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}},
		"emptied": {false, func(t *testing.T, path string) {
			if err := os.WriteFile(path, nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "state.json")
			ours := open(path)
			if tt.before {
				save(t, ours, snapshot("before"))
			}
			load(t, ours)
			tt.other(t, path)
			want, _ := os.ReadFile(path)
			if err := ours.Save(t.Context(), snapshot("ours")); !errors.Is(err, state.ErrConflict) {
				t.Errorf("Save = %v, want %v", err, state.ErrConflict)
			}
			if got, _ := os.ReadFile(path); string(got) != string(want) {
				t.Errorf("the file holds %q, want what the other left: %q", got, want)
			}
		})
	}
}

// A Load sees what others did, also where it knows the state already.
func TestLoadNoticesOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	ours, theirs := open(path), open(path)
	load(t, ours)
	load(t, theirs)
	for _, epoch := range []string{"e1", "e2"} {
		save(t, theirs, snapshot(epoch))
		for range 2 {
			if got := load(t, ours); !got.Equal(snapshot(epoch)) {
				t.Errorf("Load = %+v, want what the other one wrote, %+v", got, snapshot(epoch))
			}
		}
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if got := load(t, ours); !got.Equal(state.Snapshot{}) {
		t.Errorf("Load of a state that was deleted = %+v, want an empty one", got)
	}
}

func TestConflictEndsWithLoad(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	ours, theirs := open(path), open(path)
	load(t, ours)
	save(t, theirs, snapshot("theirs"))
	if err := ours.Save(t.Context(), snapshot("ours")); !errors.Is(err, state.ErrConflict) {
		t.Fatalf("Save = %v, want %v", err, state.ErrConflict)
	}
	if got := load(t, ours); got.Epoch != "theirs" {
		t.Fatalf("Load = %+v, want theirs", got)
	}
	save(t, ours, snapshot("ours"))
}

// Of many that read the same state only one may write.
func TestOneWriterWins(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	const writers = 8
	errs := make([]error, writers)
	var ready, done sync.WaitGroup
	ready.Add(writers)
	for i := range writers {
		s := open(path)
		done.Go(func() {
			_, err := s.Load(t.Context())
			ready.Done()
			ready.Wait()
			if err == nil {
				err = s.Save(t.Context(), snapshot("e"+string(rune('a'+i))))
			}
			errs[i] = err
		})
	}
	done.Wait()
	won := 0
	for i, err := range errs {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, state.ErrConflict):
			t.Errorf("writer %d: %v, want %v", i, err, state.ErrConflict)
		}
	}
	if won != 1 {
		t.Errorf("%d of %d writers that read the same state wrote, want 1", won, writers)
	}
}

func TestLoadRefuses(t *testing.T) {
	write := func(content string) func(string) error {
		return func(path string) error { return os.WriteFile(path, []byte(content), 0o600) }
	}
	tests := map[string]struct {
		make func(path string) error
		want string
	}{
		"empty":      {write(""), "it is empty"},
		"cut short":  {write(`{"version":1,`), "unexpected end of JSON input"},
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

// An entry that cannot be read again stops its repository from then on, and costs the others nothing.
func TestSaveOfAnInvalidEntry(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state.json")
	s := open(path)
	save(t, s, snapshot("e1"))
	bad := snapshot("e2")
	bad.Repositories["bad"] = state.Repository{Branches: map[string]state.Branch{"main": {SHA: "x"}}}
	save(t, s, bad)
	for what, s := range map[string]*Store{"that saved": s, "of a later start": open(path)} {
		got := load(t, s)
		if r := got.Repositories["bad"]; r.Damaged == nil || !strings.Contains(r.Problem.Message, `branch "main"`) {
			t.Errorf("the store %s: %+v, want a damaged entry that names the branch", what, r)
		}
		if delete(got.Repositories, "bad"); !got.Equal(snapshot("e2")) {
			t.Errorf("the store %s: %+v, want the other entries as they were saved", what, got)
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
		if took := time.Since(start); took < 10*time.Second || took > 11*time.Second {
			t.Errorf("Save gave up after %s, want 10 s", took)
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

func TestLoadHonoursContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := open(filepath.Join(t.TempDir(), "state.json")).Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want %v", err, context.Canceled)
	}
}
