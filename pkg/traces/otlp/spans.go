package otlp

import (
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.41.0"
	commonpb "go.opentelemetry.io/proto/otlp/common/v1"
	resourcepb "go.opentelemetry.io/proto/otlp/resource/v1"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/traces"
)

// Verdict is the attribute that has the verdict in Sentry's words, of which the conventions know fewer.
const Verdict = attribute.Key("tekton_sentry.verdict")

// maxDue bounds the runs of which it is remembered that they wait. Some never come, such as that of a head which another one followed
// meanwhile: beyond the bound, the one that waits for the longest is forgotten, and has no span of that if it comes.
const maxDue = 4096

// due is when the change of each run was seen first that is still to be made.
type due map[string]time.Time

// add adds a run.
func (d due) add(name string, seen time.Time) {
	if _, known := d[name]; !known && len(d) >= maxDue {
		oldest, at := "", time.Time{}
		for other, since := range d {
			if oldest == "" || since.Before(at) {
				oldest, at = other, since
			}
		}
		delete(d, oldest)
	}
	d[name] = seen
}

// maker makes spans of events.
//
//	RUN shop                      from when the change was seen to the end of the run; told when it is over
//	  look                        asking the hosts, until they named the commit
//	  wait                        for the unit's earlier run, or the end of a pause
//	  plan                        deciding, and asking for the revision of the QA repository
//	  create                      having the engine make the run
//	  rag-service-main            each deployment that began
//	  PipelineRun:ReconcileKind   and what else Tekton tells, which gets the first by the run's annotation
type maker struct {
	cfg   *config.Config
	hide  func(string) string
	due   due
	spans []*tracepb.Span
}

func (m *maker) take(e event.Event) {
	switch e := e.(type) {
	case event.RunDue:
		m.due.add(e.Run.Name, e.Run.Trigger.Seen)
	case event.RunFound:
		delete(m.due, e.Run.Name)
	case event.RunCreated:
		m.created(e)
	case event.RunEnded:
		m.ended(e.Result)
	}
}

func (m *maker) created(e event.RunCreated) {
	name, seen := e.Run.Name, e.Run.Trigger.Seen
	first, waited := m.due[name]
	delete(m.due, name)
	m.part(name, "look", e.Looked, seen)
	if waited && first.Before(seen) {
		m.part(name, "wait", first, seen)
	}
	m.part(name, "plan", seen, e.Asked)
	m.part(name, "create", e.Asked, e.Made)
}

// part adds a span of what was done for a run before it began.
func (m *maker) part(run, what string, from, to time.Time) {
	m.add(run, traces.Span(run, what), what, from, to, semconv.CICDPipelineRunID(run))
}

func (m *maker) ended(r result.Result) {
	from := r.Seen
	if from.IsZero() || from.After(r.Created) {
		from = r.Created
	}
	attributes := append(m.verdict(semconv.CICDPipelineResultKey, r.Verdict), semconv.CICDPipelineName(r.Unit), semconv.CICDPipelineRunID(r.Name),
		semconv.CICDPipelineActionNameRun)
	if len(r.Refs) == 1 { // of several, none is that of the run
		attributes = append(attributes, m.ref(r.Refs[0])...)
	}
	_, root := traces.Of(r.Name)
	s := m.add(r.Name, root, "RUN "+r.Unit, from, r.Created.Add(time.Duration(r.Seconds)*time.Second), attributes...)
	s.ParentSpanId, s.Kind, s.Status = nil, tracepb.Span_SPAN_KIND_SERVER, status(r.Verdict)
	for _, d := range r.Members {
		if d.Began.IsZero() {
			continue
		}
		attributes := append(m.verdict(semconv.CICDPipelineTaskRunResultKey, d.Verdict), semconv.CICDPipelineTaskName(d.Task),
			semconv.CICDPipelineTaskRunID(r.Name+"/"+d.Task), semconv.CICDPipelineTaskTypeDeploy)
		attributes = append(attributes, m.ref(d.Ref)...)
		end := d.Began.Add(time.Duration(d.Seconds) * time.Second)
		m.add(r.Name, traces.Span(r.Name, "task "+d.Task), d.Task, d.Began, end, attributes...).Status = status(d.Verdict)
	}
}

