package result_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// outcome returns a run of tasks "name=Result message", each after the one before it where it begins with a >, and the rollback of
// that name where it begins with a <.
func outcome(reason string, tasks ...string) engine.Outcome {
	out := engine.Outcome{Name: "r", Done: true, Reason: reason, Succeeded: reason == "Succeeded" || reason == "Completed", Message: "words of the run"}
	for i, text := range tasks {
		name, how, _ := strings.Cut(text, "=")
		ended, message, _ := strings.Cut(how, " ")
		if of, ok := strings.CutPrefix(name, "<"); ok {
			out.Tasks = append(out.Tasks, engine.Task{Name: "sentry-rollback-" + of, RollbackOf: of, Result: engine.Result(ended), Message: message})
			continue
		}
		t := engine.Task{Name: strings.TrimPrefix(name, ">"), Result: engine.Result(ended), Message: message}
		if t.Name != name {
			t.After = []string{out.Tasks[i-1].Name}
		}
		out.Tasks = append(out.Tasks, t)
	}
	return out
}

func TestVerdicts(t *testing.T) {
	for _, tt := range []struct {
		name       string
		out        engine.Outcome
		superseded string
		want       string // the verdict, why; then each member
	}{
		{"all well", outcome("Succeeded", "a=Succeeded All Steps have completed executing"), "", "succeeded: ; a succeeded"},
		{"a task that never runs is skipped", outcome("Completed", "a=Succeeded", "b=Skipped When Expressions evaluated to false"), "",
			"succeeded: ; a succeeded; b skipped: When Expressions evaluated to false"},
		{"one failed", outcome("Failed", "a=Failed exit 1"), "", "failed: exit 1; a failed: exit 1"},
		{"one of two failed", outcome("Failed", "a=Succeeded", "b=Failed exit 1"), "", "failed: b: exit 1; a succeeded; b failed: exit 1"},
		{"an ignored failure is one", outcome("Succeeded", "a=FailureIgnored exit 2", "b=Succeeded"), "", "failed: a: exit 2; a failed: exit 2; b succeeded"},
		{"what waited was skipped", outcome("Failed", "a=Failed exit 1", ">b=Skipped PipelineRun was stopping", ">c=Skipped Parent Tasks were skipped"), "",
			"failed: a: exit 1; a failed: exit 1; b skipped: a, for which it waits, failed; c skipped: a, for which it waits, failed"},
		{"what did not wait was skipped", outcome("Failed", "a=Failed exit 1", "b=Skipped PipelineRun was stopping"), "",
			"failed: a: exit 1; a failed: exit 1; b skipped: the run ended before its turn, as another deployment failed"},
		{"cancelled by hand", outcome("Cancelled", "a=Cancelled by somebody", ">b=Skipped"), "",
			"cancelled: a: by somebody; a cancelled: by somebody; b skipped: a, for which it waits, was cancelled"},
		{"replaced by a newer change", outcome("Cancelled", "a=Succeeded", "b=Cancelled by Sentry", "c=Skipped"), "newer",
			"superseded: a newer change replaces it; a succeeded; b superseded: by Sentry; c skipped: the run was cancelled before its turn"},
		{"failed before it was replaced", outcome("Cancelled", "a=Failed exit 1", "b=Cancelled"), "newer", "failed: a: exit 1; a failed: exit 1; b cancelled"},
		{"over before it could be replaced", outcome("Succeeded", "a=Succeeded"), "newer", "succeeded: ; a succeeded"},
		{"the run took too long", outcome("PipelineRunTimeout", "a=TimedOut 1h", "b=Skipped", "c=Cancelled"), "",
			"timed out: a: 1h; a timed out: 1h; b skipped: the time of the run was over before its turn; c timed out"},
		{"a task took too long", outcome("Failed", "a=TimedOut 10m"), "", "timed out: 10m; a timed out: 10m"},
		{"a TaskRun that somebody cancelled", outcome("Failed", "a=Cancelled"), "", "cancelled: words of the run; a cancelled"},
		{"a run that could not begin", outcome("CouldntGetTask"), "", "failed: words of the run"},
		{"a task that does not end", outcome("Failed", "a=Running"), "", "failed: words of the run; a failed"},
		{"what failed is not a deployment", outcome("Failed", "a=Succeeded"), "", "failed: words of the run; a succeeded"},
		{"rolled back", outcome("Failed", "a=Failed exit 1", "<a=Succeeded"), "", "failed: exit 1; rolled back; a failed: exit 1; rolled back"},
		{"rolled back after a failure that is ignored", outcome("Failed", "a=FailureIgnored exit 1", "b=Succeeded", "<a=Succeeded", "<b=Skipped When"), "",
			"failed: a: exit 1; rolled back: a; a failed: exit 1; rolled back; b succeeded"},
		{"rolled back after it took too long, which the rollback's own failure does not hide", outcome("Failed", "a=TimedOut 10m", "<a=Failed exit 7"), "",
			"timed out: 10m; the rollback failed: exit 7; a timed out: 10m; the rollback failed: exit 7"},
		{"a group that is rolled back", outcome("Failed", "a=Succeeded", "b=Failed exit 1", ">c=Skipped PipelineRun was stopping", "<a=Succeeded", "<b=TimedOut", "<c=Skipped"), "",
			"failed: b: exit 1; rolled back: a; rollback failed: b; a rolled back: another deployment failed; rolled back; b failed: exit 1; the rollback took too long; c skipped: b, for which it waits, failed"},
		{"a group whose rollback failed", outcome("Failed", "a=Succeeded", "b=Failed exit 1", "<a=Failed exit 2"), "",
			"failed: b: exit 1; rollback failed: a; a rolled back: another deployment failed; the rollback failed: exit 2; b failed: exit 1"},
		{"a rollback that nothing calls for", outcome("Completed", "a=Succeeded", "<a=Skipped When Expressions evaluated to false"), "", "succeeded: ; a succeeded"},
		{"cancelled, without a rollback", outcome("Cancelled", "a=Failed exit 1", "b=Cancelled", "<a=Skipped", "<b=Skipped"), "newer",
			"failed: a: exit 1; a failed: exit 1; not rolled back, as the run was cancelled; b cancelled"},
		{"cancelled as somebody wished, with a rollback", outcome("Cancelled", "a=Cancelled", "<a=Succeeded"), "", "cancelled: rolled back; a cancelled: rolled back"},
		{"a rollback that was cancelled", outcome("Failed", "a=Failed exit 1", "<a=Cancelled"), "", "failed: exit 1; the rollback was cancelled; a failed: exit 1; the rollback was cancelled"},
		{"words of others are one line", outcome("Failed", "a=Failed \x1b[31mred\nand\u202emore"), "", "failed: [31mred and more; a failed: [31mred and more"},
	} {
		tt.out.Superseded = tt.superseded
		r := result.Of(tt.out, plan.Existing{Unit: "u"}, nil)
		got := fmt.Sprintf("%s: %s", r.Verdict, r.Why)
		for _, m := range r.Members {
			got += fmt.Sprintf("; %s %s", m.Task, m.Verdict)
			if m.Why != "" {
				got += ": " + m.Why
			}
		}
		if got != tt.want {
			t.Errorf("%s:\n got %s\nwant %s", tt.name, got, tt.want)
		}
	}
}

