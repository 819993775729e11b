package e2e

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/keys"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/record"
	"github.com/tekton-sentry/sentry/pkg/event/kubesink"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
)

// uses are what the poller does with each right of its Role. Each must fail without that right, and there is
// no right beside them.
var uses = map[string]func(ctx context.Context, c *kube.Cluster) error{
	"configmaps get": func(ctx context.Context, c *kube.Cluster) error {
		_, err := configmap.New(c, instance.Instance{}).Load(ctx)
		return err
	},
	"configmaps create": func(ctx context.Context, c *kube.Cluster) error {
		return configmap.New(c, instance.Instance{}).Save(ctx, state.Snapshot{Epoch: "0"})
	},
	"configmaps update": func(ctx context.Context, c *kube.Cluster) error {
		s := configmap.New(c, instance.Instance{})
		snapshot, err := s.Load(ctx)
		if err != nil {
			return err
		}
		return s.Save(ctx, snapshot)
	},
	"secrets get": func(ctx context.Context, c *kube.Cluster) error {
		_, err := keys.Of(c, instance.Instance{})(ctx)
		return err
	},
	"secrets update": func(ctx context.Context, c *kube.Cluster) error {
		_, err := keys.Of(c, instance.Instance{})(ctx)
		return err
	},
	"pipelineruns create": func(ctx context.Context, c *kube.Cluster) error {
		cfg, run := plannedRun(2)
		_, err := tekton.New(c, "", instance.Instance{}).Create(ctx, cfg, run)
		return err
	},
	"pipelineruns get": func(ctx context.Context, c *kube.Cluster) error {
		cfg, run := plannedRun(1)
		made, err := tekton.New(c, "", instance.Instance{}).Create(ctx, cfg, run)
		if err == nil && !made.Existed {
			err = fmt.Errorf("it was not there")
		}
		return err
	},
	"pipelineruns list": func(ctx context.Context, c *kube.Cluster) error {
		_, run := plannedRun(1)
		runs, err := tekton.New(c, "", instance.Instance{}).Runs(ctx, []string{run.Unit.Label})
		active := plan.Names(plan.ActiveOf(engine.Existing(runs), func(plan.Existing) bool { return true })[run.Unit.Label])
		if err == nil && !slices.Contains(active, run.Name) {
			err = fmt.Errorf("active runs %v, want the one that is there", active)
		}
		return err
	},
	"pipelineruns watch": func(ctx context.Context, c *kube.Cluster) error {
		ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
		defer cancel()
		var log strings.Builder
		tekton.New(c, "", instance.Instance{}).Ends(ctx, slog.New(slog.NewTextHandler(&log, nil)), func(result.Result) {})
		if log.Len() > 0 {
			return errors.New(log.String())
		}
		return nil
	},
	"pipelineruns patch": func(ctx context.Context, c *kube.Cluster) error {
		_, run := plannedRun(1)
		return tekton.New(c, "", instance.Instance{}).Cancel(ctx, run.Name, "")
	},
	"pipelineruns delete": func(ctx context.Context, c *kube.Cluster) error {
		_, err := tekton.New(c, "", instance.Instance{}).Prune(ctx, "finished", 1)
		return err
	},
	"pods/log get": func(ctx context.Context, c *kube.Cluster) error {
		_, err := tekton.New(c, "", instance.Instance{}).LastLines(ctx, "no-such-pod", "step-deploy")
		if apierrors.IsNotFound(err) {
			return nil
		}
		return err
	},
	"events create": func(ctx context.Context, c *kube.Cluster) error {
		// Of both Roles: where the runs are, and in Sentry's own namespace.
		run := record.End(ctx, c, c.Namespace, result.Result{Name: "run", Verdict: result.Failed}, "uid")
		own := kubesink.Record(ctx, c, instance.Instance{}, "Warning", "ConfigurationRefused", "line 1")
		if (run == nil) != (own == nil) {
			return nil
		}
		return own
	},
	"taskruns list": func(ctx context.Context, c *kube.Cluster) error {
		_, err := tekton.New(c, "", instance.Instance{}).Prune(ctx, "finished", 1)
		return err
	},
}

