// Package testhost is a host under test: what its kind says of itself, and how tests ask it. The promises of package
// conformance and each kind's own tests are written with it.
package testhost

import (
	"net/http"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

// Host is a kind of host, its server for tests, and what it can do.
type Host struct {
	Driver githost.Driver
	Server func() *githosttest.API // without repositories

	// Ways are those in which heads are asked for. The first needs no token.
	Ways []Way
	// Missing is what a repository that is not there is without a token: NotFound, or Denied where that is not told.
	Missing githost.Kind
	// OneByOne has one request a repository, each with half of the time of all; else there are batches.
	OneByOne bool
	// HasAPI knows api_url, and projects that cannot be.
	HasAPI bool
	// Hints are for a host that is a githost.Prefilter.
	Hints *Hints

	Addresses []Address
	Requests  []Requests
	Lies      []Lie
	Words     []Words
	Limits    map[string]Limit
	Idle      map[string]Idle
	Malice    []Malice
	Wide      map[string]Wide
}

// Way is one in which heads are asked for.
type Way struct {
	Name    string
	GraphQL bool // and a token is needed
	Alone   bool // nothing else is asked, and errors come with a 200
}

// Hints is how a host tells what changed.
type Hints struct {
	Repositories int                             // as many as it takes for hints to be worth it
	Asked        func(path, body string) bool    // whether a request is for them
	Empty        func(list string) (none string) // makes of a good answer one without what changed
}

// Address is where a host asks, as follows from URLs in sentry.yaml.
type Address struct {
	Origin, APIURL, Repo string
	Token                string
	Want                 string // method and URL of the first request
}

// Requests are what a question takes, by the first way.
type Requests struct {
	Branches []string
	Token    string
	Want     []string // sorted
	Auth     string
}

// Lie is an answer that is HTTP and perhaps JSON, and no good.
type Lie struct {
	Name   string
	Status int
	Header map[string]string
	Body   string
	Want   githost.Kind
	Text   string // in the error
}

// Words is an answer that tells of a limit in words.
type Words struct {
	Status int
	Body   string
	Token  string
	REST   bool // there is no GraphQL
}

// Limit is the answer of a host that is asked too often and names no time from which on it may be asked.
type Limit struct {
	Serve   RoundTrip
	Invites bool // a retry, so that each request is sent three times
}

// Idle is what a cycle costs at most in which nothing changed, of 1,000 repositories with three branches each.
type Idle struct {
	Sweep            time.Duration // so long that no repository has its turn; 0 = no hints
	Requests, Points int
	Body             int // of a request, in bytes; 0 = does not matter
}

// Malice is a question that is answered with malice, and how the answers begin that the server then goes on with.
type Malice struct {
	Name        string
	Token       string
	Asked       func(*http.Request) bool // what is answered so; all else is healthy
	ContentType string
	Starts      []string
	Branch      string // pattern; "" = main.*
	List        bool   // it is a list of what changed that is asked for, and not heads
	Elsewhere   bool   // the heads are found elsewhere then
	Some        bool   // a list that drips is taken as far as it came
	Most        uint64 // bytes allocated; 0 = 16 MiB
}

// Wide is an answer of many small things or a large one.
type Wide struct {
	Malice            string
	Start, Unit, Last string
	Size              int // MiB
}

// GraphQL reports whether there is a way by GraphQL.
func (h Host) GraphQL() bool {
	for _, w := range h.Ways {
		if w.GraphQL {
			return true
		}
	}
	return false
}

// Filled returns its server with n repositories, o/r0 and so on, that have the branches main and dev.
func (h Host) Filled(n int) *githosttest.API { return Filled(h.Server(), n) }

// Reader returns a poller.Reader of this host alone.
func (h Host) Reader(base http.RoundTripper, sweep time.Duration) *poller.Reader {
	return &poller.Reader{Hosts: githost.Drivers{h.Driver}, Base: base, Sweep: sweep}
}
