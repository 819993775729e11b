// Package file keeps what was found in one file, beside that of the state on this machine.
package file

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	state "github.com/tekton-sentry/sentry/pkg/state/file"
)

// Store is the file at a path, which need not exist. One process writes it: the one that owns the state.
type Store struct{ path string }

// New returns the store beside the state file at path.
func New(path string) Store { return Store{path + ".found"} }

// Load returns what was found; nothing where there is no file.
func (s Store) Load(context.Context) (*discover.Found, error) {
	switch info, err := os.Stat(s.path); {
	case errors.Is(err, fs.ErrNotExist):
		return &discover.Found{}, nil
	case err != nil:
		return nil, fmt.Errorf("read what was found: %w", err)
	case !info.Mode().IsRegular(): // opening a named pipe would wait for its writer
		return nil, fmt.Errorf("read what was found: %s is not a regular file", s.path)
	}
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
func (s Store) Save(_ context.Context, lists []discover.List) error {
	data, err := found.Encode(lists)
	if err != nil {
		return err
	}
	if err := state.Replace(s.path, func(w io.Writer) error { _, err := w.Write(data); return err }); err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	return nil
}

// Changed reports whether another process wrote it since: none does.
func (Store) Changed(context.Context) (bool, error) { return false, nil }