// plannedRun is the run of a unit's n-th change.
func plannedRun(n int) (*config.Config, plan.Run) {
	const text = `repositories:
  - name: app
    monitor: {repo_url: "https://a.example/app", branches: [main], repo_type: git}
    deploy: {qa_repo_url: "https://a.example/qa", repo_type: git, commands: ["true"]}
`
	cfg, err := config.Parse([]byte(text), hosts.Options(nil))
	if err != nil {
		panic(err)
	}
	sha := func(n int) repo.SHA { return repo.SHA(fmt.Sprintf("%040x", n+1)) }
	in := plan.Input{
		Config: cfg,
		Snapshot: state.Snapshot{Epoch: "0", Repositories: map[string]state.Repository{
			"app": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha(n - 1), N: n - 1}})},
		}},
		Observed: []repo.Observation{{Heads: map[string]repo.SHA{"main": sha(n)}}},
	}
	run, err := plan.Make(in).Runs[0].Pin([]repo.Observation{{Heads: map[string]repo.SHA{"main": sha(n)}}})
	if err != nil {
		panic(err)
	}
	return cfg, run
}

// pendingRun is a run that Tekton does not start.
func pendingRun(name string) *v1.PipelineRun {
	return &v1.PipelineRun{
		TypeMeta: metav1.TypeMeta{APIVersion: "tekton.dev/v1", Kind: "PipelineRun"},
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      map[string]string{pipelinerun.LabelManagedBy: pipelinerun.ManagedBy, pipelinerun.LabelUnit: "unit"},
			Annotations: map[string]string{pipelinerun.AnnotationTrigger: `{"refs":[{"repository":"app","branch":"main","n":1,"new":"` + strings.Repeat("a", 40) + `"}],"seen":"2026-01-01T00:00:00Z"}`},
		},
		Spec: v1.PipelineRunSpec{
			Status: v1.PipelineRunSpecStatusPending,
			PipelineSpec: &v1.PipelineSpec{Tasks: []v1.PipelineTask{{
				Name:     "nothing",
				TaskSpec: &v1.EmbeddedTask{TaskSpec: v1.TaskSpec{Steps: []v1.Step{{Name: "nothing", Image: "scratch", Command: []string{"true"}}}}},
			}}},
		},
	}
}

// pollerAccount is one account with the poller's Role, in a namespace with a state and some runs.
type pollerAccount struct {
	t    *testing.T
	ns   string
	role rbacv1.Role
}

func TestEachRightOfThePollerIsNeeded(t *testing.T) {
	t.Parallel()
	role := pollerRole(t)
	rights := map[string]bool{}
	for _, rule := range role.Rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				rights[resource+" "+verb] = true
			}
		}
	}
	if got, want := slices.Sorted(maps.Keys(rights)), slices.Sorted(maps.Keys(uses)); !slices.Equal(got, want) {
		t.Fatalf("rights of the Role and what needs them\n got %v\nwant %v", got, want)
	}
	for right := range uses {
		t.Run(strings.ReplaceAll(right, " ", "-"), func(t *testing.T) {
			t.Parallel()
			p := newPoller(t, "sentry-rbac-"+strings.NewReplacer(" ", "-", "/", "-").Replace(right), role)
			with, without := p.account("with", ""), p.account("without", right)
			if err := uses[right](t.Context(), without); err == nil || !strings.Contains(err.Error(), "forbidden") {
				t.Errorf("without the right: %v, want forbidden", err)
			}
			if err := uses[right](t.Context(), with); err != nil {
				t.Errorf("with all rights: %v", err)
			}
		})
	}
	t.Run("nothing else", func(t *testing.T) {
		t.Parallel()
		p := newPoller(t, "sentry-rbac-else", role)
		p.account("with", "")
		for _, right := range []string{"get secrets", "get secret/sentry-credentials", "create secrets", "update secret/sentry-credentials", "delete secret/sentry-key", "list configmaps", "get configmap/other", "update configmap/other", "update configmap/sentry-state-16", "delete configmap/sentry-state", "create pods", "get pods", "list events", "get taskruns", "update pipelineruns"} {
			out, err := command(t.Context(), "", "kubectl", append([]string{"auth", "can-i", "-n", p.ns, "--as", "system:serviceaccount:" + p.ns + ":with"}, strings.Fields(right)...)...)
			if err == nil {
				t.Errorf("the poller may %s: %s", right, out)
			}
		}
	})
}

