// Package otlp sends what became of runs as traces of OpenTelemetry, to the receiver that the configuration names. It is a sink of
// events: nothing waits for it, and what finds no receiver is lost.
package otlp

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/notify"
)

const (
	// timeout is that of one request, as OTEL_EXPORTER_OTLP_TIMEOUT has it by default.
	timeout = 10 * time.Second
	// maxSpans is how many go in one request, as OTEL_BSP_MAX_EXPORT_BATCH_SIZE has it by default.
	maxSpans = 512
	// tries is how often a request is made of a receiver that took the one before, with firstPause and then twice as long between
	// two. One that did not gets a single try: what waits behind it would be lost as well.
	tries      = 4
	firstPause = time.Second
	// maxPause bounds what a receiver asks for with Retry-After.
	maxPause = 30 * time.Second
)

// Options are what a Sink is made from.
type Options struct {
	Log       *slog.Logger
	Transport http.RoundTripper // to the receiver
	Version   string            // of Sentry
	Replica   string            // "" = there is one process
	// Hide takes credentials out of a text: people can name branches as they like.
	Hide func(string) string
}

// Sink makes spans of events and sends them.
type Sink struct {
	Options
	client *http.Client
	due    due // only Take uses it, and lost too
	lost   int // spans since the receiver took some; 0 while it does

	mu  sync.Mutex
	cfg *config.Config
}

// New returns a Sink that follows the configuration.
func New(cfg *config.Config, o Options) *Sink {
	return &Sink{Options: o, client: notify.NewClient(o.Transport, timeout), due: due{}, cfg: cfg}
}

// Apply makes it follow another configuration.
func (s *Sink) Apply(cfg *config.Config) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.cfg = cfg
}

// Take is an event.Sink. It does nothing where no receiver is configured.
func (s *Sink) Take(ctx context.Context, events []event.Event) {
	s.mu.Lock()
	cfg := s.cfg
	s.mu.Unlock()
	if cfg.Global.Traces.Endpoint == "" {
		clear(s.due)
		return
	}
	of := maker{cfg: cfg, hide: s.Hide, due: s.due}
	for _, e := range events {
		of.take(e)
	}
	for spans := range slices.Chunk(of.spans, maxSpans) {
		s.send(ctx, cfg, spans)
	}
}

// send has the receiver take the spans, or tells once that it does not.
func (s *Sink) send(ctx context.Context, cfg *config.Config, spans []*tracepb.Span) {
	err := s.try(ctx, cfg, spans)
	host := hostOf(cfg.Global.Traces.Endpoint)
	switch {
	case err != nil && s.lost == 0:
		s.Log.Warn("traces are not taken, and are lost until they are", "host", host, "spans", len(spans), "err", err)
		s.lost = len(spans)
	case err != nil:
		s.lost += len(spans)
	case s.lost > 0:
		s.Log.Info("traces are taken again", "host", host, "lost", s.lost)
		s.lost = 0
	}
}

func (s *Sink) try(ctx context.Context, cfg *config.Config, spans []*tracepb.Span) error {
	body, err := proto.Marshal(s.message(cfg, spans))
	if err != nil {
		return fmt.Errorf("encode: %w", err)
	}
	most := tries
	if s.lost > 0 {
		most = 1
	}
	for pause, n := firstPause, 1; ; pause, n = 2*pause, n+1 {
		after, err := s.post(ctx, cfg.Global.Traces, body)
		if err == nil || n == most || after < 0 {
			return err
		}
		wait := time.NewTimer(max(after, pause))
		select {
		case <-wait.C:
		case <-ctx.Done():
			wait.Stop()
			return err
		}
	}
}

// post makes one request. after is how long the receiver wants it not tried again; negative where that would be of no use. Errors
// repeat nothing that the receiver says, as it may repeat the headers.
func (s *Sink) post(ctx context.Context, to config.Traces, body []byte) (after time.Duration, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, to.Endpoint, bytes.NewReader(body))
	if err != nil {
		return -1, errors.New("the endpoint is not a URL") // it was one when it was read
	}
	headers, err := section.HeadersOf(to.Headers)
	if err != nil {
		return -1, fmt.Errorf("global.traces.headers %w", err)
	}
	for _, h := range headers {
		req.Header.Set(h.Name, h.Value)
	}
	req.Header.Set("Content-Type", "application/x-protobuf")
	req.Header.Set("User-Agent", "sentry/"+s.Version)
	resp, err := s.client.Do(req)
	if err != nil {
		return 0, errors.New(notify.Explain(err))
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // a short answer read to its end keeps the connection
	switch resp.StatusCode {
	case http.StatusTooManyRequests, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		seconds, _ := strconv.Atoi(resp.Header.Get("Retry-After"))
		return min(time.Duration(max(0, min(seconds, 3600)))*time.Second, maxPause), answered(resp.StatusCode)
	case http.StatusOK, http.StatusAccepted, http.StatusNoContent:
		return 0, nil
	}
	return -1, answered(resp.StatusCode)
}

// answered is the error of a receiver that took nothing.
func answered(status int) error {
	hint := ""
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden:
		hint = ": it does not take what global.traces.headers holds"
	case http.StatusNotFound, http.StatusMethodNotAllowed:
		hint = ": is global.traces.endpoint the base of an OTLP receiver for HTTP?"
	case http.StatusBadRequest, http.StatusUnsupportedMediaType:
		hint = ": is it a receiver of OTLP over HTTP, with protobuf?"
	}
	return fmt.Errorf("it answered %d%s", status, hint)
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return ""
	}
	return u.Host
}
