// Package poller reads the heads of branches from Git hosts, in batches. A Reader groups the wanted repositories by
// server and credential and asks all servers at the same time, each within its own deadline, so that a server that
// is down or slow costs only its own repositories.
package poller

import (
	"cmp"
	"context"
	"hash/fnv"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/giturl"
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
	Billed  func(githost.Bill) // takes what answers say that requests cost, from several goroutines; may be nil
	// Observe is told of each request, as transport.Gate has it, from several goroutines; may be nil.
	Observe func(host string, status int, took time.Duration)
	// Sweep is the time within which every repository is read where its Host is a Prefilter. 0 = all are read
	// every time, and no Prefilter is asked.
	Sweep time.Duration

	mu        sync.Mutex
	replicas  int // see SetReplicas
	endpoints map[githost.Account]*endpoint
	sources   map[config.Source]*endpoint // by sources whose URL is that of a server alone: to take each URL apart costs too much
	order     []*endpoint                 // as they were opened
	calls     uint32                      // of Each
	patterns  map[string]uint32           // numbers of Patterns.Key
	numbers   uint32                      // of patterns so far
	kept      int                         // twice as many patterns as were wanted lately
	text      []byte                      // where a key is made
	space     *githost.Space              // of what is read of commits
}

// endpoint is a Host that was opened, and what its client sends requests with.
type endpoint struct {
	githost.Endpoint
	driver  *githost.Driver
	host    githost.Host
	base    http.RoundTripper
	gate    *transport.Gate
	turn    chan struct{}   // of capacity one, full while the host is asked
	aside   chan struct{}   // of capacity maxAside, holds those who ask beside that
	listing chan struct{}   // of capacity one, full while an owner's repositories are listed
	hints   breaker.Breaker // of who has the turn
	glances glances         // of who has the turn
	memory  map[key]*memory // its values are of who has the turn

	slowTold time.Time // when the log said that the host is slow; of who has the turn

	// Of who holds Reader.mu:
	wanted       time.Time // when it was last asked for
	cached, late int       // see EndpointStats
	told         EndpointStats
	toldAt       time.Time // when the log said told
}

