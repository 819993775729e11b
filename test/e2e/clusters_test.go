package e2e

import (
	"encoding/base64"
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
)

// TestClusters has a Sentry deploy to another cluster with no more than the rights of examples/cluster/rbac.yaml, and to one that does not
// answer until later. The other cluster is another namespace of this one, by another account.
func TestClusters(t *testing.T) {
	t.Parallel()
	const home, prod = "sentry-clusters", "sentry-clusters-prod"
	giteaCredentials(t)
	namespace(t, home)
	namespace(t, prod)
	rights, err := os.ReadFile("../../examples/cluster/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	apply(t, strings.NewReplacer("namespace: deploy", "namespace: "+prod, "name: deploy\n", "name: "+prod+"\n").Replace(string(rights)))
	var token []byte
	await(t, time.Minute, "a token of the other account", func() (bool, string) {
		token = get[corev1.Secret](t, "-n", prod, "secret", "sentry-remote").Data["token"]
		return len(token) > 0, ""
	})
	server := kubectl(t, "config", "view", "--minify", "--raw", "-o", "jsonpath={.clusters[0].cluster.server}")
	authority := base64.StdEncoding.EncodeToString(get[corev1.Secret](t, "-n", prod, "secret", "sentry-remote").Data["ca.crt"])
	kubeconfig := func(server string) string {
		return "{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: \"" + server + "\", certificate-authority-data: " + authority + "}}],\n" +
			"users: [{name: u, user: {token: " + string(token) + "}}], contexts: [{name: c, context: {cluster: c, user: u}}]}\n"
	}
	dir := t.TempDir()
	variables := filepath.Join(dir, "variables")
	if err := os.Mkdir(variables, 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(variables, "PROD"), kubeconfig(server))
	write(t, filepath.Join(variables, "AWAY"), kubeconfig("https://127.0.0.1:1"))
	repository := newRepo(t, "sentry-clusters", map[string]string{"README": "an application"})
	file := filepath.Join(dir, "sentry.yaml")
	entry := func(name, cluster string) string {
		return strings.Replace(soakRepository(name, "", "gitea", repository.url, repository.url, "true"), "commands:", "clusters: ["+cluster+"], commands:", 1)
	}
	write(t, file, "clusters:\n  prod: {kubeconfig: \"${PROD}\", namespace: "+prod+"}\n  away: {kubeconfig: \"${AWAY}\", namespace: "+prod+"}\n"+
		"repositories:\n"+entry("here", "local")+entry("there", "prod")+entry("later", "away")+soakGlobal())
	sentry := func(args ...string) string {
		out, _ := command(t.Context(), "", env.sentry, append(args, "-c", file, "-n", home, "--env-dir", variables)...)
		return out
	}
	runs := func(in, repository string) (names []string) {
		for _, pr := range get[v1.PipelineRunList](t, "-n", in, "pipelineruns", "-l", "tekton-sentry.dev/repository="+repository).Items {
			names = append(names, pr.Name)
		}
		return names
	}
	count := func(what string, here, there, later int) {
		t.Helper()
		if a, b, c := runs(home, "here"), runs(prod, "there"), runs(prod, "later"); len(a) != here || len(b) != there || len(c) != later {
			t.Errorf("%s: runs %v, %v and %v, want %d, %d and %d", what, a, b, c, here, there, later)
		}
	}
	if out := sentry("check"); !strings.Contains(out, "prod: rights") || !strings.Contains(out, "away: API server") {
		t.Errorf("check says nothing of the other clusters:\n%s", out)
	}
	sentry("watch", "--once")
	count("first sight", 0, 0, 0)
	repository.push("main", map[string]string{"pushed": "first"})
	sentry("watch", "--once")
	count("a push", 1, 1, 0)
	var status overview.Status
	if err := json.Unmarshal([]byte(sentry("status", "-o", "json")), &status); err != nil {
		t.Fatal(err)
	}
	if !slices.ContainsFunc(status.Problems, func(p overview.Problem) bool { return p.On == "later.main" && p.Kind == "cluster" }) {
		t.Errorf("status does not say that a cluster is away: %+v", status.Problems)
	}
	if !slices.ContainsFunc(status.Runs, func(r overview.Run) bool { return r.Unit == "there.main" && r.Cluster == "prod" }) {
		t.Errorf("status does not say where runs are: %+v", status.Runs)
	}
	for in, names := range map[string][]string{home: runs(home, "here"), prod: runs(prod, "there")} {
		for _, name := range names {
			awaitEnd(t, in, name)
			if pr := get[v1.PipelineRun](t, "-n", in, "pipelinerun", name); !pr.Status.GetCondition(apis.ConditionSucceeded).IsTrue() {
				t.Errorf("%s in %s did not succeed: %+v", name, in, pr.Status.Conditions)
			}
		}
	}
	if out := sentry("logs", "there"); !strings.Contains(out, "[there : ") {
		t.Errorf("logs of a run elsewhere:\n%s", out)
	}
	write(t, filepath.Join(variables, "AWAY"), kubeconfig(server))
	for range 2 {
		sentry("watch", "--once")
	}
	count("the last one answers", 1, 1, 1)
	if problems := sentry("status", "later"); strings.Contains(problems, "cluster away") {
		t.Errorf("the problem stays:\n%s", problems)
	}
}
