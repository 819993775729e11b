// Package deployed learns from how runs ended which commits were deployed: of each branch, the last one whose deployment
// succeeded. It is pure.
package deployed

import (
	"cmp"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Ledger has, of each branch, when the run was created whose success was learned last. With on_busy: parallel an older run
// may end after a newer one, and says nothing then. The zero Ledger is ready for use.
type Ledger struct{ created map[repo.Ref]time.Time }

// Learn returns s, which stays as it is, with what the results say beyond it. Results that were learned before change nothing.
//
// Any run counts, also one that a person made: it deploys as well. What it says of branches that s does not know is left out,
// so that it can add nothing to s.
func (l *Ledger) Learn(s state.Snapshot, results []result.Result) state.Snapshot {
	next, forked := s, false
	for _, r := range byCreation(results) {
		for _, m := range r.Members {
			if m.Verdict != result.Succeeded || r.Created.Before(l.created[m.Ref.Ref]) {
				continue
			}
			entry := next.Repositories[m.Repository]
			b, known := entry.Branches.Lookup(m.Branch) // also one that is forgotten: what is deployed stays so, and it may come back
			if _, err := repo.ParseSHA(string(m.SHA)); err != nil || !known {
				continue
			}
			if l.created == nil {
				l.created = make(map[repo.Ref]time.Time)
			}
			l.created[m.Ref.Ref] = r.Created
			if b.Succeeded == m.SHA {
				continue
			}
			if !forked {
				next, forked = s.Fork(), true
			}
			b.Succeeded = m.SHA
			entry.Branches = entry.Branches.Clone()
			entry.Branches.Set(m.Branch, b)
			next.Repositories[m.Repository] = entry
		}
	}
	return next
}

func byCreation(results []result.Result) []result.Result {
	return slices.SortedStableFunc(slices.Values(results), func(a, b result.Result) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
}
