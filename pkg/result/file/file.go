// Package file keeps the history of the runs on this machine in one file, beside that of the state.
package file

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"slices"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/history"
	state "github.com/tekton-sentry/sentry/pkg/state/file"
)

// Store is the history in the file at a path, which need not exist. One process writes it: the one that owns the state.
type Store struct {
	path string
	mu   sync.Mutex
}

// New returns the history beside the state file at path.
func New(path string) *Store { return &Store{path: path + ".history"} }

// List returns what is known of the runs of the unit, or of all units where unit is "", newest first.
func (s *Store) List(_ context.Context, unit string) ([]result.Result, error) {
	runs, err := s.read()
	if err != nil {
		return nil, err
	}
	runs = slices.DeleteFunc(runs, func(r result.Result) bool { return unit != "" && r.Unit != unit })
	slices.Reverse(runs)
	return runs, nil
}

// Add adds runs. One that is known already stays as it is.
func (s *Store) Add(_ context.Context, runs []result.Result) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.read()
	if err != nil {
		return err
	}
	text, err := history.Encode(history.Add(old, runs))
	if err != nil {
		return err
	}
	if err := state.Replace(s.path, func(w io.Writer) error { _, err := w.Write(text); return err }); err != nil {
		return fmt.Errorf("write the history: %w", err)
	}
	return nil
}

func (s *Store) read() ([]result.Result, error) {
	var text bytes.Buffer
	switch err := state.Read(s.path, history.MaxSize+1, &text); {
	case errors.Is(err, fs.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("read the history: %w", err)
	}
	if text.Len() > history.MaxSize {
		return nil, fmt.Errorf("history file %s has more than %d bytes, which is none of Sentry's; delete it to begin a new history", s.path, history.MaxSize)
	}
	runs, err := history.Decode(text.Bytes())
	if err != nil {
		return nil, fmt.Errorf("history file %s: %w; delete it to begin a new history", s.path, err)
	}
	return runs, nil
}
