package metrics

import (
	"context"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve/internal/store"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// settled is how long a branch may be unknown to the state before its unit counts as gone: another replica writes a new one once its
// cycle ends.
const settled = 10 * time.Minute

// Store returns the store, from whose calls m learns which branches there are. A branch that another replica saw deleted is gone as
// well, and so is one that was deleted before the start: the history has its runs for long.
func (m *Metrics) Store(s store.Store) store.Store {
	return store.Watched(s, func(_ context.Context, s state.Snapshot, err error) {
		if err == nil {
			m.see(s)
		}
	})
}

// see takes up which branches there are, and forgets the units of those that are gone.
func (m *Metrics) see(s state.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	was := m.state
	m.state = s
	for label, u := range m.units.known {
		_, had := was.Repositories[u.ref.Repository].Branch(u.ref.Branch)
		if !m.there(label, u.ref) && (had || time.Since(u.since) > settled) {
			m.drop(m.units.forget(label))
		}
	}
}

// there reports whether a unit is: whether its branch is, where it is one.
func (m *Metrics) there(label string, ref repo.Ref) bool {
	if m.state.Epoch == "" || ref == (repo.Ref{}) || !naming.IsRefLabel(label) {
		return true
	}
	_, is := m.state.Repositories[ref.Repository].Branch(ref.Branch)
	return is
}
