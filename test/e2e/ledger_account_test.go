package e2e

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// TestAccount has the ledger find each kind of mistake that a soak could show.
func TestAccount(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(second int) time.Time { return start.Add(time.Duration(second) * time.Second) }
	// sha returns the SHA of the n-th push; it comes at second 10n and takes one second.
	sha := func(n int) repo.SHA { return repo.SHA(strings.Repeat(fmt.Sprint(n), 40)) }
	ref := repo.Ref{Repository: "app", Branch: "main"}
	of := func(n, from, to int) ran {
		return ran{
			name: fmt.Sprintf("run-of-%d", n), unit: "app.main", created: at(from), completed: at(to),
			trigger: plan.Trigger{Refs: []plan.Change{{Ref: ref, New: sha(n)}}},
		}
	}
	for name, c := range map[string]struct {
		runs   []ran
		atOnce bool
		want   string // part of the only complaint; "" = none
	}{
		"each ran":               {runs: []ran{of(1, 12, 15), of(2, 22, 25), of(3, 32, 35)}},
		"superseded":             {runs: []ran{of(3, 32, 35)}},
		"not superseded":         {runs: []ran{of(3, 32, 35), of(1, 12, 15)}, atOnce: true, want: "push 2 of app@main, 2222222, was head for a whole cycle"},
		"none stood for a cycle": {runs: []ran{of(2, 22, 25), of(3, 32, 35)}, atOnce: true},
		"the last one lost":      {runs: []ran{of(1, 12, 15), of(2, 22, 25)}, want: "the last push of app@main, 3333333, has no run"},
		"twice":                  {runs: []ran{of(2, 22, 25), of(2, 26, 27), of(3, 32, 35)}, want: "push 2 of app@main, 2222222, has 2 runs"},
		"nobody pushed it":       {runs: []ran{of(9, 12, 15), of(3, 32, 35)}, want: "nobody pushed 9999999"},
		"there from the start":   {runs: []ran{of(0, 12, 15), of(3, 32, 35)}, want: "nobody pushed 0000000"},
		"backwards":              {runs: []ran{of(2, 22, 25), of(1, 26, 28), of(3, 32, 35)}, want: "run-of-1 of 1111111, push 1 of app@main, was created after run run-of-2"},
		"overlap":                {runs: []ran{of(1, 12, 33), of(2, 22, 25), of(3, 34, 35)}, want: "run run-of-2 of unit app.main was created 11s before run run-of-1 ended"},
		"overlap with a gap":     {runs: []ran{of(1, 12, 33), of(3, 32, 35)}, want: "run run-of-3 of unit app.main was created 1s before run run-of-1 ended"},
		"overlap that is meant":  {runs: []ran{of(1, 12, 33), of(2, 22, 25), of(3, 32, 35)}, atOnce: true},
	} {
		t.Run(name, func(t *testing.T) {
			l := ledger{
				pushes: map[repo.Ref][]push{ref: {{sha: sha(0)}}},
				cycles: []span{{at(12), at(22)}, {at(22), at(24)}}, // the first one ends after push 2 began
				atOnce: map[string]bool{"app": c.atOnce, "app.main": c.atOnce},
			}
			for n := 1; n <= 3; n++ {
				l.pushes[ref] = append(l.pushes[ref], push{sha: sha(n), began: at(10 * n), arrived: at(10*n + 1)})
			}
			got := l.account(c.runs)
			if c.want == "" && len(got) > 0 || c.want != "" && (len(got) != 1 || !strings.Contains(got[0], c.want)) {
				t.Errorf("complaints %q, want only %q; runs: %+v", got, c.want, c.runs)
			}
		})
	}
}
