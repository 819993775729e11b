package scenarios

import (
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
)

// at returns a task that ran between two numbers of milliseconds.
func at(name string, result engine.Result, from, to int) engine.Task {
	zero := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	return engine.Task{
		Name: name, Result: result,
		Start: zero.Add(time.Duration(from) * time.Millisecond),
		End:   zero.Add(time.Duration(to) * time.Millisecond),
	}
}

func TestCheck(t *testing.T) {
	ok := engine.Succeeded
	pair := Case{
		Name:    "pair",
		Members: []Member{{Name: "a"}, {Name: "b"}},
		Want:    Want{Succeeded: true, Reasons: []string{"Succeeded", "Completed"}, Results: []engine.Result{ok, ok}},
	}
	lanes, order, overlap, back := pair, pair, pair, pair
	back.Want.RolledBack = []string{"a"}
	rollback := func(of string, result engine.Result) engine.Task {
		return engine.Task{Name: "back-" + of, RollbackOf: of, Result: result}
	}
	lanes.Want.MaxRunning = 1
	order.Want.Order = []string{"b", "a"}
	overlap.Want.Overlap = []string{"a", "b"}
	done := func(tasks ...engine.Task) engine.Outcome {
		return engine.Outcome{Name: "run", Done: true, Succeeded: true, Reason: "Completed", Message: "said", Tasks: tasks}
	}
	tests := []struct {
		name string
		c    Case
		out  engine.Outcome
		want string // parts of the error, between bars; "" = none
	}{
		{"as wanted", pair, done(at("a", ok, 0, 10), at("b", ok, 0, 10), engine.Task{Name: "gate", Result: engine.Skipped}), ""},
		{"another reason", pair, engine.Outcome{Done: true, Succeeded: true, Reason: "Failed", Tasks: done(at("a", ok, 0, 1), at("b", ok, 0, 1)).Tasks},
			"got done=true succeeded=true Failed (), want done=true succeeded=true Succeeded or Completed"},
		{"not done", pair, engine.Outcome{Succeeded: true, Reason: "Succeeded", Tasks: done(at("a", ok, 0, 1), at("b", ok, 0, 1)).Tasks}, "got done=false"},
		{"another verdict", pair, engine.Outcome{Done: true, Reason: "Succeeded", Tasks: done(at("a", ok, 0, 1), at("b", ok, 0, 1)).Tasks}, "got done=true succeeded=false"},
		{"another result and a task that is not there", pair, done(at("a", engine.Failed, 0, 10)), `a: got "Failed" (), want Succeeded|b: got "" (), want Succeeded`},
		{"a result without times", pair, done(at("a", ok, 0, 10), engine.Task{Name: "b", Result: ok}), "b: ran from 0001-01-01"},
		{"two at once", lanes, done(at("a", ok, 0, 2000), at("b", ok, 1000, 3000)), "got 2 members running at 2026-01-02 03:04:06 +0000 UTC, want at most 1"},
		{"two at once, begun and ended inside of a second", lanes, done(at("a", ok, 500, 2500), at("b", ok, 700, 2300)), "got 2 members running"},
		{"one ends in the second in which the other starts", lanes, done(at("a", ok, 0, 1900), at("b", ok, 1100, 3000)), ""},
		{"one inside of the other", lanes, done(at("a", ok, 0, 5000), at("b", ok, 1000, 3000)), "got 2 members running"},
		{"in order", order, done(at("a", ok, 2000, 3000), at("b", ok, 0, 2000)), ""},
		{"in the other order", order, done(at("a", ok, 0, 2000), at("b", ok, 2000, 3000)), "got a started before b had ended"},
		{"in order but too soon", order, done(at("a", ok, 1000, 3000), at("b", ok, 0, 2000)), "got a started before b had ended"},
		{"an order with one that did not run", order, done(at("a", ok, 1000, 3000), engine.Task{Name: "b", Result: engine.Skipped}), "b: did not run"},
		{"rolled back", back, done(at("a", ok, 0, 10), at("b", ok, 0, 10), rollback("a", ok), rollback("b", engine.Skipped)), ""},
		{"a rollback that failed, and one too many", back, done(at("a", ok, 0, 10), at("b", ok, 0, 10), rollback("a", engine.Failed), rollback("b", ok)),
			`the rollback of a: got "Failed" (), want Succeeded|the rollback of b: got "Succeeded" (), want Skipped`},
		{"no rollback", back, done(at("a", ok, 0, 10), at("b", ok, 0, 10)), "a: has no rollback"},
		{"overlapping", overlap, done(at("a", ok, 0, 2000), at("b", ok, 1000, 3000)), ""},
		{"one after the other", overlap, done(at("a", ok, 0, 2000), at("b", ok, 2000, 3000)), "got at most 1 of [a b] running at once, want all"},
	}
	for _, test := range tests {
		err := test.c.Check(test.out)
		if test.want == "" {
			if err != nil {
				t.Errorf("%s: Check() = %v, want nil", test.name, err)
			}
			continue
		}
		for _, part := range strings.Split(test.want, "|") {
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: Check() = %v, want it to say %q", test.name, err, part)
			}
		}
	}
}

// TestConfig reads each case's configuration back.
func TestConfig(t *testing.T) {
	names, modules := map[string]bool{}, t.TempDir()
	for _, c := range Cases() {
		if names[c.Name] || len(c.Members) != len(c.Want.Results) {
			t.Errorf("case %s: the name is taken, or there are not as many results as members", c.Name)
		}
		names[c.Name] = true
		text := c.Config(Place{
			RepoURL:  func(member string) string { return "https://git.example.com/team/" + member },
			QAURL:    "https://git.example.com/team/qa",
			Type:     "gitea",
			Username: "${USERNAME}",
			Token:    "${TOKEN}",
			Slack:    30,
			Modules:  modules,
			Global:   map[string]any{"namespace": "somewhere"},
		})
		cfg, err := config.Parse(text, config.Options{Hosts: hosts.All.Config(), Expression: cel.Needs, LookupEnv: func(name string) (string, bool) { return "of " + name, true }})
		if err != nil {
			t.Errorf("case %s: %v\n%s", c.Name, err, text)
			continue
		}
		group := cfg.Groups[c.Name]
		if string(group.Strategy) != c.Group.Strategy || group.MaxParallel != c.Group.MaxParallel || group.ContinueOnError != c.Group.ContinueOnError {
			t.Errorf("case %s: got the group %+v, want %+v", c.Name, group, c.Group)
		}
		if want := time.Duration(c.Group.GlobalTimeout+30) * time.Second; c.Group.GlobalTimeout > 0 && group.GlobalTimeout != want {
			t.Errorf("case %s: got global_timeout %v, want %v", c.Name, group.GlobalTimeout, want)
		}
		for i, m := range c.Members {
			r := cfg.Repositories[i]
			if r.Name != m.Name || r.Monitor.Type != config.Gitea || r.Deploy.Auth.Token.Variable() != "TOKEN" || len(r.Deploy.Commands) != len(m.Commands) {
				t.Errorf("case %s: got the repository %+v, want %s", c.Name, r, m.Name)
			}
			if want := time.Duration(m.Timeout+30) * time.Second; m.Timeout > 0 && r.Deploy.Timeout != want {
				t.Errorf("case %s: %s: got timeout %v, want %v", c.Name, m.Name, r.Deploy.Timeout, want)
			}
			for _, command := range r.Deploy.Commands {
				if strings.Contains(command, long) {
					t.Errorf("case %s: the command %q still holds %s", c.Name, command, long)
				}
			}
		}
	}
}
