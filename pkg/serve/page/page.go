// Package page serves what Sentry knows to people: HTML that reads without a script, and is brought up to date by one where there
// is one. It only reads; what people do by it is in package act. What it tells is in package facts; where that is read is up to a Source.
package page

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/api"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

// Source is where a Page reads.
type Source interface {
	// Known returns what there is to go by: the same pointer again as long as nothing of it has changed. One goroutine asks at
	// a time, at most once every few seconds, and only while somebody looks.
	Known(ctx context.Context) (*facts.Known, error)
	// Outcome returns how a run of Known.Runs goes that has not ended.
	Outcome(ctx context.Context, run string) (engine.Outcome, error)
}

// Options are how a Page is made.
type Options struct {
	Source Source
	Log    *slog.Logger
	// Hide takes credentials out of an error.
	Hide func(string) string
	// Link returns where a host shows people what is new in a repository; "" = nowhere. See githost.Driver.Page.
	Link func(r *config.Repository, from, to repo.SHA) string
	// Names are the host names under which it may be asked for, beside localhost and IP addresses.
	Names []string
	// Place says in a few words what is shown, such as the namespace.
	Place string
	// Act lets those do things who may; nil = the page is only read.
	Act *act.Options
	// Now is the clock; nil = time.Now.
	Now func() time.Time
}

const (
	// fresh is how long what was read is shown before it is read again.
	fresh = 5 * time.Second
	// readTimeout bounds one reading.
	readTimeout = 20 * time.Second
)

// Page is an http.Handler for all of it, from / on.
type Page struct {
	Options
	views   http.Handler
	now     func() time.Time
	turn    chan struct{} // held while it is read
	current atomic.Pointer[shown]
	streams streams
	stale   atomic.Bool // something was done since it was read
	gate    *act.Gate   // nil = it is only read
	done    chan struct{}
	end     func()
}

// shown is what is told until something else is known.
type shown struct {
	*facts.Facts
	known  *facts.Known
	number int       // of what has been known so far
	read   time.Time // when it was found to be so last
	err    error     // why it could not be read again since

	views   *wire.Kept // that are ready
	answers *wire.Kept // of the API
}

// New makes a page. Close ends its streams.
func New(o Options) *Page {
	p := &Page{Options: o, now: o.Now, turn: make(chan struct{}, 1), done: make(chan struct{})}
	if p.now == nil {
		p.now = time.Now
	}
	p.end = sync.OnceFunc(func() { close(p.done) })
	mux := http.NewServeMux()
	mux.HandleFunc("/{$}", p.knowing(p.units))
	mux.HandleFunc("/unit/{unit}", p.knowing(p.unit))
	mux.HandleFunc("/repositories", p.knowing(p.repositories))
	mux.HandleFunc("/repository/{repository}", p.knowing(p.repository))
	mux.HandleFunc("/runs", p.knowing(p.runs))
	mux.HandleFunc("/run/{run}", p.knowing(p.run))
	mux.HandleFunc("/hosts", p.knowing(p.hosts))
	mux.HandleFunc("/replicas", p.knowing(p.replicas))
	mux.HandleFunc("/problems", p.knowing(p.problems))
	mux.HandleFunc("/configuration", p.knowing(p.configuration))
	mux.HandleFunc("/configuration/refused", p.knowing(p.refused))
	mux.HandleFunc("/search", p.knowing(p.search))
	mux.HandleFunc("/events", p.events)
	mux.HandleFunc("/assets/{file}", asset)
	mux.Handle(apiPath, api.New(api.Options{Look: p.known, Outcome: p.Source.Outcome, Hide: p.hide, Log: p.Log}))
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		p.trouble(w, r, http.StatusNotFound, "There is no such page.")
	})
	if o.Act != nil {
		p.gate = act.New(*o.Act, act.Site{
			Look: p.facts, Show: p.show, Stale: func() { p.stale.Store(true) }, Now: p.now, Done: p.done,
		})
		for _, path := range []string{"/enter", "/leave", "/act/", "/log/"} {
			mux.Handle(path, p.gate)
		}
	}
	p.views = p.guard(mux)
	return p
}

// ServeHTTP implements http.Handler.
func (p *Page) ServeHTTP(w http.ResponseWriter, r *http.Request) { p.views.ServeHTTP(w, r) }

// Close ends what is streamed. Nothing is streamed after it.
func (p *Page) Close() { p.end() }

var errBusy = errors.New("it is being read, and that takes long")

// look returns what is known. Whoever comes while it is read again gets what was known before, if anything was.
func (p *Page) look(ctx context.Context) (*shown, error) {
	now := p.now()
	s := p.current.Load()
	if s != nil && now.Sub(s.read) < fresh && !p.stale.Load() {
		return s, nil
	}
	select {
	case p.turn <- struct{}{}:
		defer func() { <-p.turn }()
	default:
		if s != nil {
			return s, nil
		}
		waiting, cancel := context.WithTimeout(ctx, readTimeout)
		defer cancel()
		select {
		case p.turn <- struct{}{}:
			defer func() { <-p.turn }()
		case <-waiting.Done():
			return nil, errBusy
		}
	}
	if again := p.current.Load(); again != s { // somebody else has read it meanwhile
		return again, nil
	}
	p.stale.Store(false)
	reading, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	k, err := p.Source.Known(reading)
	if err != nil && s == nil {
		return nil, err
	}
	next, changed := &shown{number: -1}, true // before the first
	if s != nil {
		*next = *s
	}
	switch {
	case err != nil && ctx.Err() != nil: // who asked has left
		return s, nil
	case err != nil:
		changed = next.err == nil || p.hide(next.err.Error()) != p.hide(err.Error())
	case s != nil && k == s.known:
		changed = s.err != nil
	default:
		next.Facts, next.known = facts.Of(*k), k
	}
	if changed {
		next.number++
		next.views, next.answers = &wire.Kept{}, &wire.Kept{}
	}
	next.read, next.err = p.now(), err
	p.current.Store(next)
	return next, nil
}

// facts are what is known, for package act: nothing is done by what may be old.
func (p *Page) facts(ctx context.Context) (*facts.Facts, error) {
	s, err := p.look(ctx)
	if err == nil {
		err = s.err
	}
	if err != nil {
		return nil, fmt.Errorf("how things are now cannot be read: %w", err)
	}
	return s.Facts, nil
}

// known is what the API answers with.
func (p *Page) known(ctx context.Context) (api.Known, error) {
	s, err := p.look(ctx)
	if err != nil {
		return api.Known{}, err
	}
	return api.Known{Facts: s.Facts, Answers: s.answers, Trouble: s.err}, nil
}

func (p *Page) hide(text string) string {
	if p.Hide == nil {
		return text
	}
	return p.Hide(text)
}

// link returns where the host of a repository shows what is new in it; "" where that is not known.
func (p *Page) link(f *facts.Facts, repository string, from, to repo.SHA) string {
	r, ok := f.Repository(repository)
	if !ok || p.Link == nil {
		return ""
	}
	return p.Link(r, from, to)
}
