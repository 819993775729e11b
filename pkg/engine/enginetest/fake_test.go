package enginetest

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

func TestFake(t *testing.T) {
	Test(t, func(*testing.T) Subject {
		f := &Fake{}
		return Subject{
			Engine: f, QAURL: "https://qa.example/qa", QASHA: "0123456789012345678901234567890123456789", Command: "true",
			End: func(run plan.Run, well bool) { f.End(well, run.Name) },
		}
	})
}
