// Package poller reads the heads of branches from Git hosts, in batches. A Reader groups the wanted repositories by
// server and credential and asks all servers at the same time, each within its own deadline, so that a server that
// is down or slow costs only its own repositories.
package poller

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// DefaultTimeout is how long an endpoint may take for all its repositories in one cycle. Half of the
// shortest polling interval, so that a slow host is given up well before the next cycle.
const DefaultTimeout = 30 * time.Second

// grace is how long after its deadline a Host may take to return what it has.
const grace = time.Second

// Reader reads the heads of all repositories of a configuration. Set its fields before the first call
// and not afterwards. It keeps endpoints, with their open connections, from one call to the next.
type Reader struct {
	Hosts   githost.Drivers   // how to speak to each type of host
	Version string            // of Sentry, for the User-Agent
	Timeout time.Duration     // per endpoint and call; 0 = DefaultTimeout
	Log     *slog.Logger      // nil = nothing is logged
	Base    http.RoundTripper // shared by all endpoints; nil = one of Network for each
	Network *transport.Network
	// Sweep is the time within which every repository is read where its Host is a Prefilter. 0 = all are read
	// every time, and no Prefilter is asked.
	Sweep time.Duration

	mu        sync.Mutex
	endpoints map[githost.Account]*endpoint
	order     []*endpoint // as they were opened
}

// endpoint is a Host that was opened, and what its client sends requests with.
type endpoint struct {
	githost.Endpoint
	driver    *githost.Driver
	name      string // host[:port]
	redactor  githost.Redactor
	host      githost.Host
	base      http.RoundTripper
	gate      *transport.Gate
	turn      chan struct{}      // of capacity one, full while the host is asked
	prefilter breaker.Breaker    // of who has the turn
	memory    map[string]*memory // by the key of what is wanted; its values are of who has the turn

	slowTold time.Time // when the log said that the host is slow; of who has the turn

	wanted, cleared time.Time // when it was last asked for, and its memory cleared of what nobody asks for

	cached, late atomic.Int64 // see EndpointStats

	// Of who holds Reader.mu:
	told   EndpointStats
	toldAt time.Time // when the log said told
}

// batch is what one call asks one endpoint for.
type batch struct {
	endpoint *endpoint
	want     []githost.Wanted
	memory   []*memory       // of want[i]
	known    map[*memory]int // index in want
	asked    []asked         // in the order of the caller's list
	few      bool            // read without a hint
	room     *githost.Room
}

// asked says that entry index of the caller's list is want[at]: equal repositories are asked for once.
type asked struct{ index, at int }

// Heads returns one observation for each of want, in their order. It asks all endpoints at the same time,
// each once for the same URL and patterns. An endpoint that has not returned within Timeout costs its own
// repositories an error of kind Temporary and the others nothing. Every error is an *Error with its Host
// set, one line, without the credential it was made with. Nobody may change the heads: entries of want that are the
// same repository share them.
func (r *Reader) Heads(ctx context.Context, want []config.Monitor) []repo.Observation {
	answers := make([]repo.Observation, len(want))
	r.Each(ctx, want, func(some map[int]repo.Observation) {
		for i, o := range some {
			answers[i] = o
		}
	})
	return answers
}

// Each is Heads for who does not want to wait for the slowest: it calls answered for each endpoint as soon
// as that has returned, with its observations by their index in want. The calls come one at a time, from
// this goroutine, and together cover want.
func (r *Reader) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	batches, wrong := r.batches(want)
	if len(wrong) > 0 {
		answered(wrong)
	}
	answers := make(chan map[int]repo.Observation, len(batches))
	for _, b := range batches {
		go func() {
			answers <- b.spread(r.ask(ctx, b))
		}()
	}
	for range batches {
		answered(<-answers)
	}
}

// SetSweep replaces Sweep, for the calls from now on.
func (r *Reader) SetSweep(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.Sweep = d
}

func (r *Reader) sweep() time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.Sweep
}

// Close closes the connections that are kept between calls. The Reader can be used again.
func (r *Reader) Close() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, e := range r.endpoints {
		e.closeIdle()
	}
}

// batches groups want by endpoint, in the order in which they first appear. What belongs to no endpoint
// is in wrong, by its index.
func (r *Reader) batches(want []config.Monitor) (order []*batch, wrong map[int]repo.Observation) {
	r.mu.Lock()
	defer r.mu.Unlock()
	wrong = make(map[int]repo.Observation)
	byEndpoint := make(map[*endpoint]*batch)
	now := time.Now()
	var key []byte
	for i, m := range want {
		e, err := r.endpoint(m.Source)
		if err != nil {
			wrong[i] = githost.Failed(err)
			continue
		}
		e.wanted = now
		b := byEndpoint[e]
		if b == nil {
			b = &batch{endpoint: e, known: make(map[*memory]int)}
			byEndpoint[e] = b
			order = append(order, b)
		}
		key = b.add(i, githost.Wanted{URL: m.URL, Patterns: m.Branches}, now, key[:0])
	}
	for _, b := range order {
		b.endpoint.forget(now)
		b.room = githost.NewRoom(len(order), len(b.want))
		b.few = len(b.want) <= fewRepositories || 2*len(b.want) < len(b.endpoint.memory)
	}
	r.forget(now)
	return order, wrong
}

