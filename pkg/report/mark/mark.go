// Package mark is the annotation of a PipelineRun that says what was reported of it. A run without one is nobody's concern, such as
// one that was made before anything was to be reported.
package mark

import "strings"

// Annotation is its name. Its value begins with the run's own name: who runs one again copies its annotations.
const Annotation = "tekton-sentry.dev/reported"

// Phase is what was reported of a run.
type Phase string

// The phases. None is of a run of which nothing is to be reported.
const (
	None    Phase = ""
	Due     Phase = "due"     // nothing yet; a run is created so
	Pending Phase = "pending" // that it goes on
	Ended   Phase = "ended"   // how it ended
)

// Text returns the value of the annotation.
func Text(run string, p Phase) string { return run + " " + string(p) }

// Of returns what was reported of the run that has the annotations.
func Of(annotations map[string]string, run string) Phase {
	name, phase, _ := strings.Cut(annotations[Annotation], " ")
	switch p := Phase(phase); {
	case name != run:
	case p == Due, p == Pending, p == Ended:
		return p
	}
	return None
}
