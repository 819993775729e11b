package e2e

import (
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/instance"
)

// useAll is what a deployment's commands do with each right of sentry-deployer. A kubectl with --watch lists for longer than its
// timeout lasts where the API server is busy, and then never comes to its watch, so the watches are asked for as they are.
const useAll = `#!/bin/sh -eu
namespace=$(cat /var/run/secrets/kubernetes.io/serviceaccount/namespace)
watch() {
  kubectl get --raw "$1/namespaces/$namespace/$2?watch=true&timeoutSeconds=1" >watched
}
kinds='tasks pipelines taskruns pipelineruns'
list=$(echo $kinds | tr ' ' ,)
kubectl create -f objects
kubectl get "$list,configmaps,secrets"
until kubectl get "$list" -l used=no -o yaml >used.yaml && kubectl replace -f used.yaml; do sleep 1; done
kubectl annotate -f used.yaml used=yes
for kind in $kinds; do watch /apis/tekton.dev/v1 $kind; done
kubectl get -f objects
kubectl delete -f objects --wait=false
for kind in configmaps secrets; do
  kubectl get $kind sentry-credentials || true
  watch /api/v1 $kind
done
`

// used are the objects that useAll makes: nothing of them runs.
var used = map[string]string{
	"qa/objects/task.yaml":        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: used, labels: {used: 'no'}}\nspec: {steps: [{name: nothing, image: scratch, command: ['true']}]}\n",
	"qa/objects/pipeline.yaml":    "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: used, labels: {used: 'no'}}\nspec: {tasks: [{name: nothing, taskRef: {name: used}}]}\n",
	"qa/objects/taskrun.yaml":     "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: used, labels: {used: 'no'}}\nspec: {taskRef: {name: nobody}}\n",
	"qa/objects/pipelinerun.yaml": "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: used, labels: {used: 'no'}}\nspec: {status: PipelineRunPending, pipelineRef: {name: nobody}}\n",
	"qa/use-all.sh":               useAll,
}

// rightsConfig has one unit for each thing that a run may come to.
const rightsConfig = `
groups: {slow: {on_busy: cancel}}
repositories:
  - name: quick
    monitor: {repo_url: %[1]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %[1]s, repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: [cd qa, ./use-all.sh]}
  - name: fails
    monitor: {repo_url: %[2]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %[1]s, repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: [echo in vain, exit 3]}
  - name: slow
    group: slow
    monitor: {repo_url: %[3]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %[1]s, repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: [sleep 200]}
discover:
  - host: %[5]s
    repo_type: gitea
    owner: %[6]s
    match: rights-found
    auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
    template: {deploy: {qa_repo_url: %[1]s, repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: ['true']}}
global:
  keep_runs: 1
  discover_interval: 60
%[4]s`

// TestRightsAreUsed compares what the Roles give to Sentry and to the commands of deployments with what the API server saw them use, as
// Sentry deploys, fails, cancels, prunes, tells, and shares the work. Nothing is given that is not used, and nothing was refused.
func TestRightsAreUsed(t *testing.T) {
	t.Parallel()
	quick := newRepo(t, "rights-quick", used)
	fails := newRepo(t, "rights-fails", map[string]string{"README": "an application"})
	slow := newRepo(t, "rights-slow", map[string]string{"README": "an application"})
	clearInstallation(t)
	began := time.Now()
	newRepo(t, "rights-found", map[string]string{"README": "an application"})
	config := fmt.Sprintf(rightsConfig, quick.url, fails.url, slow.url, testImages(), strings.TrimSuffix(env.giteaURL, "/"), env.giteaUser)
	kubectl(t, "apply", "-k", kustomized(t, config, "replicas"))
	createCredentials(t)
	kubectl(t, "-n", home, "rollout", "restart", "deployment/sentry")
	rolledOut(t)
	awaitRemembered(t, "quick", "fails", "slow", "rights-found")

	slow.push("main", map[string]string{"n": "1"})
	await(t, time.Minute, "a run to cancel", func() (bool, string) {
		out := kubectl(t, "-n", runsIn, "get", "pipelineruns", "-o", "name")
		return strings.Contains(out, "slow"), out
	})
	slow.push("main", map[string]string{"n": "2"})
	newRepo(t, "rights-found-too", map[string]string{"README": "an application"}) // with which what was found is written again
	for range 3 {
		awaitRun(t, "fails", fails.push("main", map[string]string{"n": time.Now().String()}))
	}
	deploysOnce(t, quick, "first")
	pod := "deployment/sentry"
	// The replicas and these look at once, so that some find a run that another one made just before.
	want := granted(t)
	seen := func() map[string][]string { return audited(t, began) }
	for range 20 {
		if seen()["sentry "+runsIn+" get pipelineruns"] != nil {
			break
		}
		quick.push("main", map[string]string{"n": time.Now().String()})
		for range 2 {
			_, _ = command(t.Context(), "", "kubectl", "-n", home, "exec", pod, "--", "/sentry", "watch", "--once", "--health=", "--replica=", "--interval=60s")
		}
	}
	kubectl(t, "apply", "-k", kustomized(t, strings.Replace(config, "in vain", "again", 1), "replicas")) // which it tells by an Event
	kubectl(t, "-n", home, "scale", "deployment/sentry", "--replicas=2")                                 // which gives back a Lease
	await(t, 3*time.Minute, "each right to be used", func() (bool, string) {
		var unused []string
		have := seen()
		for right := range want {
			if have[right] == nil {
				unused = append(unused, right)
			}
		}
		slices.Sort(unused)
		return len(unused) == 0, strings.Join(unused, "\n")
	})
	have := seen()
	for right, names := range have {
		if want[right] == nil {
			t.Errorf("%s was used, and is given to nobody that the manifests know", right)
		}
		if limit := want[right]; len(limit) > 0 {
			for _, name := range limit {
				if !slices.Contains(names, name) && !ofALargeState.MatchString(name) {
					t.Errorf("%s %s is given and was not used", right, name)
				}
			}
		}
	}
	var table strings.Builder
	for _, right := range slices.Sorted(maps.Keys(want)) {
		fmt.Fprintf(&table, "%-60s given %v, used %v\n", right, want[right], have[right])
	}
	t.Logf("\n%s", &table)
	for _, who := range []string{home + ":sentry", runsIn + ":sentry-deployer"} {
		for _, ns := range []string{home, runsIn} {
			t.Logf("%s in %s:\n%s", who, ns, kubectl(t, "auth", "can-i", "--list", "-n", ns, "--as=system:serviceaccount:"+who))
		}
	}
}

