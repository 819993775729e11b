// Package file keeps the state in one file of this machine, for `sentry watch` outside of a cluster.
package file

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/tekton-sentry/sentry/pkg/filelock"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// How Save waits for the lock. Its holder writes one file, which takes milliseconds; one that has it for
// longer hangs, or is not a Sentry.
const (
	lockRetry = 10 * time.Millisecond // between two tries
	lockNews  = time.Second           // then the log says what it waits for
	lockLimit = 10 * time.Second      // then it gives up
)

// Store keeps the snapshot in a file. Several processes may use the same file: Save notices what another
// one wrote. A Store itself is for one goroutine at a time.
type Store struct {
	state.Meter
	path     string
	log      *slog.Logger
	loaded   content // at the last Load or Save
	snapshot state.Snapshot
}

// content is the hash of a file; the zero content is that of no file.
type content [sha256.Size]byte

// New returns the store of the file at path. Nothing is touched before Load or Save. Beside the file
// there will be path.lock, path.owner, and path.tmp while it is written.
func New(path string, log *slog.Logger) *Store { return &Store{path: path, log: log} }

// Load returns the snapshot, or an empty one when there is no file. A file that is not a valid state, an
// empty one too, is an error. While nobody writes, Load returns the same snapshot again, which must not be changed:
// see state.Snapshot.Fork.
func (s *Store) Load(ctx context.Context) (state.Snapshot, error) {
	if err := ctx.Err(); err != nil {
		return state.Snapshot{}, err
	}
	now, err := s.read(io.Discard)
	if err != nil {
		return state.Snapshot{}, err
	}
	if now == s.loaded {
		return s.snapshot, nil
	}
	var snapshot state.Snapshot
	var data bytes.Buffer
	if now, err = s.read(&data); err != nil {
		return state.Snapshot{}, err
	}
	if now != (content{}) {
		if snapshot, err = state.Decode(data.Bytes()); err != nil {
			return state.Snapshot{}, fmt.Errorf("state file %s: %w", s.path, err)
		}
		s.Measure(snapshot, data.Len(), state.MaxSize)
	}
	s.loaded, s.snapshot = now, snapshot
	return snapshot, nil
}

// Save replaces the file, whose mode becomes 0600, in one step: after a crash it holds the old state or
// the new one. Missing directories are made with mode 0700. It returns state.ErrConflict, and writes
// nothing, when the file is not what the last Load or Save left. It waits 10 s for another process that has
// the lock, and says so on the log after the first one.
func (s *Store) Save(ctx context.Context, snapshot state.Snapshot) error {
	snapshot = snapshot.Sound()
	if err := s.makeDir(); err != nil {
		return err
	}
	lock, err := s.lock(ctx)
	if err != nil {
		return fmt.Errorf("lock the state file %s: %w", s.path, err)
	}
	defer lock.Unlock()
	current, err := s.read(io.Discard)
	if err != nil {
		return err
	}
	if current != s.loaded {
		return fmt.Errorf("state file %s: %w", s.path, state.ErrConflict)
	}
	hash, size := sha256.New(), counter(0)
	err = Replace(s.path, func(w io.Writer) error { return state.Write(io.MultiWriter(w, hash, &size), snapshot) })
	if err != nil {
		return fmt.Errorf("write the state file: %w", err)
	}
	s.loaded, s.snapshot = content(hash.Sum(nil)), snapshot
	s.Measure(snapshot, int(size), state.MaxSize)
	return nil
}

// counter counts the bytes that are written to it.
type counter int

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	*c += counter(len(p))
	return len(p), nil
}

// Own keeps every other process from owning the file, until the lock is given back or this process ends. It
// does not wait. Load and Save need no owner.
func (s *Store) Own() (*filelock.Lock, error) {
	if err := s.makeDir(); err != nil {
		return nil, err
	}
	lock, err := filelock.Try(s.path + ".owner")
	if _, held := errors.AsType[*filelock.HeldError](err); held {
		return nil, fmt.Errorf("another Sentry watches with the state file %s: %w: end that process, or name another file with --state", s.path, err)
	}
	if err != nil {
		return nil, fmt.Errorf("lock the state file %s: %w", s.path, err)
	}
	return lock, nil
}

func (s *Store) makeDir() error {
	if err := os.MkdirAll(filepath.Dir(s.path), 0o700); err != nil {
		return fmt.Errorf("make the state's directory: %w", err)
	}
	return nil
}

// read copies the file to w, and returns what it holds.
func (s *Store) read(w io.Writer) (content, error) {
	hash := sha256.New()
	switch err := Read(s.path, state.MaxSize+1, io.MultiWriter(w, hash)); {
	case errors.Is(err, fs.ErrNotExist):
		return content{}, nil
	case errors.Is(err, errIrregular):
		return content{}, fmt.Errorf("read the state file: %w: name another", err)
	case err != nil:
		return content{}, fmt.Errorf("read the state file: %w", err)
	}
	return content(hash.Sum(nil)), nil
}

var errIrregular = errors.New("is not a regular file")

// Read copies the file at path to w, up to so many bytes. Without one it fails with fs.ErrNotExist.
func Read(path string, most int64, w io.Writer) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() { // opening a named pipe would wait for its writer
		return fmt.Errorf("%s %w", path, errIrregular)
	}
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, io.LimitReader(f, most))
	return err
}

// lock takes the lock file for this process alone.
func (s *Store) lock(ctx context.Context) (*filelock.Lock, error) {
	start, told := time.Now(), false
	for {
		lock, err := filelock.Try(s.path + ".lock")
		held, isHeld := errors.AsType[*filelock.HeldError](err)
		if !isHeld {
			return lock, err
		}
		switch waited := time.Since(start); {
		case waited >= lockLimit:
			return nil, fmt.Errorf("%w for %s: end that process, or name another file with --state", held, lockLimit)
		case waited >= lockNews && !told:
			told = true
			s.log.Warn("waiting for the lock of the state file", "file", held.Path, "pid", held.PID)
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("%w: %w", held, ctx.Err())
		case <-time.After(lockRetry):
		}
	}
}

// Replace puts what is written at path in one step, by way of path.tmp. Only one at a time may, so that the name is free or a
// leftover of a crash.
func Replace(path string, write func(io.Writer) error) (err error) {
	tmp := path + ".tmp"
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.OpenFile(tmp, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(tmp) // the error that led here is the one to tell
		}
	}()
	if err = write(f); err == nil {
		err = f.Sync()
	}
	if err := errors.Join(err, f.Close()); err != nil {
		return err
	}
	if err := os.Rename(tmp, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncDir makes a rename in dir last through a power failure.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
