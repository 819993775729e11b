// Package facts is what the page and its API tell, worked out of what is remembered and which runs there are. It asks nobody:
// what it goes by is read elsewhere, and handed to it.
package facts

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/listing"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Known is what there is to go by at one moment. Nothing in it is changed.
type Known struct {
	Config   *config.Config // without repositories where none could be read
	Snapshot state.Snapshot
	Runs     []engine.Run    // that the engine has, oldest first
	Begun    []plan.Existing // runs of this machine that have not ended, where another process made them
	Key      *naming.Key     // as in explain.Input
	Past     []result.Result // how runs ended, newest first
	Gap      string          // why Past is empty, where it cannot be read
	// Hosts returns how the hosts stand that this process asks; nil where it asks none. It is asked for each view.
	Hosts func() []Host
	// Peers returns the replicas without their shares; nil where one process does all of it. It is asked for each view.
	Peers func() []Replica
	At    time.Time // when it was read
	// Text is that of the configuration, as far as it is known.
	Text Text
}

// Text is what people have written of the configuration.
type Text struct {
	Used *listing.Listing // what the configuration was made of; nil where that is not known
	// Refused is what stands there now, where it cannot be used and could be read.
	Refused *listing.Listing
	Why     string // what stands there cannot be used; "" = it is used
}

// Host is how a Git host stands that this process asks, with one credential.
type Host struct {
	Host       string    `json:"host"`       // host[:port]
	Credential string    `json:"credential"` // what names it, such as $GITHUB_TOKEN
	Requests   int       `json:"requests"`   // sent since the process began
	Failures   int       `json:"failures"`   // of them
	Cached     int       `json:"cached"`     // looks that hints made needless
	Late       int       `json:"late"`       // looks that limits, backoff or time prevented
	Until      time.Time `json:"until,omitzero"`
	Why        string    `json:"why,omitempty"`      // it is not asked now
	Resource   string    `json:"resource,omitempty"` // what of it is not asked for; "" = all
	Budgets    []Budget  `json:"budgets,omitempty"`
}

// Budget is what a host said last of how much it answers.
type Budget struct {
	Resource  string    `json:"resource,omitempty"`
	Limit     int       `json:"limit"`
	Remaining int       `json:"remaining"`
	Reset     time.Time `json:"reset,omitzero"`
}

// Facts are what follows from a Known. They are worked out when they are first asked for, once; any goroutine may ask.
type Facts struct {
	Known
	Results []result.Result // newest first, also those that only the list of runs has
	Status  overview.Status // of everything, with the units in the order of their names
	Troubled,
	Active int // units

	order   []int // of Status.Units: newest trouble first
	units   map[string]int
	ofUnit  map[string][]int // results, newest first
	ofRepo  map[string][]int
	result  map[string]int
	run     map[string]int // of Runs
	repos   map[string]int // of Config.Repositories
	explain func() *explain.Explainer
	numbers func() statistics.Statistics
	names   func() []string
	shares  shares
	named   struct {
		sync.Mutex
		refs map[string][]repo.Ref
	}
}

// TaskVerdicts are the engine's words for how tasks go in ours.
var TaskVerdicts = map[engine.Result]string{
	engine.Running: "Running", engine.Succeeded: string(result.Succeeded), engine.Failed: string(result.Failed), engine.Ignored: string(result.Failed),
	engine.TimedOut: string(result.TimedOut), engine.Cancelled: string(result.Cancelled), engine.Skipped: string(result.Skipped),
}

