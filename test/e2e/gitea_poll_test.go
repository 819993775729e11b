package e2e

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// TestGiteaPolling moves branches of real repositories at random. After each move the repository that it
// happened in soon counts as changed, the heads read of it are what git says, and at rest nothing is changed.
func TestGiteaPolling(t *testing.T) {
	t.Parallel()
	const repositories, moves = 5, 20
	origin, err := url.Parse(env.giteaURL)
	if err != nil {
		t.Fatal(err)
	}
	base := transport.NewTransport()
	t.Cleanup(base.CloseIdleConnections)
	host, err := gitea.Open(githost.Endpoint{Account: githost.Account{Type: config.Gitea, Origin: origin.Scheme + "://" + origin.Host},
		Auth: config.Auth{Token: secret.New("${T}", env.giteaToken)}}, transport.NewClient(base, "e2e", time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	host = githosttest.Keep(host)
	var repos []*gitRepo
	var want []githost.Wanted
	for i := range repositories {
		r := newRepo(t, fmt.Sprintf("poll-%d", i), map[string]string{"a": "a"})
		repos = append(repos, r)
		want = append(want, githost.Wanted{URL: r.url, Patterns: repotest.Patterns(t, ".*")})
	}
	changed := func() []bool {
		t.Helper()
		got, err := host.(githost.Prefilter).Changed(t.Context(), want)
		if err != nil {
			t.Fatal(err)
		}
		for i, o := range host.Heads(t.Context(), want) {
			if o.Err != nil {
				t.Fatalf("%s: %v", want[i].URL, o.Err)
			}
		}
		return got
	}
	rest := func() {
		t.Helper()
		await(t, 3*time.Minute, "all repositories unchanged", func() (bool, string) {
			got := changed()
			return !slices.Contains(got, true), fmt.Sprint(got)
		})
	}
	rest()
	random := rand.New(rand.NewPCG(1, 1))
	for move := range moves {
		i := random.IntN(repositories)
		what := moveBranch(repos[i], random, move)
		await(t, 3*time.Minute, what+" shown as a change of poll-"+fmt.Sprint(i), func() (bool, string) {
			got, err := host.(githost.Prefilter).Changed(t.Context(), want)
			if err != nil {
				t.Fatal(err)
			}
			return got[i], fmt.Sprint(got)
		})
		o := host.Heads(t.Context(), want[i:i+1])[0]
		if diff := cmp.Diff(repo.Observation{Heads: lsRemote(repos[i])}, o); diff != "" {
			t.Fatalf("heads after %s (-git ls-remote +read):\n%s", what, diff)
		}
		if move%10 == 9 {
			rest()
		}
	}
}

// moveBranch changes one branch of a repository and says how.
func moveBranch(r *gitRepo, random *rand.Rand, move int) string {
	r.t.Helper()
	branches := slices.Sorted(maps.Keys(lsRemote(r)))
	branch := branches[random.IntN(len(branches))]
	switch n := random.IntN(4); {
	case n == 0 && branch != "main":
		r.git("push", "--quiet", "origin", ":refs/heads/"+branch)
		return "the deletion of " + branch
	case n == 1:
		r.git("checkout", "--quiet", "--orphan", fmt.Sprintf("orphan-%d", move))
		r.push(branch, nil)
		return "the force push to " + branch
	case n == 2:
		r.push(branch, nil)
		return "the push to " + branch
	}
	name := fmt.Sprintf("new/%d", move)
	r.git("push", "--quiet", "origin", "HEAD:refs/heads/"+name)
	return "the creation of " + name
}

// lsRemote returns the branches as git has them.
func lsRemote(r *gitRepo) map[string]repo.SHA {
	r.t.Helper()
	heads := make(map[string]repo.SHA)
	for line := range strings.Lines(r.git("ls-remote", "--heads", "origin")) {
		sha, ref, _ := strings.Cut(strings.TrimSpace(line), "\t")
		heads[strings.TrimPrefix(ref, "refs/heads/")] = repo.SHA(sha)
	}
	return heads
}
