package model

import (
	"time"

	"fmt"
	"github.com/tekton-sentry/sentry/pkg/result"
	"maps"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// touchRun lets a person cancel or rerun a run.
func (w *world) touchRun() {
	names := slices.Sorted(maps.Keys(w.runs))
	if len(names) == 0 {
		return
	}
	r := w.runs[names[w.rand.IntN(len(names))]]
	switch w.rand.IntN(2) {
	case 0:
		r.active = false
		w.tell("somebody cancels %s", r.name)
	case 1:
		again := *r // Dashboard's Rerun copies labels and annotations
		again.name, again.order = fmt.Sprintf("%s-r-%d", r.name, len(w.told)), w.truth.made
		again.active, again.byHand = true, true
		w.runs[again.name] = &again
		w.tell("somebody reruns %s as %s", r.name, again.name)
	}
}

// deleteRun lets a person delete a run. A run that the state does not know yet is not deleted: nobody could
// tell afterwards that it was there.
func (w *world) deleteRun() {
	names := slices.Sorted(maps.Keys(w.runs))
	if len(names) == 0 {
		return
	}
	r := w.runs[names[w.rand.IntN(len(names))]]
	known := w.stored
	for _, c := range r.trigger.Refs {
		if b, ok := known.Repositories[c.Repository].Branches.Lookup(c.Branch); !r.byHand && (!ok || b.N < c.N) {
			return
		}
	}
	delete(w.runs, r.name)
	// What was foreign leaves its name. So does a group's run: the members that remember its number may have left.
	if r.byHand || !strings.Contains(r.unit, ".") {
		delete(w.truth.names, r.name)
	}
	w.tell("somebody deletes %s", r.name)
}

// forged is the signature of who has no key.
const forged = "00000000"

// foreign lets somebody else have the name that Sentry is about to use.
func (w *world) foreign(pr *v1.PipelineRun) {
	if w.runs[pr.Name] != nil || w.truth.names[pr.Name] {
		return
	}
	r := &run{name: pr.Name, unit: pr.Labels[pipelinerun.LabelUnit], byHand: true, anonymous: true}
	r.unlabelled = w.one(2)
	if w.one(2) {
		r.anonymous, r.trigger = false, plan.Trigger{Manual: "somebody"}
	}
	if w.forgers.IntN(2) == 0 { // who guessed the name may have guessed all else
		r.anonymous, r.signature = false, forged
		r.trigger, _ = pipelinerun.TriggerOf(pr)
	}
	w.runs[r.name], w.truth.names[r.name] = r, true
	w.tell("somebody has taken the name %s", r.name)
}

// ended has the run succeed, or not, and tells the history and the Sentrys that live; of replicas the one that leads.
func (w *world) ended(r *run) {
	if r.byHand || w.ends.IntN(3) == 0 {
		return
	}
	end := result.Result{Name: r.name, Cluster: w.places.of(r.unit), Unit: r.unit, Verdict: result.Succeeded, Created: time.Unix(int64(r.order), 0)}
	for _, c := range r.trigger.Refs {
		end.Members = append(end.Members, result.Member{Ref: result.Ref{Ref: c.Ref, SHA: c.New}, Verdict: result.Succeeded})
		w.truth.succeeds(c, r.order, w.stored)
	}
	w.tell("%s has succeeded", r.name)
	w.past = append(w.past, end)
	for name, p := range w.sentrys {
		if w.odds.hang == 0 || name == "sentry" {
			p.watcher.Ended(end)
		}
	}
}

// progress lets time pass in the cluster: some runs end, or all.
func (w *world) progress(all bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(w.runs)) {
		if r := w.runs[name]; r.active && (all || w.one(3)) {
			r.active = false
			w.tell("%s ends", name)
			w.ended(r)
		}
	}
}
