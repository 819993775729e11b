package view

import (
	"strings"
	"testing"

	"github.com/a-h/templ"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Whatever names there are, they are no part of the HTML, and nothing in them moves a cursor or turns text around.
func TestHostileNames(t *testing.T) {
	const name = "\"><script>alert(1)</script>'&\u202e\x00\x1b[31m"
	c := Commit{Ref: repo.Ref{Repository: name, Branch: name}, SHA: name, Link: "javascript:alert(1)"}
	m := Member{Task: name, Verdict: name, Why: name, Ref: c.Ref, SHA: name, Command: name, Output: []string{name}, Took: name, Rollback: name}
	problems := []overview.Problem{{On: name, Problem: state.Problem{Kind: name, Message: name}}}
	unit := UnitRow{Unit: &overview.Unit{Unit: name, Verdict: name, Run: name, Problems: []string{name}}, Heads: []Commit{c}, Usual: name}
	run := RunRow{Name: name, Unit: name, Verdict: name, Why: name, Refs: []Commit{c}}
	graph := &Graph{Stages: [][]Member{{m}}}
	strip := &Strip{Words: name}
	for view, shown := range map[string]templ.Component{
		"commit":       commit(c),
		"units":        Units(UnitList{Rows: []UnitRow{unit}, Problems: problems}),
		"unit":         Unit(UnitPage{UnitRow: unit, Strategy: name, Problems: problems, Graph: graph, Strip: strip}),
		"runs":         Runs(RunList{Runs: []RunRow{run}}),
		"run":          Run(RunPage{RunRow: run, Reason: name, By: name, Refs: []Commit{c}, Graph: graph, Members: []Member{m}, Unread: name}),
		"repositories": Repositories(RepositoryList{Rows: []RepositoryRow{{Repository: &config.Repository{Name: name}, Problem: name}}}),
		"repository":   Repository(RepositoryPage{Name: name, URL: name, Problems: problems, Runs: []RunRow{run}, Strip: strip}),
		"hosts":        Hosts(HostList{Hosts: []facts.Host{{Host: name, Credential: name, Why: name, Resource: name}}}),
		"replicas":     Replicas(ReplicaList{Rows: []ReplicaRow{{Replica: facts.Replica{Name: name}}}}),
		"search":       Search(Matches{Query: name, Found: []facts.Found{{Kind: "run", Name: name, Beside: name}}}),
		"trouble":      Trouble(name, name),
		"frame":        Page(Frame{Title: name, Query: name, Place: name, Trouble: name, Gap: name, View: Trouble(name, name)}),
	} {
		var b strings.Builder
		if err := shown.Render(t.Context(), &b); err != nil {
			t.Fatal(view, err)
		}
		html := b.String()
		if at := strings.IndexAny(html, "\x00\x1b\u202e"); at >= 0 || strings.Contains(html, "<script>") || strings.Contains(html, `"javascript:`) {
			t.Errorf("%s: %q", view, html[max(0, at-120):max(0, at)+20])
		}
	}
}
