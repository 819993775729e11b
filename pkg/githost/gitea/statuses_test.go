package gitea_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestStatuses(t *testing.T) {
	statuses.Test(t, statuses.Kind{
		Driver: gitea.Driver,
		New:    func() *githosttest.API { return giteatest.New().API },
		Foreign: func(statusContext, description string) map[string]any {
			return map[string]any{"context": statusContext, "status": "success", "description": description}
		},
		Page:        50,
		Description: 255,
		Emoji:       true,
	})
}

// withCommit returns a Gitea with a repository that has a commit.
func withCommit() *giteatest.API {
	api := giteatest.New()
	api.SetToken(testhost.Token)
	api.Push("o/r", "main", testhost.SHA1)
	return api
}

// TestStatusesOfOneSecond has more of one second than a page holds, in an order that says nothing.
func TestStatusesOfOneSecond(t *testing.T) {
	api, now := withCommit(), time.Now()
	api.SetClock(func() time.Time { return now })
	for i := range 90 {
		api.AddStatus("o/r", testhost.SHA1, map[string]any{"context": "sentry/shop", "status": "success", "description": fmt.Sprint(i)})
	}
	origin := testhost.Serve(t, api)
	got, _, err := testhost.OpenStatuses(t, gitea.Driver, origin, "").StatusOf(t.Context(), origin+"/o/r", testhost.SHA1, "sentry/shop")
	if got.Description != "89" {
		t.Errorf("StatusOf = %+v, %v; want the last of 90", got, err)
	}
}

// TestStoredInSpiteOfAnError has Gitea store a status and fail at what follows, as it does without the default branch. That of an
// earlier run, which leads elsewhere, is not what was to be stored.
func TestStoredInSpiteOfAnError(t *testing.T) {
	for _, stored := range []bool{true, false} {
		api := withCommit()
		api.AddStatus("o/r", testhost.SHA1, map[string]any{"context": "sentry/shop", "status": "failure", "target_url": "https://dash.example/1", "description": "by run 1"})
		origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if req.Method != http.MethodPost {
				api.ServeHTTP(w, req)
				return
			}
			if stored {
				api.ServeHTTP(httptest.NewRecorder(), req)
			}
			http.Error(w, "", http.StatusInternalServerError)
		}))
		h := testhost.OpenStatuses(t, gitea.Driver, origin, "")
		err := h.SetStatus(t.Context(), origin+"/o/r", testhost.SHA1, githost.Status{Context: "sentry/shop", State: githost.Failure,
			TargetURL: "https://dash.example/2", Description: "by run 2"})
		if (err == nil) != stored {
			t.Errorf("stored: %t, SetStatus = %v", stored, err)
		}
	}
}
