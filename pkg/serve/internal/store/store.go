// Package store has what is served look on as the loop loads and saves its state.
package store

import (
	"context"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// Store is what the loop has its state in, as watch.Store.
type Store interface {
	Load(ctx context.Context) (state.Snapshot, error)
	Save(ctx context.Context, s state.Snapshot) error
}

// Watched returns the store. called is told of each call that has ended: the snapshot that was loaded or saved, and the error.
func Watched(s Store, called func(ctx context.Context, s state.Snapshot, err error)) Store {
	return watched{s, called}
}

type watched struct {
	Store
	called func(context.Context, state.Snapshot, error)
}

// Load implements Store.
func (w watched) Load(ctx context.Context) (state.Snapshot, error) {
	s, err := w.Store.Load(ctx)
	w.called(ctx, s, err)
	return s, err
}

// Save implements Store.
func (w watched) Save(ctx context.Context, s state.Snapshot) error {
	err := w.Store.Save(ctx, s)
	w.called(ctx, s, err)
	return err
}
