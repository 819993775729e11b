// Package explain says why a branch was deployed or not, and what happens to it next, by what is remembered and which runs
// there are. It is pure: what a Git host answers just now is handed to it, where somebody asked.
//
// What only a running Sentry knows, such as the circuit breaker of a host, it cannot say. The words say so where it matters.
package explain

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Input is all that explaining depends on.
type Input struct {
	Config   *config.Config
	Snapshot state.Snapshot
	Runs     []engine.Run    // that the engine has, oldest first
	Past     []result.Result // how runs ended, newest first
	// Begun are the runs of this machine that have not ended: whether they go on, or were cut off, is not known.
	Begun []plan.Existing
	// Key is behind the names and signatures of runs. Without it, nil, runs are taken at their word: who asks need not
	// be trusted with it.
	Key *naming.Key
	// Observed is what the hosts answer now, as in plan.Input; nil when they were not asked.
	Observed []repo.Observation
	Now      time.Time
}

// Kind is what a statement is about, for programs.
type Kind string

// The kinds of statements, in the order in which they come.
const (
	Watched    Kind = "watched"     // an entry of monitor.branches matches
	NotWatched Kind = "not watched" // none does
	Unit       Kind = "unit"        // what the branch runs with

	StateFull      Kind = "state full"      // the state as a whole is too large
	StateDamaged   Kind = "state damaged"   // what is remembered of the repository cannot be read
	CannotBeRead   Kind = "cannot be read"  // the repository, when Sentry looked
	NeverSeen      Kind = "never seen"      // no look at the repository succeeded yet
	NotRemembered  Kind = "not remembered"  // nothing is known of the branch
	Recorded       Kind = "recorded"        // at the first sight of its repository
	ActedUpon      Kind = "acted upon"      // by a run that is known
	RunGone        Kind = "run gone"        // acted upon by a run of which nothing is known any more, or yet
	RunOrRecord    Kind = "run or record"   // one of the two: nothing tells which
	NotYetLearned  Kind = "not yet learned" // a run exists that the state does not know
	PassedOver     Kind = "passed over"     // a head that moved since, and runs nothing
	CutOff         Kind = "cut off"         // the run ended with the Sentry on this machine
	MissingOnce    Kind = "missing once"    // from the last good answer
	Forgotten      Kind = "forgotten"       // missing from two
	Active         Kind = "active"          // its run
	HeldBack       Kind = "held back"       // its run, by somebody
	Succeeded      Kind = "succeeded"       // its deployment, and so on
	Failed         Kind = "failed"
	Cancelled      Kind = "cancelled"
	TimedOut       Kind = "timed out"
	Superseded     Kind = "superseded"
	Skipped        Kind = "skipped"
	RolledBack     Kind = "rolled back"
	LastGood       Kind = "last good"       // the commit whose deployment succeeded last, where that is an earlier one
	DeployedAlong  Kind = "deployed along"  // by a later run of its group, unchanged
	NotAlong       Kind = "not along"       // a later run of its group was without it
	RunByHand      Kind = "run by hand"     // a later run that somebody asked for
	NoRunMade      Kind = "no run made"     // for a change that is due
	Paused         Kind = "paused"          // by a person
	Frozen         Kind = "frozen"          // by a window of not_on
	LeftOut        Kind = "left out"        // members that no run has room for
	BehindSomebody Kind = "behind somebody" // a change waits for a run that was started or is held back by hand
	Busy           Kind = "busy"            // another run of its unit is active
	Head           Kind = "head"            // as the host says now
	NoHead         Kind = "no head"         // the host does not have the branch now
	NotReadable    Kind = "not readable"    // by who asks, now
	WouldRecord    Kind = "would record"    // what the next cycle would do
	WouldPass      Kind = "would pass over"
	WouldRun       Kind = "would run"
	WouldLearn     Kind = "would learn" // of a run, and run after that
	WouldCancel    Kind = "would cancel"
	WouldWait      Kind = "would wait"
	WouldPause     Kind = "would wait for a person" // its unit is paused
	WouldFreeze    Kind = "would wait for the end of a window"
	WouldQueue     Kind = "would wait for a place"
	WouldDefer     Kind = "would defer"
	WouldForget    Kind = "would forget"
	NothingDue     Kind = "nothing due"
	NextLook       Kind = "next look" // what comes next, when no host was asked
)

// Statement is one thing that is so.
type Statement struct {
	Kind  Kind      `json:"kind"`
	Words string    `json:"words"`          // one sentence or more, for people
	Run   string    `json:"run,omitempty"`  // that it is about
	SHA   repo.SHA  `json:"sha,omitempty"`  // that it is about
	Since time.Time `json:"since,omitzero"` // when it began
}

// Subject is what there is to say of one branch.
type Subject struct {
	repo.Ref
	Unit       string      `json:"unit"` // its label
	Statements []Statement `json:"statements"`
}

