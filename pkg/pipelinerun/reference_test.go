package pipelinerun

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/substitution"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// What commands see is what placeholders may name, and the manual of one is that of the other.
func TestPlaceholdersAreTheVariables(t *testing.T) {
	var names []string
	for _, v := range facts(testRun(config.Alone(), testMember("rag")), testMember("rag")) {
		names = append(names, strings.ToLower(strings.TrimPrefix(v[0], "SENTRY_")))
	}
	if diff := cmp.Diff(section.Facts, names); diff != "" {
		t.Errorf("section.Facts (-want +variables):\n%s", diff)
	}
}

// taskRun plans and pins the run of a group: app has commands, web the deploy section that is given. Their branches are
// main, which is known, and new ones.
func taskRun(t *testing.T, deploy string, branches map[string][]string, manual ...string) (*config.Config, plan.Run) {
	t.Helper()
	cfg, err := config.Parse(fmt.Appendf(nil, `
groups: {g: {deploy: changed}}
repositories:
  - name: app
    group: g
    monitor: {repo_url: "https://app.example/x", branches: [".*"], repo_type: git}
    deploy: {qa_repo_url: "https://qa.example/x", repo_type: git, commands: ["true"]}
  - name: web
    group: g
    monitor: {repo_url: "https://web.example/x", branches: [".*"], repo_type: git}
    deploy: {%s}
`, deploy), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	in := plan.Input{Config: cfg, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Snapshot: state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{}}}
	for _, r := range cfg.Repositories {
		in.Snapshot.Repositories[r.Name] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha0}})}
		heads := map[string]repo.SHA{"main": sha0}
		for _, b := range branches[r.Name] {
			heads[b] = sha1
		}
		in.Observed = append(in.Observed, repo.Observation{Heads: heads})
	}
	runs := plan.Make(in).Runs
	if len(manual) > 0 {
		if runs, err = plan.Manual(in, manual[:1], manual[1], "word"); err != nil {
			t.Fatal(err)
		}
	}
	var qa []repo.Observation
	for range runs[0].QA() {
		qa = append(qa, repo.Observation{Heads: map[string]repo.SHA{"main": qaSHA}})
	}
	run, err := runs[0].Pin(qa)
	if err != nil {
		t.Fatal(err)
	}
	return cfg, run
}

const namesBranch = `task: {name: deploy-web, params: {branch: "refs/heads/{{branch}}"}}`

// expanded are branches that Tekton or the kubelet would expand in a param.
var expanded = []string{"$(params.x)", "feat/$(context.taskRun.name)", "$(HOME)", "$$(HOME)", "a$$b", "x$", "$(tasks.app.results.y)"}

// A branch that no param can hold costs itself its run, and nobody else theirs.
func TestParamsOfHostileBranches(t *testing.T) {
	for _, branch := range expanded {
		cfg, run := taskRun(t, namesBranch, map[string][]string{"app": {branch}, "web": {branch, "good"}})
		pr, part, err := Fit(cfg, run, MaxMembers)
		if err != nil {
			t.Errorf("%s: %v", branch, err)
			continue
		}
		if err := Validate(t.Context(), pr); err != nil {
			t.Errorf("%s: %v", branch, err)
		}
		var made, triggers []string
		for _, m := range part.Members {
			made = append(made, m.Ref().String())
		}
		for _, c := range part.Trigger.Refs {
			triggers = append(triggers, c.Ref.String())
		}
		if want := []string{"app@" + branch, "web@good"}; !slices.Equal(made, want) || !slices.Equal(triggers, want) {
			t.Errorf("%s: the run has %q for %q, want %q", branch, made, triggers, want)
		}
		if why := NotTaken(part); why == nil || !strings.Contains(why.Error(), "no param of a Task or Pipeline can hold the name of web@"+branch) {
			t.Errorf("%s: left out because %v", branch, why)
		}
		if want := words.Plain("no param can hold their names: web@" + branch); !strings.Contains(pr.Spec.PipelineSpec.Description, want) {
			t.Errorf("%s: the run says %q, want %q", branch, pr.Spec.PipelineSpec.Description, want)
		}
		for _, p := range pr.Spec.PipelineSpec.Tasks {
			for _, param := range p.Params {
				if strings.Contains(param.Value.StringVal, "$") {
					t.Errorf("%s: the param %s of %s is %q", branch, param.Name, p.Name, param.Value.StringVal)
				}
			}
		}

		// Alone there is no run, and by hand not a part of one.
		for what, run := range map[string]plan.Run{
			"alone":   second(taskRun(t, namesBranch, map[string][]string{"web": {branch}})),
			"by hand": second(taskRun(t, namesBranch, map[string][]string{"web": {branch}}, "web", branch)),
		} {
			_, _, err := Fit(cfg, run, MaxMembers)
			problem, ok := errors.AsType[interface {
				error
				ProblemKind() string
			}](err)
			if !ok || problem.ProblemKind() != plan.CannotGenerate || !strings.Contains(err.Error(), "rename") {
				t.Errorf("%s, %s: error %v, want a problem %s that says what to do", branch, what, err, plan.CannotGenerate)
			}
		}
	}
}

