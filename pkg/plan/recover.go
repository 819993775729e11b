package plan

import (
	"cmp"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Recover returns s with what it should remember of the runs, and the repositories of which that is news:
// a run whose N is above what s knows of its ref was created by a Sentry that died, or was cut off, before
// it could write. s itself stays as it is.
//
// Without it a change back to the SHA that s remembers would look like no change at all, while the cluster
// deploys another commit.
//
// A run of a repository that was found, and whose name another one has by now, counts for the floor alone. One of a repository that was found
// and that s does not have is left to who decides what was found: another Sentry may have forgotten the repository by a newer list.
//
// Only a run that is Ours counts: neither one that somebody else made, nor a copy under another name, nor a run
// from before the state was deleted says anything about s.
//
// decides is what Config.Decides says of s.
func Recover(s state.Snapshot, k naming.Key, runs []Existing, decides bool) (state.Snapshot, map[string]bool) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r Existing) bool { return r.Trigger.Manual != "" || !r.Ours(k, s.Epoch) })
	slices.SortFunc(runs, func(a, b Existing) int {
		return cmp.Or(cmp.Compare(a.number(), b.number()), cmp.Compare(a.Name, b.Name))
	})
	var news map[string]bool
	for _, r := range runs {
		for _, c := range r.Trigger.Refs {
			was := s.Repositories[c.Repository]
			another := c.Of != "" && was.Of != "" && c.Of != was.Of
			if c.N <= counted(s, c.Ref) || another && c.N <= was.Floor || was.Damaged != nil || c.Of != "" && !decides && !s.Seen(c.Repository) {
				continue
			}
			if news == nil {
				s, news = s.Fork(), make(map[string]bool)
			}
			if another {
				was.Floor = c.N
				s.Repositories[c.Repository] = was
				continue
			}
			Run{Unit: naming.Unit{Label: r.Unit}, Trigger: Trigger{Refs: []Change{c}}}.Remember(&s, r.Trigger.Seen)
			news[c.Repository] = true
		}
	}
	return s, news
}

// counted returns the N of the ref's last run that s knows of.
func counted(s state.Snapshot, ref repo.Ref) int {
	r := s.Repositories[ref.Repository]
	if b, ok := r.Branches.Lookup(ref.Branch); ok {
		return b.N
	}
	return r.Floor
}

// After returns the run with an N above those of its unit's runs, which may be above what the state knows:
// the members that they were made for may have left the unit since.
func (r Run) After(runs []Existing) Run {
	last := 0
	for _, e := range runs {
		if e.Unit == r.Unit.Label && e.Cluster == r.Group.Cluster && e.Ours(r.key.get(), r.epoch) {
			last = max(last, e.number())
		}
	}
	if last < r.Trigger.Refs[0].N {
		return r
	}
	return r.numbered(last + 1)
}

// Reopen returns s in which what the runs acted upon, which were cut off, is still to be done, and whether that
// differs from s, which stays as it is. Where s remembers the run, each of its refs goes back to the SHA before
// it, and is due at whatever head it has. N stays, so that the next run has a name of its own. A ref on which a
// later run was made that was not cut off stays as it is.
//
// Only a run that is Ours counts, as with Recover.
func Reopen(s state.Snapshot, runs []Existing) (next state.Snapshot, changed bool) {
	runs = slices.DeleteFunc(slices.Clone(runs), func(r Existing) bool { return r.Trigger.Manual != "" || !r.Ours(naming.Key{}, s.Epoch) })
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
			entry.Branches = entry.Branches.Clone()
			entry.Branches.Set(c.Branch, b)
			entry.Tagged = entry.Tagged && entry.HasTags()
			next.Repositories[c.Repository] = entry
		}
	}
	return next, changed
}
