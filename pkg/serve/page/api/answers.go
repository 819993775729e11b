package api

import (
	"cmp"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"sort"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

// next returns what leads behind an entry.
func next(key string) string { return base64.RawURLEncoding.EncodeToString([]byte(key)) }

// part returns the entries that are asked for, of some in the order of their keys, and what leads to those behind them. A key says where
// to go on, and no number does: entries that come meanwhile, or go, shift none.
func part[T any](a *asked, all []T, key func(T) string) ([]T, string) {
	at := 0
	if a.from != "" {
		at = sort.Search(len(all), func(i int) bool { return key(all[i]) > a.from })
	}
	some := append([]T{}, all[at:min(len(all), at+a.limit)]...) // [] of none, and not null
	if at+len(some) == len(all) {
		return some, ""
	}
	return some, next(key(some[len(some)-1]))
}

func (a *asked) units() (any, error) {
	some, next := part(a, a.Status.Units, func(u overview.Unit) string { return u.Unit })
	return Units{some, next}, nil
}

// statusOf returns what a choice of the status is, as the command does.
func (a *asked) statusOf(names []string, runs int) (any, error) {
	all := a.Status
	if len(names) == 0 && len(all.Units)+len(all.Branches)+len(all.Problems) > maxEntries {
		return nil, errTooMuch
	}
	choice := overview.Choose(names, overview.Members(a.Config))
	all.Runs = nil
	for _, r := range a.Status.Runs {
		if len(all.Runs) < runs && choice.Run(r.Name, r.Unit, r.Refs) {
			all.Runs = append(all.Runs, r)
		}
	}
	s, err := choice.Of(all)
	if err != nil {
		return nil, a.missing(err)
	}
	return s, nil
}

// missing is why there is nothing to answer.
func (a *asked) missing(err error) *Problem {
	return refusal(http.StatusNotFound, a.options.Hide(err.Error()))
}

func (a *asked) status() (any, error) { return a.statusOf(a.names, a.limit) }

func (a *asked) unit() (any, error) {
	if _, ok := a.Unit(a.name); !ok {
		return nil, refusal(http.StatusNotFound, "Nothing is known of such a unit.")
	}
	return a.statusOf([]string{a.name}, latestRuns)
}

func (a *asked) problems() (any, error) {
	key := func(p overview.Problem) string { return p.On + "\x00" + p.Kind + "\x00" + p.Message }
	all := slices.SortedFunc(slices.Values(a.Status.Problems), func(a, b overview.Problem) int { return strings.Compare(key(a), key(b)) })
	some, next := part(a, all, key)
	return Problems{some, next}, nil
}

func (a *asked) repositories() (any, error) {
	names, next := part(a, a.Names(), func(name string) string { return name })
	some := make([]Repository, len(names))
	for i, name := range names {
		some[i] = a.repositoryOf(name)
	}
	return Repositories{some, next}, nil
}

func (a *asked) repositoryOf(name string) Repository {
	r := Repository{Repository: name, Remembered: len(a.Branches(name))}
	if p := a.Snapshot.Repositories[name].Problem; p != nil {
		r.Problems = []overview.Problem{{On: name, Problem: *p}}
	}
	c, watched := a.Facts.Repository(name)
	if !watched {
		return r
	}
	r.Watched, r.Group, r.URL, r.Type = true, c.Group, a.options.Hide(c.Monitor.URL), string(c.Monitor.Type)
	for _, p := range c.Monitor.Branches {
		r.Patterns = append(r.Patterns, p.String())
	}
	return r
}

func (a *asked) repository() (any, error) {
	_, watched := a.Facts.Repository(a.name)
	if _, remembered := a.Snapshot.Repositories[a.name]; !watched && !remembered {
		return nil, refusal(http.StatusNotFound, "Nothing is known of such a repository.")
	}
	v := RepositoryAnswer{Repository: a.repositoryOf(a.name), Measures: a.Statistics().Repositories[a.name], Branches: []Branch{}}
	v.Problems = a.Problems(a.name) // also windows and pauses
	known := map[repo.Ref]*overview.Branch{}
	var refs []repo.Ref
	all := a.Branches(a.name)
	for i, b := range all {
		known[b.Ref] = &all[i]
		refs = append(refs, b.Ref)
	}
	if watched {
		refs, _ = a.Named(a.name) // without a branch there is nothing to say
	}
	refs, v.Next = part(a, refs, func(r repo.Ref) string { return r.Branch })
	for _, ref := range refs {
		b := Branch{Subject: explain.Subject{Ref: ref, Statements: []explain.Statement{}}, Remembered: known[ref]}
		if watched {
			b.Subject = a.Explain(ref)
		}
		v.Branches = append(v.Branches, b)
	}
	return v, nil
}

func (a *asked) explain() (any, error) {
	refs, err := a.Named(a.names[0])
	if err != nil {
		return nil, a.missing(err)
	}
	// They are in the order of the configuration, which is not that of their names.
	if a.from != "" {
		at := slices.IndexFunc(refs, func(r repo.Ref) bool { return r.String() == a.from })
		if at < 0 {
			return nil, refusal(http.StatusBadRequest, "The branch is gone after which this would go on: begin without from=.")
		}
		refs = refs[at+1:]
	}
	v := Explanations{}
	if len(refs) > a.limit {
		refs = refs[:a.limit]
		v.Next = next(refs[len(refs)-1].String())
	}
	v.Branches = []explain.Subject{}
	for _, ref := range refs {
		v.Branches = append(v.Branches, a.Explain(ref))
	}
	return v, nil
}

// place is where a run stands among others, newest first: what is behind it is greater.
func place(created time.Time, name string) string {
	return created.UTC().Format("2006-01-02T15:04:05.000000000Z") + " " + name
}

// behind returns where the runs begin that are asked for, of some that are newest first.
func (a *asked) behind(n int, place func(i int) string) int {
	if a.from == "" {
		return 0
	}
	return sort.Search(n, func(i int) bool { return place(i) < a.from })
}

// wanted returns which of the results concern the names, as the command does: at most so many from one on, and whether there are more.
func (a *asked) wanted(from, most int) (some []result.Result, choice overview.Choice, more bool) {
	choice = overview.Choose(a.names, overview.Members(a.Config))
	some = []result.Result{}
	for i := range a.Results[from:] {
		r := &a.Results[from+i]
		if len(a.names) > 0 && !choice.Run(r.Name, r.Unit, overview.RefsIn(*r)) {
			continue
		}
		if len(some) == most {
			return some, choice, true
		}
		some = append(some, *r)
	}
	return some, choice, false
}

// check returns an error where a name is nothing's.
func (a *asked) check(choice overview.Choice) error {
	if len(a.names) == 0 {
		return nil
	}
	all := a.Status
	all.Units, all.Problems, all.Runs = nil, nil, nil
	for i := range a.Results {
		all.Runs = append(all.Runs, overview.Run{Name: a.Results[i].Name, Unit: a.Results[i].Unit, Refs: overview.RefsIn(a.Results[i])})
	}
	if _, err := choice.Of(all); err != nil {
		return a.missing(err)
	}
	return nil
}

func (a *asked) gap() error {
	if a.Gap == "" {
		return nil
	}
	return refusal(http.StatusServiceUnavailable, a.options.Hide(a.Gap))
}

func (a *asked) runs() (any, error) {
	if err := a.gap(); err != nil {
		return nil, err
	}
	at := a.behind(len(a.Results), func(i int) string { return place(a.Results[i].Created, a.Results[i].Name) })
	some, choice, more := a.wanted(at, a.limit)
	if err := a.check(choice); err != nil {
		return nil, err
	}
	v := Runs{History: overview.History{Runs: some}}
	if more {
		last := &some[len(some)-1]
		v.Next = next(place(last.Created, last.Name))
	}
	return v, nil
}

func (a *asked) statistics() (any, error) {
	if err := a.gap(); err != nil {
		return nil, err
	}
	if len(a.names) == 0 {
		s := a.Statistics()
		if len(s.Units)+len(s.Repositories) > maxEntries {
			return nil, errTooMuch
		}
		return s, nil
	}
	some, choice, _ := a.wanted(0, len(a.Results))
	if err := a.check(choice); err != nil {
		return nil, err
	}
	s := statistics.Of(some, a.At)
	maps.DeleteFunc(s.Repositories, func(name string, _ []statistics.Measures) bool { return !choice.Has(name) })
	return s, nil
}

func (a *asked) active() (any, error) {
	var all []overview.Run
	for _, r := range slices.Backward(a.Known.Runs) {
		if r.Active {
			all = append(all, *a.Listed(r.Name))
		}
	}
	slices.SortStableFunc(all, func(a, b overview.Run) int {
		return cmp.Or(b.Created.Compare(a.Created), strings.Compare(b.Name, a.Name))
	})
	all = all[a.behind(len(all), func(i int) string { return place(all[i].Created, all[i].Name) }):]
	v := Active{Runs: append([]overview.Run{}, all[:min(len(all), a.limit)]...)}
	if len(all) > a.limit {
		last := v.Runs[a.limit-1]
		v.Next = next(place(last.Created, last.Name))
	}
	return v, nil
}

func (a *asked) hosts() (any, error) {
	a.live = true
	v := Hosts{Asks: a.Facts.Hosts != nil, Hosts: []facts.Host{}}
	if v.Asks {
		v.Hosts = append(v.Hosts, a.Facts.Hosts()...)
	}
	return v, nil
}

func (a *asked) replicas() (any, error) {
	a.live = true
	return Replicas{a.Peers != nil, append([]facts.Replica{}, a.Facts.Replicas()...)}, nil
}

func (a *asked) search() (any, error) {
	found, all := a.Find(a.query, a.limit)
	return Search{append([]facts.Found{}, found...), all}, nil
}