func second(_ *config.Config, run plan.Run) plan.Run { return run }

// A Task that is not told the branch runs for any.
func TestHostileBranchesThatNoParamNames(t *testing.T) {
	for _, branch := range expanded {
		cfg, run := taskRun(t, `task: {name: deploy-web, params: {sha: "{{sha}}"}}`, map[string][]string{"web": {branch}})
		pr, part, err := Fit(cfg, run, MaxMembers)
		if err != nil || len(part.Members) != 1 {
			t.Errorf("%s: %v, want a run", branch, err)
			continue
		}
		if err := Validate(t.Context(), pr); err != nil {
			t.Errorf("%s: %v", branch, err)
		}
	}
}

// Whatever else a branch is called arrives as it is, past all that Tekton substitutes.
func TestParamsHoldOtherBranches(t *testing.T) {
	replacements := map[string]string{"params.x": "SUBSTITUTED", "context.taskRun.name": "SUBSTITUTED", "branch": "SUBSTITUTED"}
	for _, branch := range []string{"main", "it's", "a(params.x)", "{{branch}}", "{{sha}}", "(x)", "é/ü", `a"b`, "%s", "a`id`", "a;b|c&d"} {
		cfg, run := taskRun(t, namesBranch, map[string][]string{"web": {branch}})
		if branch == "main" {
			cfg, run = taskRun(t, namesBranch, nil, "web", "main")
		}
		pr, _, err := Fit(cfg, run, MaxMembers)
		if err != nil {
			t.Errorf("%s: %v", branch, err)
			continue
		}
		value := pr.Spec.PipelineSpec.Tasks[0].Params[0].Value.StringVal
		if got := substitution.ApplyReplacements(value, replacements); got != "refs/heads/"+branch {
			t.Errorf("the Task gets %q, want %q", got, "refs/heads/"+branch)
		}
	}
}

func TestReferencesThatAreWrong(t *testing.T) {
	for deploy, want := range map[string]string{
		`task: {name: x, params: {a: [[b]]}}`:                               "deploy.task.params.a: is nested too deep; want a text, a list of texts, or a section of texts",
		`task: {name: x, workspaces: {w: {secrets: {}}}}`:                   `deploy.task.workspaces.w."secrets": is not a known key; did you mean secret?`,
		`task: {name: x, workspaces: {w: {configMap: {secretName: x}}}}`:    `deploy.task.workspaces.w.configMap."secretName": is not a known key`,
		`task: {name: x, workspaces: {w: {}}}`:                              "expected exactly one, got neither",
		`task: {name: x, workspaces: {w: {emptyDir: {}, secret: {}}}}`:      "expected exactly one, got both",
		`task: {name: x, params: {a: "$(params.nobody)"}}`:                  "params.nobody",
		`task: {resolver: git, resolver_params: {revision: {a: {b: c}}}}`:   "deploy.task.resolver_params.revision: is nested too deep",
		`task: {name: x, params: {a: b}}, pod: {labels: {tekton.dev/x: y}}`: "Sentry and Tekton go by it",
	} {
		cfg, run := taskRun(t, deploy, map[string][]string{"web": {"good"}})
		pr, _, err := Fit(cfg, run, MaxMembers)
		if err == nil {
			err = Validate(t.Context(), pr)
		}
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: error %v, want %q", deploy, err, want)
		}
	}
}

