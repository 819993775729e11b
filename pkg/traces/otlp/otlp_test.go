package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	coltracepb "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/traces"
)

const sha = repo.SHA("0123456789012345678901234567890123456789")

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// at is so many seconds after noon.
func at(seconds float64) time.Time { return noon.Add(time.Duration(seconds * float64(time.Second))) }

func configured(endpoint string) *config.Config {
	cfg := &config.Config{Repositories: []config.Repository{{Name: "rag", Monitor: config.Monitor{Source: config.Source{URL: "https://github.com/company/rag.git"}}}}}
	cfg.Global.RunNamespace = "sentry-runs"
	cfg.Global.Traces = config.Traces{Endpoint: endpoint, Headers: secret.New("${H}", "Authorization=Bearer%20hunter2-hunter2,X-Scope-OrgID=1")}
	return cfg
}

// run is one that was seen some seconds after noon.
func run(name string, seen float64) plan.Run {
	return plan.Run{Name: name, Unit: naming.Unit{Label: "shop"}, Trigger: plan.Trigger{Seen: at(seen)}}
}

// described is a span for people; its parent is a name.
func described(spans []*tracepb.Span, s *tracepb.Span) string {
	parent := "-"
	for _, p := range spans {
		if bytes.Equal(p.SpanId, s.ParentSpanId) {
			parent = p.Name
		}
	}
	since := func(nano uint64) string { return time.Unix(0, int64(nano)).Sub(noon).String() }
	return fmt.Sprintf("%s < %s, %s to %s, %s %s%s", s.Name, parent, since(s.StartTimeUnixNano), since(s.EndTimeUnixNano),
		strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"), strings.TrimPrefix(s.Status.GetCode().String(), "STATUS_CODE_"), attributesOf(s.Attributes))
}

func attributesOf(list []*commonpb.KeyValue) string {
	var words []string
	for _, a := range list {
		words = append(words, " "+a.Key+"="+a.Value.GetStringValue())
	}
	slices.Sort(words)
	return strings.Join(words, "")
}

// A run's trace reaches a receiver of OTLP: from the look that found its change to the end of each deployment.
func TestTraceOfARun(t *testing.T) {
	var got []*coltracepb.ExportTraceServiceRequest
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var message coltracepb.ExportTraceServiceRequest
		if err := proto.Unmarshal(body, &message); err != nil {
			t.Errorf("the receiver cannot read it: %v", err)
		}
		got = append(got, &message)
		for name, want := range map[string]string{
			"Content-Type": "application/x-protobuf", "Authorization": "Bearer hunter2-hunter2", "X-Scope-Orgid": "1", "User-Agent": "sentry/v1",
		} {
			if r.Header.Get(name) != want {
				t.Errorf("%s is %q, want %q", name, r.Header.Get(name), want)
			}
		}
		if r.URL.Path != "/v1/traces" || r.Method != http.MethodPost {
			t.Errorf("%s %s", r.Method, r.URL)
		}
	}))
	defer receiver.Close()
	s := New(configured(receiver.URL+"/v1/traces"), Options{
		Log: slog.New(slog.DiscardHandler), Transport: http.DefaultTransport, Version: "v1", Replica: "sentry-1",
		Hide: func(s string) string { return strings.ReplaceAll(s, "hunter2", "[redacted]") },
	})
	ref := result.Ref{Ref: repo.Ref{Repository: "rag", Branch: "hunter2/\xff"}, SHA: sha}
	s.Take(t.Context(), []event.Event{
		event.RunDue{Run: run("shop-1", 10)},
		event.CycleDone{},
		event.RunCreated{Run: run("shop-1", 70), Looked: at(69), Asked: at(71), Made: at(71.5)},
		event.RunEnded{Result: result.Result{
			Name: "shop-1", Unit: "shop", Created: at(71), Seconds: 100, Seen: at(70), Verdict: result.Failed, Why: "command 1 of 1 failed: make",
			Refs: []result.Ref{ref}, Members: []result.Member{
				{Task: "rag-main", Ref: ref, Verdict: result.Failed, Began: at(80), Seconds: 30, Command: "1 of 1: make", Why: "make"},
				{Task: "web-main", Verdict: result.Succeeded, Began: at(80), Seconds: 10},
				{Task: "api-main", Verdict: result.Skipped},
			},
		}},
	})
	s.Take(t.Context(), []event.Event{event.CycleDone{}})
	if len(got) != 1 || len(got[0].ResourceSpans) != 1 {
		t.Fatalf("the receiver got %d messages, want 1: %v", len(got), got)
	}
	all := got[0].ResourceSpans[0]
	if of, want := attributesOf(all.Resource.Attributes), " k8s.namespace.name=sentry-runs service.instance.id=sentry-1 service.name=sentry service.version=v1"; of != want {
		t.Errorf("the resource is %s, want %s", of, want)
	}
	var words []string
	for _, span := range all.ScopeSpans[0].Spans {
		words = append(words, described(all.ScopeSpans[0].Spans, span))
		trace, _ := traces.Of("shop-1")
		if !bytes.Equal(span.TraceId, trace[:]) {
			t.Errorf("%s is of trace %x, want %x", span.Name, span.TraceId, trace)
		}
	}
	const vcs = " vcs.ref.head.name=[redacted]/� vcs.ref.head.revision=" + string(sha) + " vcs.ref.head.type=branch vcs.repository.name=rag vcs.repository.url.full=https://github.com/company/rag"
	want := []string{
		"look < RUN shop, 1m9s to 1m10s, INTERNAL UNSET cicd.pipeline.run.id=shop-1",
		"wait < RUN shop, 10s to 1m10s, INTERNAL UNSET cicd.pipeline.run.id=shop-1",
		"plan < RUN shop, 1m10s to 1m11s, INTERNAL UNSET cicd.pipeline.run.id=shop-1",
		"create < RUN shop, 1m11s to 1m11.5s, INTERNAL UNSET cicd.pipeline.run.id=shop-1",
		"RUN shop < -, 1m10s to 2m51s, SERVER ERROR cicd.pipeline.action.name=RUN cicd.pipeline.name=shop cicd.pipeline.result=failure cicd.pipeline.run.id=shop-1 error.type=failed tekton_sentry.verdict=failed" + vcs,
		"rag-main < RUN shop, 1m20s to 1m50s, INTERNAL ERROR cicd.pipeline.task.name=rag-main cicd.pipeline.task.run.id=shop-1/rag-main cicd.pipeline.task.run.result=failure cicd.pipeline.task.type=deploy error.type=failed tekton_sentry.verdict=failed" + vcs,
		"web-main < RUN shop, 1m20s to 1m30s, INTERNAL UNSET cicd.pipeline.task.name=web-main cicd.pipeline.task.run.id=shop-1/web-main cicd.pipeline.task.run.result=success cicd.pipeline.task.type=deploy tekton_sentry.verdict=succeeded",
	}
	if !slices.Equal(words, want) {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(words, "\n"), strings.Join(want, "\n"))
	}
}

