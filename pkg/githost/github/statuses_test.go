package github_test

import (
	"errors"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func TestStatuses(t *testing.T) {
	statuses.Test(t, statuses.Kind{
		Driver: github.Driver,
		New:    githubtest.New,
		Foreign: func(statusContext, description string) map[string]any {
			return map[string]any{"context": statusContext, "state": "success", "description": description}
		},
		Page:        100,
		Description: 140,
	})
}

// statusesOf returns a GitHub with a repository, and its statuses.
func statusesOf(t *testing.T) (api *githosttest.API, origin string, h githost.Statuses) {
	t.Helper()
	api = githubtest.New()
	api.SetToken(testhost.Token)
	api.Push("o/r", "main", testhost.SHA1)
	origin = testhost.Serve(t, api)
	return api, origin, testhost.OpenStatuses(t, github.Driver, origin, origin)
}

func TestStatusContextsHaveNoCase(t *testing.T) {
	api, origin, h := statusesOf(t)
	api.AddStatus("o/r", testhost.SHA1, map[string]any{"context": "Sentry/Shop", "state": "failure"})
	got, ok, err := h.StatusOf(t.Context(), origin+"/o/r", testhost.SHA1, "sentry/shop")
	if want := (githost.Status{Context: "sentry/shop", State: githost.Failure}); err != nil || !ok || got != want {
		t.Errorf("StatusOf = %+v, %t, %v; want %+v", got, ok, err, want)
	}
}

func TestStatusOfARenamedRepository(t *testing.T) {
	api, origin, h := statusesOf(t)
	api.Rename("o/r", "o/new")
	want := githost.Status{Context: "sentry/shop", State: githost.Pending}
	if err := h.SetStatus(t.Context(), origin+"/o/r", testhost.SHA1, want); err != nil {
		t.Fatal(err)
	}
	if got, _, err := h.StatusOf(t.Context(), origin+"/o/r", testhost.SHA1, want.Context); got != want {
		t.Errorf("StatusOf = %+v, %v; want %+v", got, err, want)
	}
}

// TestTooManyStatuses has a commit that takes no more of a context, so that another try is in vain.
func TestTooManyStatuses(t *testing.T) {
	api, origin, h := statusesOf(t)
	for range 1_000 {
		api.AddStatus("o/r", testhost.SHA1, map[string]any{"context": "sentry/shop", "state": "pending"})
	}
	err := h.SetStatus(t.Context(), origin+"/o/r", testhost.SHA1, githost.Status{Context: "sentry/shop", State: githost.Success})
	if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != githost.Invalid {
		t.Errorf("SetStatus = %v, want an error of the kind %q", err, githost.Invalid)
	}
}

// TestPointsAreLeft has statuses use up the requests of REST, which the points of GraphQL are counted apart from.
func TestPointsAreLeft(t *testing.T) {
	api := githubtest.New()
	api.SetToken(testhost.Token)
	api.Push("o/r", "main", testhost.SHA1)
	refused := 0
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if !strings.Contains(req.URL.Path, "/statuses") {
			api.ServeHTTP(w, req)
			return
		}
		refused++
		w.Header().Set("X-RateLimit-Remaining", "0")
		w.Header().Set("X-RateLimit-Resource", "core")
		w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
		http.Error(w, `{"message": "API rate limit exceeded for user ID 1."}`, http.StatusForbidden)
	}))
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	r := &poller.Reader{Hosts: githost.Drivers{github.Driver}, Base: base}
	want := config.Monitor{Source: config.Source{URL: origin + "/o/r", APIURL: origin, Type: config.GitHub,
		Auth: config.Auth{Token: secret.New(testhost.Token, testhost.Token)}}, Branches: repotest.Patterns(t, "main")}
	h, err := r.Statuses(config.Repository{Monitor: want})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		err := h.SetStatus(t.Context(), want.URL, testhost.SHA1, githost.Status{Context: "sentry/shop", State: githost.Success})
		if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != githost.RateLimited || e.Until.Before(time.Now().Add(50*time.Minute)) {
			t.Errorf("SetStatus = %v, want it limited for an hour", err)
		}
		if got := r.Heads(t.Context(), []config.Monitor{want})[0]; got.Heads["main"] != testhost.SHA1 {
			t.Errorf("the heads are %+v", got)
		}
	}
	if refused != 1 {
		t.Errorf("asked for statuses %d times, want once", refused)
	}
}