// add adds an entry of the caller's list. It makes the key of what is wanted in key, which it returns for the
// next one: there are 10,000, which are the same every time.
func (b *batch) add(index int, w githost.Wanted, now time.Time, key []byte) []byte {
	key = strconv.AppendQuote(key, b.endpoint.driver.Key(w.URL))
	for _, p := range w.Patterns {
		key = p.AppendKey(append(key, ' '))
	}
	m := b.endpoint.memory[string(key)]
	if m == nil {
		m = newMemory(key)
		b.endpoint.memory[string(key)] = m
	}
	at, ok := b.known[m]
	if !ok {
		at = len(b.want)
		b.known[m] = at
		b.want = append(b.want, w)
		m.wanted = now
		b.memory = append(b.memory, m)
	}
	b.asked = append(b.asked, asked{index, at})
	return key
}

// spread returns the answers to b.want by the index in the caller's list. Equal repositories share their heads.
func (b *batch) spread(answers []repo.Observation) map[int]repo.Observation {
	some := make(map[int]repo.Observation, len(b.asked))
	for _, a := range b.asked {
		some[a.index] = answers[a.at]
	}
	return some
}

// unsupported stands for the driver of a type that there is none for.
var unsupported githost.Driver

// endpoint returns the endpoint of a source, and opens it when it is new. An endpoint that cannot be
// opened is tried again by the next call.
func (r *Reader) endpoint(s config.Source) (*endpoint, *githost.Error) {
	known := r.Hosts.Of(s.Type)
	driver := cmp.Or(known, &unsupported)
	account := driver.AccountOf(s)
	name := account.Host()
	if name == "" {
		return nil, githost.NewError(githost.Invalid, "repo_url", "it is not a URL of the form https://host/path")
	}
	if e, ok := r.endpoints[account]; ok {
		return e, nil
	}
	if known == nil {
		return nil, githost.NewError(githost.Invalid, name, "repo_type %.40q is not supported", s.Type)
	}
	base := r.Base
	if base == nil {
		base = r.Network.Transport()
	}
	opened := githost.Endpoint{Type: s.Type, Origin: account.Origin, APIURL: s.APIURL, Auth: s.Auth}
	gate := transport.NewGate(base, opened, r.timeout()/10)
	e := &endpoint{
		Endpoint: opened,
		driver:   driver,
		name:     name,
		base:     base,
		gate:     gate,
		turn:     make(chan struct{}, 1),
		memory:   make(map[string]*memory),
	}
	e.redactor.Host, e.redactor.Secrets = name, e.Secrets()
	var err error
	if e.host, err = driver.Open(e.Endpoint, transport.NewClient(gate, r.Version, r.timeout())); err != nil {
		return nil, e.redacted(&githost.Error{Kind: githost.Invalid, Host: name, Err: err})
	}
	if r.endpoints == nil {
		r.endpoints = make(map[githost.Account]*endpoint)
	}
	r.endpoints[account] = e
	r.order = append(r.order, e)
	return e, nil
}

func (r *Reader) timeout() time.Duration {
	if r.Timeout > 0 {
		return r.Timeout
	}
	return DefaultTimeout
}

// ask returns one observation for each of b.want, within the deadline and a moment of grace. A Host serves
// one call at a time. One that ignores its context is left behind, and not asked again until it returned.
func (r *Reader) ask(ctx context.Context, b *batch) []repo.Observation {
	e := b.endpoint
	ctx, cancel := githost.WithTimeout(ctx, e.name, r.timeout())
	defer cancel()
	start, before := time.Now(), e.stats()
	all := func(err error) []repo.Observation {
		answers := make([]repo.Observation, len(b.want))
		for i := range answers {
			answers[i] = githost.Failed(githost.WrapError(e.name, err))
		}
		return answers
	}
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		e.late.Add(int64(len(b.want)))
		return all(githost.NewError(githost.Temporary, e.name, "still busy with an earlier request: %w", context.Cause(ctx)))
	}
	done := make(chan []repo.Observation, 1)
	go func() {
		defer func() { <-e.turn }()
		done <- r.round(ctx, b)
	}()

	var answers []repo.Observation
	select {
	case answers = <-done:
	case <-ctx.Done():
		select {
		case answers = <-done:
		case <-time.After(grace):
			answers = all(githost.WrapError(e.name, context.Cause(ctx)))
		}
	}
	failures := 0
	for i := range answers {
		if answers[i].Err != nil {
			failures++
		}
	}
	r.logRound(e, before, len(b.want), failures, time.Since(start))
	return answers
}

func (r *Reader) log() *slog.Logger {
	if r.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return r.Log
}

// redacted is what every error passes: it becomes an *Error with a host, one line, without the endpoint's credential,
// whoever made it.
func (e *endpoint) redacted(err error) *githost.Error { return e.redactor.Redact(err) }

func (e *endpoint) closeIdle() { (&http.Client{Transport: e.base}).CloseIdleConnections() }
