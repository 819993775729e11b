// Package overview is what `sentry status` shows of the state and of the runs: which of it was asked for, as a table
// and for machines. It asks nobody.
package overview

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/spelling"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Status is the shape of the command's JSON and YAML.
type Status struct {
	Units    []Unit    `json:"units"`
	Branches []Branch  `json:"branches"`
	Problems []Problem `json:"problems"`
	Runs     []Run     `json:"runs"` // newest first
}

// History is the shape of what `sentry history` prints as JSON and YAML.
type History struct {
	Runs []result.Result `json:"runs"` // newest first
}

// Branch is a remembered branch.
type Branch struct {
	repo.Ref
	SHA  repo.SHA  `json:"sha"`
	Runs int       `json:"runs"` // that this branch triggered
	Time time.Time `json:"time"` // when the SHA was acted upon
	// Succeeded is the last SHA whose deployment succeeded; "" when none is known.
	Succeeded repo.SHA `json:"succeeded,omitempty"`
	// Passed is the head that was passed over last since SHA ran.
	Passed *Passed `json:"passed,omitempty"`
}

// Passed is a head that moved and runs nothing.
type Passed struct {
	SHA  repo.SHA  `json:"sha"`
	Why  repo.Pass `json:"why"`
	Time time.Time `json:"time"`
}

// Problem is what keeps a repository or a unit from running.
type Problem struct {
	On string `json:"on"` // repository, or unit
	state.Problem
}

// Run is one PipelineRun.
type Run struct {
	Name    string     `json:"name"`
	Cluster string     `json:"cluster,omitempty"` // "" is the one that Sentry runs in
	Unit    string     `json:"unit"`
	Reason  string     `json:"reason"`
	Created time.Time  `json:"created"`
	Ended   *time.Time `json:"ended,omitempty"`
	Refs    []Ref      `json:"refs,omitempty"` // that triggered it
}

// Ref is one ref that triggered a run.
type Ref struct {
	repo.Ref
	SHA repo.SHA `json:"sha"`
}

// RefsOf returns the refs of a trigger.
func RefsOf(t plan.Trigger) []Ref {
	var refs []Ref
	for _, c := range t.Refs {
		refs = append(refs, Ref{c.Ref, c.New})
	}
	return refs
}

// RefsIn returns the refs that triggered a run that has ended.
func RefsIn(p result.Result) []Ref {
	refs := make([]Ref, len(p.Refs))
	for i, r := range p.Refs {
		refs[i] = Ref{r.Ref, r.SHA}
	}
	return refs
}

// Members returns the names of the groups' repositories, and at "" of those without a group.
func Members(cfg *config.Config) map[string][]string {
	m := map[string][]string{}
	for _, r := range cfg.Repositories {
		m[r.Group] = append(m[r.Group], r.Name)
	}
	return m
}

// Of returns the status that a state and the runs make.
func Of(snapshot state.Snapshot, runs []Run) Status {
	s := Status{Units: []Unit{}, Branches: []Branch{}, Problems: []Problem{}, Runs: append([]Run{}, runs...)}
	for _, name := range slices.Sorted(maps.Keys(snapshot.Repositories)) {
		r := snapshot.Repositories[name]
		for branch := range r.Branches.All() {
			if b, ok := r.Branch(branch); ok {
				at := Branch{Ref: repo.Ref{Repository: name, Branch: branch}, SHA: b.SHA, Runs: b.N, Time: b.Time, Succeeded: b.Succeeded}
				if p := b.PassedSince(); p != nil {
					at.Passed = &Passed{p.SHA, p.Why, p.Time}
				}
				s.Branches = append(s.Branches, at)
			}
		}
		if r.Problem != nil {
			s.Problems = append(s.Problems, Problem{name, *r.Problem})
		}
	}
	for _, unit := range slices.Sorted(maps.Keys(snapshot.Units)) {
		if p := snapshot.Units[unit].Paused; p != nil {
			s.Problems = append(s.Problems, Problem{unit, state.NewProblem("paused", pausedBy(*p), p.Since)})
		}
	}
	problems := snapshot.Problems()
	for _, unit := range slices.Sorted(maps.Keys(problems)) {
		s.Problems = append(s.Problems, Problem{unit, problems[unit]})
	}
	return s
}

// pausedBy says who paused a unit, and why.
func pausedBy(p state.Pause) string {
	text := "nothing runs until 'sentry resume'"
	if p.By != "" {
		text = "by " + p.By + "; " + text
	}
	if p.Reason != "" {
		text = p.Reason + " (" + text + ")"
	}
	return text
}