// Explanations are the shape of what `sentry explain` prints as JSON and YAML.
type Explanations struct {
	Branches []Subject `json:"branches"`
}

// Explainer answers questions about one Input.
type Explainer struct {
	Input
	known    state.Snapshot  // with what the runs add to it
	news     map[string]bool // repositories of which the runs know more than the state
	active   map[string][]plan.Existing
	past     map[string]*result.Result // by name of the run
	ofRef    map[repo.Ref][]engine.Run // by what triggered them, oldest first
	pastOf   map[repo.Ref][]*result.Result
	ofUnit   map[string][]*result.Result // newest first
	forecast map[repo.Ref]forecast
}

// New prepares answers.
func New(in Input) *Explainer {
	e := &Explainer{
		Input: in, known: in.Snapshot, past: map[string]*result.Result{}, ofRef: map[repo.Ref][]engine.Run{},
		pastOf: map[repo.Ref][]*result.Result{}, ofUnit: map[string][]*result.Result{},
	}
	existing := engine.Existing(in.Runs)
	if in.Key != nil {
		e.known, e.news = plan.Recover(in.Snapshot, *in.Key, existing, true)
	}
	e.active = plan.ActiveOf(existing, e.ours)
	for _, r := range in.Runs {
		for _, c := range r.Trigger.Refs {
			e.ofRef[c.Ref] = append(e.ofRef[c.Ref], r)
		}
	}
	for i := range in.Past {
		p := &in.Past[i]
		e.past[p.Name] = p
		e.ofUnit[p.Unit] = append(e.ofUnit[p.Unit], p)
		for _, r := range p.Refs {
			e.pastOf[r.Ref] = append(e.pastOf[r.Ref], p)
		}
	}
	if in.Observed != nil {
		e.foresee(existing)
	}
	return e
}

// ours reports whether a Sentry made the run, as far as that can be told.
func (e *Explainer) ours(r plan.Existing) bool {
	return e.Key == nil && len(r.Trigger.Refs) > 0 || e.Key != nil && r.Ours(*e.Key, e.Snapshot.Epoch)
}

// Named returns the branches that a name stands for: REPOSITORY@BRANCH one, a unit one, a repository those of it that are
// known, a group those of its members.
func (e *Explainer) Named(name string) ([]repo.Ref, error) {
	if before, branch, ok := strings.Cut(name, "@"); ok {
		r, known := e.Config.Lookup(before)
		if err := named.Check(e.Config, []string{before}); err != nil {
			return nil, err
		}
		if !known {
			return nil, fmt.Errorf("%.80q is a group: name one of its repositories before the @", before)
		}
		if err := repo.CheckBranch(branch); err != nil {
			return nil, err
		}
		return []repo.Ref{{Repository: r.Name, Branch: branch}}, nil
	}
	if err := named.Check(e.Config, []string{name}); err != nil {
		return nil, err
	}
	var refs []repo.Ref
	for i := range e.Config.Repositories {
		r := &e.Config.Repositories[i]
		theirs, asked := named.Asked(r, []string{name})
		if !asked || name == r.Group && e.isRepository(name) {
			continue
		}
		branches := e.branches(r) // which goes through its patterns
		if name != r.Name && name != r.Group {
			branches = slices.DeleteFunc(append(branches, theirs...), func(b string) bool { return naming.UnitOf(r, b).Label != name })
		}
		slices.Sort(branches)
		for _, b := range slices.Compact(branches) {
			refs = append(refs, repo.Ref{Repository: r.Name, Branch: b})
		}
	}
	if len(refs) == 0 {
		return nil, fmt.Errorf("nothing is known of a branch that is %.80q, and what is watched has no example of one: write REPOSITORY@BRANCH", name)
	}
	return refs, nil
}

func (e *Explainer) isRepository(name string) bool {
	_, ok := e.Config.Lookup(name)
	return ok
}

// branches returns the branches of a repository that are known of: remembered, named by the file, or seen just now. Of
// one that has none an example stands for those that would match.
func (e *Explainer) branches(r *config.Repository) []string {
	known := map[string]bool{}
	for b := range e.known.Repositories[r.Name].Branches.All() {
		known[b] = true
	}
	for _, p := range r.Monitor.Branches {
		if b, exact := p.Exact(); exact {
			known[b] = true
		}
	}
	for b := range e.observed(r.Name).Heads {
		known[b] = true
	}
	for _, p := range r.Monitor.Branches {
		if b, ok := p.Example(); ok && len(known) == 0 {
			known[b] = true
		}
	}
	return slices.Sorted(maps.Keys(known))
}

// observed returns what the host of a repository answered just now.
func (e *Explainer) observed(name string) repo.Observation {
	for i := range e.Observed {
		if e.Config.Repositories[i].Name == name {
			return e.Observed[i]
		}
	}
	return repo.Observation{Status: repo.Skipped}
}

