package main

import (
	"bytes"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"
)

// fault is what a proxy does to one request.
type fault string

const (
	none      fault = ""
	refused   fault = "refused"      // nothing listens for a second from this request on, and what was connected is cut
	hung      fault = "hung"         // no answer comes
	before    fault = "reset before" // the connection ends before the server gets the request
	after     fault = "reset after"  // the server does it, and the connection ends before the answer
	conflict  fault = "409"          //
	limited   fault = "429"          // with Retry-After: 1
	broken    fault = "500"          //
	forbidden fault = "403"          //
	stale     fault = "stale read"   // the answer of a while ago: that of the phase before
	twice     fault = "duplicate"    // the server gets it twice, and the second answer comes
	outage          = time.Second    // how long refused lasts
	mostBody        = int64(4 << 20) // bytes of a request or of an answer
)

var faults = []fault{refused, hung, before, after, conflict, limited, broken, forbidden, stale, twice}

// point is one request of a life: the nth of its kind in its phase.
type point struct {
	phase phase
	side  string // api, or host
	what  string // its method, path and what tells a watch from a list
	n     int    // from 1
}

func (p point) String() string { return fmt.Sprintf("%s: %s %s #%d", p.phase, p.side, p.what, p.n) }

// names are parts of paths that differ between lives, and what they stand for.
var names = []struct {
	of *regexp.Regexp
	by string
}{
	{regexp.MustCompile(`/namespaces/[^/]+`), ""},
	{regexp.MustCompile(`/pipelineruns/[^/]+`), "/pipelineruns/RUN"},
	{regexp.MustCompile(`/events/[^/]+`), "/events/EVENT"},
	{regexp.MustCompile(`[0-9a-f]{40}`), "SHA"},
}

func kindOf(r *http.Request) string {
	path := r.URL.Path
	for _, n := range names {
		path = n.of.ReplaceAllString(path, n.by)
	}
	what := r.Method + " " + strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(path, "/apis"), "/api"), "/v1")
	if r.URL.Query().Get("watch") != "" {
		what += " (watch)"
	}
	return what
}

// proxy stands before a server, and does to one request what it is told to do. It lets all others through.
type proxy struct {
	side    string
	secure  bool
	to      http.Handler
	phase   func() phase
	want    point // where the fault is
	fault   fault
	server  *http.Server
	address string

	mu      sync.Mutex
	seen    map[point]int        // how often, by a point without its number
	order   []point              // of what was seen, as it came
	writes  int                  // that came through
	reads   int                  // that came through
	reached time.Time            // when the fault was; zero before
	old     map[string]*answered // the answers of the phases before, by URL
	fresh   map[string]*answered // those of this phase
	now     phase
}

type answered struct {
	code   int
	header http.Header
	body   []byte
}

// newProxy starts one, with TLS and HTTP/2 where it is before an API server, as such a one has.
func newProxy(side string, to http.Handler, now func() phase, secure bool) (*proxy, error) {
	p := &proxy{
		side: side, to: to, phase: now, secure: secure, seen: map[point]int{},
		old: map[string]*answered{}, fresh: map[string]*answered{},
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p.address = l.Addr().String()
	p.serve(l)
	return p, nil
}

func (p *proxy) serve(l net.Listener) {
	s := &http.Server{Handler: p, ReadHeaderTimeout: time.Minute, ErrorLog: log.New(io.Discard, "", 0)}
	p.mu.Lock()
	p.server = s
	p.mu.Unlock()
	go func() { // ends when it is closed
		if p.secure {
			s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{certificate()}}
			_ = s.ServeTLS(l, "", "")
			return
		}
		_ = s.Serve(l)
	}()
}

func (p *proxy) close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	_ = p.server.Close()
}

// refuse closes the listener and all connections for a while.
func (p *proxy) refuse() {
	p.close()
	time.Sleep(outage)
	for range 100 {
		if l, err := net.Listen("tcp", p.address); err == nil {
			p.serve(l)
			return
		}
		time.Sleep(50 * time.Millisecond) // the port is that of a connection which is ending
	}
}

