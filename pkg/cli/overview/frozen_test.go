package overview

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/freeze"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// TestFrozen: a window that holds is on whom it concerns, and one of all is shown with whatever name is asked for.
func TestFrozen(t *testing.T) {
	window := func(text string) freeze.Windows {
		w, err := freeze.Parse(text)
		if err != nil {
			t.Fatal(err)
		}
		return freeze.Windows{w}
	}
	weekend, morning := window("Sat 16:00 - Mon 06:00"), window("06:00 - 09:00") // it is Sunday, at noon
	cfg := &config.Config{
		Groups: map[string]config.Group{"shop": {NotOn: weekend}, "ops": {NotOn: morning}},
		Repositories: []config.Repository{
			{Name: "web", Group: "shop"}, {Name: "solo", Deploy: &config.Deploy{NotOn: weekend}}, {Name: "free", Deploy: &config.Deploy{}},
		},
	}
	on := func(problems []Problem) map[string]string {
		m := map[string]string{}
		for _, p := range problems {
			if p.Kind != "frozen" || !p.Since.Equal(time.Date(2026, 2, 28, 16, 0, 0, 0, time.UTC)) {
				t.Errorf("%+v", p)
			}
			m[p.On] = p.Message
		}
		return m
	}
	const what = "not_on: Sat 16:00 - Mon 06:00; what is pushed runs after 2026-03-02 06:00 UTC"
	if diff := cmp.Diff(map[string]string{"shop": what, "solo": what}, on(Frozen(cfg, now))); diff != "" {
		t.Error(diff)
	}
	cfg.Global.NotOn = weekend
	frozen := Frozen(cfg, now)
	if diff := cmp.Diff(map[string]string{"everything": what}, on(frozen)); diff != "" {
		t.Error(diff)
	}
	branches := []Branch{{Ref: repo.Ref{Repository: "free", Branch: "main"}}}
	problems := slices.Concat(frozen, []Problem{{"web", state.NewProblem("denied", "x", now)}})
	s, err := Choose([]string{"free"}, Members(cfg)).Of(Status{Branches: branches, Problems: problems})
	if err != nil || len(s.Problems) != 1 || s.Problems[0].Kind != "frozen" {
		t.Errorf("%v %+v", err, s.Problems)
	}
}
