package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	sdk "code.gitea.io/sdk/gitea"
	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// counter counts what a Gitea is asked: what changed, and for heads.
type counter struct {
	next         http.RoundTripper
	lists, reads atomic.Int64
}

// RoundTrip implements http.RoundTripper.
func (c *counter) RoundTrip(req *http.Request) (*http.Response, error) {
	if strings.HasSuffix(req.URL.Path, "/git-upload-pack") {
		c.reads.Add(1)
	} else {
		c.lists.Add(1)
	}
	return c.next.RoundTrip(req)
}

// TestGiteaIdle reads real repositories in cycles, as Sentry does. An idle cycle is a request or a few for the list and
// none for heads; whatever git does to a branch is read by the first cycle after the list shows it, and of that
// repository alone.
func TestGiteaIdle(t *testing.T) {
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	count := &counter{next: base}
	reader := &poller.Reader{Hosts: hosts.All, Base: count, Sweep: 10_000 * time.Hour}
	client, err := sdk.NewClient(env.giteaURL, sdk.SetToken(env.giteaToken), sdk.SetGiteaVersion(""), sdk.SetContext(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	var repos []*gitRepo
	var want []config.Monitor
	for i := range 5 {
		r := newRepo(t, fmt.Sprintf("idle-%d", i), map[string]string{"a": "a"})
		repos = append(repos, r)
		want = append(want, config.Monitor{Branches: repotest.Patterns(t, ".*"), Source: config.Source{URL: r.url, Type: config.Gitea,
			Auth: config.Auth{Token: secret.New("${T}", env.giteaToken)}}})
	}
	cycle := func() (got []repo.Observation, lists, reads int64) {
		t.Helper()
		count.lists.Store(0)
		count.reads.Store(0)
		got = reader.Heads(t.Context(), want)
		for i, o := range got {
			if o.Err != nil {
				t.Fatalf("%s: %v", want[i].URL, o.Err)
			}
		}
		return got, count.lists.Load(), count.reads.Load()
	}
	listed := func(r *gitRepo) time.Time {
		t.Helper()
		l, _, err := client.GetRepo(env.giteaUser, r.name)
		if err != nil {
			t.Fatal(err)
		}
		return l.Updated
	}
	for i, move := range []struct {
		what string
		do   func(*gitRepo)
	}{
		{"a push", func(r *gitRepo) { r.push("main", nil) }},
		{"a branch that is made", func(r *gitRepo) { r.push("feature", nil) }},
		{"a force push", func(r *gitRepo) {
			r.git("checkout", "--quiet", "--orphan", "other")
			r.push("feature", nil)
		}},
		{"a branch that is deleted", func(r *gitRepo) { r.git("push", "--quiet", "origin", ":refs/heads/feature") }},
	} {
		await(t, time.Minute, "an idle cycle before "+move.what, func() (bool, string) {
			_, lists, reads := cycle()
			return reads == 0 && 0 < lists && lists <= 3, fmt.Sprintf("%d lists and %d reads", lists, reads)
		})
		r, at := repos[3], listed(repos[3])
		move.do(r)
		await(t, time.Minute, move.what+" in the list", func() (bool, string) { now := listed(r); return now.After(at), now.String() })
		got, lists, reads := cycle()
		if diff := cmp.Diff(lsRemote(r), got[3].Heads); diff != "" || lists > 3 || reads != 1 {
			t.Errorf("move %d, %s: %d lists, %d reads, want at most 3 and 1; heads (-git ls-remote +read):\n%s", i, move.what, lists, reads, diff)
		}
	}
}
