package transport

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// say answers each request by its path: a status and headers.
type say map[string][]string

func (s say) RoundTrip(req *http.Request) (*http.Response, error) {
	h := http.Header{}
	words := s[req.URL.Path]
	if words == nil {
		return nil, context.DeadlineExceeded
	}
	for i := 0; i+1 < len(words); i += 2 {
		h.Set(words[i], words[i+1])
	}
	return &http.Response{StatusCode: http.StatusOK, Header: h, Body: http.NoBody, Request: req}, nil
}

// What a host grants is known as it said last, for each resource that was asked for, until it is granted again.
func TestGrants(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		reset := fmt.Sprint(time.Now().Add(10 * time.Minute).Unix())
		g := NewGate(say{
			"/core":    {"X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "4321", "X-RateLimit-Reset", reset, "X-RateLimit-Resource", "core"},
			"/graphql": {"X-RateLimit-Limit", "5000", "X-RateLimit-Remaining", "17", "X-RateLimit-Reset", reset, "X-RateLimit-Resource", "graphql"},
			"/all":     {"RateLimit-Limit", "600", "RateLimit-Remaining", "599"},
			"/evil":    {"X-RateLimit-Remaining", "1", "X-RateLimit-Resource", "invented"},
			"/wrong":   {"X-RateLimit-Remaining", "-7"},
			"/none":    {},
		}, githost.Endpoint{Account: githost.Account{Origin: "https://a.example"}}, 0)
		g.Begin(time.Now(), MaxProbes)
		ask := func(path, resource string) {
			t.Helper()
			req, err := http.NewRequestWithContext(Mark(t.Context(), Marks{Resource: resource}), http.MethodGet, "https://a.example"+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			if resp, err := g.RoundTrip(req); err == nil {
				resp.Body.Close()
			}
		}
		want := func(want string) {
			t.Helper()
			got := ""
			for _, of := range g.Grants() {
				got += fmt.Sprintf("%q %d of %d until %s; ", of.Resource, of.Remaining, of.Limit, time.Until(of.Reset).Round(time.Minute))
			}
			if got != want {
				t.Errorf("grants %q, want %q", got, want)
			}
		}
		want("")
		ask("/core", "core")
		ask("/graphql", "graphql")
		for _, path := range []string{"/evil", "/wrong", "/none", "/no answer"} {
			ask(path, "core")
		}
		want(`"core" 4321 of 5000 until 10m0s; "graphql" 17 of 5000 until 10m0s; `)
		ask("/all", "")
		time.Sleep(11 * time.Minute)
		if got := g.Grants(); len(got) != 1 || got[0] != (Grants{Limit: 600, Remaining: 599}) {
			t.Errorf("after the reset: %+v, want what has none", got)
		}
	})
}

// Each request is told once, with the status of its answer, also one that has none.
func TestObserve(t *testing.T) {
	g := NewGate(say{"/good": {}}, githost.Endpoint{Account: githost.Account{Origin: "https://a.example"}}, 0)
	var told []int
	g.Observe = func(status int, took time.Duration) {
		if told = append(told, status); took < 0 {
			t.Errorf("took %s", took)
		}
	}
	g.Begin(time.Now(), MaxProbes)
	for _, path := range []string{"/good", "/bad", "/good"} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://a.example"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		if resp, err := g.RoundTrip(req); err == nil {
			resp.Body.Close()
		}
	}
	if fmt.Sprint(told) != "[200 0 200]" {
		t.Errorf("told of %v, want [200 0 200]", told)
	}
}