// Of works out what Known tells.
func Of(k Known) *Facts {
	f := &Facts{Known: k, Results: overview.Results(k.Past, k.Runs)}
	groups := make(map[string]string, len(k.Config.Repositories))
	f.repos = make(map[string]int, len(k.Config.Repositories))
	for i := range k.Config.Repositories {
		r := &k.Config.Repositories[i]
		groups[r.Name], f.repos[r.Name] = r.Group, i
	}
	runs := make([]overview.Run, 0, len(k.Runs))
	f.run = make(map[string]int, len(k.Runs))
	for i, r := range slices.Backward(k.Runs) {
		f.run[r.Name] = i
		runs = append(runs, overview.Run{
			Name: r.Name, Cluster: r.Cluster, Unit: cmp.Or(r.Unit, "-"), Reason: cmp.Or(r.Reason, "Pending"), Created: r.Created, Refs: overview.RefsOf(r.Trigger),
		})
	}
	f.Status = overview.Of(k.Snapshot, runs)
	f.Status.Units = overview.Units(k.Snapshot, k.Runs, f.Results, groups, k.At)
	f.Status.Problems = append(f.Status.Problems, overview.Frozen(k.Config, k.At)...)
	f.index()
	f.ends()
	f.sort()
	f.explain = sync.OnceValue(func() *explain.Explainer {
		return explain.New(explain.Input{Config: k.Config, Snapshot: k.Snapshot, Runs: k.Runs, Past: k.Past, Begun: k.Begun, Key: k.Key, Now: k.At})
	})
	f.names = sync.OnceValue(func() []string {
		names := append(slices.Collect(maps.Keys(f.repos)), slices.Collect(maps.Keys(k.Snapshot.Repositories))...)
		slices.Sort(names)
		return slices.Compact(names)
	})
	f.numbers = sync.OnceValue(func() statistics.Statistics { return statistics.Of(f.Results, k.At) })
	return f
}

func (f *Facts) index() {
	f.ofUnit, f.ofRepo = map[string][]int{}, map[string][]int{}
	f.result = make(map[string]int, len(f.Results))
	for i := range f.Results {
		r := &f.Results[i]
		f.result[r.Name] = i
		f.ofUnit[r.Unit] = append(f.ofUnit[r.Unit], i)
		add := func(name string) {
			if at := f.ofRepo[name]; len(at) == 0 || at[len(at)-1] != i {
				f.ofRepo[name] = append(at, i)
			}
		}
		for _, ref := range r.Refs {
			add(ref.Repository)
		}
		for _, m := range r.Members {
			add(m.Repository)
		}
	}
}

// ends fills in when the runs ended, which the list of them does not tell, and the history does.
func (f *Facts) ends() {
	for i := range f.Status.Runs {
		r := &f.Status.Runs[i]
		if at, ok := f.result[r.Name]; ok && f.Results[at].Seconds > 0 {
			ended := r.Created.UTC().Add(time.Duration(f.Results[at].Seconds) * time.Second)
			r.Ended = &ended
		}
	}
}

// trouble reports whether something is wrong with a unit: its newest run did not succeed, or something keeps it from running.
func trouble(u *overview.Unit) bool {
	switch u.Verdict {
	case string(result.Failed), string(result.TimedOut):
		return true
	}
	return len(u.Problems) > 0
}

// sort puts the units with trouble first, the newest of them before the others, then those that are active, then all others.
func (f *Facts) sort() {
	f.units = make(map[string]int, len(f.Status.Units))
	f.order = make([]int, len(f.Status.Units))
	ranks := make([]int, len(f.Status.Units))
	for i := range f.Status.Units {
		u := &f.Status.Units[i]
		f.units[u.Unit], f.order[i] = i, i
		ranks[i] = 2
		if u.Verdict == overview.Active || u.Verdict == overview.HeldBack {
			f.Active++
			ranks[i] = 1
		}
		if trouble(u) {
			f.Troubled++
			ranks[i] = 0
		}
	}
	slices.SortStableFunc(f.order, func(a, b int) int {
		return cmp.Or(ranks[a]-ranks[b], f.Status.Units[b].Created.Compare(f.Status.Units[a].Created))
	})
}

// Unit returns a unit by its label.
func (f *Facts) Unit(label string) (*overview.Unit, bool) {
	i, ok := f.units[label]
	if !ok {
		return nil, false
	}
	return &f.Status.Units[i], true
}

// Units returns the units with the newest trouble first, from one on, at most so many.
func (f *Facts) Units(from, most int) []*overview.Unit {
	return at(f.Status.Units, f.order, from, most)
}

// OfUnit returns how a unit's runs ended, newest first, from one on, at most so many.
func (f *Facts) OfUnit(label string, from, most int) []*result.Result {
	return at(f.Results, f.ofUnit[label], from, most)
}

// OfRepository returns how the runs ended that a repository triggered, or was deployed by, as OfUnit does.
func (f *Facts) OfRepository(name string, from, most int) []*result.Result {
	return at(f.Results, f.ofRepo[name], from, most)
}

// Ended returns how many runs of a unit are known to have ended.
func (f *Facts) Ended(label string) int { return len(f.ofUnit[label]) }

func at[T any](all []T, which []int, from, most int) []*T {
	from = min(max(0, from), len(which))
	which = which[from:min(len(which), from+most)]
	some := make([]*T, len(which))
	for i, w := range which {
		some[i] = &all[w]
	}
	return some
}