// count notes the request, and says whether the fault is for it.
func (p *proxy) count(r *http.Request) (fault, *answered) {
	p.mu.Lock()
	defer p.mu.Unlock()
	at := point{phase: p.phase(), side: p.side, what: kindOf(r)}
	if at.phase != p.now {
		for url, a := range p.fresh {
			p.old[url] = a
		}
		p.now, p.fresh = at.phase, map[string]*answered{}
	}
	p.seen[at]++
	at.n = p.seen[at]
	p.order = append(p.order, at)
	if at != p.want || p.fault == none || !p.reached.IsZero() {
		return none, nil
	}
	if p.fault == stale && p.old[r.URL.String()] == nil {
		return none, nil // no answer is older
	}
	p.reached = time.Now()
	return p.fault, p.old[r.URL.String()]
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	what, old := p.count(r)
	switch what {
	case refused:
		go p.refuse()
		panic(http.ErrAbortHandler)
	case hung:
		<-r.Context().Done()
		return
	case before:
		panic(http.ErrAbortHandler)
	case conflict:
		refuseWith(w, http.StatusConflict, "Conflict")
	case limited:
		w.Header().Set("Retry-After", "1")
		refuseWith(w, http.StatusTooManyRequests, "TooManyRequests")
	case broken:
		refuseWith(w, http.StatusInternalServerError, "InternalError")
	case forbidden:
		refuseWith(w, http.StatusForbidden, "Forbidden")
	case stale:
		old.write(w)
	case after, twice:
		body, _ := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
		first := p.ask(r, body)
		if what == twice {
			first = p.ask(r, body)
		}
		if what == after {
			panic(http.ErrAbortHandler)
		}
		first.write(w)
	default:
		p.pass(w, r)
	}
}

// ask has the server do what is asked, and returns its answer. A watch has none that ends: it is ended after a second.
func (p *proxy) ask(r *http.Request, body []byte) *answered {
	if r.URL.Query().Get("watch") != "" {
		return &answered{code: http.StatusOK, header: http.Header{"Content-Type": {"application/json"}}}
	}
	again := r.Clone(r.Context())
	again.Body = io.NopCloser(bytes.NewReader(body))
	got := httptest.NewRecorder()
	p.to.ServeHTTP(got, again)
	return &answered{got.Code, got.Header(), got.Body.Bytes()}
}

func (p *proxy) pass(w http.ResponseWriter, r *http.Request) {
	if r.URL.Query().Get("watch") != "" {
		p.to.ServeHTTP(w, r)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostBody))
	if err != nil {
		return
	}
	got := p.ask(r, body)
	p.mu.Lock()
	switch {
	case r.Method == http.MethodGet:
		p.fresh[r.URL.String()] = got
		p.reads++
	case strings.HasSuffix(r.URL.Path, "/git-upload-pack"):
		p.reads++
	case got.code < 300:
		p.writes++
	}
	p.mu.Unlock()
	got.write(w)
}

func (a *answered) write(w http.ResponseWriter) {
	for key, values := range a.header {
		w.Header()[key] = values
	}
	w.WriteHeader(a.code)
	_, _ = w.Write(a.body)
}

// refuseWith answers as an API server does; hosts answer with other texts, which nobody reads.
func refuseWith(w http.ResponseWriter, code int, reason string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	fmt.Fprintf(w, `{"kind":"Status","apiVersion":"v1","status":"Failure","reason":%q,"code":%d,"message":"injected"}`, reason, code)
}

// counts returns how many reads and writes came through by now, and whether the fault was.
func (p *proxy) counts() (reads, writes int, reached time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.reads, p.writes, p.reached
}

// points returns what was asked, once each.
func (p *proxy) points() []point {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]point(nil), p.order...)
}

// mustURL parses an address of ours.
func mustURL(text string) *url.URL {
	u, err := url.Parse(text)
	if err != nil {
		panic(err)
	}
	return u
}

// certificate is that of all proxies before an API server.
var certificate = sync.OnceValue(func() tls.Certificate {
	s := httptest.NewTLSServer(http.NotFoundHandler())
	defer s.Close()
	return s.TLS.Certificates[0]
})

// authority is who signed it, as a kubeconfig has that.
func authority() string {
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate().Certificate[0]})
	return base64.StdEncoding.EncodeToString(text)
}