// ref names the commit.
func (m *maker) ref(r result.Ref) []attribute.KeyValue {
	if r.Ref == (repo.Ref{}) { // a task of a Pipeline of the cluster
		return nil
	}
	attributes := []attribute.KeyValue{
		semconv.VCSRepositoryName(r.Repository), semconv.VCSRefHeadTypeBranch, semconv.VCSRefHeadName(r.Branch), semconv.VCSRefHeadRevision(string(r.SHA)),
	}
	if known, ok := m.cfg.Lookup(r.Repository); ok {
		attributes = append(attributes, semconv.VCSRepositoryURLFull(strings.TrimSuffix(known.Monitor.URL, ".git")))
	}
	return attributes
}

// verdict says how a run or a deployment ended, in the words of the conventions and in ours.
func (m *maker) verdict(key attribute.Key, v result.Verdict) []attribute.KeyValue {
	word := "failure" // rolled back, too: it is not deployed
	switch v {
	case result.Succeeded:
		word = "success"
	case result.Cancelled, result.Superseded:
		word = "cancellation"
	case result.TimedOut:
		word = "timeout"
	case result.Skipped:
		word = "skip"
	}
	attributes := []attribute.KeyValue{key.String(word), Verdict.String(string(v))}
	if word == "failure" {
		attributes = append(attributes, semconv.ErrorTypeKey.String(string(v)))
	}
	return attributes
}

// status is an error where the deployment was to succeed and did not. Nothing says why: that may name commands.
func status(v result.Verdict) *tracepb.Status {
	if v == result.Failed || v == result.TimedOut || v == result.RolledBack {
		return &tracepb.Status{Code: tracepb.Status_STATUS_CODE_ERROR}
	}
	return nil
}

// add adds a span below the run's.
func (m *maker) add(run string, id traces.SpanID, name string, from, to time.Time, attributes ...attribute.KeyValue) *tracepb.Span {
	if to.Before(from) { // the clocks of a host, a cluster and this machine differ
		to = from
	}
	trace, root := traces.Of(run)
	s := &tracepb.Span{
		TraceId: trace[:], SpanId: id[:], ParentSpanId: root[:], Name: text(m.hide, name), Kind: tracepb.Span_SPAN_KIND_INTERNAL,
		StartTimeUnixNano: uint64(from.UnixNano()), EndTimeUnixNano: uint64(to.UnixNano()), Attributes: encoded(m.hide, attributes), Flags: 1,
	}
	m.spans = append(m.spans, s)
	return s
}

// message is what a receiver gets. On the wire it is an ExportTraceServiceRequest, whose package is for gRPC.
func (s *Sink) message(cfg *config.Config, spans []*tracepb.Span) *tracepb.TracesData {
	of := []attribute.KeyValue{semconv.ServiceName("sentry"), semconv.ServiceVersion(s.Version)}
	if s.Replica != "" {
		of = append(of, semconv.ServiceInstanceID(s.Replica))
	}
	if in := cfg.Global.RunsIn(); in != "" {
		of = append(of, semconv.K8SNamespaceName(in))
	}
	return &tracepb.TracesData{ResourceSpans: []*tracepb.ResourceSpans{{
		Resource:   &resourcepb.Resource{Attributes: encoded(s.Hide, of)},
		SchemaUrl:  semconv.SchemaURL,
		ScopeSpans: []*tracepb.ScopeSpans{{Scope: &commonpb.InstrumentationScope{Name: "tekton-sentry.dev", Version: s.Version}, Spans: spans}},
	}}}
}

func encoded(hide func(string) string, attributes []attribute.KeyValue) []*commonpb.KeyValue {
	list := make([]*commonpb.KeyValue, len(attributes))
	for i, a := range attributes {
		value := &commonpb.AnyValue_StringValue{StringValue: text(hide, a.Value.AsString())}
		list[i] = &commonpb.KeyValue{Key: string(a.Key), Value: &commonpb.AnyValue{Value: value}}
	}
	return list
}

// text is what protobuf takes: UTF-8.
func text(hide func(string) string, s string) string { return strings.ToValidUTF8(hide(s), "�") }
