package pipelinerun

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/order"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/words"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// unfit is why no PipelineRun can be made of a run.
type unfit struct{ error }

func (u unfit) Unwrap() error { return u.error }

// ProblemKind returns the kind as the state remembers it.
func (unfit) ProblemKind() string { return plan.CannotGenerate }

// Fit returns the PipelineRun of a pinned run, or of as much of it as one PipelineRun holds: so
// many deployments at most, and MaxSize. The run that it returns says what that is, what waits and
// what is left out. A run that was asked for by hand is made as a whole, or not.
//
// It fails as Generate does, and when no change has room, as each of them is too large by itself.
// The error's ProblemKind is plan.CannotGenerate.
func Fit(cfg *config.Config, run plan.Run, most int) (*v1.PipelineRun, plan.Run, error) {
	fit := fitPart
	if run.Trigger.Manual != "" {
		fit = fitWhole
	}
	pr, part, err := fit(cfg, run, most)
	if err != nil {
		return nil, run, unfit{err}
	}
	return pr, part, nil
}

func fitWhole(cfg *config.Config, run plan.Run, most int) (*v1.PipelineRun, plan.Run, error) {
	pr, err := Generate(cfg, run)
	if err == nil {
		err = checkSize(pr, most)
	}
	return pr, run, err
}

func fitPart(cfg *config.Config, run plan.Run, most int) (*v1.PipelineRun, plan.Run, error) {
	run = run.Without(refused(run))
	if len(run.Trigger.Refs) == 0 {
		return nil, run, NotTaken(run)
	}
	part := run.Split(most, nil)
	pr, size, err := sized(cfg, part)
	if err != nil || size <= MaxSize {
		return pr, part, err
	}
	places, large, err := places(pr, part, size)
	if err != nil {
		return nil, run, err
	}
	// What the run says of itself varies with its members: seldom there is one place less.
	for ; places > 0; places-- {
		part = run.Split(places, large)
		if len(part.Trigger.Refs) == 0 {
			break
		}
		if pr, size, err = sized(cfg, part); err != nil || size <= MaxSize {
			return pr, part, err
		}
	}
	var refs []string
	for _, c := range run.Split(most, nil).Trigger.Refs {
		refs = append(refs, c.Ref.String())
	}
	return nil, run, TooLarge(refs)
}

// NotTaken says which members a run leaves out, and why; nil for none.
func NotTaken(run plan.Run) error {
	var noNames error
	if len(run.Refused) > 0 {
		noNames = fmt.Errorf("no param of a Task or Pipeline can hold the name of %s, since Tekton and the kubelet may take a $ in it for a variable: rename the branch, or use commands in place of the Task or Pipeline",
			words.List(run.Refused, words.Listed))
	}
	return errors.Join(noNames, TooLarge(run.NoRoom))
}

// TooLarge says which refs have no room in a PipelineRun; nil for none.
func TooLarge(refs []string) error {
	if len(refs) == 0 {
		return nil
	}
	return fmt.Errorf("a PipelineRun holds at most %d deployments and %d KiB, and has no room for %s: move commands into scripts of the QA repository, or split the group",
		MaxMembers, MaxSize>>10, words.List(refs, words.Listed))
}

// sized returns the PipelineRun of a run, and how many bytes of JSON it has.
func sized(cfg *config.Config, run plan.Run) (*v1.PipelineRun, int, error) {
	pr, err := Generate(cfg, run)
	if err != nil {
		return nil, 0, err
	}
	text, err := json.Marshal(pr)
	if err != nil {
		return nil, 0, fmt.Errorf("encode run %s: %w", run.Name, err)
	}
	return pr, len(text), nil
}

// places returns how many of the run's members, by turn, have room in a PipelineRun, and which have
// none even alone.
func places(pr *v1.PipelineRun, run plan.Run, size int) (int, map[repo.Ref]bool, error) {
	own, err := ownSizes(pr, run)
	if err != nil {
		return 0, nil, err
	}
	room := MaxSize - size // what all members share
	for _, n := range own {
		room += n
	}
	places, large := 0, make(map[repo.Ref]bool)
	left := room
	for _, m := range run.Turns() {
		n := own[m.Ref()]
		if n > room {
			large[m.Ref()] = true
			continue
		}
		if left -= n; left < 0 {
			break
		}
		places++
	}
	return places, large, nil
}

// ownSizes returns how many bytes each member adds to the PipelineRun: its task and its rollback, what the verdict says of it,
// what its pod has of its own, and its change in the trigger.
func ownSizes(pr *v1.PipelineRun, run plan.Run) (map[repo.Ref]int, error) {
	tasks := make(map[string]int)
	verdict := slices.ContainsFunc(allTasks(pr), func(t v1.PipelineTask) bool { return t.Name == VerdictTask })
	of := func(task string) string { return cmp.Or(RollbackOf(task), task) }
	for _, t := range allTasks(pr) {
		text, err := json.Marshal(t)
		if err != nil {
			return nil, fmt.Errorf("encode task %s: %w", t.Name, err)
		}
		tasks[of(t.Name)] += len(text)
		if verdict && of(t.Name) == t.Name {
			tasks[t.Name] += len(order.Ending(t.Name))
		}
	}
	for _, w := range pr.Spec.Workspaces {
		text, err := json.Marshal(w)
		if err != nil {
			return nil, fmt.Errorf("encode workspace %s: %w", w.Name, err)
		}
		task, _, _ := strings.Cut(w.Name, ".")
		tasks[task] += len(text) + len(w.Name) // the pipeline declares it
	}
	for _, own := range pr.Spec.TaskRunSpecs {
		text, err := json.Marshal(own)
		if err != nil {
			return nil, fmt.Errorf("encode what task %s has of its own: %w", own.PipelineTaskName, err)
		}
		tasks[of(own.PipelineTaskName)] += len(text)
	}
	own := make(map[repo.Ref]int)
	for i, m := range pinned.Of(run).List {
		text, err := pinned.Members{List: []pinned.Member{m}}.Text()
		if err != nil {
			return nil, fmt.Errorf("encode what task %s deploys: %w", m.Task, err)
		}
		quoted, err := json.Marshal(text) // as in the annotation
		if err != nil {
			return nil, fmt.Errorf("encode what task %s deploys: %w", m.Task, err)
		}
		own[run.Members[i].Ref()] = tasks[m.Task] + len(quoted) - len(`"{\"members\":[]}"`)
	}
	for _, c := range run.Trigger.Refs {
		text, err := oneline.JSON(c)
		if err != nil {
			return nil, fmt.Errorf("encode the change of %s: %w", c.Ref, err)
		}
		quoted, err := json.Marshal(text) // as in the annotation
		if err != nil {
			return nil, fmt.Errorf("encode the change of %s: %w", c.Ref, err)
		}
		own[c.Ref] += len(quoted)
	}
	return own, nil
}
