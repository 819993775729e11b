// Package file keeps what was found in one file, beside that of the state on this machine.
package file

import (
	"bytes"
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
		var data bytes.Buffer
		if err := state.Read(s.path, found.MaxSize+1, &data); err != nil {
			return nil, fmt.Errorf("read what was found: %w", err)
		}
		if known, err = found.Decode(data.Bytes()); err != nil {
			return nil, fmt.Errorf("file %s: %w; delete it to find all anew", s.path, err)
		}
	}
	s.keep(info)
	return known, nil
}

// look returns what the file is like; nil where there is none.
func (s *Store) look() (fs.FileInfo, error) {
	info, err := os.Stat(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return info, err
}

func (s *Store) keep(info fs.FileInfo) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.was = info
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
