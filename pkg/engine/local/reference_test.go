package local_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// What a cluster has is not here: a unit with such a member is a problem with words, and nothing of it runs.
func TestWhatOnlyAClusterHas(t *testing.T) {
	tr := newTrial(t)
	for key, deploy := range map[string]string{
		"task":     "task: {name: deploy-it}",
		"pipeline": "pipeline: {resolver: git, resolver_params: {revision: '{{sha}}'}}",
	} {
		cfg, err := config.Parse([]byte("repositories:\n- name: app\n  monitor: {repo_url: https://host.example/app, branches: [main], repo_type: git}\n  deploy: {"+deploy+"}\n"), hosts.Options(nil))
		if err != nil {
			t.Fatal(err)
		}
		runs, err := plan.Manual(plan.Input{Config: cfg, Observed: []repo.Observation{{Heads: map[string]repo.SHA{"main": repo.SHA(strings.Repeat("1", 40))}}}}, nil, "", "word")
		if err != nil {
			t.Fatal(err)
		}
		_, err = tr.Create(t.Context(), cfg, runs[0])
		for what, err := range map[string]error{"Create": err, "Check": tr.Check(cfg, runs[0])} {
			problem, ok := errors.AsType[interface {
				error
				ProblemKind() string
			}](err)
			want := "deploy." + key + " of app is what a cluster has"
			if !ok || problem.ProblemKind() != plan.CannotGenerate || !strings.Contains(err.Error(), want) {
				t.Errorf("%s with %s: %v, want %q of the kind %s", what, deploy, err, want, plan.CannotGenerate)
			}
		}
	}
	if runs, err := tr.Runs(t.Context(), nil); len(runs) > 0 || err != nil {
		t.Errorf("there are the runs %v, %v, want none", runs, err)
	}
}