// transport answers requests without a network.
type transport func(*http.Request) (*http.Response, error)

func (t transport) RoundTrip(r *http.Request) (*http.Response, error) { return t(r) }

// A receiver in trouble is tried again where that may help, told of once, and repeated in nothing.
func TestReceiversInTrouble(t *testing.T) {
	answer := func(status int, retryAfter string) func(*http.Request) (*http.Response, error) {
		return func(r *http.Request) (*http.Response, error) {
			header := http.Header{"Retry-After": {retryAfter}, "Location": {"http://elsewhere.example/"}}
			return &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(strings.NewReader(r.Header.Get("Authorization"))), Request: r}, nil
		}
	}
	for name, tt := range map[string]struct {
		first  func(*http.Request) (*http.Response, error)
		tries  int
		lasts  time.Duration
		second int // tries of what comes next
		log    string
	}{
		"too many":    {answer(429, "5"), 4, 15 * time.Second, 1, "it answered 429"},
		"patience":    {answer(503, "86400"), 4, 90 * time.Second, 1, "it answered 503"},
		"unavailable": {answer(503, ""), 4, 7 * time.Second, 1, "it answered 503"},
		"denied":      {answer(401, ""), 1, 0, 1, "it answered 401: it does not take what global.traces.headers holds"},
		"elsewhere":   {answer(307, ""), 1, 0, 1, "it answered 307"},
		"no such":     {answer(404, ""), 1, 0, 1, "it answered 404: is global.traces.endpoint the base"},
		"no OTLP":     {answer(400, ""), 1, 0, 1, "it answered 400: is it a receiver of OTLP over HTTP, with protobuf?"},
		"hangs": {func(r *http.Request) (*http.Response, error) { <-r.Context().Done(); return nil, r.Context().Err() }, 4,
			4*timeout + 7*time.Second, 1, "no answer in time"},
		"says things": {func(r *http.Request) (*http.Response, error) {
			return nil, errors.New("bad " + r.Header.Get("Authorization"))
		}, 4, 7 * time.Second, 1, "no HTTP"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var log bytes.Buffer
				asked, healthy := 0, false
				s := New(configured("http://otel.example/v1/traces"), Options{
					Log: slog.New(slog.NewTextHandler(&log, nil)), Hide: func(s string) string { return s },
					Transport: transport(func(r *http.Request) (*http.Response, error) {
						if asked++; healthy {
							return answer(200, "")(r)
						}
						return tt.first(r)
					}),
				})
				ended := []event.Event{event.RunEnded{Result: result.Result{Name: "shop-1"}}}
				start := time.Now()
				s.Take(t.Context(), ended)
				if lasts := time.Since(start); asked != tt.tries || lasts != tt.lasts {
					t.Errorf("%d tries in %s, want %d in %s", asked, lasts, tt.tries, tt.lasts)
				}
				asked = 0
				s.Take(t.Context(), ended)
				if asked != tt.second {
					t.Errorf("%d tries of the next, want %d", asked, tt.second)
				}
				healthy = true
				s.Take(t.Context(), ended)
				s.Take(t.Context(), ended)
				text := log.String()
				if strings.Contains(text, "hunter2") || !strings.Contains(text, tt.log) {
					t.Errorf("the log lacks %q, or repeats the receiver:\n%s", tt.log, text)
				}
				if strings.Count(text, "are not taken") != 1 || strings.Count(text, "are taken again") != 1 || !strings.Contains(text, "lost=2") || !strings.Contains(text, "host=otel.example") {
					t.Errorf("the log tells not once that it began and ended:\n%s", text)
				}
			})
		})
	}
}

