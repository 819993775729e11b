package local_test

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// ofAChange returns a run that nobody asked for by hand, seen at that minute.
func ofAChange(name, minute, script string) *v1.PipelineRun {
	pr := pipelineRun(name, shell("a", script))
	pr.Annotations[pipelinerun.AnnotationTrigger] = `{"refs":[{"repository":"app","branch":"main","n":1,"new":"` +
		strings.Repeat("a", 40) + `"}],"seen":"2026-01-02T03:` + minute + `:00Z"}`
	return pr
}

// recall starts an engine with the journal and returns it with the names of the runs that were cut off.
func recall(t *testing.T, journal string) (*trial, []string) {
	t.Helper()
	tr := &trial{t: t, dir: t.TempDir(), out: &syncBuffer{}}
	tr.Engine = local.New(local.Options{
		Dir: tr.dir, Out: tr.out, Journal: journal, Grace: 100 * time.Millisecond, Env: []string{"PATH=" + os.Getenv("PATH")},
	})
	t.Cleanup(func() { tr.Close() })
	runs, err := tr.Recall()
	if err != nil {
		t.Fatalf("Recall() = %v", err)
	}
	return tr, names(runs)
}

func names(runs []plan.Existing) []string {
	var all []string
	for _, r := range runs {
		all = append(all, r.Name)
	}
	return all
}

func TestJournal(t *testing.T) {
	ctx := context.Background()
	journal := filepath.Join(t.TempDir(), "state.json.runs")
	first, cut := recall(t, journal)
	if len(cut) > 0 {
		t.Fatalf("without a journal Recall returns %v", cut)
	}
	first.run(ofAChange("good", "03", "true"))
	first.run(ofAChange("bad", "02", "false"))
	first.run(pipelineRun("by-hand", shell("a", "true")))
	first.create(ofAChange("slow", "05", "echo ready; exec sleep 1000"))
	first.create(ofAChange("slower", "04", "echo set; exec sleep 1000"))
	first.prints("ready")
	first.prints("set")
	if err := first.Cancel(ctx, "slower", ""); err != nil { // it ends by this, and not with the engine
		t.Fatal(err)
	}
	first.end("slower")
	first.Close()
	if got := names(first.CutOff()); !slices.Equal(got, []string{"slow"}) {
		t.Errorf("after Close CutOff() = %v, want slow", got)
	}

	// The process may end while it writes an entry, before the run starts.
	if err := os.WriteFile(filepath.Join(journal, "torn.running"), []byte(`{"unit":`), 0o600); err != nil {
		t.Fatal(err)
	}
	second, cut := recall(t, journal)
	if !slices.Equal(cut, []string{"slow"}) {
		t.Errorf("Recall returns %v, want slow", cut)
	}
	runs, err := second.Runs(ctx, nil)
	if got := names(engine.Existing(runs)); !slices.Equal(got, []string{"bad", "good", "slower"}) || err != nil {
		t.Errorf("Runs() = %v, %v; want the finished runs, oldest first", got, err)
	}
	for _, r := range runs {
		if r.Active || r.Unit != "unit" || len(r.Trigger.Refs) != 1 {
			t.Errorf("the next engine knows the run as %+v", r)
		}
	}
	if created, err := local.Start(second.Engine, ctx, ofAChange("good", "09", "echo again")); created || err != nil {
		t.Errorf("Create of a run that the engine before made = %v, %v; want false", created, err)
	}
	if err := second.Forget([]plan.Existing{{Name: "slow"}}); err != nil {
		t.Errorf("Forget() = %v", err)
	}
	if _, err := second.Prune(ctx, "", 1); err != nil {
		t.Errorf("Prune() = %v", err)
	}
	if got := dirs(t, journal); !slices.Equal(got, []string{"slower.failed"}) {
		t.Errorf("the journal has %v, want the newest finished run", got)
	}
}

// Nothing runs that the next engine would not know.
func TestNothingRunsWithoutItsEntry(t *testing.T) {
	journal := filepath.Join(t.TempDir(), "state.json.runs")
	tr, _ := recall(t, journal)
	if err := os.WriteFile(journal, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	mark := filepath.Join(t.TempDir(), "ran")
	if created, err := local.Start(tr.Engine, t.Context(), ofAChange("run", "01", "touch "+mark)); created || err == nil || !strings.Contains(err.Error(), journal) {
		t.Errorf("Create = %v, %v; want an error that names the journal", created, err)
	}
	tr.Close()
	if _, err := os.Stat(mark); err == nil {
		t.Error("the run started")
	}
}
