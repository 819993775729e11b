package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
)

const discoveryConfig = `
discover:
  - host: %[1]s
    repo_type: gitea
    owner: %[2]s
    match: 'svc-.*'
    auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
    template:
      deploy: {qa_repo_url: %[3]s, repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: ['true']}
`

// organisation is an organisation of the real Gitea whose repositories nobody writes down.
type organisation struct {
	*testing.T
	client *gitea.Client
	name   string
}

// newOrganisation makes one. What an earlier test left under the name goes.
func newOrganisation(t *testing.T, name string) *organisation {
	t.Helper()
	o := &organisation{t, giteaClient(t), name}
	for {
		old, _, err := o.client.ListOrgRepos(name, gitea.ListOrgReposOptions{})
		if err != nil || len(old) == 0 {
			break
		}
		for _, r := range old {
			o.remove(r.Name)
		}
	}
	_, _ = o.client.DeleteOrg(name)
	if _, _, err := o.client.CreateOrg(gitea.CreateOrgOption{Name: name, Visibility: gitea.VisibleTypePrivate}); err != nil {
		t.Fatalf("create organisation %s: %v", name, err)
	}
	return o
}

// add makes a repository with a commit.
func (o *organisation) add(name string) {
	o.Helper()
	if _, _, err := o.client.CreateOrgRepo(o.name, gitea.CreateRepoOption{Name: name, Private: true, AutoInit: true, Readme: "Default", DefaultBranch: "main"}); err != nil {
		o.Fatalf("create repository %s: %v", name, err)
	}
}

func (o *organisation) remove(name string) {
	o.Helper()
	if _, err := o.client.DeleteRepo(o.name, name); err != nil {
		o.Fatalf("delete repository %s: %v", name, err)
	}
}

func (o *organisation) rename(name, to string) {
	o.Helper()
	if _, _, err := o.client.EditRepo(o.name, name, gitea.EditRepoOption{Name: &to}); err != nil {
		o.Fatalf("rename repository %s: %v", name, err)
	}
}

// push commits a file to main.
func (o *organisation) push(name, file string) {
	o.Helper()
	_, _, err := o.client.CreateFile(o.name, name, file, gitea.CreateFileOptions{
		FileOptions: gitea.FileOptions{BranchName: "main"}, Content: base64.StdEncoding.EncodeToString([]byte("pushed")),
	})
	if err != nil {
		o.Fatalf("push to %s: %v", name, err)
	}
}

// TestDiscovery has a Sentry watch an organisation of sixty repositories that nobody wrote down, as some come, go, are renamed and are
// pushed to, and over a restart. Each push has its run, and nothing else has one.
func TestDiscovery(t *testing.T) {
	t.Parallel()
	const ns, many = "sentry-discovery", 60
	giteaCredentials(t)
	namespace(t, ns)
	qa := newRepo(t, ns+"-qa", map[string]string{"README": "the QA repository"})
	org := newOrganisation(t, ns)
	var want []string
	for i := range many {
		name := fmt.Sprint("svc-", i)
		org.add(name)
		want = append(want, name)
	}
	org.add("other")
	account := (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller")
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, fmt.Sprintf(discoveryConfig, strings.TrimSuffix(env.giteaURL, "/"), ns, qa.url)+soakGlobal())
	sentry := watch(t, file, ns, account, "--interval", "2s") // and it asks which there are every 20 s
	began := time.Now()
	// expect waits until those repositories are watched, and until there are runs of those units and no others.
	expect := func(when string, runs ...string) {
		t.Helper()
		slices.Sort(want)
		slices.Sort(runs)
		await(t, 3*time.Minute, when, func() (bool, string) {
			out, err := command(t.Context(), "", env.sentry, "status", "-o", "json", "-c", file, "-n", ns, "--kubeconfig", account)
			var status struct {
				Branches []struct{ Repository string }
			}
			if err == nil {
				err = json.Unmarshal([]byte(out), &status)
			}
			if err != nil {
				return false, err.Error()
			}
			var watched, made []string
			for _, b := range status.Branches {
				watched = append(watched, b.Repository)
			}
			slices.Sort(watched)
			for _, r := range get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items {
				made = append(made, r.Name[:strings.LastIndexByte(r.Name, '-')])
			}
			slices.Sort(made)
			return slices.Equal(watched, want) && slices.Equal(made, runs), fmt.Sprintf("watched are %q, and the runs of %q; the log:\n%s", watched, made, sentry.said())
		})
	}
	expect("all of the organisation to be watched")
	t.Logf("%d repositories were found and seen for the first time in %s", many, time.Since(began))
	org.push("svc-7", "first")
	expect("a push", "svc-7-main")

	org.rename("svc-1", "svc-renamed")
	sentry.awaitSaid("svc-1 -> " + ns + "/svc-renamed")
	org.push("svc-renamed", "renamed")
	expect("a push to one that was renamed", "svc-7-main", "svc-1-main")

	org.add("svc-new")
	want = append(want, "svc-new")
	expect("one that is added to be watched", "svc-7-main", "svc-1-main")
	org.push("svc-new", "added")
	expect("a push to it", "svc-7-main", "svc-1-main", "svc-new-main")

	sentry.kill()
	org.push("svc-9", "down")
	sentry.start()
	expect("a push while Sentry was down", "svc-7-main", "svc-1-main", "svc-new-main", "svc-9-main")

	org.remove("svc-2")
	want = slices.DeleteFunc(want, func(name string) bool { return name == "svc-2" })
	expect("one that is deleted to be forgotten", "svc-7-main", "svc-1-main", "svc-new-main", "svc-9-main")
	if out := kubectl(t, "-n", ns, "get", "configmap", "sentry-found", "-o", "json"); strings.Contains(out, env.giteaToken) {
		t.Error("the token is in what was found")
	}
	if strings.Contains(sentry.said(), env.giteaToken) {
		t.Error("the token is in the log")
	}
}
