package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts/hoststest"
)

// branches are what every repository has, and what is watched: exact names.
var branches = []string{"main", "develop", "release"}

const (
	qa       = "team/qa" // what every repository deploys from
	qaBranch = "main"
	token    = "bench"
)

// path returns the i-th repository's.
func path(i int) string { return fmt.Sprintf("team-%d/app-%05d", i%10, i) }

// simulation is a Git host that counts what it is asked.
type simulation struct {
	n       int
	latency time.Duration
	api     *githosttest.API // nil for a server that only speaks the Git protocol
	git     *gitServer

	mu       sync.Mutex
	requests int
	points   int
	used     int // X-RateLimit-Used as last told
	pushes   int
}

// asked is what a server was asked since the last time.
type asked struct{ Requests, Points int }

// serve runs a server with s.n repositories until stdin ends. It prints its URL.
func serve(s settings, stdin io.Reader, stdout io.Writer) error {
	h := newSimulation(s)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}
	done := make(chan error, 1)
	go func() { done <- server.Serve(listener) }()
	fmt.Fprintf(stdout, "http://%s\n", listener.Addr())
	_, _ = io.Copy(io.Discard, stdin)
	err = server.Close()
	<-done
	return err
}

func newSimulation(s settings) *simulation {
	h := &simulation{n: s.n, latency: s.latency, git: newGitServer()}
	if s.host != config.Git {
		h.api = hoststest.New(s.host)
		h.api.SetToken(token)
		// What was pushed a moment ago is read again, to be sure. Few repositories of a real host were.
		h.api.SetClock(func() time.Time { return time.Now().Add(-time.Hour) })
		defer h.api.SetClock(time.Now)
	}
	for i := range s.n {
		if s.host == bitbucket { // of which two were hardly ever pushed to within the same seconds
			h.api.SetClock(func() time.Time { return time.Now().Add(-time.Hour - time.Duration(s.n-i)*15*time.Second) })
		}
		for _, b := range branches {
			h.push(path(i), b)
		}
	}
	if h.api != nil {
		// A Gitea's list is read again from ten seconds before its last change on: not all of it.
		h.api.SetClock(func() time.Time { return time.Now().Add(-time.Hour + time.Minute) })
	}
	h.push(qa, qaBranch)
	return h
}

// push points a branch at a new commit.
func (h *simulation) push(path, branch string) {
	h.pushes++
	sha := fmt.Sprintf("%040x", h.pushes)
	h.git.push(path, branch, sha)
	if h.api != nil {
		h.api.Push(path, branch, sha)
	}
}

// ServeHTTP implements http.Handler. Below /-/ the bench itself asks.
func (h *simulation) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	if verb, ok := strings.CutPrefix(req.URL.Path, "/-/"); ok {
		h.control(w, verb)
		return
	}
	timer := time.NewTimer(h.latency)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-req.Context().Done():
		return
	}
	if h.api != nil && !strings.HasSuffix(req.URL.Path, "/info/refs") {
		h.api.ServeHTTP(w, req)
	} else {
		h.git.ServeHTTP(w, req)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.requests++
	if used, err := strconv.Atoi(w.Header().Get("X-RateLimit-Used")); err == nil {
		h.points += max(0, used-h.used)
		h.used = max(h.used, used)
	}
}

func (h *simulation) control(w http.ResponseWriter, verb string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch verb {
	case "minute":
		if h.api != nil {
			h.api.Advance(time.Minute)
		}
	case "change": // the first branch of one repository in a hundred, at least of one
		for i := 0; i < h.n; i += 100 {
			h.push(path(i), branches[0])
		}
	case "take":
		_ = json.NewEncoder(w).Encode(asked{h.requests, h.points})
		h.requests, h.points = 0, 0
		if h.api != nil {
			h.api.Requests() // which would otherwise pile up
		}
	}
}
