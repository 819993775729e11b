package plan

import (
	"cmp"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Reopen returns s in which what the runs acted upon, which were cut off, is still to be done, and whether that
// differs from s, which stays as it is. Where s remembers the run, each of its refs goes back to the SHA before
// it, and is due at whatever head it has. N stays, so that the next run has a name of its own. A ref on which a
// later run was made that was not cut off stays as it is.
//
// Only a run that is Ours counts, as with Recover.
func Reopen(s state.Snapshot, runs []Existing) (next state.Snapshot, changed bool) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r Existing) bool { return r.Trigger.Manual != "" || !r.Ours(Key{}, s.Epoch) })
	slices.SortFunc(runs, func(a, b Existing) int { // the newest first: with on_busy: parallel one may stand on another
		return cmp.Or(cmp.Compare(b.number(), a.number()), cmp.Compare(a.Name, b.Name))
	})
	next = s
	for _, r := range runs {
		for _, c := range r.Trigger.Refs {
			b, ok := next.Repositories[c.Repository].Branch(c.Branch)
			if !ok || b.SHA != c.New || b.N != c.N && !b.Redo {
				continue
			}
			if _, err := repo.ParseSHA(string(c.Old)); err != nil {
				b.Missing = 2 // as if it were forgotten: then it is a new branch again
			} else {
				b.SHA, b.Redo = c.Old, true
			}
			if !changed {
				next, changed = s.Fork(), true
			}
			entry := next.Repositories[c.Repository]
			entry.Branches = maps.Clone(entry.Branches)
			entry.Branches[c.Branch] = b
			next.Repositories[c.Repository] = entry
		}
	}
	return next, changed
}