// pollerRole reads the poller's Roles from the manifests: that of the runs' namespace and that of its own, as one.
func pollerRole(t *testing.T) rbacv1.Role {
	t.Helper()
	rules := map[string][]rbacv1.PolicyRule{}
	for doc := range strings.SplitSeq(kubectl(t, "kustomize", "../../manifests"), "\n---\n") {
		var role rbacv1.Role
		if err := yaml.Unmarshal([]byte(doc), &role); err == nil && role.Kind == "Role" && role.Name == role.Namespace {
			rules[role.Namespace] = role.Rules
		}
	}
	if len(rules) != 2 || len(rules[runsIn]) == 0 || len(rules[home]) == 0 {
		t.Fatalf("the manifests hold the poller's Roles in %v, want %s and %s", slices.Sorted(maps.Keys(rules)), home, runsIn)
	}
	for _, rule := range rules[runsIn] {
		if slices.Contains(rule.Resources, "secrets") || slices.Contains(rule.Resources, "configmaps") {
			t.Errorf("the poller may %v where the runs are", rule)
		}
	}
	return rbacv1.Role{
		TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"},
		Rules:    slices.Concat(rules[runsIn], rules[home]),
	}
}

func newPoller(t *testing.T, ns string, role rbacv1.Role) *pollerAccount {
	t.Helper()
	namespace(t, ns)
	p := &pollerAccount{t: t, ns: ns, role: role}
	cfg, run := plannedRun(1)
	there, err := pipelinerun.Generate(cfg, run)
	if err != nil {
		t.Fatal(err)
	}
	there.Spec.Status = v1.PipelineRunSpecStatusPending
	p.create(there)
	if strings.HasSuffix(ns, "configmaps-update") {
		apply(t, fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\n", instance.Instance{}.State(), ns))
	}
	if strings.HasSuffix(ns, "delete") || strings.HasSuffix(ns, "list") {
		// Two runs that were cancelled before they began: finished, and one more than is kept. The newest
		// failed one is never deleted, so the older one is. What nobody was told of would stay for a while.
		for _, name := range []string{"older", "newer"} {
			pr := pendingRun(name)
			pr.Labels[pipelinerun.LabelUnit], pr.Annotations[pipelinerun.AnnotationTold] = "finished", name
			p.create(pr)
			kubectl(t, "-n", ns, "patch", "pipelinerun", name, "--type=merge", "-p", `{"spec":{"status":"Cancelled"}}`)
			await(t, time.Minute, name+" to be cancelled", func() (bool, string) {
				pr := get[v1.PipelineRun](t, "-n", ns, "pipelinerun", name)
				return pr.IsDone(), fmt.Sprint(pr.Status.Conditions)
			})
		}
	}
	return p
}

func (p *pollerAccount) create(pr *v1.PipelineRun) {
	p.t.Helper()
	text, err := yaml.Marshal(pr)
	if err != nil {
		p.t.Fatal(err)
	}
	run(p.t, string(text), "kubectl", "-n", p.ns, "create", "-f", "-")
}

// account makes a ServiceAccount with the Role less one right, and connects as it. The API server learns of
// Roles with a delay, so it waits until the account has a right that it must have.
func (p *pollerAccount) account(name, less string) *kube.Cluster {
	p.t.Helper()
	role := p.role.DeepCopy()
	role.Name, role.Namespace = name, p.ns
	resource, verb, _ := strings.Cut(less, " ")
	for i, rule := range role.Rules {
		if slices.Contains(rule.Resources, resource) {
			role.Rules[i].Verbs = slices.DeleteFunc(slices.Clone(rule.Verbs), func(v string) bool { return v == verb })
		}
	}
	role.Rules = slices.DeleteFunc(role.Rules, func(r rbacv1.PolicyRule) bool { return len(r.Verbs) == 0 })
	text, err := yaml.Marshal(role)
	if err != nil {
		p.t.Fatal(err)
	}
	apply(p.t, string(text))
	apply(p.t, fmt.Sprintf(`
apiVersion: v1
kind: ServiceAccount
metadata: {name: %[2]s, namespace: %[1]s}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: {name: %[2]s, namespace: %[1]s}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: %[2]s}
subjects: [{kind: ServiceAccount, name: %[2]s, namespace: %[1]s}]
`, p.ns, name))
	has := role.Rules[0] // not limited to a name
	object := has.Resources[0] + "." + has.APIGroups[0]
	await(p.t, time.Minute, "the Role to be in force", func() (bool, string) {
		out, err := command(p.t.Context(), "", "kubectl", "auth", "can-i", has.Verbs[0], object, "-n", p.ns,
			"--as", "system:serviceaccount:"+p.ns+":"+name)
		return err == nil, out
	})
	return p.connect(name)
}

// kubeconfig makes an account with the whole Role, and returns a kubeconfig of its.
func (p *pollerAccount) kubeconfig(name string) string {
	p.t.Helper()
	p.account(name, "")
	return p.file(name)
}

// connect makes a connection with a token of the account instead of the administrator's credential.
func (p *pollerAccount) connect(name string) *kube.Cluster {
	p.t.Helper()
	c, err := kube.Connect(kube.Options{Kubeconfig: p.file(name), UserAgent: "sentry-e2e"})
	if err != nil {
		p.t.Fatal(err)
	}
	return c
}

func (p *pollerAccount) file(name string) string {
	p.t.Helper()
	token := strings.TrimSpace(kubectl(p.t, "-n", p.ns, "create", "token", name))
	file := p.t.TempDir() + "/kubeconfig"
	write(p.t, file, kubectl(p.t, "config", "view", "--raw", "--minify", "--flatten"))
	run(p.t, "", "kubectl", "--kubeconfig", file, "config", "set-credentials", "account", "--token", token)
	run(p.t, "", "kubectl", "--kubeconfig", file, "config", "set-context", "--current", "--user", "account", "--namespace", p.ns)
	return file
}

// TestDeployerMayWhatItMust compares the deploy steps' rights with what the documentation promises.
func TestDeployerMayWhatItMust(t *testing.T) {
	want := []rbacv1.PolicyRule{
		{
			APIGroups: []string{"tekton.dev"}, Resources: []string{"pipelines", "pipelineruns", "tasks", "taskruns"},
			Verbs: []string{"get", "list", "watch", "create", "update", "patch", "delete"},
		},
		{APIGroups: []string{""}, Resources: []string{"configmaps", "secrets"}, Verbs: []string{"get", "list", "watch"}},
	}
	if got := deployerRules(t); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("rules of sentry-deployer\n got %v\nwant %v", got, want)
	}
}

