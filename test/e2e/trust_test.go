package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
)

// attack is what somebody tries who may write to a QA repository: to read what the poller has, from the commands and
// from pods of each account, in the namespace that is its first argument.
const attack = `#!/bin/sh
for what in "secret sentry-credentials" "secret sentry-key" "configmap sentry-state"; do
  kubectl -n "$1" get $what -o yaml 2>&1
done
for account in sentry sentry-deployer; do
  kubectl create -f - <<END 2>&1
apiVersion: tekton.dev/v1
kind: TaskRun
metadata: {generateName: attack-by-$account-, namespace: $1}
spec:
  serviceAccountName: $account
  timeout: 60s
  podTemplate: {securityContext: {runAsNonRoot: true, runAsUser: 65532, seccompProfile: {type: RuntimeDefault}}}
  taskSpec:
    stepTemplate: {securityContext: {allowPrivilegeEscalation: false, capabilities: {drop: [ALL]}}}
    steps:
    - name: look
      image: %[1]s
      volumeMounts: [{name: credentials, mountPath: /credentials}]
      script: |
        #!/bin/sh
        cat /credentials/*
        kubectl -n %[2]s get configmap sentry-state -o yaml 2>&1
    volumes: [{name: credentials, secret: {secretName: sentry-credentials}}]
END
done
true
`

const trustConfig = `
repositories:
  - name: app
    monitor: {repo_url: %[1]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy:
      qa_repo_url: %[2]s
      repo_type: git
      auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}
      commands: [./attack.sh sentry, ./attack.sh sentry-runs]
  - name: quick
    monitor: {repo_url: %[3]s, branches: [main], repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %[2]s, repo_type: git, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: ['true']}
global:
  image: %[4]s
  git_image: %[5]s
`

// TestTrust attacks Sentry as the manifests install it, with what those can do whom it has to do with: who may write to
// a QA repository, and who may create PipelineRuns where the runs are.
func TestTrust(t *testing.T) {
	t.Parallel()
	app := newRepo(t, "trust-app", map[string]string{"README": "an application"})
	quick := newRepo(t, "trust-quick", map[string]string{"README": "another"})
	qa := newRepo(t, "trust-qa", map[string]string{"attack.sh": fmt.Sprintf(attack, env.deployImage, home)})
	installSentry(t, fmt.Sprintf(trustConfig, app.url, qa.url, quick.url, env.deployImage, env.gitImage))
	awaitRemembered(t, "app", "quick")
	t.Run("commands", func(t *testing.T) { checkCommandsReachNothing(t, app) })
	f := newForger(t)
	t.Run("refs of others", func(t *testing.T) { f.at(t).checkRefsOfOthers(quick) })
	t.Run("the next run", func(t *testing.T) { f.at(t).checkNextRun(quick) })
	t.Run("a run that is held back", func(t *testing.T) { f.at(t).checkHeldBack(quick) })
	t.Run("a run that does not end", func(t *testing.T) { f.at(t).checkEndless(quick) })
}

func checkCommandsReachNothing(t *testing.T, app *gitRepo) {
	pr := awaitRun(t, "app", app.push("main", map[string]string{"change": "1"}))
	said := run(t, "", "tkn", "pipelinerun", "logs", pr.Name, "-n", runsIn)
	for what, want := range map[string]int{
		`cannot get resource "secrets" in API group "" in the namespace "` + home + `"`:               2,
		`cannot get resource "configmaps" in API group "" in the namespace "` + home + `"`:            1,
		`cannot create resource "taskruns" in API group "tekton.dev" in the namespace "` + home + `"`: 2,
		`taskrun.tekton.dev/attack-by-`: 2, // the control: in the namespace of the runs it may
	} {
		if n := strings.Count(said, what); n != want {
			t.Errorf("%q stands in the log %d times, want %d:\n%s", what, n, want, said)
		}
	}
	// Those two show what is in the namespace of the runs, which belongs to whoever may write to a QA repository.
	await(t, 2*time.Minute, "the attack's TaskRuns to end", func() (bool, string) {
		seen := ""
		done := 0
		for _, tr := range get[v1.TaskRunList](t, "-n", runsIn, "taskruns").Items {
			if strings.HasPrefix(tr.Name, "attack-by-") && tr.IsDone() {
				done++
			}
			seen += tr.Name + " " + fmt.Sprint(tr.Status.Conditions) + "\n"
		}
		return done == 2, seen
	})
	pods := 0
	for _, pod := range get[corev1.PodList](t, "-n", runsIn, "pods").Items {
		if strings.HasPrefix(pod.Name, "attack-by-") {
			pods++
			said += kubectl(t, "-n", runsIn, "logs", pod.Name, "--all-containers")
			if pod.Spec.ServiceAccountName != "sentry-deployer" {
				t.Errorf("pod %s runs as %s", pod.Name, pod.Spec.ServiceAccountName)
			}
		}
	}
	if pods != 1 || !strings.Contains(said, env.giteaToken) {
		t.Errorf("%d pods of the attack, want the deployer's, which shows the token of the QA repository:\n%s", pods, said)
	}
	for _, secret := range []string{pollerOnly, `"epoch"`, base64.StdEncoding.EncodeToString([]byte(pollerOnly))} {
		if strings.Contains(said, secret) {
			t.Errorf("the attack found %q:\n%s", secret, strings.ReplaceAll(said, env.giteaToken, "TOKEN"))
		}
	}
}

