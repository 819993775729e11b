package plan

import (
	"fmt"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// newRun names the run and its tasks. Refs of the trigger get sorted.
func newRun(in Input, unit naming.Unit, trigger Trigger, members []Member, leftOut []string) Run {
	group := config.Alone()
	if len(members) > 0 {
		group = in.Config.GroupOf(members[0].Repository)
	}
	slices.SortFunc(trigger.Refs, func(a, b Change) int { return a.Ref.Compare(b.Ref) })
	nameTasks(members)
	for i, m := range members {
		members[i].Succeeded = in.Snapshot.Repositories[m.Repository.Name].Branches.Get(m.Branch).Succeeded
	}
	r := Run{Unit: unit, Group: group, Trigger: trigger, Members: members, LeftOut: leftOut, epoch: in.Snapshot.Epoch, key: hide(in.Key.In(group.Cluster))}
	r.Name = r.name()
	return r
}

// nameTasks gives each member's task its name.
func nameTasks(members []Member) {
	refs := make([]repo.Ref, len(members))
	for i, m := range members {
		refs[i] = m.Ref()
	}
	for i, task := range naming.Tasks(refs) {
		members[i].Task = task
	}
}

// hiddenKey is a key in an unexported field, where fmt would print it without asking its String.
type hiddenKey func() naming.Key

func hide(k naming.Key) hiddenKey { return func() naming.Key { return k } }

func (h hiddenKey) get() naming.Key {
	if h == nil {
		return naming.Key{}
	}
	return h()
}

// name follows from the unit and the number of its run. The refs and their SHAs are not part of it: so two
// Sentrys that saw different heads want the same name for the unit's next run, and the engine lets only
// one of them have it.
func (r Run) name() string {
	return r.Unit.Prefix + "-" + r.key.get().RunHash(r.epoch, r.Unit.Label, r.Trigger.Manual, r.Trigger.Refs[0].N)
}

// Next returns the same run under its next name, with N one higher, for when the name belongs to something
// else.
func (r Run) Next() Run { return r.numbered(r.Trigger.Refs[0].N + 1) }

func (r Run) numbered(n int) Run {
	r.Trigger.Refs = slices.Clone(r.Trigger.Refs)
	for i := range r.Trigger.Refs {
		r.Trigger.Refs[i].N = n
	}
	r.Name = r.name()
	return r
}

// At tells an engine in which unit the run is.
func (r Run) At() string { return naming.At(r.Group.Cluster, r.Unit.Label) }

// Equal reports whether both are the same change. When it was observed, and what waited then, is not part of it.
func (t Trigger) Equal(o Trigger) bool {
	return t.Manual == o.Manual && slices.Equal(t.Refs, o.Refs)
}

// CheckNumber says why the run must not be made when the state could not remember its number. Nobody counts that
// far: an entry was edited, or a run forged.
func (r Run) CheckNumber() error {
	n := r.Trigger.Refs[0].N
	if n <= state.MaxNumber {
		return nil
	}
	return fmt.Errorf("the next run of %s would have the number %d, and numbers end at %d: mend n and floor of its repositories in the state, "+
		"or delete their entries to record their heads anew", r.Unit.Label, n, state.MaxNumber)
}

// QA returns the QA repositories that the members clone, each once, in the order of the members: what has
// to be read for Pin.
func (r Run) QA() []config.Monitor {
	var monitors []config.Monitor
	r.eachQA(func(_, at int, d *config.Deploy) {
		if at == len(monitors) {
			monitors = append(monitors, config.Monitor{Source: d.Source, Branches: repo.Patterns{repo.ExactPattern(d.Branch)}})
		}
	})
	return monitors
}

// eachQA calls f with each member's index and the index of its QA repository in QA().
func (r Run) eachQA(f func(member, at int, d *config.Deploy)) {
	type key struct {
		config.Source
		branch string
	}
	index := make(map[key]int)
	for i, m := range r.Members {
		d := m.Repository.Deploy
		if d.URL == "" {
			continue // a Task or Pipeline without a QA repository
		}
		k := key{d.Source, d.Branch}
		at, ok := index[k]
		if !ok {
			at = len(index)
			index[k] = at
		}
		f(i, at, d)
	}
}

// Pin returns the run with the revisions of its QA repositories: heads are the observations of QA(), in
// its order. When one of them cannot be read it returns the run as it was and an error that names it:
// the run must not be created then.
func (r Run) Pin(heads []repo.Observation) (Run, error) {
	pinned := r
	pinned.Members = slices.Clone(r.Members)
	var failed error
	r.eachQA(func(i, at int, d *config.Deploy) {
		o := heads[at]
		sha, ok := o.Heads[d.Branch]
		switch {
		case failed != nil:
		case o.Err == nil && !ok, o.Err != nil && problemKind(o.Err) == noBranch:
			failed = fmt.Errorf("the QA repository %s has no branch %q: check deploy.qa_repo_branch of %s", d.URL, d.Branch, r.Members[i].Repository.Name)
		case o.Err != nil:
			failed = fmt.Errorf("read branch %q of the QA repository %s: %w", d.Branch, d.URL, o.Err)
		}
		pinned.Members[i].QASHA = sha
	})
	if failed != nil {
		return r, failed
	}
	return pinned, nil
}

// Remember writes into s, which must be a fork, that the run exists: its triggering refs were acted upon at now,
// and its unit has no problem. A run that was asked for by hand leaves s as it is.
func (r Run) Remember(s *state.Snapshot, now time.Time) {
	if r.Trigger.Manual != "" {
		return
	}
	if s.Repositories == nil {
		s.Repositories = make(map[string]state.Repository)
	}
	for _, c := range r.Trigger.Refs {
		entry := s.Repositories[c.Repository]
		entry.Branches, entry.Unseen = entry.Branches.Clone(), false
		entry.Remember(c.Branch, c.New, c.N, now)
		if c.Of != "" {
			entry.Of = c.Of
		}
		s.Repositories[c.Repository] = entry
	}
	s.DropProblem(r.Unit.Label)
}
