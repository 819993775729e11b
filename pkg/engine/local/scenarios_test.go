package local_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
	"github.com/tekton-sentry/sentry/test/scenarios"
)

// slack is what a loaded machine may need to clone a repository, in seconds.
const slack = 9

// TestScenarios takes each case from its configuration through the plan to a PipelineRun, and runs that
// with a QA repository that a Git server on this machine has. All cases run at the same time.
func TestScenarios(t *testing.T) {
	t.Parallel()
	server, head := qaServer(t)
	cases, modules := scenarios.Cases(), t.TempDir()
	trials := make([]*trial, len(cases))
	runs := make([]*v1.PipelineRun, len(cases))
	for i, c := range cases {
		trials[i] = newTrial(t)
		runs[i] = planned(t, c.Config(scenarios.Place{
			RepoURL: func(member string) string { return server + "/apps/" + member },
			QAURL:   server + "/team/qa",
			Slack:   slack,
			Modules: modules,
		}), head)
		trials[i].create(runs[i])
	}
	for i, c := range cases {
		t.Run(c.Name, func(t *testing.T) {
			if err := c.Check(trials[i].end(runs[i].Name)); err != nil {
				t.Errorf("%v\noutput:\n%s", err, trials[i].out)
			}
		})
	}
}

// qaServer serves a QA repository below /team/qa and returns the head of its branch main.
func qaServer(t *testing.T) (url string, head repo.SHA) {
	t.Helper()
	root, head := qaRoot(t)
	server := httptest.NewServer(githosttest.GitHandler(root))
	t.Cleanup(server.Close)
	return server.URL, head
}

// qaRoot makes that repository, and returns the directory that team/qa is in.
func qaRoot(t *testing.T) (root string, head repo.SHA) {
	t.Helper()
	root = t.TempDir()
	dir := filepath.Join(root, "team", "qa")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	git := func(args ...string) string {
		cmd := exec.Command("git", args...)
		cmd.Dir = dir
		cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_CONFIG_NOSYSTEM=1",
			"GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@example.com", "GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@example.com")
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	git("init", "-q", "-b", "main")
	if err := os.WriteFile(filepath.Join(dir, "README"), []byte("for the commands\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	git("add", "README")
	git("commit", "-q", "-m", "first")
	return root, repo.SHA(git("rev-parse", "HEAD"))
}

// planned returns the PipelineRun that follows when every watched repository's main has moved.
func planned(t *testing.T, text []byte, qaHead repo.SHA) *v1.PipelineRun {
	t.Helper()
	opts := hosts.Options(nil)
	opts.Expression, opts.Modules = cel.Needs, &wasm.Modules{}
	cfg, err := config.Parse(text, opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	in := plan.Input{
		Config:   cfg,
		Snapshot: state.Snapshot{Epoch: "epoch", Repositories: map[string]state.Repository{}},
		Now:      time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}
	for i, r := range cfg.Repositories {
		in.Snapshot.Repositories[r.Name] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha(2 * i)}})}
		in.Observed = append(in.Observed, repo.Observation{Heads: map[string]repo.SHA{"main": sha(2*i + 1)}})
	}
	p := plan.Make(in)
	if len(p.Runs) != 1 {
		t.Fatalf("got %d runs, want one, of\n%s", len(p.Runs), text)
	}
	run, err := p.Runs[0].Pin([]repo.Observation{{Heads: map[string]repo.SHA{"main": qaHead}}})
	if err != nil {
		t.Fatal(err)
	}
	pr, err := pipelinerun.Generate(cfg, run)
	if err != nil {
		t.Fatal(err)
	}
	if err := pipelinerun.Validate(context.Background(), pr); err != nil {
		t.Fatal(err)
	}
	return pr
}

func sha(n int) repo.SHA { return repo.SHA(fmt.Sprintf("%040x", n+1)) }
