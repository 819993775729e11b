// Package hook takes the webhooks of Git hosts. A hook makes Sentry look at a repository at once, and nothing else: of what
// it says, only which repository it comes from is believed, and that only with the right signature.
package hook

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// Path is where the hooks of a kind of host go to, before the kind's name.
const Path = "/webhooks/"

const (
	// maxBody bounds a body in bytes: GitHub sends no larger one. maxKept is what is kept of it, which all hosts name
	// the repository in. The rest is for the signature alone.
	maxBody = 25 << 20
	maxKept = 1 << 20
	// maxSmall is what most bodies are within, so that nobody who sends slowly keeps them waiting. atOnce bounds the larger
	// ones that are read at the same time, and with maxKept the memory that they take.
	maxSmall = 32 << 10
	atOnce   = 8
	// maxText bounds what the log quotes.
	maxText = 100
)

// Receiver takes hooks. New makes one.
type Receiver struct {
	log        *slog.Logger
	counts     *counts
	limits     *limits
	deliveries deliveries
	pace       *pace
	turns      chan struct{}
	watched    atomic.Pointer[watched]
}

// Check says why no hook can be taken with a configuration.
func Check(cfg *config.Config) error {
	if cfg.Webhooks.Secret.Reveal() != "" {
		return nil
	}
	return errors.New(`webhooks cannot be taken without a secret: write "webhooks: {secret: ${WEBHOOK_SECRET}}" into the configuration, ` +
		"put a random text of at least 16 characters into the variable, and run 'sentry webhooks ensure'")
}

// New returns a receiver for a configuration that has a secret. It calls look, which must not wait, with the names of the
// repositories to look at. Close ends it.
func New(cfg *config.Config, look func(repositories []string), log *slog.Logger) (*Receiver, error) {
	if err := Check(cfg); err != nil {
		return nil, err
	}
	r := &Receiver{log: log, counts: newCounts(log), limits: newLimits(), pace: newPace(look), turns: make(chan struct{}, atOnce)}
	r.Apply(cfg)
	return r, nil
}

// Apply makes cfg what the next requests are for. One without a secret takes no request. It may be called at any time.
func (r *Receiver) Apply(cfg *config.Config) { r.watched.Store(watchedOf(cfg)) }

// Handlers returns what answers, by the patterns of http.ServeMux.
func (r *Receiver) Handlers() map[string]http.Handler {
	handlers := make(map[string]http.Handler, len(kinds))
	for name, k := range kinds {
		handlers[Path+name] = http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { r.serve(w, req, name, k) })
	}
	return handlers
}

// Counts returns how many requests had which outcome since the start.
func (r *Receiver) Counts() map[Outcome]int { return r.counts.copy() }

// Sink hears from the loop of changes that it saw, for which no second look is needed.
func (r *Receiver) Sink(_ context.Context, events []event.Event) {
	for _, e := range events {
		noticed, ok := e.(event.Noticed)
		if !ok {
			continue
		}
		for _, n := range noticed.Events {
			if n.Kind == plan.Moved || n.Kind == plan.NewBranch {
				r.pace.saw(n.Ref.Repository)
			}
		}
	}
}

// Close ends it: nothing is looked at any more, and the log is told of what it was not told of yet.
func (r *Receiver) Close() {
	r.pace.close()
	r.counts.tell()
}

// answers are what hosts are answered. Whether a repository is watched, and whether a delivery came before, is nobody's
// business.
var answers = map[Outcome]struct {
	status int
	text   string
}{
	Accepted:  {http.StatusAccepted, ""},
	Ignored:   {http.StatusAccepted, ""},
	Repeated:  {http.StatusAccepted, ""},
	Unknown:   {http.StatusAccepted, ""},
	Pinged:    {http.StatusOK, ""},
	Method:    {http.StatusMethodNotAllowed, "want POST"},
	Media:     {http.StatusUnsupportedMediaType, "want the content type application/json"},
	Limited:   {http.StatusTooManyRequests, "too many requests"},
	Busy:      {http.StatusServiceUnavailable, "too many requests at once"},
	Forged:    {http.StatusUnauthorized, "no signature, or not one that was made with the secret"},
	Expired:   {http.StatusUnauthorized, "the signature's time is not now"},
	TooLarge:  {http.StatusRequestEntityTooLarge, "the body is too large"},
	CutShort:  {http.StatusBadRequest, "the body did not come"},
	Malformed: {http.StatusBadRequest, "the body is not what this kind of host sends"},
}

