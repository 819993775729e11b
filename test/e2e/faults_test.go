package e2e

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// lanesSeconds is the group's global_timeout in TestLanesNeedTheGate: time enough for the other member
// to fail before, on a machine with much to do. long is how long its lasting member takes: enough beyond
// it that Tekton had to notice.
const lanesSeconds, long = 30, 50

// TestLanesNeedTheGate shows the fault of Tekton's that decision 011 works around: in a run that stops at a
// failure while another lane has tasks waiting, no timeout holds, unless the gate is there.
func TestLanesNeedTheGate(t *testing.T) { // not beside others: one member has to fail before the timeout, whatever its pod waits for
	const ns = "sentry-soak-lanes"
	giteaCredentials(t)
	namespace(t, ns)
	app := newRepo(t, "sentry-soak-lanes", map[string]string{"README": "an application"})
	config := fmt.Sprintf("groups: {lanes: {execution_strategy: parallel, max_parallel: 2, global_timeout: %d}}\nrepositories:\n", lanesSeconds)
	for _, m := range [][2]string{{"fails", "exit 3"}, {"lasts", fmt.Sprint("sleep ", long)}, {"after-fails", "true"}, {"after-lasts", "true"}} {
		config += soakRepository(m[0], "lanes", "gitea", app.url, app.url, m[1])
	}
	gated := render(t, ns, config)
	gated.Name = "gated"
	bare := gated.DeepCopy()
	bare.Name = "bare"
	spec := bare.Spec.PipelineSpec
	isGate := func(task v1.PipelineTask) bool { return task.Name == pipelinerun.GateTask }
	if !slices.ContainsFunc(spec.Tasks, isGate) {
		t.Fatalf("the rendered run has no task %s", pipelinerun.GateTask)
	}
	spec.Tasks = slices.DeleteFunc(spec.Tasks, isGate)
	for i := range spec.Tasks {
		spec.Tasks[i].RunAfter = slices.DeleteFunc(spec.Tasks[i].RunAfter, func(name string) bool { return name == pipelinerun.GateTask })
	}
	for _, pr := range []*v1.PipelineRun{gated, bare} {
		create(t, ns, pr)
	}

	ended := map[string]*v1.TaskRun{}
	for _, name := range []string{"gated", "bare"} {
		awaitEnd(t, ns, name)
		lasting := get[v1.TaskRun](t, "-n", ns, "taskrun", name+"-lasts")
		ended[name] = &lasting
	}
	if !ended["bare"].IsSuccessful() {
		t.Errorf("without the gate: the member that takes longer than global_timeout ended %v, want Succeeded: "+
			"has this Tekton no fault any more, and needs no gate?", ended["bare"].Status.Conditions)
	}
	if !ended["gated"].IsCancelled() {
		t.Errorf("with the gate: the member that takes longer than global_timeout ended %v, want it cancelled", ended["gated"].Status.Conditions)
	}
	for _, name := range []string{"after-fails", "after-lasts"} {
		for _, tr := range get[v1.TaskRunList](t, "-n", ns, "taskruns").Items {
			if strings.HasSuffix(tr.Name, "-"+name) {
				t.Errorf("task %s started after a failure", tr.Name)
			}
		}
	}
}

// TestTektonAdoptsTaskRuns shows why a name must not be used twice: a TaskRun that was left behind makes the
// next PipelineRun of its name succeed without running anything.
func TestTektonAdoptsTaskRuns(t *testing.T) {
	t.Parallel()
	const ns, name = "sentry-soak-adopt", "deploy"
	giteaCredentials(t)
	namespace(t, ns)
	app := newRepo(t, "sentry-soak-adopt", map[string]string{"README": "an application"})
	for _, command := range []string{"true", "false"} {
		pr := render(t, ns, "repositories:\n"+soakRepository("app", "", "gitea", app.url, app.url, command))
		pr.Name = name
		create(t, ns, pr)
		awaitEnd(t, ns, name)
		if pr := get[v1.PipelineRun](t, "-n", ns, "pipelinerun", name); !pr.IsSuccessful() {
			t.Errorf("the run of `%s`, of a name that had a successful one: %v, want it Succeeded with the other's TaskRun; "+
				"does this Tekton not adopt TaskRuns any more?", command, pr.Status.Conditions)
		}
		if n := len(get[v1.TaskRunList](t, "-n", ns, "taskruns").Items); n != 1 {
			t.Errorf("%d TaskRuns after the run of `%s`, want 1", n, command)
		}
		kubectl(t, "-n", ns, "delete", "pipelinerun", name, "--cascade=orphan")
	}
}

