package gitlab_test

import (
	"context"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// A proxy that keeps GitLab's headers to itself does not hide the pages after the first.
func TestWithoutPageHeaders(t *testing.T) {
	api := newServer()
	for b, sha := range testhost.ManyBranches() {
		api.Push("team/app", b, string(sha))
	}
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		api.ServeHTTP(withoutPages{w}, req)
	}))
	o := testhost.Open(t, gitlab.Open, origin, "", "").Heads(t.Context(), []githost.Wanted{{URL: origin + "/team/app", Patterns: repotest.Patterns(t, "b.*")}})[0]
	if diff := cmp.Diff(repo.Observation{Heads: testhost.ManyBranches()}, o); diff != "" {
		t.Errorf("250 branches (-want +got):\n%s", diff)
	}
}

type withoutPages struct{ http.ResponseWriter }

func (w withoutPages) WriteHeader(status int) {
	for _, name := range []string{"Link", "X-Next-Page", "X-Page", "X-Total", "X-Total-Pages"} {
		w.Header().Del(name)
	}
	w.ResponseWriter.WriteHeader(status)
}

// GitLab's library would space requests by a header of the first answer, here by minutes.
func TestIsNotSlowedDown(t *testing.T) {
	api := newServer()
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		w.Header().Set("RateLimit-Limit", "1")
		api.ServeHTTP(w, req)
	}))
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	want := slices.Repeat([]githost.Wanted{{URL: origin + "/team/app", Patterns: repotest.Patterns(t, "main")}}, 20)
	for _, o := range testhost.Open(t, gitlab.Open, origin, "", "").Heads(ctx, want) {
		if o.Err != nil {
			t.Errorf("error %v, want heads", o.Err)
		}
	}
}
