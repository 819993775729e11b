// Package act is how people have the page do something: who they are, what they may, and a view that asks once and says what will run. What
// is done, and by whose rights, is up to a Person; nothing is done by a GET, nothing for who is nobody, and nothing without a form that this
// process made for the very same visitor.
package act

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"encoding/hex"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
)

// Verb is what can be done, as its address has it: /act/VERB.
type Verb string

// The verbs. Those of runs are of one that is named, the others of a unit.
const (
	Trigger  Verb = "trigger"
	Rollback Verb = "rollback"
	Pause    Verb = "pause"
	Resume   Verb = "resume"
	Rerun    Verb = "rerun"
	Failed   Verb = "rerun-failed"
	Cancel   Verb = "cancel"
)

// Rights are what somebody may have done.
type Rights struct {
	Run    bool // make runs: Trigger, Rollback, Rerun and Failed
	Cancel bool // end them
	Pause  bool // write the state: Pause and Resume
	Logs   bool // read what the steps print
}

// May reports whether they suffice for a verb.
func (r Rights) May(v Verb) bool {
	switch v {
	case Trigger, Rollback, Rerun, Failed:
		return r.Run
	case Cancel:
		return r.Cancel
	case Pause, Resume:
		return r.Pause
	}
	return false
}

// Ask is what somebody wants done.
type Ask struct {
	Verb Verb   `json:"verb"`
	Unit string `json:"unit,omitempty"` // its label
	Run  string `json:"run,omitempty"`
}

// Plan is what an Ask would do.
type Plan struct {
	view.Planned
	Unit    string          // whose it is
	Members []pinned.Member // the commits that a run would deploy
	Digest  string          // of all else that was shown and has to be so still when it is done
}

// Order is what is to be done: what was shown as a Plan, and confirmed.
type Order struct {
	Ask
	Unit    string
	Members []pinned.Member
	Digest  string
	Word    string // a random one, of which the name of the run follows: what is ordered twice is done once
	Reason  string // of a pause
}

// Person does things by the rights of somebody. Any goroutine may use it.
type Person interface {
	// Who returns their name and what they may. ErrNobody says that they are nobody, any other error that this cannot be told now.
	Who(ctx context.Context) (name string, may Rights, err error)
	// Plan works out what an Ask would do. It changes nothing.
	Plan(ctx context.Context, f *facts.Facts, ask Ask) (Plan, error)
	// Do does what was ordered, and returns the run that was made, "" for none.
	Do(ctx context.Context, f *facts.Facts, o Order) (run string, err error)
	// Log writes what the steps of a run print: the end of it as it is now, or, with follow, all that comes until it ends. Nothing is
	// written once it has returned.
	Log(ctx context.Context, f *facts.Facts, run string, follow bool, out io.Writer) error
}

// Options are how a Gate is made.
type Options struct {
	// Self is whose page it is, for who brings Key: that of a person's own machine. nil = nobody's.
	Self Person
	// Key is the secret of the address by which they begin.
	Key string
	// Bring returns who has a token of Kubernetes; nil = nobody is taken for anybody by one.
	Bring func(token string) (Person, error)
	Log   *slog.Logger
	Hide  func(string) string
}

// Site is the page around it.
type Site struct {
	Look  func(ctx context.Context) (*facts.Facts, error)
	Show  func(w http.ResponseWriter, r *http.Request, status int, f view.Frame)
	Stale func() // what is known is read again for whoever comes next
	Now   func() time.Time
	Done  <-chan struct{} // it ends
}

const (
	// planTime bounds how long a plan may take, which asks hosts.
	planTime = 20 * time.Second
	// doTime bounds what is done, and waitTime how long it waits for its turn before.
	doTime   = 25 * time.Second
	waitTime = 10 * time.Second
	// maxAtOnce is how many things of a kind are worked out or done at once.
	maxAtOnce = 4
)

// Gate has the views of what can be done, and tells who visits.
type Gate struct {
	Options
	Site
	sealed  cipher.AEAD
	foreign http.CrossOriginProtection
	plans   *turns // of what makes runs, which asks hosts
	brakes  *turns // of what stops them
	reads   *turns // of logs
	known   visitors
	done    deeds
	mux     *http.ServeMux
	logs    sync.Mutex
	open    map[string]int // logs that are followed, by visitor
}

// New makes a gate of a site.
func New(o Options, s Site) *Gate {
	g := &Gate{Options: o, Site: s, sealed: newSeal(), plans: newTurns(maxAtOnce), brakes: newTurns(maxAtOnce), reads: newTurns(maxAtOnce), open: map[string]int{}}
	g.known = visitors{
		now: s.Now, turns: make(chan struct{}, maxAtOnce), strangers: make(chan struct{}, maxAtOnce),
		all: map[string]remember{}, others: map[string]remember{}, tries: map[string]tries{},
	}
	g.done.all = map[string]*deed{}
	g.mux = http.NewServeMux()
	g.mux.HandleFunc("GET /enter", g.enter)
	g.mux.HandleFunc("POST /enter", g.come)
	g.mux.HandleFunc("POST /leave", g.leave)
	g.mux.HandleFunc("GET /act/{verb}", g.confirm)
	g.mux.HandleFunc("POST /act/{verb}", g.do)
	g.mux.HandleFunc("GET /log/{run}", g.log)
	g.mux.HandleFunc("GET /log/{run}/events", g.follow)
	return g
}

// Takes reports whether a path is one of the gate's.
func Takes(path string) bool {
	return path == "/enter" || path == "/leave" || strings.HasPrefix(path, "/act/") || strings.HasPrefix(path, "/log/")
}

// Refuses reports why a request that would change something is none of our own forms; nil = it may be one.
func (g *Gate) Refuses(r *http.Request) error { return g.foreign.Check(r) }

// ServeHTTP implements http.Handler.
func (g *Gate) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	// With none at all browsers would hide from ourselves that a form is our own.
	h.Set("Referrer-Policy", "same-origin")
	g.mux.ServeHTTP(w, r)
}

// Word returns a random word of so many hexadecimal digits.
func Word(digits int) string {
	b := make([]byte, (digits+1)/2)
	_, _ = rand.Read(b) // never fails
	return hex.EncodeToString(b)[:digits]
}

// refuse says why something is not done, and leads back.
func (g *Gate) refuse(w http.ResponseWriter, r *http.Request, status int, text string, back string) {
	title := http.StatusText(status)
	g.Show(w, r, status, view.Frame{Title: title, Still: true, View: view.Refusal(title, g.hide(text), back)})
}

func (g *Gate) hide(text string) string {
	if g.Hide == nil {
		return text
	}
	return g.Hide(text)
}

// trouble answers who cannot be told from nobody now.
func (g *Gate) trouble(w http.ResponseWriter, r *http.Request, err error) {
	if r.Method == http.MethodPost {
		w.Header().Set("Connection", "close") // the body may not have been read
	}
	w.Header().Set("Retry-After", "10")
	g.refuse(w, r, http.StatusServiceUnavailable, "Nothing was done: the cluster does not answer who you are. Try again. "+err.Error(), "/")
}

// nobody answers who has no right to what they ask for: as if it were not there.
func (g *Gate) nobody(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodPost {
		w.Header().Set("Connection", "close") // the body is not read
		g.refuse(w, r, http.StatusForbidden, "Nothing was done: this page is read-only for you.", "/")
		return
	}
	g.refuse(w, r, http.StatusNotFound, "There is no such page.", "/")
}