// Of returns what there is to say of a branch of a repository that is in the configuration.
func (e *Explainer) Of(ref repo.Ref) Subject {
	r, ok := e.Config.Lookup(ref.Repository)
	if !ok {
		return Subject{Ref: ref}
	}
	x := &subject{Explainer: e, r: r, ref: ref, unit: naming.UnitOf(r, ref.Branch), group: e.Config.GroupOf(r)}
	x.rule()
	x.memory()
	x.runs()
	x.unitProblem()
	x.next()
	return Subject{ref, x.unit.Label, x.said}
}

// subject is an answer at work.
type subject struct {
	*Explainer
	r     *config.Repository
	ref   repo.Ref
	unit  naming.Unit
	group config.Group
	said  []Statement
}

func (x *subject) say(s Statement, format string, a ...any) {
	s.Words = fmt.Sprintf(format, a...)
	x.said = append(x.said, s)
}

// has reports whether a statement of one of the kinds was made.
func (x *subject) has(kinds ...Kind) bool {
	return slices.ContainsFunc(x.said, func(s Statement) bool { return slices.Contains(kinds, s.Kind) })
}

// rule says which entry of the file the branch is watched by, and what it runs with.
func (x *subject) rule() {
	entries, key := x.r.Monitor.Branches.Branches(), "branches"
	switch pattern, requests := x.r.Monitor.Branches.Requests(); {
	case x.noun() == "tag":
		entries, key = x.r.Monitor.Branches.Tags(), "tags"
	case x.noun() == "request" && requests:
		x.say(Statement{Kind: Watched}, "%s is watched while it is open and one of the %s: monitor.pull_requests of %s.", x.ref, pattern, x.r.Name)
		x.whatRuns()
		return
	}
	for i, p := range entries {
		if p.Match(x.ref.Branch) {
			x.say(Statement{Kind: Watched}, "%s is watched: it matches %q, entry %d of monitor.%s of %s.", x.ref, p, i+1, key, x.r.Name)
			x.whatRuns()
			if in := x.group.Cluster; in != "" {
				x.said[len(x.said)-1].Words += fmt.Sprintf(" Its runs are in the cluster %s.", in)
			}
			return
		}
	}
	hint := ""
	for _, p := range entries {
		if start := p.FullPrefix(); p.Prefix() != "" && strings.HasPrefix(repo.Full(x.ref.Branch), start) {
			hint = fmt.Sprintf(" An entry has to match the whole name: %q matches only a part of it.", p)
		}
	}
	x.say(Statement{Kind: NotWatched}, "Nobody looks at %s: no entry of monitor.%s of %s (%s) matches it.%s", x.ref, key, x.r.Name, entries, hint)
}

// noun returns what the subject is: "branch", "tag" or "request".
func (x *subject) noun() string { return repo.Noun(x.ref.Branch) }

// crowded reports whether the repository has more branches and tags than are remembered of one, so that no new one counts.
func (x *subject) crowded() bool {
	p := x.known.Repositories[x.r.Name].Problem
	return p != nil && (p.Kind == "too many branches" || p.Kind == "no room for new branches")
}

// unsighted reports whether nothing would run for the subject since it is a tag or a request from before somebody looked for it.
func (x *subject) unsighted() bool {
	entry := x.known.Repositories[x.r.Name]
	_, known := entry.Branch(x.ref.Branch)
	if x.noun() == "request" {
		return !known && x.Config.Global.OnFirstSeen != config.DeployFirst && (entry.Unseen || entry.Tags != x.r.Monitor.Branches.Memo())
	}
	return x.noun() == "tag" && !known && !entry.NewTags(x.r.Monitor.Branches.Tags())(x.ref.Branch)
}

func (x *subject) whatRuns() {
	var others []string
	for _, r := range x.Config.Repositories {
		if r.Group == x.r.Group && r.Name != x.r.Name {
			others = append(others, r.Name)
		}
	}
	switch {
	case x.r.Group == "":
		x.say(Statement{Kind: Unit}, "It runs alone, as the unit %s.", x.unit.Label)
	case len(others) == 0:
		x.say(Statement{Kind: Unit}, "It runs as the group %s, whose only member %s is.", x.r.Group, x.r.Name)
	case x.group.Deploy == config.Changed:
		x.say(Statement{Kind: Unit}, "It runs in the group %s, of which those members deploy that changed (deploy: changed); the others are %s.", x.r.Group, list(others))
	default:
		x.say(Statement{Kind: Unit}, "It runs in the group %s: when one member changes all deploy (deploy: all); the others are %s.", x.r.Group, list(others))
	}
}

// list names things, the first few of them.
func list(names []string) string {
	const few = 10
	if more := len(names) - few; more > 1 {
		return strings.Join(names[:few], ", ") + fmt.Sprintf(" and %d more", more)
	}
	return strings.Join(names, ", ")
}
