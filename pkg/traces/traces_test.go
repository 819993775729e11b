package traces

import (
	"encoding/json"
	"testing"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

// What stands in the annotation is read as Tekton does.
func TestContextIsWhatTektonReads(t *testing.T) {
	for _, run := range []string{"shop-0123456789", "shop-012345678a", ""} {
		var carrier map[string]string
		if err := json.Unmarshal([]byte(Context(run)), &carrier); err != nil {
			t.Fatal(err)
		}
		got := trace.SpanContextFromContext(propagation.TraceContext{}.Extract(t.Context(), propagation.MapCarrier(carrier)))
		id, root := Of(run)
		want := trace.NewSpanContext(trace.SpanContextConfig{TraceID: trace.TraceID(id), SpanID: trace.SpanID(root), TraceFlags: trace.FlagsSampled, Remote: true})
		if !got.IsValid() || !got.Equal(want) {
			t.Errorf("%s: Tekton reads %+v, want %+v", Context(run), got, want)
		}
	}
}

// A run has the same spans after a restart, in every replica and in every later Sentry; and no two have one.
func TestSpansFollowFromTheName(t *testing.T) {
	const want = `{"traceparent":"00-fc55b466c8c1edc074f1f02baa78e39a-4245120d4cba0104-01"}`
	if got := Context("shop-0123456789"); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	seen := map[string]bool{}
	for _, run := range []string{"shop-0123456789", "shop-012345678a"} {
		id, root := Of(run)
		for _, part := range [][]byte{id[:], root[:]} {
			seen[string(part)] = true
		}
		for _, part := range []string{"look", "create", "task a"} {
			s := Span(run, part)
			seen[string(s[:])] = true
		}
	}
	if len(seen) != 10 {
		t.Errorf("%d different ones, want 10", len(seen))
	}
}
