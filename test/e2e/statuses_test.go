package e2e

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"code.gitea.io/sdk/gitea"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// TestStatusesOnGitea sets the statuses of a commit on a real Gitea and reads them back, among more of others than a page holds.
func TestStatusesOnGitea(t *testing.T) {
	const unit = "sentry/shop"
	t.Parallel()
	r := newRepo(t, "sentry-statuses", map[string]string{"README": "an application"})
	sha := r.git("rev-parse", "HEAD")
	reader := &poller.Reader{Hosts: hosts.All}
	defer reader.Close()
	open := func(token string) githost.Statuses {
		t.Helper()
		source := config.Source{URL: r.url, Type: config.Gitea, Auth: config.Auth{
			Username: secret.New("${USER}", env.giteaUser), Token: secret.New("${TOKEN}", token)}}
		statuses, err := reader.Statuses(config.Repository{Monitor: config.Monitor{Source: source}})
		if err != nil {
			t.Fatal(err)
		}
		return statuses
	}
	h := open(env.giteaToken)
	if got, ok, err := h.StatusOf(t.Context(), r.url, sha, unit); ok || err != nil {
		t.Fatalf("at first: %+v, %v", got, err)
	}
	client := giteaClient(t)
	for i, state := range []githost.CommitState{githost.Pending, githost.Pending, githost.Failure, githost.Pending, githost.Errored,
		githost.Success} {
		want := githost.Status{Context: unit, State: state, Description: fmt.Sprintf("deployed “app” 🚢, try %d", i),
			TargetURL: fmt.Sprintf("https://dashboard.example/#/namespaces/sentry/pipelineruns/shop-%d", i)}
		if err := h.SetStatus(t.Context(), r.url+".git", sha, want); err != nil {
			t.Fatal(err)
		}
		if got, ok, err := h.StatusOf(t.Context(), r.url, sha, unit); !ok || err != nil || got != want {
			t.Errorf("set %+v, read %+v, %t, %v", want, got, ok, err)
		}
	}
	for i := range 120 {
		if _, _, err := client.CreateStatus(env.giteaUser, r.name, sha,
			gitea.CreateStatusOption{Context: fmt.Sprintf("other/%d", i), State: gitea.StatusFailure}); err != nil {
			t.Fatal(err)
		}
	}
	if got, ok, err := h.StatusOf(t.Context(), r.url, sha, unit); !ok || err != nil || got.State != githost.Success {
		t.Errorf("among 120 of others: %+v, %t, %v", got, ok, err)
	}
	if got, ok, err := h.StatusOf(t.Context(), r.url, sha, "sentry/none"); ok || err != nil {
		t.Errorf("one that is not there: %+v, %v", got, err)
	}
	combined, _, err := client.GetCombinedStatus(env.giteaUser, r.name, sha)
	if err != nil || combined.State != gitea.StatusFailure {
		t.Errorf("Gitea calls the commit %+v, %v", combined, err)
	}

	long := githost.Status{Context: unit + strings.Repeat("ü", 300), State: githost.Success, Description: strings.Repeat("€\x00\n", 500)}
	if err := h.SetStatus(t.Context(), r.url, sha, long); err != nil {
		t.Fatal(err)
	}
	if got, ok, err := h.StatusOf(t.Context(), r.url, sha, long.Context); !ok || err != nil || got.State != long.State {
		t.Errorf("long texts: %+v, %t, %v", got, ok, err)
	}

	for name, tt := range map[string]struct {
		h        githost.Statuses
		url, sha string
		want     githost.Kind
	}{
		"no commit":     {h, r.url, strings.Repeat("0123456789", 4), githost.NotFound},
		"no repository": {h, r.url + "-none", sha, githost.NotFound},
		"wrong token":   {open("0123456789012345678901234567890123456789"), r.url, sha, githost.Denied},
	} {
		_, _, read := tt.h.StatusOf(t.Context(), tt.url, tt.sha, unit)
		for _, err := range []error{read, tt.h.SetStatus(t.Context(), tt.url, tt.sha, githost.Status{Context: unit, State: githost.Success})} {
			if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != tt.want {
				t.Errorf("%s: %v, want an error of the kind %q", name, err, tt.want)
			}
		}
	}
}