// ofALargeState are the names of ConfigMaps that only a state of thousands of branches has.
var ofALargeState = regexp.MustCompile("^" + instance.Instance{}.State() + "-[0-9]+$")

// everybodys are the groups of what every account may ask, such as what it may do.
var everybodys = []string{"authorization.k8s.io", "authentication.k8s.io"}

// granted returns the rights of both accounts as the API server tells them: "account namespace verb resource", with the names
// that each is limited to.
func granted(t *testing.T) map[string][]string {
	t.Helper()
	rights := map[string][]string{}
	for account, ns := range map[string]string{"sentry": home, "sentry-deployer": runsIn} {
		for _, in := range []string{home, runsIn} {
			review := authorizationv1.SelfSubjectRulesReview{Spec: authorizationv1.SelfSubjectRulesReviewSpec{Namespace: in}}
			review.APIVersion, review.Kind = "authorization.k8s.io/v1", "SelfSubjectRulesReview"
			text, err := yaml.Marshal(review)
			if err != nil {
				t.Fatal(err)
			}
			out := run(t, string(text), "kubectl", "create", "--validate=false", "-f", "-", "-o", "json", "--as=system:serviceaccount:"+ns+":"+account)
			if err := json.Unmarshal([]byte(out), &review); err != nil {
				t.Fatal(err)
			}
			for _, rule := range review.Status.ResourceRules {
				if slices.Contains(everybodys, rule.APIGroups[0]) {
					continue
				}
				for _, resource := range rule.Resources {
					for _, verb := range rule.Verbs {
						key := strings.Join([]string{account, in, verb, resource}, " ")
						rights[key] = append(append([]string{}, rights[key]...), rule.ResourceNames...)
					}
				}
			}
		}
	}
	return rights
}

// audited returns what the API server let the accounts do since then, as granted has it, with the names that they named. What it
// refused to Sentry is an error.
func audited(t *testing.T, since time.Time) map[string][]string {
	t.Helper()
	words := strings.Fields(env.audit)
	used := map[string][]string{}
	for line := range strings.Lines(run(t, "", words[0], words[1:]...)) {
		var event struct {
			User                     struct{ Username string }
			Verb                     string
			ObjectRef                struct{ Resource, Subresource, Namespace, Name, APIGroup string }
			RequestReceivedTimestamp time.Time
			Annotations              map[string]string
		}
		if err := json.Unmarshal([]byte(line), &event); err != nil {
			continue // it is being written
		}
		account, ours := map[string]string{
			"system:serviceaccount:" + home + ":sentry": "sentry", "system:serviceaccount:" + runsIn + ":sentry-deployer": "sentry-deployer",
		}[event.User.Username]
		o := event.ObjectRef
		if !ours || event.RequestReceivedTimestamp.Before(since) || o.Resource == "" || slices.Contains(everybodys, o.APIGroup) {
			continue
		}
		resource := o.Resource
		if o.Subresource != "" {
			resource += "/" + o.Subresource
		}
		key := strings.Join([]string{account, o.Namespace, event.Verb, resource}, " ")
		if event.Annotations["authorization.k8s.io/decision"] != "allow" {
			if account == "sentry" { // kubectl, which commands use, asks for more than it needs
				t.Errorf("the API server refused %s %s: %s", key, o.Name, event.Annotations["authorization.k8s.io/reason"])
			}
			continue
		}
		if used[key] == nil {
			used[key] = []string{}
		}
		if !slices.Contains(used[key], o.Name) && len(used[key]) < 20 {
			used[key] = append(used[key], o.Name)
		}
	}
	return used
}
