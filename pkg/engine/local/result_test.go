package local_test

import (
	"errors"
	"slices"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/result"
)

// The end of a run is remembered and told with a verdict, also where the history cannot be written.
func TestEndsAreVerdicts(t *testing.T) {
	tr := newTrial(t)
	var told, remembered []result.Result
	tr.Remember = func(r result.Result) error {
		remembered = append(remembered, r)
		return errors.New("the disk is full")
	}
	tr.Ended = func(r result.Result) { told = append(told, r) }
	waiting := shell("b", "true")
	waiting.RunAfter = []string{"a"}
	tr.run(pipelineRun("failing", shell("a", "echo before; echo 'command 2 of 3 failed with exit code 3: make' >&2; exit 3"), waiting))
	tr.create(pipelineRun("replaced", shell("a", "echo started; sleep 60")))
	tr.prints("started")
	if err := tr.Cancel(t.Context(), "replaced", "newer"); err != nil {
		t.Fatal(err)
	}
	tr.end("replaced")
	tr.Close()
	if len(told) != 2 || len(remembered) != 2 {
		t.Fatalf("told %+v, remembered %+v, want two runs each", told, remembered)
	}
	failing, replaced := told[0], told[1]
	if a := failing.Members[0]; a.Why != "command 2 of 3 failed with exit code 3: make" || a.Command != "2 of 3: make" || a.Exit != 3 || !slices.Equal(a.Output[:1], []string{"before"}) {
		t.Errorf("of the command that failed: %+v", a)
	}
	if failing.Verdict != result.Failed || !slices.Equal(failing.Tasks(result.Skipped), []string{"b"}) || failing.Members[1].Why != "a, for which it waits, failed" {
		t.Errorf("of a failure: %+v", failing)
	}
	if replaced.Verdict != result.Superseded || replaced.Created.IsZero() {
		t.Errorf("of a run that a newer change replaces: %+v", replaced)
	}
}