// forger is somebody who may create PipelineRuns in the namespace of the runs, and nothing else. What else it knows, such
// as the epoch, is a gift.
type forger struct {
	t  *testing.T
	as string
}

func newForger(t *testing.T) forger {
	t.Helper()
	kubectl(t, "-n", runsIn, "create", "serviceaccount", "forger")
	kubectl(t, "-n", runsIn, "create", "role", "forger", "--verb=create", "--resource=pipelineruns.tekton.dev")
	kubectl(t, "-n", runsIn, "create", "rolebinding", "forger", "--role=forger", "--serviceaccount="+runsIn+":forger")
	f := forger{t: t, as: "--as=system:serviceaccount:" + runsIn + ":forger"}
	await(t, time.Minute, "the Role to be in force", func() (bool, string) {
		out, err := command(t.Context(), "", "kubectl", "auth", "can-i", "create", "pipelineruns.tekton.dev", "-n", runsIn, f.as)
		return err == nil, out
	})
	return f
}

func (f forger) at(t *testing.T) forger { return forger{t: t, as: f.as} }

func (f forger) state() state.Snapshot {
	f.t.Helper()
	c, err := kube.Connect(kube.Options{Kubeconfig: env.kubeconfig, Namespace: home, UserAgent: "sentry-e2e"})
	if err != nil {
		f.t.Fatal(err)
	}
	s, err := configmap.New(c, instance.Instance{}).Load(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return s
}

// forge creates the run of quick@main with the number n that a Sentry without a key would make: of its own unit, or of a
// group of this name.
func (f forger) forge(group string, n int, sha string, edit func(*v1.PipelineRun)) string {
	f.t.Helper()
	text := fmt.Sprintf(trustConfig, "https://a.example/a", "https://a.example/qa", "https://a.example/q", env.deployImage, env.gitImage)
	if group != "" {
		text = "groups: {" + group + ": {}}\n" + strings.Replace(text, "  - name: quick\n", "  - name: quick\n    group: "+group+"\n", 1)
	}
	cfg, err := config.Parse([]byte(text), config.Options{Hosts: hosts.All.Config(), LookupEnv: func(string) (string, bool) { return "x", true }})
	if err != nil {
		f.t.Fatal(err)
	}
	cfg.Repositories = cfg.Repositories[1:]
	s := state.Snapshot{Epoch: f.state().Epoch, Repositories: map[string]state.Repository{
		"quick": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: repo.SHA(strings.Repeat("e", 40)), N: n - 1}})},
	}}
	p := plan.Make(plan.Input{Config: cfg, Snapshot: s, Observed: []repo.Observation{{Heads: map[string]repo.SHA{"main": repo.SHA(sha)}}}, Now: time.Now()})
	pr, err := pipelinerun.Generate(cfg, p.Runs[0])
	if err != nil {
		f.t.Fatal(err)
	}
	pr.Namespace = runsIn
	metav1.SetMetaDataLabel(&pr.ObjectMeta, forgedLabel, "yes")
	// The signature of a real run, which everybody can read who sees the runs.
	for _, other := range get[v1.PipelineRunList](f.t, "-n", runsIn, "pipelineruns").Items {
		if signature := other.Annotations[pipelinerun.AnnotationSignature]; signature != "" {
			metav1.SetMetaDataAnnotation(&pr.ObjectMeta, pipelinerun.AnnotationSignature, signature)
		}
	}
	edit(pr)
	manifest, err := yaml.Marshal(pr)
	if err != nil {
		f.t.Fatal(err)
	}
	run(f.t, string(manifest), "kubectl", f.as, "create", "-f", "-")
	return pr.Name
}