// A run of tasks with large params is bounded like any other.
func TestFitOfReferences(t *testing.T) {
	deploy := `task: {name: x, params: {a: "` + strings.Repeat("x", 20_000) + `"}, workspaces: {w: {secret: {secretName: "` + strings.Repeat("s", 20_000) + `"}}}}`
	var branches []string
	for i := range 30 {
		branches = append(branches, fmt.Sprintf("b%02d", i))
	}
	cfg, run := taskRun(t, deploy, map[string][]string{"web": branches, "app": {"good"}})
	pr, part, err := Fit(cfg, run, MaxMembers)
	if err != nil {
		t.Fatal(err)
	}
	if larger, size, err := sized(cfg, run.Split(len(part.Members)+1, nil)); err != nil || size <= MaxSize || len(part.Members) < 10 {
		t.Errorf("%s has %d members, and with one more %d bytes, %v; want as many as there is room for", larger.Name, len(part.Members), size, err)
	}
	if err := CheckSize(pr); err != nil {
		t.Error(err)
	}
	if n := len(pr.Spec.Workspaces); n != len(part.Members)-1 {
		t.Errorf("%d workspaces for %d members, want one for each but app", n, len(part.Members))
	}
}

func TestParamTypes(t *testing.T) {
	facts := map[string]string{"sha": "1234", "branch": "main"}
	for _, tt := range []struct {
		value any
		want  v1.ParamValue
	}{
		{"a-{{sha}}", v1.ParamValue{Type: v1.ParamTypeString, StringVal: "a-1234"}},
		{"", v1.ParamValue{Type: v1.ParamTypeString}},
		{[]any{"{{ sha }}"}, v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"1234"}}},
		{[]any{"{{sha}}{{branch}}", "b"}, v1.ParamValue{Type: v1.ParamTypeArray, ArrayVal: []string{"1234main", "b"}}},
		{map[string]any{"a": "{{branch}}"}, v1.ParamValue{Type: v1.ParamTypeObject, ObjectVal: map[string]string{"a": "main"}}},
	} {
		got, err := param(tt.value, facts)
		if diff := cmp.Diff(tt.want, got); diff != "" || err != nil {
			t.Errorf("%v: %v (-want +got):\n%s", tt.value, err, diff)
		}
	}
}

// Commands see of a tag what it is, and of a branch what they saw before there were tags, unless tags are watched too.
func TestFactsOfTags(t *testing.T) {
	ref := func(branch string, entries ...string) string {
		r := &config.Repository{Name: "rag", Monitor: config.Monitor{Branches: repotest.Patterns(t, entries...)}}
		var told []string
		for _, v := range variables(plan.Run{}, plan.Member{Repository: r, Branch: branch}) {
			if v[0] == "SENTRY_BRANCH" || v[0] == "SENTRY_TAG" || v[0] == "SENTRY_REF" {
				told = append(told, v[0]+"="+v[1])
			}
		}
		return strings.Join(told, " ")
	}
	for want, got := range map[string]string{
		"SENTRY_BRANCH=main": ref("main", "main"),
		"SENTRY_BRANCH=main SENTRY_TAG= SENTRY_REF=refs/heads/main": ref("main", "main", "refs/tags/v.*"),
		"SENTRY_BRANCH= SENTRY_TAG=v1 SENTRY_REF=refs/tags/v1":      ref("refs/tags/v1", "main", "refs/tags/v.*"),
		"SENTRY_BRANCH= SENTRY_TAG=v2 SENTRY_REF=refs/tags/v2":      ref("refs/tags/v2", "main"),
	} {
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}