// Choice is what was asked for: repositories, groups, units, and branches as REPOSITORY@BRANCH, by name. The zero Choice is
// everything.
type Choice struct {
	names   []string
	members map[string][]string        // repositories by group; those without one are at ""
	wanted  map[string]map[string]bool // what each name stands for
	found   map[string]bool
}

// Choose returns the choice of names. members are the groups' repositories, as far as they are known, and at "" those
// without a group. A group stands for its members too, and a member for the group in which it runs.
func Choose(names []string, members map[string][]string) Choice {
	c := Choice{names, members, map[string]map[string]bool{}, map[string]bool{}}
	for _, name := range names {
		c.wanted[name] = map[string]bool{name: true}
		if before, branch, ok := strings.Cut(name, "@"); ok && slices.Contains(members[""], before) {
			c.wanted[name][naming.RefLabel(repo.Ref{Repository: before, Branch: branch})] = true
		}
		for group, repositories := range members {
			switch {
			case group == "":
			case group == name:
				c.wanted[name][naming.GroupLabel(group)] = true
				for _, r := range repositories {
					c.wanted[name][r] = true
				}
			case slices.Contains(repositories, name):
				c.wanted[name][naming.GroupLabel(group)] = true
			}
		}
	}
	return c
}

// Has reports whether something that is called one of the things was asked for.
func (c Choice) Has(things ...string) bool {
	asked := len(c.names) == 0
	for _, name := range c.names {
		for _, thing := range things {
			if c.wanted[name][thing] {
				c.found[name], asked = true, true
			}
		}
	}
	return asked
}

// Run reports whether a run was asked for: by its own name, its unit, or what triggered it.
func (c Choice) Run(name, unit string, refs []Ref) bool {
	things := []string{name, unit}
	for _, r := range refs {
		things = append(things, r.Repository, r.Ref.String())
	}
	if naming.IsRefLabel(unit) {
		before, _, _ := strings.Cut(unit, ".")
		things = append(things, before)
	}
	return c.Has(things...)
}

// isUnitOf reports whether a unit of the repository was asked for, or a branch.
func (c Choice) isUnitOf(repository string) bool {
	return slices.ContainsFunc(c.names, func(name string) bool {
		return strings.HasPrefix(name, repository+".") || strings.HasPrefix(name, repository+"@") || naming.IsRefLabel(name) && strings.HasPrefix(name, naming.LabelStart(repository))
	})
}

// Of returns the part of the status that was asked for, and an error where a name is nothing's. Of a repository that is
// new, any name with a dot may be a unit.
func (c Choice) Of(s Status) (Status, error) {
	var known []string
	branches := map[string][]string{} // by repository, what else each is called
	chosen := Status{Units: []Unit{}, Branches: []Branch{}, Problems: []Problem{}, Runs: []Run{}}
	for _, b := range s.Branches {
		known = append(known, b.Repository, naming.RefLabel(b.Ref))
		branches[b.Repository] = append(branches[b.Repository], naming.RefLabel(b.Ref), b.Ref.String())
		if c.Has(b.Repository, naming.RefLabel(b.Ref), b.Ref.String()) {
			chosen.Branches = append(chosen.Branches, b)
		}
	}
	for _, p := range s.Problems {
		before, rest, _ := strings.Cut(p.On, ".")
		known = append(known, p.On)
		things := append([]string{p.On, before}, branches[p.On]...) // of a repository it is on its branches, too
		// The pause of a repository as a whole holds each of its branches, however that is named.
		if c.Has(things...) || rest == "*" && c.isUnitOf(before) || p.On == everything && p.Kind == "frozen" {
			chosen.Problems = append(chosen.Problems, p)
		}
	}
	for _, r := range s.Runs {
		known = append(known, r.Unit)
		if c.Run(r.Name, r.Unit, r.Refs) {
			chosen.Runs = append(chosen.Runs, r)
		}
	}
	for _, u := range s.Units {
		if c.Run(u.Unit, u.Unit, u.Heads) {
			chosen.Units = append(chosen.Units, u)
		}
	}
	for group, repositories := range c.members {
		c.Has(append(repositories, group)...)
		known = append(append(known, group), repositories...)
	}
	slices.Sort(known)
	known = slices.Compact(known)
	for _, name := range c.names {
		before, _, _ := strings.Cut(name, ".")
		isNew := slices.Contains(c.members[""], before) && !slices.ContainsFunc(s.Branches, func(b Branch) bool { return b.Repository == before })
		if c.found[name] || isNew {
			continue
		}
		hint := ""
		if near := spelling.Nearest(name, known); near != "" {
			hint = fmt.Sprintf(" (did you mean %q?)", near)
		} else if near := spelling.Nearby(name, known); len(near) > 0 {
			hint = fmt.Sprintf(" (there is %s)", strings.Join(near, ", "))
		}
		return Status{}, fmt.Errorf("nothing is known of a repository, group or unit %.80q%s", name, hint)
	}
	return chosen, nil
}

