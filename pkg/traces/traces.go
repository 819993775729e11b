// Package traces says which trace of OpenTelemetry a run belongs to. That follows from the run's name: whoever tells of the run, before
// or after a restart, tells of the same spans. It is a leaf.
package traces

import (
	"crypto/sha256"
	"fmt"
)

// Annotation is where Tekton looks for the span below which a PipelineRun's own are to be, as
// pkg/reconciler/pipelinerun/tracing.go of tektoncd/pipeline v1.14 does.
const Annotation = "tekton.dev/pipelinerunSpanContext"

type (
	// ID is that of a trace.
	ID [16]byte
	// SpanID is that of a span.
	SpanID [8]byte
)

// Of returns the trace of the run of that name, and its span that all others are below.
func Of(run string) (ID, SpanID) {
	sum := sha256.Sum256([]byte("tekton-sentry.dev/run\x00" + run))
	return ID(sum[:16]), SpanID(sum[16:24])
}

// Span returns the span of a part of the run.
func Span(run, part string) SpanID {
	sum := sha256.Sum256([]byte("tekton-sentry.dev/part\x00" + run + "\x00" + part))
	return SpanID(sum[:8])
}

// Context returns the value of Annotation: the traceparent of W3C, sampled, as JSON.
func Context(run string) string {
	trace, root := Of(run)
	return fmt.Sprintf(`{"traceparent":"00-%x-%x-01"}`, trace, root)
}