// Run returns a run by its name: how it ended, where that is known, and as the engine has it, where it does. Both are nil of one
// of which nothing is known.
func (f *Facts) Run(name string) (ended *result.Result, run *engine.Run) {
	if i, ok := f.result[name]; ok {
		ended = &f.Results[i]
	}
	if i, ok := f.run[name]; ok {
		run = &f.Runs[i]
	}
	return ended, run
}

// Listed returns a run that the engine has, as the status has it, where the newest is first; nil of any other.
func (f *Facts) Listed(name string) *overview.Run {
	i, ok := f.run[name]
	if !ok {
		return nil
	}
	return &f.Status.Runs[len(f.Status.Runs)-1-i]
}

// Repository returns a repository of the configuration.
func (f *Facts) Repository(name string) (*config.Repository, bool) {
	i, ok := f.repos[name]
	if !ok {
		return nil, false
	}
	return &f.Config.Repositories[i], true
}

// Names returns the repositories that are watched or remembered, in order.
func (f *Facts) Names() []string { return f.names() }

// Branches returns the branches of a repository that are remembered, in the order of their names.
func (f *Facts) Branches(name string) []overview.Branch {
	all := f.Status.Branches // sorted by repository
	from, _ := slices.BinarySearchFunc(all, name, func(b overview.Branch, name string) int { return strings.Compare(b.Repository, name) })
	to := from
	for to < len(all) && all[to].Repository == name {
		to++
	}
	return all[from:to]
}

// Problems returns what keeps one of the things from running, by their names.
func (f *Facts) Problems(on ...string) []overview.Problem {
	var some []overview.Problem
	for _, p := range f.Status.Problems {
		if slices.Contains(on, p.On) {
			some = append(some, p)
		}
	}
	return some
}

// Explain returns what there is to say of a branch of a repository that is in the configuration.
func (f *Facts) Explain(ref repo.Ref) explain.Subject { return f.explain().Of(ref) }

// Named returns the branches that a name stands for, as explain.Named does. Those of the names that are asked for again and again are
// kept, as each takes a look at all repositories.
func (f *Facts) Named(name string) ([]repo.Ref, error) {
	const maxKept = 200
	f.named.Lock()
	known, ok := f.named.refs[name]
	f.named.Unlock()
	if ok {
		return slices.Clone(known), nil
	}
	refs, err := f.explain().Named(name)
	f.named.Lock()
	defer f.named.Unlock()
	if err == nil && len(f.named.refs) < maxKept {
		if f.named.refs == nil {
			f.named.refs = map[string][]repo.Ref{}
		}
		f.named.refs[name] = slices.Clone(refs)
	}
	return refs, err
}

// Statistics returns what the results are in numbers.
func (f *Facts) Statistics() statistics.Statistics { return f.numbers() }

// Before returns the commit of a ref that a run of its unit deployed before the one that is told of; "" where none is known.
func (f *Facts) Before(r *result.Result, ref repo.Ref) repo.SHA {
	if i, ok := f.run[r.Name]; ok {
		for _, c := range f.Runs[i].Trigger.Refs {
			if c.Ref == ref && c.Old != "" {
				return c.Old
			}
		}
	}
	which := f.ofUnit[r.Unit]
	i, ok := f.result[r.Name]
	if !ok {
		return ""
	}
	after, _ := slices.BinarySearch(which, i+1)
	const look = 50 // runs: a branch that moved last before all of them has a link to its commit alone
	for _, w := range which[after:min(len(which), after+look)] {
		for _, m := range f.Results[w].Members {
			if m.Ref.Ref == ref && m.SHA != "" {
				return m.SHA
			}
		}
		for _, was := range f.Results[w].Refs {
			if was.Ref == ref {
				return was.SHA
			}
		}
	}
	return ""
}

// Members returns a group that is a unit, and its members in their order; none of a unit that is a branch.
func (f *Facts) Members(label string) (config.Group, []*config.Repository) {
	for _, name := range slices.Sorted(maps.Keys(f.Config.Groups)) {
		if naming.GroupLabel(name) != label {
			continue
		}
		var members []*config.Repository
		for i := range f.Config.Repositories {
			if r := &f.Config.Repositories[i]; r.Group == name {
				members = append(members, r)
			}
		}
		return f.Config.Groups[name], members
	}
	return config.Group{}, nil
}
