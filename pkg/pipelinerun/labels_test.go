package pipelinerun

import (
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// The name of the Sentry is on its runs, and nothing where it has none.
func TestLabelOfTheInstance(t *testing.T) {
	cfg, run := groupRun(t, "deploy: changed", map[string]int{"a": 1}, map[string]string{"a": `"true"`})
	for _, name := range []string{"", "team-a"} {
		cfg.Global.Instance = name
		pr, err := Generate(cfg, run)
		if err != nil {
			t.Fatal(err)
		}
		if got, has := pr.Labels[LabelInstance]; got != name || has != (name != "") {
			t.Errorf("the run of %q has the label %q, %v", name, got, has)
		}
		if err := Validate(t.Context(), pr); err != nil {
			t.Error(err)
		}
	}
}

// Tekton's controller writes its own labels over ours: for an embedded pipeline, tekton.dev/pipeline is the
// run's name.
func TestLabelsLast(t *testing.T) {
	for _, file := range goldens(t) {
		for _, pr := range readGolden(t, file).runs {
			for key, value := range pr.Labels {
				if strings.HasPrefix(key, "tekton.dev/") {
					t.Errorf("%s: run %s has label %s=%s, which does not last", file, pr.Name, key, value)
				}
			}
			if pr.Labels[LabelUnit] == "" {
				t.Errorf("%s: run %s has no label %s", file, pr.Name, LabelUnit)
			}
		}
	}
}

// A group's TaskRuns are found by their repository: `kubectl get taskruns -l tekton-sentry.dev/repository=web`.
func TestEachMembersTaskRunHasItsRepository(t *testing.T) {
	for _, file := range goldens(t) {
		g := readGolden(t, file)
		for _, pr := range g.runs {
			own := map[string]*v1.PipelineTaskMetadata{}
			for _, s := range pr.Spec.TaskRunSpecs {
				own[s.PipelineTaskName] = s.Metadata
			}
			for _, task := range tasksOf(pr) {
				if task.Name == GateTask {
					continue
				}
				meta := own[task.Name]
				if task.TaskSpec != nil {
					meta = &task.TaskSpec.Metadata
				}
				repository := meta.Labels[LabelRepository]
				_, known := g.config.Lookup(repository)
				if title := task.DisplayName; !known || !strings.Contains(title, repository+"@") {
					t.Errorf("%s: task %s (%s) has the repository %q", file, task.Name, title, repository)
				}
			}
		}
	}
}

func TestShown(t *testing.T) {
	long := strings.Repeat("long-", 8)[:39]
	for _, tt := range []struct {
		group, repository, branch string
		changes                   int
		manual                    string
		want                      string
	}{
		{"", "rag", "main", 1, "", "rag.main-at-1111111"},
		{"shop", "web", "main", 1, "", "shop.web.main-at-1111111"},
		{"shop", "web", "main", 3, "", "shop.web.main-at-1111111-and-2-more"},
		{"shop", "web", "main", 3, "word", "shop.web.main-at-1111111-and-2-more-by-hand"},
		{"", "rag", "feature/log in", 1, "", "rag.feature-log-in-at-1111111"},
		{"", "rag", "日本語", 1, "", "rag-at-1111111"},
		{"", "rag", "-x-.", 1, "", "rag.x-at-1111111"},
		{"shop", "web", strings.Repeat("b", 250), 1, "", "shop.web." + strings.Repeat("b", 43) + "-at-1111111"},
		{long, long, "main", 150, "word", "long-long-lo.long-long-lon.main-at-1111111-and-149-more-by-hand"},
	} {
		if got := words.Shown(runOf(tt.group, tt.repository, tt.branch, tt.changes, tt.manual)); got != tt.want {
			t.Errorf("%s %s %.20s: got %q, want %q", tt.group, tt.repository, tt.branch, got, tt.want)
		}
	}
}

// runOf returns a run with so many changes, the first of which is the one that is told.
func runOf(group, repository, branch string, changes int, manual string) plan.Run {
	run := testRun(config.Group{Name: group}, testMember("rag"))
	run.Trigger.Manual = manual
	run.Trigger.Refs[0].Repository, run.Trigger.Refs[0].Branch = repository, branch
	for range changes - 1 {
		run.Trigger.Refs = append(run.Trigger.Refs, run.Trigger.Refs[0])
	}
	return run
}

func TestShownIsALabelsValue(t *testing.T) {
	texts := append(random(2000), hostile...)
	for i, text := range texts {
		for _, branch := range []string{text, strings.Repeat(text, 20), strings.Repeat("x", 25) + text} {
			for _, group := range []string{"", strings.Repeat("g", 1+i%40)} {
				run := runOf(group, strings.Repeat("r", 1+i*7%40), branch, 1+i, map[bool]string{true: "word"}[i%2 == 0])
				got := words.Shown(run)
				if why := validation.IsValidLabelValue(got); why != nil {
					t.Fatalf("branch %q: %q: %v", branch, got, why)
				}
				if !strings.Contains(got, "-at-1111111") {
					t.Fatalf("branch %q: %q does not tell the commit", branch, got)
				}
			}
		}
	}
}