// Long words of a failure leave room for those of the rollback, and these for the former.
func TestRoomForTheRollback(t *testing.T) {
	long := strings.Repeat("x", 1000)
	m := result.Of(outcome("Failed", "a=Failed exit 1 "+long, "<a=Failed exit 2 "+long), plan.Existing{}, nil).Members[0]
	if len(m.Why) > 400 || !strings.HasPrefix(m.Why, "exit 1 x") || !strings.Contains(m.Why, "; the rollback failed: exit 2 x") {
		t.Errorf("%d bytes: %s", len(m.Why), m.Why)
	}
}

// A result says what was deployed, and how long that took. A Pipeline's tasks are not the deployments: these end as the run.
func TestMembers(t *testing.T) {
	sha := repo.SHA(strings.Repeat("a", 40))
	web := pinned.Member{Task: "web", Ref: repo.Ref{Repository: "web", Branch: "main"}, SHA: sha, QA: sha}
	begun := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	run := plan.Existing{Unit: "u", Created: begun, Trigger: plan.Trigger{Refs: []plan.Change{{Ref: web.Ref, New: sha}}, Seen: begun, Manual: "word"}}
	out := engine.Outcome{Name: "r", Ended: begun.Add(90 * time.Second), Tasks: []engine.Task{{
		Name: "web", Result: engine.Failed, Start: begun.Add(time.Second), End: begun.Add(time.Minute), Command: "2 of 3: make", Exit: 3,
		Output: strings.Split(strings.Repeat("line\x00\n", 30)+strings.Repeat("x", 1000), "\n"),
	}}}
	r := result.Of(out, run, []pinned.Member{web})
	if r.Seconds != 90 || !r.Manual || !r.Seen.Equal(begun) || len(r.Refs) != 1 || r.Refs[0].SHA != sha || len(r.Members) != 1 {
		t.Errorf("got %+v", r)
	}
	m := r.Members[0]
	if m.SHA != sha || m.QA != sha || m.Branch != "main" || m.Seconds != 59 || m.Command != "2 of 3: make" || m.Exit != 3 {
		t.Errorf("the member is %+v", m)
	}
	if len(m.Output) != result.MaxLines || m.Output[0] != "line" || len(m.Output[9]) > 200 {
		t.Errorf("its output is %q, want the last lines, each bounded", m.Output)
	}
	out.Tasks[0].Name, out.Succeeded, out.Tasks[0].Result = "clone", true, engine.Succeeded
	if r := result.Of(out, run, []pinned.Member{web}); len(r.Members) != 2 || r.Members[0].Verdict != result.Succeeded || r.Members[0].SHA != sha {
		t.Errorf("of a Pipeline: %+v, want the deployment and the task", r.Members)
	}
}