// deployerRules reads what the manifests let the commands of deployments do.
func deployerRules(t *testing.T) []rbacv1.PolicyRule {
	t.Helper()
	for doc := range strings.SplitSeq(kubectl(t, "kustomize", "../../manifests"), "\n---\n") {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal([]byte(doc), &role); err == nil && role.Kind == "ClusterRole" && role.Name == "sentry-deployer" {
			return role.Rules
		}
	}
	t.Fatal("the manifests hold no ClusterRole sentry-deployer")
	return nil
}

// deployerUses are what commands do with each verb that sentry-deployer has, %[1]s being the resource, %[2]s the name of an
// object of it and %[3]s where the API server has the resource.
var deployerUses = map[string]string{
	"get":    "get %[1]s %[2]s",
	"list":   "get %[1]s",
	"watch":  "get --raw %[3]s?watch=true&timeoutSeconds=1",
	"create": "create -f -",
	"update": "replace -f -",
	"patch":  "annotate %[1]s %[2]s patched=yes",
	"delete": "delete %[1]s %[2]s --wait=false",
}

// deployerObjects are one object of each resource, which nothing runs.
var deployerObjects = map[string]string{
	"tasks":        "apiVersion: tekton.dev/v1\nkind: Task\nmetadata: {name: %s, namespace: %s}\nspec: {steps: [{name: nothing, image: scratch, command: ['true']}]}\n",
	"pipelines":    "apiVersion: tekton.dev/v1\nkind: Pipeline\nmetadata: {name: %s, namespace: %s}\nspec: {tasks: [{name: nothing, taskRef: {name: nobody}}]}\n",
	"taskruns":     "apiVersion: tekton.dev/v1\nkind: TaskRun\nmetadata: {name: %s, namespace: %s}\nspec: {status: TaskRunCancelled, taskRef: {name: nobody}}\n",
	"pipelineruns": "apiVersion: tekton.dev/v1\nkind: PipelineRun\nmetadata: {name: %s, namespace: %s}\nspec: {status: PipelineRunPending, pipelineRef: {name: nobody}}\n",
	"configmaps":   "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: %s, namespace: %s}\n",
	"secrets":      "apiVersion: v1\nkind: Secret\nmetadata: {name: %s, namespace: %s}\n",
}