func (r *Receiver) serve(w http.ResponseWriter, req *http.Request, name string, k *kind) {
	outcome, why := r.take(w, req, name, k)
	r.counts.add(outcome)
	r.log.Debug("webhook", "kind", name, "outcome", string(outcome), "from", req.RemoteAddr, "event", oneline.Of(first(req.Header, k.events), maxText), "why", why)
	a := answers[outcome]
	switch outcome {
	case Method:
		w.Header().Set("Allow", http.MethodPost)
	case Limited, Busy:
		w.Header().Set("Retry-After", "1")
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(a.status)
	if a.text != "" {
		_, _ = io.WriteString(w, a.text+"\n")
	}
}

// take does with a request what is to be done. why is for the log.
func (r *Receiver) take(w http.ResponseWriter, req *http.Request, name string, k *kind) (o Outcome, why string) {
	if !r.limits.allow(req.RemoteAddr) {
		return Limited, ""
	}
	if req.Method != http.MethodPost {
		return Method, ""
	}
	if media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return Media, ""
	}
	known := r.watched.Load()
	if known.key == "" {
		return Forged, "there is no secret any more"
	}
	signed, o := k.verify(req.Header, known.key, time.Now())
	if o != Accepted {
		return o, ""
	}
	if req.ContentLength > maxBody {
		return TooLarge, "by its Content-Length"
	}
	payload, o := r.read(io.TeeReader(http.MaxBytesReader(w, req.Body, maxBody), signed))
	if o != Accepted {
		return o, ""
	}
	if !signed.valid() {
		return Forged, ""
	}
	return r.believe(req.Header, name, k, payload, known)
}

// read reads a body, and returns the beginning of it.
func (r *Receiver) read(body io.Reader) ([]byte, Outcome) {
	kept, err := io.ReadAll(io.LimitReader(body, maxSmall))
	if err == nil && len(kept) == maxSmall {
		select {
		case r.turns <- struct{}{}:
			defer func() { <-r.turns }()
		default:
			return nil, Busy
		}
		var more []byte
		more, err = io.ReadAll(io.LimitReader(body, maxKept-maxSmall))
		kept = append(kept, more...)
	}
	if err == nil {
		_, err = io.Copy(io.Discard, body)
	}
	if _, large := errors.AsType[*http.MaxBytesError](err); large {
		return nil, TooLarge
	}
	if err != nil {
		return nil, CutShort
	}
	return kept, Accepted
}

// believe does what a request asks for that has the right signature.
func (r *Receiver) believe(h http.Header, name string, k *kind, payload []byte, known *watched) (o Outcome, why string) {
	happened := strings.ToLower(first(h, k.events))
	switch {
	case happened == "":
		return Malformed, "no header names the event"
	case happened == k.ping:
		return Pinged, ""
	case !slices.Contains(k.looks, happened):
		return Ignored, ""
	}
	from, err := sourceOf(payload)
	if errors.Is(err, errCut) && len(payload) == maxKept {
		return TooLarge, "its beginning does not name the repository"
	}
	if err != nil {
		return Malformed, oneline.Of(err.Error(), maxText)
	}
	if r.deliveries.repeated(name, first(h, k.delivery)) {
		return Repeated, ""
	}
	names := known.find(k.host, from)
	if len(names) == 0 {
		return Unknown, oneline.Of(from.name(), maxText)
	}
	r.pace.hook(names)
	return Accepted, strings.Join(names, ", ")
}
