package plan

import (
	"slices"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

func TestHold(t *testing.T) {
	const own, part = "this run itself", "a part of what was due"
	tests := []struct {
		onBusy config.OnBusy
		active []string
		run    bool
		cancel []string
	}{
		{config.Queue, nil, true, nil},
		{config.Queue, []string{"old"}, false, nil},
		{config.Queue, []string{own}, true, nil},
		{config.Queue, []string{"old", own}, true, nil},
		{config.CancelOld, nil, true, nil},
		{config.CancelOld, []string{"old-2", "old-1"}, true, []string{"old-1", "old-2"}},
		{config.CancelOld, []string{own}, true, nil},
		{config.CancelOld, []string{"later", own}, true, nil},
		{config.CancelOld, []string{part}, false, nil},
		{config.CancelOld, []string{"old", part}, false, nil},
		{config.CancelOld, []string{own, part}, true, nil},
		{config.StartAtOnce, nil, true, nil},
		{config.StartAtOnce, []string{"old"}, true, nil},
		{config.StartAtOnce, []string{own}, true, nil},
		{config.StartAtOnce, []string{part}, true, nil},
		{config.Queue, []string{part}, false, nil},
	}
	for _, tt := range tests {
		c := file(watched(t, "web", "site", "main"), watched(t, "rag", "", "main"))
		g := c.Groups["site"]
		g.OnBusy = tt.onBusy
		c.Groups["site"] = g
		was := remembered(map[string]state.Repository{"web": known(t, "main", "a", "1"), "rag": known(t, "main", "a", "1")})
		p := Make(Input{Config: c, Snapshot: was, Observed: []repo.Observation{heads("main", "b"), heads("main", "b")}, Now: noon})
		active := map[string][]Existing{"other": {{Name: "unrelated"}}}
		for _, name := range tt.active {
			if name == own {
				name = p.Runs[0].Name
			}
			e := Existing{Name: name}
			if name == part {
				e.Trigger.Waiting = 3
			}
			active["site"] = append(active["site"], e)
		}
		got := p.Hold(active)
		if len(p.Runs) != 2 || len(p.Waiting) != 0 || p.Runs[0].Cancel != nil {
			t.Fatalf("Hold changed the plan it was called on: %+v", p)
		}
		if rag := got.Runs[len(got.Runs)-1]; rag.Unit.Label != "rag.main" || rag.Cancel != nil {
			t.Errorf("%s, active %v: the last run is %s, cancels %v; want rag.main, which is not busy", tt.onBusy, tt.active, rag.Unit.Label, rag.Cancel)
		}
		if run := len(got.Runs) == 2; run != tt.run || len(got.Waiting) != 2-len(got.Runs) {
			t.Errorf("%s, active %v: runs %v, waiting %v; want run = %v", tt.onBusy, tt.active, describeAll(got.Runs), describeAll(got.Waiting), tt.run)
			continue
		}
		if !slices.Equal(got.Runs[0].Cancel, tt.cancel) {
			t.Errorf("%s, active %v: cancels %v, want %v", tt.onBusy, tt.active, got.Runs[0].Cancel, tt.cancel)
		}
		if !tt.run && (got.Waiting[0].Name != p.Runs[0].Name || !slices.Equal(Names(got.Waiting[0].Behind), tt.active)) {
			t.Errorf("%s, active %v: %s waits for %+v, want %s for the active ones", tt.onBusy, tt.active, got.Waiting[0].Name, got.Waiting[0].Behind, p.Runs[0].Name)
		}
	}
}