// TestEachRightOfTheDeployerIsNeeded takes one right away at a time, and sees what commands do with it refused. With all of them it
// is not.
func TestEachRightOfTheDeployerIsNeeded(t *testing.T) {
	t.Parallel()
	const ns = "sentry-rbac-deployer"
	namespace(t, ns)
	rules := deployerRules(t)
	var roles, objects strings.Builder
	grant := func(user string, rules []rbacv1.PolicyRule) {
		for _, o := range []any{
			rbacv1.Role{TypeMeta: metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "Role"}, ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: ns}, Rules: rules},
			rbacv1.RoleBinding{
				TypeMeta:   metav1.TypeMeta{APIVersion: rbacv1.SchemeGroupVersion.String(), Kind: "RoleBinding"},
				ObjectMeta: metav1.ObjectMeta{Name: user, Namespace: ns},
				RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: user},
				Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: "User", Name: user}},
			},
		} {
			text, err := yaml.Marshal(o)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprintf(&roles, "%s---\n", text)
		}
	}
	grant("with-all", rules)
	var rights [][2]string
	for i, rule := range rules {
		for _, resource := range rule.Resources {
			for _, verb := range rule.Verbs {
				less := slices.Clone(rules)
				others := rule
				others.Resources = slices.DeleteFunc(slices.Clone(rule.Resources), func(r string) bool { return r == resource })
				rule.Resources, rule.Verbs = []string{resource}, slices.DeleteFunc(slices.Clone(others.Verbs), func(v string) bool { return v == verb })
				less[i] = others
				grant("less-"+resource+"-"+verb, append(less, rule))
				rule = rules[i]
				rights = append(rights, [2]string{resource, verb})
				if verb != "create" {
					fmt.Fprintf(&objects, deployerObjects[resource]+"---\n", resource+"-"+verb, ns)
				}
			}
		}
	}
	apply(t, roles.String())
	apply(t, objects.String())
	last := rights[len(rights)-1]
	await(t, time.Minute, "the last Role to be in force", func() (bool, string) {
		out, err := command(t.Context(), "", "kubectl", "auth", "can-i", "get", "tasks", "-n", ns, "--as", "less-"+last[0]+"-"+last[1])
		return err == nil, out
	})
	for _, right := range rights {
		resource, verb := right[0], right[1]
		base := "/api/v1"
		if slices.Contains(rules[0].Resources, resource) {
			base = "/apis/tekton.dev/v1"
		}
		name := resource + "-" + verb
		use := strings.ReplaceAll(deployerUses[verb], "%[1]s", resource)
		use = strings.ReplaceAll(use, "%[2]s", name)
		args := strings.Fields(strings.ReplaceAll(use, "%[3]s", base+"/namespaces/"+ns+"/"+resource))
		stdin := ""
		if slices.Contains(args, "-f") {
			stdin = fmt.Sprintf(deployerObjects[resource], name, ns)
		}
		as := func(user string) (string, error) {
			return command(t.Context(), stdin, "kubectl", append([]string{"-n", ns, "--as", user}, args...)...)
		}
		if out, err := as("less-" + resource + "-" + verb); err == nil || !strings.Contains(strings.ToLower(out+err.Error()), "forbidden") {
			t.Errorf("%s %s without the right: %v, %s, want forbidden", verb, resource, err, out)
		}
		if out, err := as("with-all"); err != nil {
			t.Errorf("%s %s with all rights: %v, %s", verb, resource, err, out)
		}
	}
}