const forgedLabel = "forged"

func heldBack(pr *v1.PipelineRun) { pr.Spec.Status = v1.PipelineRunSpecStatusPending }

// genuine returns the runs of the commit that were not forged.
func genuine(t *testing.T, sha string) []string {
	t.Helper()
	var names []string
	for _, pr := range runsOf(t, "quick", sha) {
		if pr.Labels[forgedLabel] == "" {
			names = append(names, pr.Name)
		}
	}
	return names
}

func awaitGenuine(t *testing.T, sha string) {
	t.Helper()
	await(t, time.Minute, "a run of "+sha, func() (bool, string) {
		names := genuine(t, sha)
		return len(names) == 1, fmt.Sprint(names)
	})
}

// checkRefsOfOthers names refs with a number beyond all that Sentry would reach.
func (f forger) checkRefsOfOthers(quick *gitRepo) {
	t := f.t
	sha := quick.push("main", map[string]string{"n": "real"})
	awaitGenuine(t, sha)
	var before state.Branch
	await(t, time.Minute, "the commit to be remembered", func() (bool, string) {
		before = f.state().Repositories["quick"].Branches.Get("main")
		return string(before.SHA) == sha, string(before.SHA)
	})
	for _, group := range []string{"", "made-up"} {
		f.forge(group, 900_000_000, strings.Repeat("a", 40), heldBack)
	}
	// At its start it looks at all runs.
	kubectl(t, "-n", home, "rollout", "restart", "deployment/sentry")
	kubectl(t, "-n", home, "rollout", "status", "deployment/sentry", "--timeout=120s")
	sha = quick.push("main", map[string]string{"n": "after the forgery"})
	awaitGenuine(t, sha)
	await(t, time.Minute, "the commit to be remembered", func() (bool, string) {
		now := f.state().Repositories["quick"].Branches.Get("main")
		text, _ := json.Marshal(now)
		return string(now.SHA) == sha && now.N == before.N+1, string(text)
	})
}

// checkNextRun makes the unit's next run, for a commit that Sentry has yet to see.
func (f forger) checkNextRun(quick *gitRepo) {
	t := f.t
	kubectl(t, "-n", home, "scale", "deployment/sentry", "--replicas=0")
	kubectl(t, "-n", home, "wait", "--for=delete", "pod", "-l", "app.kubernetes.io/name=sentry", "--timeout=90s")
	sha := quick.push("main", map[string]string{"n": "named by a forged run"})
	f.forge("", f.state().Repositories["quick"].Branches.Get("main").N+1, sha, heldBack)
	kubectl(t, "-n", home, "scale", "deployment/sentry", "--replicas=1")
	awaitGenuine(t, sha)
}

func (f forger) checkHeldBack(quick *gitRepo) {
	n := f.state().Repositories["quick"].Branches.Get("main").N
	f.forge("", n+20, strings.Repeat("b", 40), heldBack)
	awaitGenuine(f.t, quick.push("main", map[string]string{"n": "beside one that is held back"}))
}

// checkEndless keeps the unit busy, which must not go untold.
func (f forger) checkEndless(quick *gitRepo) {
	t := f.t
	n := f.state().Repositories["quick"].Branches.Get("main").N
	name := f.forge("", n+30, strings.Repeat("c", 40), func(pr *v1.PipelineRun) {
		pr.Spec.TaskRunTemplate.ServiceAccountName = "default"
		pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps = []v1.Step{{Name: "s", Image: env.deployImage, Script: "#!/bin/sh\nsleep 600\n"}}
	})
	sha := quick.push("main", map[string]string{"n": "behind one that does not end"})
	status := func() string { return run(t, "", env.sentry, "status", "-n", home, "--run-namespace", runsIn) }
	await(t, time.Minute, "status to name the run", func() (bool, string) {
		out := status()
		return strings.Contains(out, "waits for the run "+name), out
	})
	if names := genuine(t, sha); len(names) > 0 {
		t.Errorf("beside a run of somebody else's: %v, want none", names)
	}
	kubectl(t, "-n", runsIn, "delete", "pipelinerun", name)
	awaitGenuine(t, sha)
	await(t, time.Minute, "the problem to be gone", func() (bool, string) {
		out := status()
		return !strings.Contains(out, name), out
	})
}
