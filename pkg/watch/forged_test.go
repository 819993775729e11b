package watch

import (
	"context"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// forge puts the unit's next run into the engine, as somebody can who may create PipelineRuns, knows the epoch and sees all
// other runs, but has no key: with the number n, for this commit.
func (w *world) forge(group, repository string, n int, digit string) *v1.PipelineRun {
	w.t.Helper()
	yaml := "repositories:" + entry(repository, "")
	if group != "" {
		yaml = "groups: {" + group + ": {}}\nrepositories:" + entry(repository, "group: "+group)
	}
	cfg, err := config.Parse([]byte(yaml), hosts.Options(nil))
	if err != nil {
		w.t.Fatal(err)
	}
	s, err := w.store.Load(w.t.Context())
	if err != nil {
		w.t.Fatal(err)
	}
	s.Repositories = map[string]state.Repository{repository: {Branches: map[string]state.Branch{"main": {SHA: repo.SHA(strings.Repeat("e", 40)), N: n - 1}}}}
	heads := map[string]repo.SHA{"main": repo.SHA(strings.Repeat(digit, 40))}
	p := plan.Make(plan.Input{Config: cfg, Snapshot: s, Observed: []repo.Observation{{Heads: heads}}, Now: w.watcher.Now()})
	pr, err := pipelinerun.Generate(cfg, p.Runs[0])
	if err != nil {
		w.t.Fatal(err)
	}
	for _, real := range w.engine.PipelineRuns {
		if signature := real.Annotations[pipelinerun.AnnotationSignature]; signature != "" {
			metav1.SetMetaDataAnnotation(&pr.ObjectMeta, pipelinerun.AnnotationSignature, signature)
		}
	}
	pr.CreationTimestamp = metav1.NewTime(w.watcher.Now())
	metav1.SetMetaDataLabel(&pr.ObjectMeta, forgedLabel, "")
	w.engine.Add(pr)
	return pr
}

const forgedLabel = "forged"

func TestForgedRuns(t *testing.T) {
	yaml := "repositories:" + entry("a", "") + entry("b", "")
	begin := func(t *testing.T) *world {
		w := newWorld(t, yaml)
		since := w.watcher.Now()
		w.watcher.Key = func(context.Context) (naming.Key, error) {
			return naming.Key{Secret: strings.Repeat("k", 32), Since: since}, nil
		}
		for _, name := range []string{"a", "b"} {
			w.set(name, "main", "1")
		}
		w.cycle()
		return w
	}
	// deployed returns which commits the runs deploy that are not forged.
	deployed := func(w *world) string {
		w.engine.Delete(func(pr *v1.PipelineRun) bool { _, ok := pr.Labels[forgedLabel]; return ok })
		return w.triggers()
	}
	t.Run("the unit's next run", func(t *testing.T) {
		w := begin(t)
		w.engine.End(true, w.forge("", "a", 1, "2").Name) // at once
		w.set("a", "main", "2")
		w.watcher.looked = w.watcher.looked.AddDate(0, 0, -1) // all runs are looked at
		if report := w.cycle(); len(report.Created) != 1 {
			t.Errorf("a commit that a forged run names: %+v, want its own run", report)
		}
		if got := deployed(w); got != "a@main=2" {
			t.Errorf("deployed %q", got)
		}
	})
	t.Run("refs of others with a number beyond all", func(t *testing.T) {
		w := begin(t)
		w.set("a", "main", "2")
		w.cycle()
		w.finish()
		for _, group := range []string{"", "made-up"} {
			for _, name := range []string{"a", "b"} {
				w.engine.End(true, w.forge(group, name, 900_000_000, "1").Name)
			}
		}
		w.watcher.looked = w.watcher.looked.AddDate(0, 0, -1)
		for range 3 {
			if report := w.cycle(); len(report.Created) != 0 {
				t.Errorf("a forged run had %v made", report.Created)
			}
		}
	})
	t.Run("one that is held back", func(t *testing.T) {
		w := begin(t)
		w.forge("", "a", 1, "3").Spec.Status = v1.PipelineRunSpecStatusPending
		w.set("a", "main", "2")
		if report := w.cycle(); len(report.Created) != 1 || report.Waiting != 0 {
			t.Errorf("a run of somebody else's that is held back: %+v, want the change deployed", report)
		}
	})
	t.Run("a copy of an old run that is held back", func(t *testing.T) {
		w := begin(t)
		w.set("a", "main", "2")
		w.cycle()
		for _, pr := range w.engine.PipelineRuns {
			pr.Spec.Status = v1.PipelineRunSpecStatusPending // as it was, under its name and with its signature
		}
		w.set("a", "main", "3")
		w.cycle()
		s, _ := w.store.Load(t.Context())
		if p := s.Problems()["a.main"]; p.Kind != held {
			t.Errorf("problem of a.main is %+v, want that it is held up", p)
		}
	})
	t.Run("one that runs on and on", func(t *testing.T) {
		w := begin(t)
		name := w.forge("", "a", 1, "3").Name
		w.set("a", "main", "2")
		w.set("b", "main", "2")
		for range 2 {
			w.cycle()
		}
		if got := deployed(w); got != "b@main=2" {
			t.Errorf("deployed %q, want b alone", got)
		}
		s, _ := w.store.Load(t.Context())
		if p := s.Problems()["a.main"]; p.Kind != held || !strings.Contains(p.Message, name) {
			t.Errorf("problem of a.main is %+v, want one that names %s", p, name)
		}
		if n := strings.Count(w.log.String(), "level=WARN"); n != 1 || !strings.Contains(w.log.String(), name) {
			t.Errorf("the log has %d warnings, want one that names %s:\n%s", n, name, &w.log)
		}
		second := w.forge("", "a", 2, "4").Name
		w.cycle()
		if s, _ = w.store.Load(t.Context()); !strings.Contains(s.Problems()["a.main"].Message, second) {
			t.Errorf("problem of a.main is %+v, want one that names %s, which holds it now", s.Problems()["a.main"], second)
		}
		w.engine.Delete(func(pr *v1.PipelineRun) bool { return pr.Name == second })
		w.cycle() // no forged run is left
		if s, _ = w.store.Load(t.Context()); len(s.Problems()) != 0 || deployed(w) != "a@main=2 b@main=2" {
			t.Errorf("after the end of the forged run: problems %v, deployed %q", s.Problems(), deployed(w))
		}
	})
}

// An older Sentry, which signed nothing, died between creating a run and remembering it.
func TestRunFromBeforeTheKey(t *testing.T) {
	yaml := "repositories:" + entry("a", "")
	w := newWorld(t, yaml)
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.cycleThatIsNotSaved()
	for _, pr := range w.engine.PipelineRuns {
		pr.CreationTimestamp = metav1.NewTime(w.watcher.Now())
	}
	upgraded := w.watcher.Now()
	w.start(yaml)
	w.watcher.Key = func(context.Context) (naming.Key, error) {
		return naming.Key{Secret: strings.Repeat("k", 32), Since: upgraded}, nil
	}
	if report := w.cycle(); len(report.Created) != 0 {
		t.Errorf("the run of the older Sentry was made again: %v", report.Created)
	}
	w.finish()
	w.set("a", "main", "3")
	w.cycle()
	w.check("after the upgrade", "a@main=2 a@main=3")
}
