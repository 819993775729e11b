package generated

import (
	"fmt"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// The check of a canary is a part of its deployment: people, statuses of commits and the last good commit know one verdict.
func TestResultOfACanary(t *testing.T) {
	for name, tt := range map[string]struct {
		reason               string
		canary, check, other engine.Result
		rollback             engine.Result
		want                 string
	}{
		"all well":            {"Completed", engine.Succeeded, engine.Succeeded, engine.Succeeded, engine.Skipped, "succeeded: ; web succeeded: ; api succeeded: "},
		"the check fails":     {"Failed", engine.Succeeded, engine.Failed, engine.Skipped, engine.Skipped, "failed: web: its check: no answer; web failed: its check: no answer; api skipped: web, for which it waits, failed"},
		"and is rolled back":  {"Failed", engine.Succeeded, engine.Failed, engine.Skipped, engine.Succeeded, "failed: web: its check: no answer; rolled back: web; web failed: its check: no answer; rolled back; api skipped: web, for which it waits, failed"},
		"the canary fails":    {"Failed", engine.Failed, engine.Skipped, engine.Skipped, engine.Skipped, "failed: web: broken; web failed: broken; api skipped: web, for which it waits, failed"},
		"cancelled before it": {"Cancelled", engine.Succeeded, engine.Skipped, engine.Skipped, engine.Skipped, "cancelled: web: the run ended before its check; web cancelled: the run ended before its check; api skipped: web, for which it waits, was cancelled"},
		"no time for it":      {"PipelineRunTimeout", engine.Succeeded, engine.Skipped, engine.Skipped, engine.Succeeded, "timed out: web: the run ended before its check; rolled back: web; web timed out: the run ended before its check; rolled back; api skipped: web, for which it waits, took too long"},
		"none began":          {"Failed", engine.Succeeded, engine.Skipped, engine.Skipped, engine.Succeeded, "failed: web: the run ended before its check; rolled back: web; web failed: the run ended before its check; rolled back; api skipped: web, for which it waits, failed"},
	} {
		out := engine.Outcome{Name: "run", Done: true, Succeeded: tt.reason == "Completed", Reason: tt.reason, Tasks: []engine.Task{
			{Name: "web", Result: tt.canary, Message: map[bool]string{true: "broken"}[tt.canary == engine.Failed]},
			{Name: pipelinerun.CheckTask, Result: tt.check, Message: "no answer", After: []string{"web"}},
			{Name: "api", Result: tt.other, After: []string{pipelinerun.CheckTask}},
			{Name: pipelinerun.VerdictTask, Result: engine.Failed},
			{Name: "sentry-rollback-web", RollbackOf: "web", Result: tt.rollback},
		}}
		r := Result(out, plan.Existing{Unit: "shop"}, nil)
		got := fmt.Sprintf("%s: %s", r.Verdict, r.Why)
		for _, m := range r.Members {
			got += fmt.Sprintf("; %s %s: %s", m.Task, m.Verdict, m.Why)
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", name, got, tt.want)
		}
		if out.Tasks[2].After[0] != pipelinerun.CheckTask {
			t.Errorf("%s: the outcome has changed: %+v", name, out.Tasks[2])
		}
	}
}
