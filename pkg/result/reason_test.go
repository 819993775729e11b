package result

import "testing"

func TestOfReason(t *testing.T) {
	for reason, want := range map[string]Verdict{
		"Succeeded": Succeeded, "Completed": Succeeded, "Failed": Failed, "CreateRunFailed": Failed, "": Failed, "Cancelled": Cancelled,
		"CancelledRunFinally": Cancelled, "StoppedRunFinally": Cancelled, "PipelineRunTimeout": TimedOut, "TaskRunTimeout": TimedOut,
	} {
		if got := OfReason(reason); got != want {
			t.Errorf("%q stands for %q, want %q", reason, got, want)
		}
	}
}
