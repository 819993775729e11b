package pipelinerun

import (
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

const (
	sha0  repo.SHA = "0000000000000000000000000000000000000abc"
	sha1  repo.SHA = "1111111111111111111111111111111111111111"
	sha2  repo.SHA = "2222222222222222222222222222222222222222"
	qaSHA repo.SHA = "9999999999999999999999999999999999999999"
)

func testConfig() *config.Config {
	return &config.Config{
		Hash: "0123456789ab",
		Global: config.Global{
			TmpDir: "/tmp/sentry", Namespace: "ci", ServiceAccount: "sentry-deployer", CredentialsSecret: "sentry-credentials",
			Image: "docker.io/alpine/k8s:1.34.1", GitImage: "docker.io/alpine/git:2.49.1",
		},
	}
}

func testMember(name string) plan.Member {
	return plan.Member{
		Task: name, Branch: "main", SHA: sha1, Previous: sha0, Succeeded: sha2, Changed: true, QASHA: qaSHA,
		Repository: &config.Repository{
			Name:    name,
			Project: name + "-project",
			Monitor: config.Monitor{Source: config.Source{URL: "https://github.com/company/" + name}},
			Deploy: &config.Deploy{
				Source: config.Source{URL: "https://gitlab.com/qa/pipelines"}, Branch: "main", Depth: 1,
				Commands: []string{"true"},
				Image:    "docker.io/alpine/k8s:1.34.1", Timeout: 5 * time.Minute, ServiceAccount: "sentry-deployer",
			},
		},
	}
}

func testRun(group config.Group, members ...plan.Member) plan.Run {
	ref := repo.Ref{Repository: members[0].Repository.Name, Branch: members[0].Branch}
	unit := naming.Unit{Ref: ref, Label: "rag.main"}
	if group.Name != "" {
		unit = naming.Unit{Group: group.Name, Label: group.Name}
	}
	return plan.Run{
		Name: "rag-main-0123456789", Unit: unit, Group: group, Members: members,
		Trigger: plan.Trigger{
			Refs: []plan.Change{{Ref: ref, N: 1, Old: sha0, New: sha1}},
			Seen: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		},
	}
}

// throughYAML returns the PipelineRun that a strict reader makes of Marshal's text.
func throughYAML(t *testing.T, pr *v1.PipelineRun) *v1.PipelineRun {
	t.Helper()
	text, err := Marshal(pr)
	if err != nil {
		t.Fatal(err)
	}
	var read v1.PipelineRun
	if err := yaml.UnmarshalStrict(text, &read); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return &read
}

// While a quota refuses a pod, the timeout of its task never begins.
func TestEveryRunEnds(t *testing.T) {
	group := func(g config.Group) config.Group { g.Name = "g"; return g }
	for name, tt := range map[string]struct {
		group   config.Group
		minutes []int // the timeouts of the members
		tasks   time.Duration
		whole   time.Duration
	}{
		"one":               {config.Alone(), []int{5}, 0, 70 * time.Minute},
		"side by side":      {group(config.Group{Strategy: strategy.Parallel}), []int{5, 30, 5}, 0, 2 * time.Hour},
		"one after another": {group(config.Group{Strategy: strategy.Sequential}), []int{5, 30, 5}, 0, 140 * time.Minute},
		"lanes":             {group(config.Group{Strategy: strategy.Parallel, MaxParallel: 2}), []int{5, 30, 5, 10, 20}, 0, 140 * time.Minute},
		"with a verdict": {group(config.Group{Strategy: strategy.Sequential, ContinueOnError: true}), []int{5, 30},
			130 * time.Minute, 135 * time.Minute},
		"as the group says": {group(config.Group{Strategy: strategy.Sequential, GlobalTimeout: time.Minute}), []int{5, 30}, 0, time.Minute},
	} {
		var members []plan.Member
		for i, n := range tt.minutes {
			m := testMember(string(rune('a' + i)))
			m.Repository.Deploy.Timeout = time.Duration(n) * time.Minute
			members = append(members, m)
		}
		pr, err := Generate(testConfig(), testRun(tt.group, members...))
		if err != nil {
			t.Fatal(err)
		}
		got := pr.Spec.Timeouts
		if got.Pipeline == nil || got.Pipeline.Duration != tt.whole {
			t.Errorf("%s: the run has %v, want %v", name, got.Pipeline, tt.whole)
		}
		if tt.tasks > 0 && (got.Tasks == nil || got.Tasks.Duration != tt.tasks) {
			t.Errorf("%s: the tasks have %v, want %v", name, got.Tasks, tt.tasks)
		}
	}
}
