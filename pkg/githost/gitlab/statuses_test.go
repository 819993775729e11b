package gitlab_test

import (
	"net/http"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

func TestStatuses(t *testing.T) {
	statuses.Test(t, statuses.Kind{
		Driver: gitlab.Driver,
		New:    func() *githosttest.API { return gitlabtest.New().API },
		Foreign: func(statusContext, description string) map[string]any {
			return map[string]any{"name": statusContext, "status": "success", "description": description, "pipeline_id": 1}
		},
		Description: 255,
		Emoji:       true,
	})
}

const project = "group/sub/project"

// withCommit returns a GitLab with a project that has a commit.
func withCommit() *gitlabtest.API {
	api := gitlabtest.New()
	api.SetToken(testhost.Token)
	api.Push(project, "main", testhost.SHA1)
	return api
}

// TestPendingIsEndedInItsPipeline has a merge request bring another pipeline while a run is active. What is pending in the first
// one would be so for ever.
func TestPendingIsEndedInItsPipeline(t *testing.T) {
	api := withCommit()
	origin := testhost.Serve(t, api)
	h := testhost.OpenStatuses(t, gitlab.Driver, origin, "")
	for _, state := range []githost.CommitState{githost.Pending, githost.Success} {
		api.AddPipeline(testhost.SHA1)
		if err := h.SetStatus(t.Context(), origin+"/"+project, testhost.SHA1, githost.Status{Context: "sentry/shop", State: state}); err != nil {
			t.Fatal(err)
		}
	}
	if all := api.StatusesOf(project, testhost.SHA1); len(all) != 1 || all[0].Body["status"] != "success" {
		t.Errorf("the commit has %v, want one status, a success", all)
	}
}

func TestRunningIsPending(t *testing.T) {
	api := withCommit()
	origin := testhost.Serve(t, api)
	h := testhost.OpenStatuses(t, gitlab.Driver, origin, "")
	api.AddStatus(project, testhost.SHA1, map[string]any{"name": "sentry/shop", "status": "running", "pipeline_id": 1})
	want := githost.Status{Context: "sentry/shop", State: githost.Pending}
	if got, _, err := h.StatusOf(t.Context(), origin+"/"+project, testhost.SHA1, want.Context); got != want {
		t.Errorf("StatusOf = %+v, %v; want %+v", got, err, want)
	}
	if err := h.SetStatus(t.Context(), origin+"/"+project, testhost.SHA1, want); err != nil {
		t.Error(err)
	}
	for _, r := range api.Requests() {
		if r.Status != http.StatusOK {
			t.Errorf("%s was answered %d: nothing is to be set", r.URL, r.Status)
		}
	}
}

// TestCannotTransition has another Sentry set the same status between the look and the write.
func TestCannotTransition(t *testing.T) {
	for _, other := range []string{"pending", "success"} {
		api, asked := withCommit(), 0
		origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if asked++; asked == 2 {
				api.AddStatus(project, testhost.SHA1, map[string]any{"name": "sentry/shop", "status": "pending", "pipeline_id": 1})
			}
			if asked == 3 && other != "pending" { // and end it at once
				api.Change(project, func(r *githosttest.Repository) {
					r.Statuses(testhost.SHA1, func(*githosttest.Status) bool { return true })[0].Body["status"] = other
				})
			}
			api.ServeHTTP(w, req)
		}))
		h := testhost.OpenStatuses(t, gitlab.Driver, origin, "")
		err := h.SetStatus(t.Context(), origin+"/"+project, testhost.SHA1, githost.Status{Context: "sentry/shop", State: githost.Pending})
		if (err == nil) != (other == "pending") {
			t.Errorf("with a status that is %s: SetStatus = %v", other, err)
		}
	}
}