// render returns the one PipelineRun that the configuration makes.
func render(t *testing.T, ns, config string) *v1.PipelineRun {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, config+soakGlobal())
	var pr v1.PipelineRun
	if err := yaml.Unmarshal([]byte(run(t, "", env.sentry, "render", "-c", file, "-n", ns)), &pr); err != nil {
		t.Fatal(err)
	}
	return &pr
}

func create(t *testing.T, ns string, pr *v1.PipelineRun) {
	t.Helper()
	text, err := yaml.Marshal(pr)
	if err != nil {
		t.Fatal(err)
	}
	run(t, string(text), "kubectl", "-n", ns, "create", "-f", "-")
}

func awaitEnd(t *testing.T, ns, name string) {
	t.Helper()
	await(t, 2*time.Minute, "the end of "+name, func() (bool, string) {
		pr := get[v1.PipelineRun](t, "-n", ns, "pipelinerun", name)
		return pr.IsDone(), fmt.Sprint(pr.Status.GetCondition(apis.ConditionSucceeded))
	})
}

// TestNamesAreNotUsedAgain has Sentry deploy the same commit again and again, while TaskRuns of earlier
// runs are left behind and the state is deleted. Each run must have a name of its own and really run.
func TestNamesAreNotUsedAgain(t *testing.T) {
	t.Parallel()
	const ns, branch = "sentry-soak-names", "main"
	giteaCredentials(t)
	namespace(t, ns)
	app := newRepo(t, "sentry-soak-names", map[string]string{"README": "an application"})
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, "repositories:\n"+soakRepository("app", "", "gitea", app.url, app.url, `echo "ran as $SENTRY_RUN"`)+soakGlobal())
	names := map[string]string{} // what each was for
	// cycle runs one cycle, in which want runs must appear, waits for their end and looks into their logs,
	// and then takes the PipelineRun away and leaves its TaskRun.
	cycle := func(what string, want int) {
		t.Helper()
		run(t, "", env.sentry, "watch", "--once", "-c", file, "-n", ns)
		runs := get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items
		if len(runs) != want {
			t.Fatalf("%s: %d runs, want %d", what, len(runs), want)
		}
		for _, pr := range runs {
			if earlier, ok := names[pr.Name]; ok {
				t.Errorf("%s: the run has the name %s, as the run had of: %s", what, pr.Name, earlier)
			}
			names[pr.Name] = what
			awaitEnd(t, ns, pr.Name)
			logs := run(t, "", "tkn", "pipelinerun", "logs", pr.Name, "-n", ns)
			if line := "ran as " + pr.Name + "\n"; !strings.Contains(logs, line) {
				t.Errorf("%s: the logs of %s do not tell %q: did it really run?\n%s", what, pr.Name, line, logs)
			}
			kubectl(t, "-n", ns, "delete", "pipelinerun", pr.Name, "--cascade=orphan")
		}
	}
	show := func(sha string) { app.git("push", "--quiet", "--force", "origin", sha+":refs/heads/"+branch) }

	a := app.git("rev-parse", "HEAD")
	cycle("first sight of A", 0)
	b := app.push(branch, map[string]string{"change": "b"})
	cycle("A to B", 1)
	show(a)
	cycle("B back to A", 1)
	show(b)
	cycle("A to B once more", 1)
	kubectl(t, "-n", ns, "delete", "configmap", instance.Instance{}.State())
	show(a)
	cycle("first sight of A, after the state was deleted", 0)
	show(b)
	cycle("A to B, after the state was deleted", 1)
	if left := len(get[v1.TaskRunList](t, "-n", ns, "taskruns").Items); left != len(names) {
		t.Errorf("%d TaskRuns are left of %d runs, want one of each", left, len(names))
	}
}
