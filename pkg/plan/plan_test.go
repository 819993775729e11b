package plan

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// noon is the time of every plan, and morning that of what is remembered.
var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	morning = time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)
)

// sha returns the object name that consists of one digit.
func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// digit undoes sha.
func digit(s repo.SHA) string { return string(s[:min(1, len(s))]) }

func watched(t testing.TB, name, group string, branches ...string) config.Repository {
	t.Helper()
	r := config.Repository{Name: name, Group: group, Deploy: new(config.Deploy)}
	r.Monitor.URL = "https://github.com/acme/" + name
	r.Deploy.URL, r.Deploy.Branch = "https://gitlab.com/acme/qa", "main"
	r.Monitor.Branches = repotest.Patterns(t, branches...)
	return r
}

// file returns a configuration with the repositories, and with the groups that they name.
func file(repositories ...config.Repository) *config.Config {
	c := &config.Config{Repositories: repositories, Groups: map[string]config.Group{}}
	c.Global.OnFirstSeen = config.Record
	for _, r := range repositories {
		if r.Group != "" {
			g := config.Alone()
			g.Name = r.Group
			c.Groups[r.Group] = g
		}
	}
	return c
}

// heads returns an observation: branches and digits of their SHAs in turn.
func heads(pairs ...string) repo.Observation {
	o := repo.Observation{Heads: map[string]repo.SHA{}}
	for i := 0; i < len(pairs); i += 2 {
		o.Heads[pairs[i]] = sha(pairs[i+1])
	}
	return o
}

// failure is an error that knows its kind, as those of package githost do.
type failure struct{ kind, message string }

func (f failure) Error() string       { return f.message }
func (f failure) ProblemKind() string { return f.kind }

func failed(kind, message string) repo.Observation {
	return repo.Observation{Err: fmt.Errorf("wrapped: %w", failure{kind, message})}
}

// late returns the observation of a host that had no time for the repository.
func late(message string) repo.Observation {
	o := failed("temporary", message)
	o.Status = repo.Late
	return o
}

var pending = repo.Observation{Status: repo.Pending}

// cached returns an observation that was planned before.
func cached(o repo.Observation) repo.Observation {
	o.Status = repo.Cached
	return o
}

// known returns the entry of a repository: branch, digit and n in turn.
func known(t testing.TB, triples ...string) state.Repository {
	t.Helper()
	r := state.Repository{Branches: state.NewBranches(nil)}
	for i := 0; i < len(triples); i += 3 {
		b := state.Branch{SHA: sha(triples[i+1]), Time: morning}
		if _, err := fmt.Sscan(triples[i+2], &b.N); err != nil {
			t.Fatal(err)
		}
		r.Branches.Set(triples[i], b)
	}
	return r
}

func missing(r state.Repository, branch string) state.Repository {
	b := r.Branches.Get(branch)
	b.Missing++
	r.Branches.Set(branch, b)
	return r
}

// withProblem returns units that a problem keeps from running.
func withProblem(kind string, labels ...string) map[string]state.Unit {
	units := map[string]state.Unit{}
	for _, label := range labels {
		units[label] = state.Unit{Problem: &state.Problem{Kind: kind, Message: "no", Since: morning}}
	}
	return units
}

func problem(r state.Repository, kind, message string) state.Repository {
	r.Problem = &state.Problem{Kind: kind, Message: message, Since: morning}
	return r
}

func remembered(repositories map[string]state.Repository) state.Snapshot {
	return state.Snapshot{Epoch: "e1", Repositories: repositories}
}

// describe tells what a run is: unit, changes as ref #n old>new, tasks as name=branch@sha, with * when changed.
func describe(r Run) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s:", r.Unit.Label)
	for _, c := range r.Trigger.Refs {
		fmt.Fprintf(&b, " %s#%d %s>%s", c.Ref, c.N, digit(c.Old), digit(c.New))
	}
	b.WriteString(" |")
	for _, m := range r.Members {
		fmt.Fprintf(&b, " %s=%s@%s<%s", m.Task, m.Branch, digit(m.SHA), digit(m.Previous))
		if m.Changed {
			b.WriteString("*")
		}
	}
	if len(r.LeftOut) > 0 {
		fmt.Fprintf(&b, " | without %s", strings.Join(r.LeftOut, " "))
	}
	return b.String()
}

func describeAll(runs []Run) []string {
	var all []string
	for _, r := range runs {
		all = append(all, describe(r))
	}
	return all
}

func describeEvents(events []Event) []string {
	var all []string
	for _, e := range events {
		ref := strings.TrimSuffix(e.Ref.String(), "@")
		all = append(all, strings.TrimSpace(fmt.Sprintf("%s %s %s>%s %s", ref, e.Kind, digit(e.From), digit(e.To), e.Detail)))
	}
	return all
}
