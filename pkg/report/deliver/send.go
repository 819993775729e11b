package deliver

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/notify"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// timeout bounds one try. Receivers that answer once they have done their work take their time.
const timeout = time.Minute

// outcome is what became of a try: it went well, or there is an error, after which it is tried again or not.
type outcome struct {
	told    bool // somebody was: nobody is who knew it already
	err     error
	again   bool
	refused bool      // whoever was asked does not want it
	unsure  bool      // it was sent, and may have come
	until   time.Time // not before; zero where nobody said
}

// names are what the log calls an item by. A receiver's URL is a secret.
func (it *item) names() []any {
	d := it.delivery
	switch d.Kind {
	case "":
		return []any{"kind", "annotation", "run", it.run.facts.Run}
	case report.CommitStatus:
		return []any{"kind", d.Kind, "repo", d.Repository, "run", it.run.facts.Run}
	}
	host := ""
	if u, err := url.Parse(d.To.Reveal()); err == nil {
		host = u.Host
	}
	return []any{"kind", d.Kind, "repo", d.Repository, "run", it.run.facts.Run, "host", host}
}

// record tells the log what was reported.
func (d *Deliverer) record(it *item) {
	args := it.names()
	if it.delivery.Kind == report.CommitStatus {
		args = append(args, "sha", it.delivery.SHA.Short(), "state", it.delivery.Status.State)
	}
	d.Log.Info("reported a run", append(args, audit.By{Cause: audit.Run}.Attrs(audit.Reported)...)...)
}

// deliver tries once.
func (d *Deliverer) deliver(it *item) outcome {
	ctx, cancel := context.WithTimeout(d.ctx, timeout)
	defer cancel()
	switch it.delivery.Kind {
	case "":
		err := d.Mark(ctx, naming.At(it.run.facts.Cluster, it.run.facts.Run), it.run.phase())
		return outcome{err: err, again: err != nil && !d.Lasting(err)}
	case report.CommitStatus:
		return d.status(ctx, it.delivery)
	}
	return d.notify(ctx, it.delivery)
}

// status writes a status, unless it is there: an earlier try, or a Sentry that was killed, may have written it.
func (d *Deliverer) status(ctx context.Context, o report.Delivery) outcome {
	statuses, err := d.Statuses(o.Source)
	if err != nil {
		return judged(o, err)
	}
	want := githost.Status{
		Context: o.Status.Context, State: githost.CommitState(o.Status.State), Description: o.Status.Description, TargetURL: o.Status.TargetURL,
	}
	was, ok, err := statuses.StatusOf(ctx, o.Source.URL, string(o.SHA), want.Context)
	if e, isHost := errors.AsType[*githost.Error](err); err != nil && (!isHost || e.Kind != githost.TooLarge) {
		return judged(o, err)
	}
	if ok && stands(was, want) {
		return outcome{}
	}
	return judged(o, statuses.SetStatus(ctx, o.Source.URL, string(o.SHA), want))
}

// stands reports whether a status is the wanted one. Its description names the run. Hosts have fewer states than there are here.
func stands(was, want githost.Status) bool {
	return was.Description == want.Description && (was.State == githost.Pending) == (want.State == githost.Pending)
}

// judged says whether an error of a host may go away.
func judged(o report.Delivery, err error) outcome {
	if err == nil {
		return outcome{told: true}
	}
	user, token := o.Source.Auth.Basic()
	told := errors.New(secret.Redact(err.Error(), cmp.Or(token, user))) // beside a token, the user is no secret
	e, ok := errors.AsType[*githost.Error](err)
	if !ok {
		return outcome{err: told, again: true}
	}
	again := e.Kind == githost.Temporary || e.Kind == githost.RateLimited
	return outcome{err: told, again: again, refused: !again, until: e.Until}
}

// notify POSTs a notification.
func (d *Deliverer) notify(ctx context.Context, o report.Delivery) outcome {
	contentType, body, err := o.Body()
	if err != nil {
		return outcome{err: err}
	}
	var sent atomic.Bool
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteRequest: func(wrote httptrace.WroteRequestInfo) {
		if wrote.Err == nil {
			sent.Store(true)
		}
	}})
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.To.Reveal(), strings.NewReader(body))
	if err != nil {
		return outcome{err: errors.New("it is not a URL")}
	}
	req.Header.Set("Content-Type", contentType)
	req.Header.Set("User-Agent", transport.UserAgent(d.Version))
	req.Header.Set("Webhook-Id", o.ID())
	resp, err := d.client.Do(req)
	if err != nil {
		return outcome{err: errors.New(notify.Explain(err)), again: true, unsure: sent.Load()}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 4096) // a short answer read to its end keeps the connection
	switch code := resp.StatusCode; {
	case code >= 200 && code < 300:
		return outcome{told: true}
	case code >= 500, code == http.StatusTooManyRequests, code == http.StatusRequestTimeout, code == http.StatusTooEarly:
		// A proxy in front of it that waited in vain knows no more than we do.
		unsure := code == http.StatusGatewayTimeout
		return outcome{err: fmt.Errorf("it answered %d", code), again: true, unsure: unsure, until: retryAfter(resp.Header)}
	default:
		return outcome{err: fmt.Errorf("it answered %d", code), refused: true}
	}
}

// retryAfter returns until when a receiver wants to be left alone.
func retryAfter(h http.Header) time.Time {
	text := h.Get("Retry-After")
	if seconds, err := strconv.Atoi(text); err == nil {
		return time.Now().Add(min(time.Duration(max(0, seconds)), maxUntil/time.Second) * time.Second)
	}
	at, _ := http.ParseTime(text)
	return at
}
