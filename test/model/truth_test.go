package model

import (
	"fmt"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"maps"
	"slices"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// run is a PipelineRun in the cluster.
type run struct {
	name, unit string
	trigger    plan.Trigger
	signature  string
	order      int
	active     bool
	byHand     bool // a person made it
	unlabelled bool // it does not show among Sentry's runs
	anonymous  bool // it has no trigger annotation
}

// truth is what really happened, by which all is judged.
type truth struct {
	names map[string]bool       // that any run ever had
	ran   map[repo.Ref][]change // by Sentry, in their order
	now   map[repo.Ref]repo.SHA // what each ref counts as deployed at: by a run, or as recorded at first sight
	gone  map[repo.Ref]bool     // an answer or the file did not have it since it ran
	made  int
	// good is the commit whose deployment succeeded last, by the run that was made last. known are those of them that no
	// Sentry may have forgotten since.
	good  map[repo.Ref]success
	known map[repo.Ref]bool
	// dropped are the states that forgot a repository, by its name, and was is what its refs counted as deployed at: whoever read a state
	// before goes by that.
	dropped map[string]int
	was     map[repo.Ref]repo.SHA
}

type success struct {
	sha   repo.SHA
	order int // of the run
}

type change struct {
	plan.Change
	unit string
}

func newTruth() truth {
	return truth{names: map[string]bool{}, ran: map[repo.Ref][]change{}, now: map[repo.Ref]repo.SHA{}, gone: map[repo.Ref]bool{}, good: map[repo.Ref]success{}, known: map[repo.Ref]bool{}, dropped: map[string]int{}, was: map[repo.Ref]repo.SHA{}}
}

// wiped says that the state was deleted: all is seen for the first time again.
func (t *truth) wiped() {
	clear(t.ran)
	clear(t.now)
	clear(t.known)
}

// said notes what branches a host's answer does not have.
func (t *truth) said(w *world, at string, heads map[string]repo.SHA) {
	for _, e := range w.watchedEntries() {
		for _, branch := range all {
			if url(e.name) == at && heads[branch] == "" {
				t.gone[repo.Ref{Repository: e.name, Branch: branch}] = true
				delete(t.known, repo.Ref{Repository: e.name, Branch: branch})
			}
		}
	}
}

// edited notes which repositories the file has no more: when they are back, they are seen for the first time.
func (t *truth) edited(f file) {
	for ref := range t.now {
		if ref.Repository != checks && !slices.ContainsFunc(f.entries, func(e entry) bool { return e.name == ref.Repository }) {
			t.gone[ref] = true
			delete(t.known, ref)
		}
	}
}

// succeeds notes that the run of that order deployed the change. Of a branch that the state does not know nothing is learned.
func (t *truth) succeeds(c plan.Change, order int, stored state.Snapshot) {
	if order >= t.good[c.Ref].order {
		_, there := stored.Repositories[c.Repository].Branch(c.Branch)
		t.good[c.Ref], t.known[c.Ref] = success{c.New, order}, there && !t.gone[c.Ref]
	}
}

// create makes a run of Sentry's, and checks that it may be.
func (w *world) create(p *process, pr *v1.PipelineRun) {
	trigger, err := pipelinerun.TriggerOf(pr)
	if err != nil {
		w.wrong("%s has no trigger: %v", pr.Name, err)
		return
	}
	w.truth.made++
	r := &run{
		name: pr.Name, unit: pr.Labels[pipelinerun.LabelUnit], trigger: trigger, signature: pr.Annotations[pipelinerun.AnnotationSignature],
		order: w.truth.made, active: true,
	}
	var changes []string
	for _, c := range trigger.Refs {
		changes = append(changes, fmt.Sprintf("%s #%d %s>%s", c.Ref, c.N, c.Old.Short(), c.New.Short()))
	}
	w.tell("%s creates %s in unit %s: %s", p.name, r.name, r.unit, strings.Join(changes, ", "))
	if w.truth.names[r.name] {
		w.wrong("the name %s is used again", r.name)
	}
	w.truth.names[r.name] = true
	group, known := p.watcher.Config.Groups[r.unit]
	for _, name := range slices.Sorted(maps.Keys(w.runs)) {
		if o := w.runs[name]; o.unit == r.unit && o.active && !o.byHand && (!known || group.OnBusy != config.StartAtOnce) {
			w.wrong("%s starts while %s of its unit is active", r.name, o.name)
		}
	}
	alone := ""
	if naming.IsRefLabel(r.unit) {
		alone = trigger.Refs[0].Repository
	}
	w.checkPlace(p, r.name)
	if w.stored.PausedAt(r.unit, alone) != nil {
		w.wrong("%s runs, and its unit %s is paused", r.name, r.unit)
	}
	if n := len(pr.Spec.PipelineSpec.Tasks); w.most > 0 && n > w.most {
		w.wrong("%s has %d deployments, want at most %d", r.name, n, w.most)
	}
	if group.Strategy == strategy.Sequential {
		w.checkOrder(p, pr)
	}
	for _, c := range trigger.Refs {
		if !hasTask(pr, c) {
			w.wrong("%s has no task for %s at %s, which triggers it", r.name, c.Ref, c.New.Short())
		}
		now := w.truth.now
		if w.checkChange(p, r, c) {
			now = w.truth.was // which whoever takes the repository up again does not know, unless it learns of the run
		}
		w.checkGood(pr, c)
		w.checkSecrets(pr, c)
		w.truth.ran[c.Ref] = append(w.truth.ran[c.Ref], change{c, r.unit})
		now[c.Ref] = c.New
		delete(w.truth.gone, c.Ref)
	}
	w.runs[r.name] = r
}

// checkChange checks that the change happened, and that no run was made for it before. late says that the repository was forgotten
// since p read the state.
func (w *world) checkChange(p *process, r *run, c plan.Change) (late bool) {
	if !w.remote(url(c.Repository)).pushed[c.New] {
		w.wrong("%s deploys %s, which nobody pushed to %s", r.name, c.New, c.Ref)
	}
	was, known := w.truth.now[c.Ref]
	late = w.lists != nil && !known && p.rev < w.truth.dropped[c.Repository] // it read a state that had it
	if late {
		was = w.truth.was[c.Ref]
	}
	back := !known || w.truth.gone[c.Ref]
	switch {
	case was == c.New && !back:
		w.wrong("%s deploys %s of %s, which is deployed", r.name, c.New.Short(), c.Ref)
	case c.Old != was && (c.Old != "" || !back):
		w.wrong("%s says that %s was at %q, and it is deployed at %q", r.name, c.Ref, c.Old.Short(), was.Short())
	}
	_, tag := repo.Tag(c.Branch)
	if !late && (w.file.first == config.Record || tag) {
		if entry, seen := w.stored.Repositories[c.Repository]; !seen || entry.Unseen || tag && !looked(entry, c.Branch) && !had(entry, c.Branch) {
			w.wrong("%s deploys %s, which was never seen before", r.name, c.Ref)
		}
	}
	for _, o := range w.truth.ran[c.Ref] {
		if o.unit == r.unit && o.N >= c.N {
			w.wrong("%s is run %d of its unit for %s, which had run %d", r.name, c.N, c.Ref, o.N)
		}
	}
	return late
}

// had reports whether a branch or tag is remembered.
func had(r state.Repository, name string) bool {
	_, known := r.Branch(name)
	return known
}

// looked reports whether a tag was looked for, so that it is new where it is not remembered.
func looked(r state.Repository, tag string) bool {
	lost := r.Tagged && !slices.ContainsFunc(tags, func(t string) bool { return had(r, t) })
	return !lost && (r.Tags == ".*" || r.Tags == "v.*" && tag == "refs/tags/v1")
}

// checkGood checks what the commands are told of the last commit that succeeded.
func (w *world) checkGood(pr *v1.PipelineRun, c plan.Change) {
	told := repo.SHA("")
	for _, t := range pr.Spec.PipelineSpec.Tasks {
		script := withTags(t.TaskSpec.Steps[len(t.TaskSpec.Steps)-1].Script)
		if strings.Contains(script, factsOf(c)) && strings.Contains(script, "export SENTRY_REPO='"+c.Repository+"'\n") {
			_, after, _ := strings.Cut(script, "export SENTRY_SUCCEEDED_SHA='")
			sha, _, _ := strings.Cut(after, "'")
			told = repo.SHA(sha)
		}
	}
	if w.places.rand != nil && w.odds.edit > 0 {
		return // a repository that goes to a group in another cluster has a word of both
	}
	if want := w.truth.good[c.Ref].sha; told != want && (told != "" || w.truth.known[c.Ref]) {
		w.wrong("%s tells the commands that %s succeeded last of %s, and %s did", pr.Name, told.Short(), c.Ref, want.Short())
	}
}

func factsOf(c plan.Change) string {
	if number, ok := repo.RequestNumber(c.Branch); ok {
		return requestFacts(c, number)
	}
	branch := c.Branch
	tag, isTag := repo.Tag(c.Branch)
	if isTag {
		branch = ""
	} else {
		tag = ""
	}
	return fmt.Sprintf("export SENTRY_BRANCH='%s'\nexport SENTRY_TAG='%s'\nexport SENTRY_REF='%s'\nexport SENTRY_SHA='%s'\n", branch, tag, repo.Full(c.Branch), c.New)
}

// withTags returns a script as it is where tags are watched.
func withTags(script string) string {
	if strings.Contains(script, "export SENTRY_TAG=") || strings.Contains(script, "export SENTRY_REQUEST=") {
		return script
	}
	_, after, _ := strings.Cut(script, "export SENTRY_BRANCH='")
	branch, _, _ := strings.Cut(after, "'")
	line := "export SENTRY_BRANCH='" + branch + "'\n"
	return strings.Replace(script, line, line+"export SENTRY_TAG=''\nexport SENTRY_REF='"+repo.Full(branch)+"'\n", 1)
}

// hasTask reports whether a task of the run deploys the change.
func hasTask(pr *v1.PipelineRun, c plan.Change) bool {
	facts := factsOf(c)
	return slices.ContainsFunc(pr.Spec.PipelineSpec.Tasks, func(t v1.PipelineTask) bool {
		script := withTags(t.TaskSpec.Steps[len(t.TaskSpec.Steps)-1].Script)
		return strings.Contains(script, "export SENTRY_REPO='"+c.Repository+"'\n") && strings.Contains(script, facts)
	})
}

// checkOrder checks that the members of a sequential group follow each other in the order of the file.
func (w *world) checkOrder(p *process, pr *v1.PipelineRun) {
	last, at := "", -1
	for _, task := range pr.Spec.PipelineSpec.Tasks {
		if last != "" && !slices.Equal(task.RunAfter, []string{last}) {
			w.wrong("in %s, %s runs after %v, want %s", pr.Name, task.Name, task.RunAfter, last)
		}
		i := slices.IndexFunc(p.watcher.Config.Repositories, func(r config.Repository) bool {
			return task.Name == r.Name || strings.HasPrefix(task.Name, r.Name+"-dev") || strings.HasPrefix(task.Name, r.Name+"-main") || strings.HasPrefix(task.Name, r.Name+"-tag")
		})
		if i < at {
			w.wrong("in %s, %s is not in the order of the file", pr.Name, task.Name)
		}
		last, at = task.Name, i
	}
}

// saving checks a write of the state: it names no commit that was not pushed, and no run that was not made.
func (t *truth) saving(w *world, was, next state.Snapshot) {
	for label, u := range was.Units {
		if u.Paused != nil && next.Units[label].Paused == nil {
			w.wrong("a write of the state ends the pause of %s", label)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(next.Repositories)) {
		entry := next.Repositories[name]
		before, seen := was.Repositories[name]
		first := !seen || before.Unseen
		for branch, b := range entry.Branches.All() {
			ref := repo.Ref{Repository: name, Branch: branch}
			if !w.remote(url(name)).pushed[b.SHA] {
				w.wrong("the state has %s of %s, which nobody pushed", b.SHA, ref)
			}
			ran := slices.ContainsFunc(t.ran[ref], func(c change) bool { return c.N == b.N && c.New == b.SHA })
			old, was := before.Branches.Lookup(branch)
			switch {
			case repo.Noun(branch) == "tag" && !had(before, branch) && had(entry, branch) && !looked(before, branch):
				t.now[ref] = b.SHA // recorded
			case ran && t.now[ref] == "":
				t.now[ref] = b.SHA // seen for the first time once more
			case ran, was && old.SHA == b.SHA && old.N == b.N:
			case first && w.file.first == config.Record:
				t.now[ref] = b.SHA
			default:
				w.wrong("the state has %s#%d of %s, and there was no such run", b.SHA.Short(), b.N, ref)
			}
		}
	}
	for name := range was.Repositories {
		if was.Seen(name) && !next.Seen(name) {
			t.dropped[name] = w.rev + 1
			maps.DeleteFunc(t.was, func(ref repo.Ref, _ repo.SHA) bool { return ref.Repository == name })
			maps.DeleteFunc(t.known, func(ref repo.Ref, _ bool) bool { return ref.Repository == name })
		}
	}
	for ref := range t.now {
		before, had := was.Repositories[ref.Repository]
		entry, has := next.Repositories[ref.Repository]
		// A run may be learned and forgotten in one write: its number alone is left.
		ran := t.ran[ref]
		both := len(ran) > 0 && before.Floor < ran[len(ran)-1].N && entry.Floor >= ran[len(ran)-1].N
		if (had && !before.Unseen || both) && (!has || entry.Unseen) {
			t.was[ref] = t.now[ref]
			delete(t.now, ref)
		}
	}
}

// checkDeployed checks that every head counts as deployed.
func (w *world) checkDeployed() {
	for _, e := range w.watchedEntries() {
		w.checkHeads(e, func(string) bool { return true })
	}
}

// checkHeads checks it for those heads of a repository that are wanted.
func (w *world) checkHeads(e entry, wanted func(string) bool) {
	for _, r := range w.config().Repositories {
		heads := w.remote(r.Monitor.URL).heads
		for _, branch := range slices.Sorted(maps.Keys(heads)) {
			if r.Name != e.name || !r.Monitor.Branches.Match(branch) || !wanted(branch) {
				continue
			}
			ref := repo.Ref{Repository: e.name, Branch: branch}
			if got := w.truth.now[ref]; got != heads[branch] {
				w.wrong("%s is at %s and deployed at %q: the change is lost", ref, heads[branch].Short(), got.Short())
			}
			if b, _ := w.stored.Repositories[e.name].Branch(branch); b.SHA != heads[branch] {
				w.wrong("%s is at %s and remembered at %q", ref, heads[branch].Short(), b.SHA.Short())
			}
		}
	}
}
