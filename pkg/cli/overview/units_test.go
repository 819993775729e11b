package overview

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// How a unit stands is what its newest run says, in the history or not, and what keeps it from running. The group of a
// repository is that of the configuration, or else of its runs.
func TestUnits(t *testing.T) {
	branch := func(sha repo.SHA) state.Repository {
		return state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha, Time: now}, "gone": {SHA: "g", Missing: 2}})}
	}
	api := branch("a")
	api.Problem = &state.Problem{Kind: "denied"}
	snapshot := state.Snapshot{
		Repositories: map[string]state.Repository{"web": branch("w"), "api": api, "solo": branch("s"), "old": branch("o")},
		Units:        map[string]state.Unit{"solo.main": {Problem: &state.Problem{Kind: "qa"}}},
	}
	ref := func(name string) repo.Ref { return repo.Ref{Repository: name, Branch: "main"} }
	past := []result.Result{
		{Name: "shop-2", Unit: "shop", Created: now.Add(-time.Minute), Seconds: 30, Verdict: result.Failed, Why: "no route", Refs: []result.Ref{{Ref: ref("old"), SHA: "o"}},
			Members: []result.Member{{Task: "old", Verdict: result.Failed, Rollback: result.Succeeded}, {Task: "web", Verdict: result.Skipped}}},
		{Name: "shop-1", Unit: "shop", Created: now.Add(-time.Hour), Seconds: 20, Verdict: result.Succeeded},
		{Name: "solo-0", Unit: "solo.main", Created: now.Add(-10 * 24 * time.Hour), Verdict: result.Failed, Members: []result.Member{{Task: "solo", Rollback: result.Failed}}},
	}
	runs := []engine.Run{
		{Existing: plan.Existing{Name: "solo-1", Unit: "solo.main", Created: now.Add(-time.Hour)}, Reason: "PipelineRunTimeout"},
		{Existing: plan.Existing{Name: "solo-2", Unit: "solo.main", Created: now.Add(-time.Second), Active: true}},
		{Existing: plan.Existing{Name: "shop-1", Unit: "shop", Created: now.Add(-time.Hour)}, Succeeded: true},
	}
	results := Results(past, runs)
	units := Units(snapshot, runs, results, map[string]string{"web": "shop", "api": "shop", "solo": ""}, now)
	var text strings.Builder
	if err := (Status{Units: units}).printUnits(&term.Table{Out: &text}, now, true); err != nil {
		t.Fatal(err)
	}
	const want = `UNIT        HEADS                             VERDICT                AGE   TOOK   TROUBLE        SUCCESS 7D   MEDIAN 7D   RUN      WHY
shop        api/main@a,old/main@o,web/main@w  failed; skipped: web; rolled back: old   60s   30s    denied (api)   50% of 2     20s         shop-2   no route
solo.main   solo/main@s                       active                 1s    -      qa             0% of 1      -           solo-2   -
`
	squeeze := func(s string) []string {
		lines := strings.Split(s, "\n")
		for i := range lines {
			lines[i] = strings.Join(strings.Fields(lines[i]), " ")
		}
		return lines
	}
	if diff := cmp.Diff(squeeze(want), squeeze(text.String())); diff != "" {
		t.Errorf("the units (-want +got):\n%s", diff)
	}
	if units[1].Why != "" || units[0].Why != "no route" {
		t.Errorf("why is told of the newest run alone: %+v", units)
	}
}

// What the history has of a run goes before what is left of it.
func TestResults(t *testing.T) {
	past := []result.Result{{Name: "b", Created: now, Verdict: result.Failed}, {Name: "old", Created: now.Add(-time.Hour), Reason: "Cancelled"}}
	runs := []engine.Run{
		{Existing: plan.Existing{Name: "a", Created: now.Add(-time.Minute)}, Reason: "PipelineRunTimeout"},
		{Existing: plan.Existing{Name: "b", Created: now}, Succeeded: true},
		{Existing: plan.Existing{Name: "c", Created: now, Active: true}},
	}
	var got []string
	for _, r := range Results(past, runs) {
		got = append(got, r.Name+" "+string(r.Verdict))
	}
	if diff := cmp.Diff([]string{"b failed", "a timed out", "old cancelled"}, got); diff != "" {
		t.Errorf("the results, newest first (-want +got):\n%s", diff)
	}
}
