package testhost

import (
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Fuzzed opens a host whose answers are text, except to those requests that answer knows better about.
func Fuzzed(t *testing.T, open githost.Open, token, text string, answer func(body string) string) githost.Host {
	t.Helper()
	client := transport.NewClient(RoundTrip(func(req *http.Request) (*http.Response, error) {
		said := text
		if req.Body != nil && answer != nil {
			body, _ := io.ReadAll(req.Body)
			if known := answer(string(body)); known != "" {
				said = known
			}
		}
		return &http.Response{StatusCode: http.StatusOK, Header: http.Header{"Content-Type": {"application/json"}},
			Body: io.NopCloser(strings.NewReader(said)), Request: req}, nil
	}), "test", 0)
	h, err := open(githost.Endpoint{Account: githost.Account{Origin: "http://h.example"}, Auth: config.Auth{Token: secret.New("${T}", token)}}, client)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// FuzzedWith opens a host whose answers are text, with a header.
func FuzzedWith(t *testing.T, open githost.Open, text string, header http.Header) githost.Host {
	t.Helper()
	client := transport.NewClient(RoundTrip(func(req *http.Request) (*http.Response, error) {
		return &http.Response{StatusCode: http.StatusOK, Header: header.Clone(), Body: io.NopCloser(strings.NewReader(text)), Request: req}, nil
	}), "test", 0)
	h, err := open(githost.Endpoint{Account: githost.Account{Origin: "http://h.example"}, Auth: config.Auth{Token: secret.New("${T}", Token)}}, client)
	if err != nil {
		t.Fatal(err)
	}
	return h
}

// CheckSane fails the test unless each observation is heads that were asked for and have real names, or an error that
// is fit to be shown.
func CheckSane(t *testing.T, want []githost.Wanted, got []repo.Observation) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d answers for %d repositories", len(got), len(want))
	}
	for i, o := range got {
		var e *githost.Error
		switch {
		case o.Err == nil && len(o.Heads) == 0, o.Err != nil && len(o.Heads) > 0, o.Err != nil && !errors.As(o.Err, &e):
			t.Fatalf("repository %d: heads %v and error %v", i, o.Heads, o.Err)
		case e != nil && (strings.ContainsAny(e.Error(), "\n\r\x1b") || len(e.Error()) > 500 || strings.Contains(e.Error(), "panicked")):
			t.Fatalf("repository %d: error %q", i, e)
		}
		for branch, sha := range o.Heads {
			if _, err := repo.ParseSHA(string(sha)); err != nil || !want[i].Patterns.Match(branch) {
				t.Fatalf("repository %d: branch %q at %q", i, branch, sha)
			}
		}
	}
}

// FuzzWanted is what a fuzzed host is asked for.
func FuzzWanted(t *testing.T) []githost.Wanted {
	t.Helper()
	return []githost.Wanted{
		{URL: "http://h.example/o/r0", Patterns: repotest.Patterns(t, "main")},
		{URL: "http://h.example/o/r1", Patterns: repotest.Patterns(t, "main", "dev")},
		{URL: "http://h.example/o/r2", Patterns: repotest.Patterns(t, "dev.*")},
	}
}

// CheckOwned asks a fuzzed host for the repositories of o, and fails the test unless that is a list of what belongs there, or an error
// that is fit to be shown.
func CheckOwned(t *testing.T, h githost.Host) {
	t.Helper()
	var last *githost.Owned
	for range 2 {
		list, err := h.(githost.Owners).Owned(t.Context(), githost.OwnedBy{Owner: "o", File: ".sentry.yaml"}, last)
		var e *githost.Error
		switch {
		case (err == nil) == (list == nil), err != nil && !errors.As(err, &e):
			t.Fatalf("list %+v and error %v", list, err)
		case e != nil && (strings.ContainsAny(e.Error(), "\n\r\x1b") || len(e.Error()) > 500):
			t.Fatalf("error %q", e)
		case e != nil:
			return
		}
		for i, r := range list.Repositories {
			if !strings.HasPrefix(strings.ToLower(r.Path), "o/") || r.ID == "" || r.URL == "" || len(r.File) > githost.MaxOwnedFile ||
				i > 0 && list.Repositories[i-1].ID >= r.ID || !slices.IsSorted(r.Topics) {
				t.Fatalf("repository %d: %+v", i, r)
			}
		}
		last = list
	}
}
