package pipelinerun

import (
	"encoding/json"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/substitution"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var update = flag.Bool("update", false, "rewrite want.yaml of testdata/*.txtar")

// golden is one testdata/*.txtar: a configuration, what is remembered, and what is observed, by the
// repository's name: {branch: SHA}, or {"error": text}. QA repositories are observed by their URL; one that
// is not listed is at qaSHA. With a file manual.txt, whose words are names and perhaps one @branch, it is
// what `sentry trigger` makes of it.
type golden struct {
	archive *txtar.Archive
	config  *config.Config
	runs    []*v1.PipelineRun
}

// secretMark is in the value of every variable.
const secretMark = "s3cret-value-of-"

func readGolden(t *testing.T, file string) golden {
	t.Helper()
	archive, err := txtar.ParseFile(file)
	if err != nil {
		t.Fatal(err)
	}
	parts := map[string][]byte{}
	for _, f := range archive.Files {
		parts[f.Name] = f.Data
	}
	cfg, err := config.Parse(parts["config.yaml"], config.Options{
		Hosts: hosts.All.Config(),
		LookupEnv: func(name string) (string, bool) {
			if strings.HasSuffix(name, "PROXY") {
				return "http://" + secretMark + name + ":3128", true
			}
			return secretMark + name, true
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	snapshot, err := state.Decode(parts["state.json"])
	if err != nil {
		t.Fatal(err)
	}
	var heads map[string]map[string]string
	if err := json.Unmarshal(parts["heads.json"], &heads); err != nil {
		t.Fatal(err)
	}
	in := plan.Input{Config: cfg, Snapshot: snapshot, Now: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)}
	for _, r := range cfg.Repositories {
		in.Observed = append(in.Observed, observation(t, heads[r.Name]))
	}
	runs := plan.Make(in).Runs
	if words := strings.Fields(string(parts["manual.txt"])); len(words) > 0 {
		branch := ""
		if b, ok := strings.CutPrefix(words[len(words)-1], "@"); ok {
			branch, words = b, words[:len(words)-1]
		}
		if runs, err = plan.Manual(in, words, branch, "word"); err != nil {
			t.Fatal(err)
		}
	}
	g := golden{archive: archive, config: cfg}
	for _, run := range runs {
		g.runs = append(g.runs, generate(t, cfg, run, heads))
	}
	return g
}

func generate(t *testing.T, cfg *config.Config, run plan.Run, heads map[string]map[string]string) *v1.PipelineRun {
	t.Helper()
	var qa []repo.Observation
	for _, m := range run.QA() {
		branches, ok := heads[m.URL]
		if !ok {
			branch, _ := m.Branches[0].Exact()
			branches = map[string]string{branch: string(qaSHA)}
		}
		qa = append(qa, observation(t, branches))
	}
	pinned, err := run.Pin(qa)
	if err != nil {
		t.Fatal(err)
	}
	pr, err := Generate(cfg, pinned)
	if err != nil {
		t.Fatal(err)
	}
	return pr
}

func observation(t *testing.T, branches map[string]string) repo.Observation {
	t.Helper()
	if text, ok := branches["error"]; ok {
		return repo.Observation{Err: errors.New(text)}
	}
	o := repo.Observation{Heads: map[string]repo.SHA{}}
	for branch, text := range branches {
		if said := strings.Fields(text); len(said) > 1 { // of a request
			text = said[0]
			if o.Requests == nil {
				o.Requests = map[string]repo.Request{}
			}
			o.Requests[branch] = repo.Request{Target: said[1], TargetSHA: repo.SHA(said[2]), Own: said[3] == "own"}
		}
		sha, err := repo.ParseSHA(text)
		if err != nil {
			t.Fatalf("heads.json: branch %s: %v", branch, err)
		}
		o.Heads[branch] = sha
	}
	return o
}

func goldens(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 14 {
		t.Fatalf("%d goldens, %v", len(files), err)
	}
	return files
}

func TestGolden(t *testing.T) {
	for _, file := range goldens(t) {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			g := readGolden(t, file)
			var texts []string
			for _, pr := range g.runs {
				text, err := Marshal(pr)
				if err != nil {
					t.Fatal(err)
				}
				texts = append(texts, string(text))
			}
			got := strings.Join(texts, "---\n")
			last := len(g.archive.Files) - 1
			if g.archive.Files[last].Name != "want.yaml" {
				t.Fatalf("the last file is %s, want want.yaml", g.archive.Files[last].Name)
			}
			if *update {
				g.archive.Files[last].Data = []byte(got)
				if err := os.WriteFile(file, txtar.Format(g.archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if diff := cmp.Diff(string(g.archive.Files[last].Data), got); diff != "" {
				t.Errorf("-want +got (go test -run TestGolden ./pkg/pipelinerun -update accepts it):\n%s", diff)
			}
			if strings.Contains(got, secretMark) {
				t.Error("a variable's value is in the PipelineRun")
			}
			for i, text := range strings.Split(got, "\n---\n") {
				checkAccepted(t, g.runs[i], text)
			}
		})
	}
}

// checkAccepted fails unless a strict reader finds all of the PipelineRun in the text, and Tekton takes it.
func checkAccepted(t *testing.T, pr *v1.PipelineRun, text string) {
	t.Helper()
	var read v1.PipelineRun
	if err := yaml.UnmarshalStrict([]byte(text), &read); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(pr, &read); diff != "" {
		t.Errorf("-generated +read from its YAML:\n%s", diff)
	}
	if err := Validate(t.Context(), &read); err != nil {
		t.Error(err)
	}
	trigger, err := TriggerOf(&read)
	if err != nil || len(trigger.Refs) == 0 {
		t.Errorf("TriggerOf: %+v, %v", trigger, err)
	}
}

// What Tekton's controller does with variables before it makes the pod must alter nothing.
func TestTektonSubstitutesNothingInOurTasks(t *testing.T) {
	replacements := map[string]string{}
	for _, name := range []string{"HOME", "params.x", `params["x"]`, "context.taskRun.name", "context.pipelineRun.name",
		"tasks.a.results.b", "tasks.x.results.y", "steps.clone.results.z", "results.x.path", "workspaces.source.path"} {
		replacements[name] = "SUBSTITUTED"
	}
	if got := substitution.ApplyReplacements("$(params.x)", replacements); got != "SUBSTITUTED" {
		t.Fatalf("Tekton makes %q of $(params.x), so this test proves nothing", got)
	}
	for _, file := range goldens(t) {
		for _, pr := range readGolden(t, file).runs {
			check := func(where, text string) {
				if got := substitution.ApplyReplacements(text, replacements); got != text || strings.Contains(text, "$(") {
					t.Errorf("%s: %s is %q, of which Tekton makes %q", file, where, text, got)
				}
			}
			if pr.Spec.PipelineSpec == nil {
				continue // TestParamsOfHostileBranches is about those
			}
			check("displayName", pr.Spec.PipelineSpec.DisplayName)
			check("description", pr.Spec.PipelineSpec.Description)
			for _, task := range allTasks(pr) {
				check(task.Name+": displayName", task.DisplayName)
				if task.TaskSpec == nil || task.Name == VerdictTask {
					continue
				}
				for _, step := range task.TaskSpec.Steps {
					check(task.Name+"/"+step.Name+": script", step.Script)
					check(task.Name+"/"+step.Name+": image", step.Image)
					for _, e := range step.Env {
						check(task.Name+"/"+step.Name+": env "+e.Name, e.Value)
					}
				}
			}
		}
	}
}
