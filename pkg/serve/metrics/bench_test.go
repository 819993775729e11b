package metrics

import (
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/event"
)

// BenchmarkCalled is what a request to a host costs more: it must be nothing beside the request.
func BenchmarkCalled(b *testing.B) {
	m := New("v1", configuration("a"), time.Minute)
	b.ReportAllocs()
	for b.Loop() {
		m.Called("github.com", 200, 80*time.Millisecond)
	}
}

// BenchmarkIdleCycle is what a cycle costs more in which nothing happens, however many repositories there are.
func BenchmarkIdleCycle(b *testing.B) {
	m := New("v1", configuration("a"), time.Minute)
	events := []event.Event{event.CycleDone{Report: event.Report{Repositories: 10_000}, Whole: true, Every: time.Minute, Duration: time.Second}}
	b.ReportAllocs()
	for b.Loop() {
		m.Sink(b.Context(), events)
	}
}
