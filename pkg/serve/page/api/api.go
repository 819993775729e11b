// Package api is /api/v1 of the page: what the page tells, as JSON, in the types and by the encoder of the commands. It only reads.
// One table has its paths, with what each takes and answers; the OpenAPI document is made from that, and from the types.
package api

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

// Root is where all paths of the API begin.
const Root = "/api/v1"

// Options are how an API is made. All are needed.
type Options struct {
	// Look returns what is known.
	Look func(context.Context) (Known, error)
	// Outcome returns how a run goes that has not ended.
	Outcome func(ctx context.Context, run string) (engine.Outcome, error)
	// Hide takes credentials out of an error.
	Hide func(string) string
	Log  *slog.Logger

	making chan struct{} // has who makes an answer
}

// Known is what is known until something else is.
type Known struct {
	*facts.Facts
	Answers *wire.Kept // of these facts
	Trouble error      // why it could not be read again since
}

// Headers that say what an answer lacks, which commands write beside what they print. Each is a quoted text in ASCII.
const (
	troubleHeader = "Sentry-Trouble" // why what is known could not be read again
	gapHeader     = "Sentry-Gap"     // why the history cannot be read
	maxHeader     = 300              // bytes of the text
)

const (
	maxAnswer = 2 << 20 // bytes: a list that is larger is cut, and goes on where `next` leads
	// maxEntries bounds what is answered at once of what is no list.
	maxEntries = 5000
	// maxMaking is how many answers are made at once: each may go through all that is known, and Sentry polls beside it.
	maxMaking = 4
	maxWait   = 10 * time.Second // of a request whose answer is to be made

	jsonType    = "application/json"
	problemType = "application/problem+json"
)

// Problem is an error, as RFC 9457 has it.
type Problem struct {
	Title  string `json:"title"`  // the status in words
	Status int    `json:"status"` // of HTTP
	Detail string `json:"detail"` // what is wrong, for people
}

// Error implements error.
func (p *Problem) Error() string { return p.Detail }

func refusal(status int, detail string) *Problem {
	return &Problem{http.StatusText(status), status, detail}
}

// Refuse answers with an error.
func Refuse(w http.ResponseWriter, status int, detail string) { write(w, refusal(status, detail)) }

func write(w http.ResponseWriter, p *Problem) {
	var text bytes.Buffer
	if err := term.Encode(&text, p, term.JSON); err != nil { // of texts and a number, which cannot fail
		text.Reset()
	}
	w.Header().Set("Content-Type", problemType)
	w.Header().Set("Cache-Control", "no-store")
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "10")
	}
	w.WriteHeader(p.Status)
	_, _ = w.Write(text.Bytes()) // who has left misses nothing
}

//go:embed openapi.json
var document []byte

var packed = sync.OnceValues(func() (wire.Answer, error) { return wire.Pack(document, jsonType) })

// New returns what answers below Root, and says of all else that it is not there.
func New(o Options) http.Handler {
	mux := http.NewServeMux()
	o.making = make(chan struct{}, maxMaking)
	for i := range endpoints {
		e := &endpoints[i]
		mux.HandleFunc(Root+e.path, func(w http.ResponseWriter, r *http.Request) { o.answer(e, w, r) })
	}
	mux.HandleFunc(Root+"/openapi.json", func(w http.ResponseWriter, r *http.Request) {
		a, err := packed()
		if err != nil {
			Refuse(w, http.StatusInternalServerError, "The document cannot be packed.")
			return
		}
		wire.Send(w, r, http.StatusOK, a)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		Refuse(w, http.StatusNotFound, "There is no such path; "+Root+"/openapi.json has those that there are.")
	})
	return mux
}

// answer answers a request for one of the paths.
func (o *Options) answer(e *endpoint, w http.ResponseWriter, r *http.Request) {
	a, problem := e.read(r)
	if problem != nil {
		write(w, problem)
		return
	}
	known, err := o.Look(r.Context())
	if err != nil {
		Refuse(w, http.StatusServiceUnavailable, "What Sentry knows cannot be read: "+o.Hide(err.Error()))
		return
	}
	if known.Trouble != nil {
		w.Header().Set(troubleHeader, o.header(known.Trouble.Error()))
	}
	if known.Gap != "" {
		w.Header().Set(gapHeader, o.header(known.Gap))
	}
	key := a.key(e)
	ready, ok := known.Answers.Get(key)
	if !ok {
		a.Known, a.options, a.ctx = known, o, r.Context()
		if ready, problem = a.prepare(e, key); problem != nil {
			write(w, problem)
			return
		}
	}
	wire.Send(w, r, http.StatusOK, ready)
}

// turn waits until an answer may be made. The error is that this took too long, or that who asked has left.
func (o *Options) turn(ctx context.Context) (leave func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	select {
	case o.making <- struct{}{}:
		return func() { <-o.making }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// header returns a text as a header may have it.
func (o *Options) header(text string) string {
	return strconv.QuoteToASCII(oneline.Of(o.Hide(text), maxHeader))
}

// asked is one request.
type asked struct {
	Known
	options *Options
	ctx     context.Context //nolint:containedctx // of the request that this is

	name  string   // in the path
	names []string // in the query, as are the others
	query string
	limit int
	from  string // behind which a part of a list begins
	live  bool   // the answer changes while what is known does not
}

// prepare makes an answer and keeps it, once it is its turn.
func (a *asked) prepare(e *endpoint, key string) (wire.Answer, *Problem) {
	leave, err := a.options.turn(a.ctx)
	if err != nil {
		return wire.Answer{}, refusal(http.StatusServiceUnavailable, "Too much is asked for at once.")
	}
	defer leave()
	if ready, ok := a.Answers.Get(key); ok { // another one asked for the same
		return ready, nil
	}
	ready, err := a.make(e)
	if err != nil {
		if p, ok := errors.AsType[*Problem](err); ok {
			return wire.Answer{}, p
		}
		a.options.Log.Error("an answer of the API cannot be made", "path", e.path, "err", err)
		return wire.Answer{}, refusal(http.StatusInternalServerError, "This cannot be answered; the log says why.")
	}
	if !a.live {
		a.Answers.Put(key, ready)
	}
	return ready, nil
}

// make makes an answer. A list that is too large has fewer entries.
func (a *asked) make(e *endpoint) (wire.Answer, error) {
	for ; ; a.limit /= 2 {
		value, err := e.answer(a)
		if err != nil {
			return wire.Answer{}, err
		}
		var text bytes.Buffer
		if err := term.Encode(&text, value, term.JSON); err != nil {
			return wire.Answer{}, err
		}
		if text.Len() <= maxAnswer || e.isList() && a.limit <= 1 {
			return wire.Pack(text.Bytes(), jsonType)
		}
		if !e.isList() {
			return wire.Answer{}, errTooMuch
		}
	}
}

var errTooMuch = refusal(http.StatusBadRequest, "That is too much at once: name what you want by ?name=, or ask for a list, such as "+Root+"/units, a part at a time.")

// key names an answer among those that are kept: what it depends on, and no more.
func (a *asked) key(e *endpoint) string {
	text, _ := json.Marshal([]any{e.path, a.name, a.names, a.query, a.limit, a.from}) // texts and numbers, which cannot fail
	return strings.ToValidUTF8(string(text), "")
}
