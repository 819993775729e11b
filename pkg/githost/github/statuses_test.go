package github_test

import (
	"errors"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
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