// The end of Sentry waits for no receiver that asks for patience.
func TestEndDuringAPause(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := New(configured("http://otel.example/v1/traces"), Options{
			Log: slog.New(slog.DiscardHandler), Hide: func(s string) string { return s },
			Transport: transport(func(r *http.Request) (*http.Response, error) {
				return &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {"30"}}, Body: http.NoBody, Request: r}, nil
			}),
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		s.Take(ctx, []event.Event{event.RunEnded{Result: result.Result{Name: "shop-1"}}})
		if took := time.Since(start); took != 10*time.Second {
			t.Errorf("it took %s, want 10s", took)
		}
	})
}

// Without an endpoint nothing is sent and nothing is kept. A configuration that has one is followed from then on.
func TestOff(t *testing.T) {
	var bodies []int
	s := New(configured(""), Options{
		Log: slog.New(slog.DiscardHandler), Hide: func(s string) string { return s },
		Transport: transport(func(r *http.Request) (*http.Response, error) {
			body, _ := io.ReadAll(r.Body)
			bodies = append(bodies, len(body))
			return &http.Response{StatusCode: 200, Body: http.NoBody, Request: r}, nil
		}),
	})
	events := []event.Event{event.RunDue{Run: run("shop-2", 1)}, event.RunCreated{Run: run("shop-1", 1)}, event.RunEnded{Result: result.Result{Name: "shop-1"}}}
	s.Take(t.Context(), events)
	if len(bodies) != 0 || len(s.due) != 0 {
		t.Errorf("%d requests and %d runs that wait, want none", len(bodies), len(s.due))
	}
	s.Apply(configured("http://otel.example/v1/traces"))
	for i := range 2 * maxDue {
		events = append(events, event.RunDue{Run: run(fmt.Sprint("r", i), 1)}, event.RunFound{Run: run(fmt.Sprint("r", i), 1)}, event.RunDue{Run: run(fmt.Sprint("s", i), 1)})
	}
	for range 300 {
		events = append(events, events[1])
	}
	s.Take(t.Context(), events)
	if len(bodies) != 2 { // 900 spans and more
		t.Errorf("%d requests, want 2", len(bodies))
	}
	if len(s.due) != maxDue {
		t.Errorf("%d runs that wait, want %d", len(s.due), maxDue)
	}
}

// TestRunsThatNeverCome: a run that is due and never made takes the place of no later one.
func TestRunsThatNeverCome(t *testing.T) {
	d := due{}
	for i := range maxDue + 10 {
		d.add(fmt.Sprint("never-", i), at(float64(i)))
	}
	d.add("late", at(1e6))
	if _, known := d["late"]; !known || len(d) != maxDue {
		t.Errorf("the newest of %d runs that wait is known: %v", len(d), known)
	}
	if _, known := d["never-0"]; known {
		t.Error("the one that waits for the longest is not forgotten")
	}
}