// Print writes the tables: what keeps things from running, how the units stand, the runs, and then the heads
// where they are asked for.
func (s Status) Print(t *term.Table, now time.Time, wide, heads bool) error {
	if len(s.Problems) > 0 {
		rows := make([][]any, len(s.Problems))
		for i, p := range s.Problems {
			rows[i] = []any{p.On, p.Kind, term.Age(now, p.Since), p.Message}
		}
		if err := t.Print([]string{"PROBLEM ON", "KIND", "AGE", "WHAT"}, rows, nil); err != nil {
			return err
		}
	}
	if len(s.Units) > 0 {
		if err := s.printUnits(t, now, wide); err != nil {
			return err
		}
	}
	if len(s.Runs) > 0 {
		if err := s.printRuns(t, now, wide); err != nil {
			return err
		}
	}
	if !heads {
		return nil
	}
	header := []string{"REPOSITORY", "BRANCH", "SHA", "RUNS", "AGE"}
	passed := slices.ContainsFunc(s.Branches, func(b Branch) bool { return b.Passed != nil })
	if passed {
		header = append(header, "PASSED OVER")
	}
	if wide {
		header = append(header, "SUCCEEDED")
	}
	rows := make([][]any, len(s.Branches))
	for i, b := range s.Branches {
		rows[i] = []any{b.Repository, b.Branch, b.SHA.Short(), b.Runs, term.Age(now, b.Time)}
		if passed {
			rows[i] = append(rows[i], b.Passed.String())
		}
		if wide {
			rows[i][2] = b.SHA
			rows[i] = append(rows[i], cmp.Or(b.Succeeded, "-"))
		}
	}
	return t.Print(header, rows, nil)
}

// String is a head in a table.
func (p *Passed) String() string {
	if p == nil {
		return "-"
	}
	return p.SHA.Short() + " " + string(p.Why)
}

func (s Status) printRuns(t *term.Table, now time.Time, wide bool) error {
	header := []string{"RUN", "UNIT", "STATUS", "AGE", "TOOK"}
	if wide {
		header = append(header, "TRIGGER")
	}
	elsewhere := slices.ContainsFunc(s.Runs, func(r Run) bool { return r.Cluster != "" })
	if elsewhere {
		header = append(header, "CLUSTER")
	}
	rows := make([][]any, len(s.Runs))
	for i, r := range s.Runs {
		duration := "-"
		if r.Ended != nil {
			duration = term.Age(*r.Ended, r.Created)
		}
		rows[i] = []any{r.Name, r.Unit, r.Reason, term.Age(now, r.Created), duration}
		if wide {
			rows[i] = append(rows[i], Trigger(r.Refs))
		}
		if elsewhere {
			rows[i] = append(rows[i], cmp.Or(r.Cluster, place.Home))
		}
	}
	return t.Print(header, rows, PaintStatus)
}

// Trigger names what triggered a run.
func Trigger(refs []Ref) string {
	if len(refs) == 0 {
		return "-"
	}
	const few = 3
	var words []string
	for _, r := range refs[:min(few, len(refs))] {
		words = append(words, r.Repository+"/"+r.Branch+"@"+r.SHA.Short())
	}
	if more := len(refs) - few; more > 0 {
		words = append(words, fmt.Sprintf("%d more", more))
	}
	return strings.Join(words, ",")
}

// PaintStatus colours the column STATUS of runs, which is the third one, as tkn does.
func PaintStatus(column int, reason string) term.Colour {
	if column != 2 {
		return term.None
	}
	switch reason {
	case "Succeeded", "Completed", "succeeded":
		return term.Green
	case "Running", "Started", "Pending", "ResolvingPipelineRef", "PipelineRunPending":
		return term.Blue
	}
	return term.Red
}

// PrintNames writes the name of each run, as kubectl takes it.
func (s Status) PrintNames(t *term.Table) error {
	for _, r := range s.Runs {
		if _, err := fmt.Fprintf(t.Out, "pipelinerun.tekton.dev/%s\n", term.Printable(r.Name, "")); err != nil {
			return err
		}
	}
	return nil
}