// batch is what one call asks one endpoint for.
type batch struct {
	endpoint  *endpoint
	want      []githost.Wanted
	memory    []*memory         // of want[i]
	asked     []asked           // in the order of the caller's list
	total     int               // repositories of the endpoint, with those that are not asked for now
	prefilter githost.Prefilter // nil when the Host is none, or everything is read each time
	sweep     time.Duration
	replicas  int
	room      *githost.Room
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

// Each is Heads for callers that do not want to wait for the slowest: it calls answered for each endpoint as soon
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
			got, some := r.ask(ctx, b), make(map[int]repo.Observation, len(b.asked))
			for _, a := range b.asked {
				some[a.index] = got[a.at]
			}
			answers <- some
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

// SetReplicas says how many Readers share the repositories, each in a process of its own: the rate of requests is divided by them.
func (r *Reader) SetReplicas(n int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.replicas = n
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
	r.prepare()
	wrong = make(map[int]repo.Observation)
	byEndpoint := make(map[*endpoint]*batch)
	now := time.Now()
	r.calls++
	for i, m := range want {
		e, err := r.endpointOf(m.Source)
		if err != nil {
			wrong[i] = githost.Failed(err)
			continue
		}
		e.wanted = now
		b := byEndpoint[e]
		if b == nil {
			n := min(len(want)-i, len(e.memory)) // mostly what was wanted before
			b = &batch{endpoint: e, sweep: r.Sweep, replicas: r.replicas,
				want: make([]githost.Wanted, 0, n), memory: make([]*memory, 0, n), asked: make([]asked, 0, n)}
			if r.Sweep > 0 {
				b.prefilter, _ = e.host.(githost.Prefilter)
			}
			byEndpoint[e] = b
			order = append(order, b)
		}
		r.add(b, i, githost.Wanted{URL: m.URL, Patterns: m.Branches}, now)
	}
	r.forget(now.Add(-forgetAfter))
	for _, b := range order {
		b.room, b.total = githost.NewRoom(len(order), len(b.want)), len(b.endpoint.memory)
	}
	return order, wrong
}

// prepare makes a Reader ready for use. It is called with r.mu held.
func (r *Reader) prepare() {
	if r.endpoints == nil {
		r.endpoints, r.Log = make(map[githost.Account]*endpoint), cmp.Or(r.Log, slog.New(slog.DiscardHandler))
		r.sources, r.patterns = make(map[config.Source]*endpoint), make(map[string]uint32)
		r.space = githost.NewSpace()
	}
}

// add adds an entry of the caller's list. It is called with r.mu held.
func (r *Reader) add(b *batch, index int, w githost.Wanted, now time.Time) {
	k := r.key(b.endpoint, w)
	m := b.endpoint.memory[k]
	if m == nil {
		h := fnv.New64a()
		_, _ = h.Write([]byte(k.path + w.Patterns.Key()))
		m = &memory{phase: h.Sum64()}
		b.endpoint.memory[k] = m
	}
	if m.call != r.calls {
		m.call, m.at, m.wanted = r.calls, int32(len(b.want)), at(now)
		b.want, b.memory = append(b.want, w), append(b.memory, m)
	}
	b.asked = append(b.asked, asked{index, int(m.at)})
}

// key returns what tells the wanted apart. It is called with r.mu held.
func (r *Reader) key(e *endpoint, w githost.Wanted) key {
	r.text = r.text[:0]
	for _, p := range w.Patterns {
		r.text = p.AppendKey(append(r.text, ' '))
	}
	number, known := r.patterns[string(r.text)]
	if !known {
		r.numbers++
		number = r.numbers
		r.patterns[string(r.text)] = number
	}
	return key{e.driver.Key(w.URL), number}
}

// endpointOf is endpoint for one of many sources of the same server.
func (r *Reader) endpointOf(s config.Source) (*endpoint, *githost.Error) {
	server := serverOf(s)
	if e := r.sources[server]; e != nil {
		return e, nil
	}
	e, err := r.endpoint(s)
	if err == nil {
		r.sources[server] = e
	}
	return e, err
}

// opened is endpointOf for who opens none: nil when the endpoint is not open.
func (r *Reader) opened(s config.Source) *endpoint {
	if e := r.sources[serverOf(s)]; e != nil {
		return e
	}
	driver := r.Hosts.Of(s.Type)
	if driver == nil {
		return nil
	}
	return r.endpoints[driver.AccountOf(s)]
}

// serverOf returns what all sources of the same server and credential have in common.
func serverOf(s config.Source) config.Source {
	if server, _ := giturl.Split(s.URL); server != "" {
		s.URL = server
	}
	return s
}

// endpoint returns the endpoint of a source, and opens it when it is new. An endpoint that cannot be
// opened is tried again by the next call.
func (r *Reader) endpoint(s config.Source) (*endpoint, *githost.Error) {
	driver := r.Hosts.Of(s.Type)
	if driver == nil {
		return nil, githost.NewError(githost.Invalid, "sentry.yaml", "repo_type %.40q is not supported", s.Type)
	}
	account := driver.AccountOf(s)
	if account.Host() == "" {
		return nil, githost.NewError(githost.Invalid, "repo_url", "it is not an address of the form https://host/path or ssh://user@host/path")
	}
	if e, ok := r.endpoints[account]; ok {
		return e, nil
	}
	base := r.Base
	if base == nil {
		base = r.Network.Connections()
	}
	e := &endpoint{
		Endpoint: githost.Endpoint{Account: account, Auth: s.Auth, Space: r.space},
		driver:   driver,
		base:     base,
		turn:     make(chan struct{}, 1),
		aside:    make(chan struct{}, maxAside),
		listing:  make(chan struct{}, 1),
		memory:   make(map[key]*memory),
	}
	e.gate = transport.NewGate(base, e.Endpoint, r.timeout()/10)
	if r.Observe != nil {
		e.gate.Observe = func(status int, took time.Duration) { r.Observe(e.Host(), status, took) }
	}
	e.Minted = e.gate.Mint
	e.Billed = func(b githost.Bill) {
		e.gate.Spent(b.Resource, b.Until)
		if r.Billed != nil {
			r.Billed(b)
		}
	}
	var err error
	if e.host, err = driver.Open(e.Endpoint, transport.NewClient(e.gate, r.Version, r.timeout())); err != nil {
		return nil, e.gate.Redact(&githost.Error{Kind: githost.Invalid, Host: e.Host(), Err: err})
	}
	r.endpoints[account] = e
	r.order = append(r.order, e)
	return e, nil
}

func (r *Reader) timeout() time.Duration { return cmp.Or(r.Timeout, DefaultTimeout) }

// ask returns one observation for each of b.want, within the deadline and a moment of grace. A Host serves
// one call at a time. One that ignores its context is left behind, and not asked again until it returned.
func (r *Reader) ask(ctx context.Context, b *batch) []repo.Observation {
	e := b.endpoint
	ctx, cancel := githost.WithTimeout(ctx, e.Host(), r.timeout())
	defer cancel()
	start, before := time.Now(), e.gate.Status()
	done := make(chan []repo.Observation, 1)
	select {
	case e.turn <- struct{}{}:
		go func() {
			defer func() { <-e.turn }()
			done <- r.round(ctx, b)
		}()
	case <-ctx.Done():
		done <- b.all(githost.NotAsked(githost.NewError(githost.Temporary, e.Host(), "still busy with an earlier request: %w", context.Cause(ctx))))
	}
	var answers []repo.Observation
	select {
	case answers = <-done:
	case <-ctx.Done():
		select {
		case answers = <-done:
		case <-time.After(grace):
			answers = b.all(githost.WrapError(e.Host(), context.Cause(ctx)))
		}
	}
	r.count(e, before, answers, time.Since(start))
	return answers
}

func (e *endpoint) closeIdle() { (&http.Client{Transport: e.base}).CloseIdleConnections() }
