// Package file keeps what was found in one file, beside that of the state on this machine.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	state "github.com/tekton-sentry/sentry/pkg/state/file"
)

// Store is the file at a path, which need not exist. One process writes it: the one that owns the state.
type Store struct {
	path string

	mu  sync.Mutex
	was fs.FileInfo // as it was loaded or saved; nil = there was none
}

// New returns the store beside the state file at path.
func New(path string) *Store { return &Store{path: path + ".found"} }

// Load returns what was found; nothing where there is no file.
func (s *Store) Load(context.Context) (*discover.Found, error) {
	info, err := s.look()
	if err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	known := &discover.Found{}
	if info != nil {
		if known, err = s.read(); err != nil {
			return nil, err
		}
	}
	s.keep(info)
	return known, nil
}

// look returns what the file is like; nil where there is none.
func (s *Store) look() (fs.FileInfo, error) {
	switch info, err := os.Stat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, err
	case !info.Mode().IsRegular(): // opening a named pipe would wait for its writer
		return nil, fmt.Errorf("%s is not a regular file", s.path)
	default:
		return info, nil
	}
}

func (s *Store) keep(info fs.FileInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.was = info
}

func (s *Store) read() (*discover.Found, error) {
	f, err := os.Open(s.path)
	if err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, found.MaxSize+1))
	if err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	known, err := found.Decode(data)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w; delete it to find all anew", s.path, err)
	}
	return known, nil
}

// Save replaces it.
func (s *Store) Save(_ context.Context, known *discover.Found) error {
	data, err := found.Encode(known)
	if err != nil {
		return err
	}
	err = state.Replace(s.path, func(w io.Writer) error { _, err := w.Write(data); return err })
	if err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	info, err := s.look()
	if err != nil {
		return fmt.Errorf("read what was found: %w", err)
	}
	s.keep(info)
	return nil
}

// Changed reports whether somebody wrote it, or took it away, since it was loaded or saved.
func (s *Store) Changed(context.Context) (bool, error) {
	info, err := s.look()
	if err != nil {
		return false, fmt.Errorf("read what was found: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if info == nil || s.was == nil {
		return info != nil || s.was != nil, nil
	}
	return !os.SameFile(info, s.was) || !info.ModTime().Equal(s.was.ModTime()) || info.Size() != s.was.Size(), nil
}
