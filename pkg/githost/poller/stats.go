package poller

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// EndpointStats is what became of one endpoint since the Reader was made.
type EndpointStats struct {
	Host       string // host[:port]
	Credential string // what names it; see config.Auth
	Cached     int    // observations that the host's hints made needless to read
	Late       int    // observations that limits, backoff or time kept from being read
	transport.Status
	Grants []transport.Grants // what the host said last
}

// Stats returns the counts of all endpoints, in the order in which they were first asked.
func (r *Reader) Stats() []EndpointStats {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := make([]EndpointStats, len(r.order))
	for i, e := range r.order {
		all[i] = e.stats()
		all[i].Credential, all[i].Grants = e.Auth.Label(), e.gate.Grants()
	}
	return all
}

// stats is called with Reader.mu held.
func (e *endpoint) stats() EndpointStats {
	return EndpointStats{Host: e.Host(), Cached: e.cached, Late: e.late, Status: e.gate.Status()}
}

// count counts what became of a round, and logs it: at debug level what was asked, at higher ones that the endpoint is not
// asked any more, and once an hour all that it was asked, so that the log of any day says what Sentry costs a host and
// what came late. before is of when the round began.
func (r *Reader) count(e *endpoint, before transport.Status, answers []repo.Observation, duration time.Duration) {
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
	r.mu.Lock()
	e.cached += cached
	e.late += late
	now, told, since := e.stats(), e.told, e.toldAt
	hour := time.Since(since) >= time.Hour
	if hour {
		e.told, e.toldAt = now, time.Now()
	}
	r.mu.Unlock()
	log := r.Log.With("host", e.Host())
	var until []any
	if !now.Until.IsZero() {
		until = append(until, "until", now.Until)
	}
	if now.Resource != "" {
		until = append(until, "resource", now.Resource)
	}
	switch args := []any{"credential", e.Auth.Label(), "err", now.Why}; {
	case now.Why == nil || before.Why != nil && before.Resource == now.Resource: // nothing new
	case now.Revoked:
		log.Error("the credential is not sent again until it is another one", args...)
	default:
		log.Warn("the host is not asked for a while", append(args, until...)...)
	}
	log.Debug("asked for heads", append([]any{"repositories", len(answers), "cached", cached, "late", late, "failed", failed,
		"requests", now.Requests - before.Requests, "duration", duration}, until...)...)
	if hour && !since.IsZero() {
		log.Info("asked in the last hour", "credential", e.Auth.Label(), "requests", now.Requests-told.Requests,
			"failures", now.Failures-told.Failures, "cached", now.Cached-told.Cached, "late", now.Late-told.Late)
	}
}
