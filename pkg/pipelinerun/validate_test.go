package pipelinerun

import (
	"fmt"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

func TestValidateRefuses(t *testing.T) {
	ordered := config.Group{Name: "g", Strategy: strategy.Sequential, ContinueOnError: true}
	task := func(pr *v1.PipelineRun) *v1.PipelineTask { return &pr.Spec.PipelineSpec.Tasks[0] }
	step := func(pr *v1.PipelineRun) *v1.Step { return &task(pr).TaskSpec.Steps[0] }
	tests := []struct {
		name  string
		spoil func(*v1.PipelineRun)
		want  string
	}{
		{"a label that is none", func(pr *v1.PipelineRun) { pr.Labels[LabelUnit] = "a/b" }, `metadata.labels: Invalid value: "a/b"`},
		{"a task's label that is none", func(pr *v1.PipelineRun) { task(pr).TaskSpec.Metadata.Labels[LabelRepository] = "a/b" }, `tasks[a].taskSpec.metadata.labels: Invalid value: "a/b"`},
		{"a namespace that is none", func(pr *v1.PipelineRun) { pr.Namespace = "A b" }, "metadata.namespace"},
		{"a name that is none", func(pr *v1.PipelineRun) { pr.Name = "a.b" }, "metadata.name"},
		{"a variable's name", func(pr *v1.PipelineRun) { step(pr).Env[0].Name = "a=b" }, "task a: step clone: variable a=b"},
		{"a variable that would be expanded", func(pr *v1.PipelineRun) { step(pr).Env[0].Value = "$(HOME)" }, `value "$(HOME)": Tekton and the kubelet would expand`},
		{"a Secret's name", func(pr *v1.PipelineRun) { step(pr).Env[2].ValueFrom.SecretKeyRef.Name = "a b" }, `variable SENTRY_GIT_TOKEN: secret "a b"`},
		{"a Secret's key", func(pr *v1.PipelineRun) { step(pr).Env[2].ValueFrom.SecretKeyRef.Key = "a b" }, `key "a b" of secret sentry-credentials`},
		{"a volume that is not there", func(pr *v1.PipelineRun) { step(pr).VolumeMounts[0].Name = "nope" }, `task a: step clone: no volume is called "nope"`},
		{"a mount path", func(pr *v1.PipelineRun) { step(pr).VolumeMounts[0].MountPath = "tmp:x" }, `mount path "tmp:x"`},
		{"settings for no task", func(pr *v1.PipelineRun) {
			pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{{PipelineTaskName: "nope"}}
		}, `taskRunSpecs: no task is called "nope"`},
		{"a service account", func(pr *v1.PipelineRun) {
			pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{{PipelineTaskName: "a", ServiceAccountName: "a b"}}
		}, `taskRunSpecs of a: service account "a b"`},
		{"a script that is too long", func(pr *v1.PipelineRun) { step(pr).Script = strings.Repeat("x", MaxScript) }, "task a: scripts of 65 KiB, want at most 64 KiB"},
		{"an unknown variable of Tekton", func(pr *v1.PipelineRun) { step(pr).Script = "echo $(params.nope)" }, "Tekton with enable-api-fields beta: non-existent variable"},
		{"a task twice", func(pr *v1.PipelineRun) { pr.Spec.PipelineSpec.Tasks[1].Name = "a" }, "Tekton with enable-api-fields beta"},
		{"an order that is a circle", func(pr *v1.PipelineRun) { task(pr).RunAfter = []string{"b"} }, "cycle"},
		{"beta fields without our needing them", func(pr *v1.PipelineRun) {
			for i := range pr.Spec.PipelineSpec.Tasks {
				pr.Spec.PipelineSpec.Tasks[i].OnError = ""
			}
			pr.Spec.TaskRunSpecs = []v1.PipelineTaskRunSpec{{PipelineTaskName: "a", ComputeResources: &corev1.ResourceRequirements{}}}
		}, "Tekton with enable-api-fields stable: computeResources"},
		{"timeouts that do not add up", func(pr *v1.PipelineRun) {
			pr.Spec.Timeouts.Tasks = &metav1.Duration{Duration: time.Hour}
			pr.Spec.Timeouts.Pipeline = &metav1.Duration{Duration: time.Minute}
		}, "timeouts.tasks"},
		{"no spec", func(pr *v1.PipelineRun) { pr.Spec.PipelineSpec = nil }, "neither pipelineSpec nor pipelineRef"},
		{"a task by reference", func(pr *v1.PipelineRun) { task(pr).TaskSpec = nil }, "task a has neither taskSpec nor taskRef"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := testMember("a")
			a.Repository.Deploy.Auth.Token = secret.New("${TOKEN}", "s3cret")
			pr, err := Generate(testConfig(), testRun(ordered, a, testMember("b")))
			if err != nil {
				t.Fatal(err)
			}
			if err := Validate(t.Context(), pr); err != nil {
				t.Fatalf("before it was spoiled: %v", err)
			}
			tt.spoil(pr)
			if err := Validate(t.Context(), pr); err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func manyMembers(n int, commands ...string) plan.Run {
	first := testMember("service-0")
	run := testRun(config.Group{Name: "g", Strategy: strategy.Parallel, MaxParallel: 10}, first)
	for i := 1; i < n; i++ {
		run.Members = append(run.Members, testMember(fmt.Sprintf("service-%d", i)))
	}
	for _, m := range run.Members {
		m.Repository.Deploy.Commands = commands
	}
	return run
}

func TestARunIsBounded(t *testing.T) {
	tests := []struct {
		name string
		run  plan.Run
		want string
	}{
		{"100 members of three commands", manyMembers(100, "cd .tekton/x", "kubectl apply -f .", "./verify.sh"), ""},
		{"more members than the scheduler can take", manyMembers(151), "151 deployments in one run"},
		{"fewer, with long commands", manyMembers(50, strings.Repeat("x", 10_000)), "KiB for 50 deployments, want at most 560 KiB"},
	}
	for _, tt := range tests {
		pr, err := Generate(testConfig(), tt.run)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		err = Validate(t.Context(), pr)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
	}
}

func TestValidateLeavesThePipelineRunAlone(t *testing.T) {
	pr, err := Generate(testConfig(), testRun(config.Alone(), testMember("a")))
	if err != nil {
		t.Fatal(err)
	}
	before, _ := Marshal(pr)
	if err := Validate(t.Context(), pr); err != nil {
		t.Fatal(err)
	}
	if after, _ := Marshal(pr); string(after) != string(before) {
		t.Errorf("Validate made of\n%s\nthis:\n%s", before, after)
	}
}

func TestGenerateRefuses(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*config.Deploy)
		want  string
	}{
		{"a token that is written out", func(d *config.Deploy) { d.Auth.Token = secret.New("glpat-123", "glpat-123") },
			`run rag-main-0123456789: repository "rag": deploy.auth.token is written out, and a PipelineRun can be read by many: put it under a name into the Secret "sentry-credentials" and write token: "${NAME}"`},
		{"a token with a default", func(d *config.Deploy) { d.Auth.Token = secret.New("${T:-glpat-123}", "glpat-123") }, "deploy.auth.token is written out"},
		{"a NUL", func(d *config.Deploy) { d.Commands = []string{"a\x00b"} }, "not UTF-8 or holds a NUL"},
		{"bytes that are no text", func(d *config.Deploy) { d.Commands = []string{"a\xffb"} }, "not UTF-8 or holds a NUL"},
		{"a credential in the URL", func(d *config.Deploy) { d.URL = "https://bob:glpat-123@gitlab.com/qa" }, "qa_repo_url is no URL"},
		{"no URL", func(d *config.Deploy) { d.URL = "gitlab.com/qa" }, "qa_repo_url is no URL"},
		{"SSH without a key", func(d *config.Deploy) { d.URL = "git@gitlab.com:qa" }, "deploy.auth.ssh_key is missing"},
		{"SSH to an unknown host", func(d *config.Deploy) {
			d.URL, d.Auth.SSHKey = "git@gitlab.com:qa", secret.New("${KEY}", "")
		}, "deploy.auth.known_hosts is missing"},
		{"a key that is written out", func(d *config.Deploy) {
			d.URL, d.Auth.SSHKey = "git@gitlab.com:qa", secret.New("glpat-123", "glpat-123")
		}, "deploy.auth.ssh_key is written out"},
	}
	for _, tt := range tests {
		m := testMember("rag")
		tt.spoil(m.Repository.Deploy)
		pr, err := Generate(testConfig(), testRun(config.Alone(), m))
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: got %v, %v, want an error with %q", tt.name, pr, err, tt.want)
		}
		if err != nil && strings.Contains(err.Error(), "glpat") {
			t.Errorf("%s: the token is in %v", tt.name, err)
		}
	}
}

func TestTriggerOf(t *testing.T) {
	run := testRun(config.Alone(), testMember("rag"))
	run.Trigger.Refs[0].Branch = `a'b"$(x)é`
	pr, err := Generate(testConfig(), run)
	if err != nil {
		t.Fatal(err)
	}
	got, err := TriggerOf(throughYAML(t, pr))
	if err != nil || !got.Equal(run.Trigger) || !got.Seen.Equal(run.Trigger.Seen) {
		t.Errorf("got %+v, %v, want %+v", got, err, run.Trigger)
	}
	pr.Annotations[AnnotationTrigger] = "{"
	if _, err := TriggerOf(pr); err == nil || !strings.Contains(err.Error(), "tekton-sentry.dev/trigger of PipelineRun ci/rag-main-0123456789") {
		t.Errorf("from {: got %v, want an error that names the annotation and the run", err)
	}
	pr.Annotations = nil
	if _, err := TriggerOf(pr); err == nil || !strings.Contains(err.Error(), "Sentry did not make it") {
		t.Errorf("from nothing: got %v, want an error", err)
	}
}

func TestWordsOfManyChanges(t *testing.T) {
	members := []plan.Member{testMember("a"), testMember("b")}
	run := testRun(config.Group{Name: "shop", Strategy: strategy.Parallel}, members...)
	first := run.Trigger.Refs[0]
	first.Branch = "x\u202e\u0085$(y)"
	run.Trigger.Refs = nil
	for i := range 12 {
		c := first
		c.Repository = fmt.Sprintf("r%d", i)
		run.Trigger.Refs = append(run.Trigger.Refs, c)
		run.LeftOut = append(run.LeftOut, fmt.Sprintf("l%d", i))
	}
	if got, want := words.Title(run), "shop: r0@x??$ (y) at 1111111 and 11 more"; got != want {
		t.Errorf("title: got %q, want %q", got, want)
	}
	got := words.Describe(run)
	for _, want := range []string{
		"Sentry saw at 2026-01-02T03:04:05Z: r0@x??$ (y) moved from 0000000 to 1111111, r1@",
		"r9@x??$ (y) moved from 0000000 to 1111111 and 2 more. Left out, since their branches could never be read: l0, ",
		"l9 and 2 more.",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("description: got %q, want %q in it", got, want)
		}
	}
}

// A run may be rendered where the variables have no values: the steps have them from the Secret.
func TestSSHWithoutValues(t *testing.T) {
	m := overSSH("git@git.example.com:qa/pipelines.git", "3333333333333333333333333333333333333333", "")
	m.Repository.Deploy.Auth.SSHKey, m.Repository.Deploy.Auth.KnownHosts = secret.New("${KEY}", ""), secret.New("${HOSTS}", "")
	if _, err := Generate(testConfig(), testRun(config.Alone(), m)); err != nil {
		t.Error(err)
	}
}
