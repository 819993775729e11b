package pages

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/deeds"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
)

// shown is a run as somebody is shown it who shall confirm it: what `sentry render` prints, and what is good to know.
func shown(cfg *config.Config, f *facts.Facts, run plan.Run) (view.Planned, error) {
	pr, _, err := pipelinerun.Fit(cfg, run, pipelinerun.MaxMembers)
	if err != nil {
		return view.Planned{}, err
	}
	text, err := pipelinerun.Marshal(pr)
	if err != nil {
		return view.Planned{}, err
	}
	p := view.Planned{Text: string(text), Notes: notes(f, run)}
	for _, m := range run.Members {
		was := m.Previous
		if was == m.SHA {
			was = ""
		}
		p.Commits = append(p.Commits, view.Pinned{Commit: view.Commit{Ref: m.Ref(), SHA: m.SHA, Link: Link(m.Repository, was, m.SHA)}, Task: m.Task, Was: was})
	}
	for _, t := range pr.Spec.PipelineSpec.Tasks {
		p.Tasks = append(p.Tasks, view.Order{Task: t.Name, After: t.RunAfter})
	}
	return p, nil
}

// confirmed is a run of a unit that deployed these, to be made again where it would run now.
func confirmed(cfg *config.Config, unit string, members []pinned.Member) result.Result {
	r := result.Result{Name: "what was shown", Unit: unit}
	for _, m := range members {
		r.Members = append(r.Members, result.Member{Task: m.Task, Ref: result.Ref{Ref: m.Ref, SHA: m.SHA}, QA: m.QA, Request: m.Request})
	}
	if len(members) > 0 {
		if of, known := cfg.Lookup(members[0].Repository); known {
			r.Cluster = cfg.GroupOf(of).Cluster
		}
	}
	return r
}

// digest tells apart what runs of these by one configuration and by another: the PipelineRun, and what becomes of a run that is active. What
// was acted upon last is not in it, nor the name: these may change between what is shown and what is done.
func digest(cfg *config.Config, unit string, members []pinned.Member) (string, error) {
	run, err := deeds.Again(plan.Input{Config: cfg}, confirmed(cfg, unit, members), "digest")
	if err != nil {
		return "", err
	}
	pr, _, err := pipelinerun.Fit(cfg, run, pipelinerun.MaxMembers)
	if err != nil {
		return "", err
	}
	text, err := pipelinerun.Marshal(pr)
	if err != nil {
		return "", err
	}
	sum := sha256.Sum256(fmt.Appendf(text, "%q %q", run.Group.OnBusy, run.Group.Cluster))
	return hex.EncodeToString(sum[:]), nil
}

// notes are what is good to know before a run is made.
func notes(f *facts.Facts, run plan.Run) (all []string) {
	repository := ""
	if run.Group.Name == "" {
		repository = run.Members[0].Repository.Name
	}
	if f.Snapshot.PausedAt(run.Unit.Label, repository) != nil {
		all = append(all, "It is paused; what is asked for by hand is started all the same.")
	}
	if h, in := run.Group.NotOn.At(time.Now()); in {
		all = append(all, fmt.Sprintf("not_on holds until %s; what is asked for by hand is started all the same.", h.Until.Format(time.RFC3339)))
	}
	var busy []string
	for _, r := range f.Runs {
		if r.Active && r.Unit == run.Unit.Label {
			busy = append(busy, r.Name)
		}
	}
	if len(busy) == 0 {
		return all
	}
	active := strings.Join(busy, ", ")
	switch run.Group.OnBusy {
	case config.Queue:
		all = append(all, active+" is active: until it has ended, or is cancelled, none is started beside it (on_busy: queue).")
	case config.StartAtOnce:
		all = append(all, active+" is active: it goes on, and the other starts beside it (on_busy: parallel).")
	default:
		all = append(all, active+" is active: it is cancelled first (on_busy: cancel).")
	}
	return all
}
