package poller

import (
	"log/slog"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// EndpointStats is what became of one endpoint since the Reader was made.
type EndpointStats struct {
	Type   config.HostType
	Host   string // host[:port]
	Cached int    // observations that the host's hints made needless to read
	Late   int    // observations that limits, backoff or time kept from being read
	transport.Status
}

// Stats returns the counts of all endpoints, in the order in which they were first asked.
func (r *Reader) Stats() []EndpointStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]EndpointStats, len(r.order))
	for i, e := range r.order {
		all[i] = e.stats()
	}
	return all
}

func (e *endpoint) stats() EndpointStats {
	return EndpointStats{Type: e.Type, Host: e.Host(), Cached: int(e.cached.Load()), Late: int(e.late.Load()), Status: e.gate.Status()}
}

// count counts what became of a round, and tells it at debug level. before are the counts when it began.
func (r *Reader) count(e *endpoint, before EndpointStats, answers []repo.Observation, duration time.Duration) {
	cached, late, failed := 0, 0, 0
	for _, o := range answers {
		switch o.Status {
		case repo.Cached:
			cached++
		case repo.NotAsked, repo.Late:
			late++
		}
		if o.Err != nil {
			failed++
		}
	}
	e.cached.Add(int64(cached))
	e.late.Add(int64(late))
	after := e.stats()
	args := []any{"host", e.Host(), "repositories", len(answers), "cached", cached, "late", late,
		"failed", failed, "requests", after.Requests - before.Requests, "duration", duration}
	if !after.Until.IsZero() {
		args = append(args, after.wait()...)
	}
	if after.Why != nil && (before.Why == nil || before.Resource != after.Resource) {
		e.logSilence(r.log(), after)
	}
	r.log().Debug("asked for heads", args...)
	r.logHour(e)
}

// logSilence tells that an endpoint is not asked any more, and why.
func (e *endpoint) logSilence(log *slog.Logger, s EndpointStats) {
	args := []any{"host", e.Host(), "credential", githost.CredentialOf(e.Auth), "err", s.Why}
	if s.Revoked {
		log.Error("the credential is not sent again until it is another one", args...)
		return
	}
	log.Warn("the host is not asked for a while", append(args, s.wait()...)...)
}

// wait returns, for the log, until when what is not asked.
func (s EndpointStats) wait() []any {
	if s.Resource == "" {
		return []any{"until", s.Until}
	}
	return []any{"until", s.Until, "resource", s.Resource}
}

// logHour tells once an hour what an endpoint was asked since the last time, so that the log of any day says what
// Sentry costs a host and what came late.
func (r *Reader) logHour(e *endpoint) {
	r.mu.Lock()
	now, before, since := e.stats(), e.told, e.toldAt
	due := time.Since(since) >= time.Hour
	if due {
		e.told, e.toldAt = now, time.Now()
	}
	r.mu.Unlock()
	if due && !since.IsZero() {
		r.log().Info("asked in the last hour", "host", e.Host(), "credential", githost.CredentialOf(e.Auth), "requests", now.Requests-before.Requests, "failures", now.Failures-before.Failures,
			"cached", now.Cached-before.Cached, "late", now.Late-before.Late)
	}
}
