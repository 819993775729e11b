package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

const requestsConfig = `
repositories:
  - name: checks
    monitor:
      repo_url: %[1]s
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      pull_requests: {target: main, from: anyone}
    deploy:
      qa_repo_url: %[2]s
      repo_type: gitea
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      git_credential: true
      secrets: [login]
      commands:
        - |
          token=/var/run/secrets/kubernetes.io/serviceaccount/token
          if [ "$SENTRY_FORK" = true ]; then
            [ -z "${TOKEN-}" ] && [ -z "${SENTRY_GIT_TOKEN-}" ] && [ ! -e $token ]
          else
            [ -n "$TOKEN" ] && [ -n "$SENTRY_GIT_TOKEN" ] && [ -e $token ]
          fi
`

// TestRequests has a Sentry watch the requests of a repository of a real Gitea, as they are opened, pushed to and closed, one of them from a fork.
// Each head has its run, and nothing else has one. That of the fork succeeds where it finds no secret, and the others where they do.
func TestRequests(t *testing.T) {
	t.Parallel()
	const ns = "sentry-requests"
	giteaCredentials(t)
	namespace(t, ns)
	kubectl(t, "-n", ns, "create", "secret", "generic", "login", "--from-literal=TOKEN=t0ken")
	qa := newRepo(t, ns+"-qa", map[string]string{"README": "the QA repository"})
	app := newRepo(t, ns+"-app", map[string]string{"README": "the application"})
	client := giteaClient(t)
	org := newOrganisation(t, ns+"-strangers")
	open := func(head, title string) int64 {
		t.Helper()
		q, _, err := client.CreatePullRequest(env.giteaUser, app.name, gitea.CreatePullRequestOption{Head: head, Base: "main", Title: title})
		if err != nil {
			t.Fatalf("open a request of %s: %v", head, err)
		}
		return q.Index
	}
	app.push("old", map[string]string{"old": "1"})
	open("old", "$(touch /tmp/title)")

	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, fmt.Sprintf(requestsConfig, app.url, qa.url)+soakGlobal())
	sentry := watch(t, file, ns, account)
	sentry.awaitSaid("refs/pull/1/head")
	// expect waits until there are runs of these commits and no others, and all of them succeeded.
	var want []string
	expect := func(when string) {
		t.Helper()
		slices.Sort(want)
		await(t, 5*time.Minute, when, func() (bool, string) {
			var made []string
			good := true
			for _, r := range get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items {
				made = append(made, r.Spec.PipelineSpec.DisplayName)
				good = good && r.Status.GetCondition("Succeeded").IsTrue()
			}
			slices.Sort(made)
			return good && slices.Equal(made, want), fmt.Sprintf("there are %q, want %q; the log:\n%s", made, want, sentry.said())
		})
	}
	run := func(number int64, sha string) {
		want = append(want, fmt.Sprintf("checks@refs/pull/%d/head at %.7s", number, sha))
	}

	sha := app.push("work", map[string]string{"work": "1"})
	number := open("work", "work")
	run(number, sha)
	expect("a request to be opened")
	run(number, app.push("work", map[string]string{"work": "2"}))
	expect("it to be pushed to")

	if _, _, err := client.CreateFork(env.giteaUser, app.name, gitea.CreateForkOption{Organization: &org.name}); err != nil {
		t.Fatal(err)
	}
	defer org.remove(app.name)
	org.push(app.name, "strange")
	fork, _, err := client.GetRepoBranch(org.name, app.name, "main")
	if err != nil {
		t.Fatal(err)
	}
	run(open(org.name+":main", "of a stranger"), fork.Commit.ID)
	expect("one of a fork")

	closed := gitea.StateClosed
	if _, _, err := client.EditPullRequest(env.giteaUser, app.name, number, gitea.EditPullRequestOption{State: &closed}); err != nil {
		t.Fatal(err)
	}
	sentry.awaitSaid("request was deleted: forgotten")
	app.push("work", map[string]string{"work": "3"})
	sha = app.push("later", map[string]string{"later": "1"})
	run(open("later", "later"), sha)
	expect("one after another was closed and pushed to")
	if strings.Contains(sentry.said(), env.giteaToken) {
		t.Error("the token is in the log")
	}
}
