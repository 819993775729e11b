// Package logsink writes the loop's events to the log: a line for what a person wants to know.
package logsink

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// New returns the sink that writes to log.
func New(log *slog.Logger) event.Sink {
	return func(_ context.Context, events []event.Event) {
		for _, e := range events {
			Write(log, e)
		}
	}
}

// Write writes the lines of one event.
func Write(log *slog.Logger, e event.Event) {
	switch e := e.(type) {
	case event.RunDue:
		due(log, e)
	case event.RunCreated:
		created(log, e.Run)
	case event.RunFound:
		log.Info("found the pipeline run of an earlier attempt", "unit", e.Run.Unit.Label, "run", e.Run.Name)
	case event.RunWaiting:
		waiting(log, e.Run)
	case event.RunsDeferred:
		log.Info("more runs of the repository are due than a cycle makes; the others wait for the next cycle",
			"repo", e.Repository, "made", e.Most, "waiting", e.Runs)
	case event.RunCancelled:
		cancelled(log, e)
	case event.RunEnded:
		ended(log, e.Result)
	case event.PastUnknown:
		log.Warn("it cannot be read how earlier runs ended; the state may lack what they deployed, and it is tried again", "err", e.Err)
	case event.RunsLearned:
		log.Info("found runs that the state does not know; remembering them", "repos", e.Repositories)
	case event.RunDeleted:
		log.Info("deleted an old pipeline run", tells(audit.Deleted, audit.KeepRuns, "unit", e.Unit, "run", e.Name)...)
	case event.RunsKept:
		log.Warn("cannot delete old pipeline runs", "unit", e.Unit, "err", e.Err)
	case event.UnitFailing:
		message := "no pipeline run was made; it is tried again"
		if e.Made {
			message = "a pipeline run was made without some of its members"
		}
		log.Error(message, "unit", e.Unit, "run", e.Name, "err", e.Err)
	case event.UnitHeld:
		log.Warn("a change waits for a run that was started or is held back by hand", "unit", e.Unit, "run", e.Name)
	case event.OtherSentry:
		otherSentry(log, e)
	case event.StateDamaged:
		log.Error("the state of the repository cannot be read", "repo", e.Repository, "err", e.Message)
	case event.Noticed:
		noticed(log, e)
	case event.HeadUnclear:
		log.Warn("what the commit says or changes cannot be read, so it counts as a change", "repo", e.Repository, "branch", e.Branch,
			"sha", e.SHA.Short(), "key", e.Key, "err", e.Err)
	case event.CycleDone:
		cycleDone(log, e)
	case event.CycleFailed:
		log.Error("the cycle failed; it is tried again at the next interval", "err", e.Err)
	case event.ConfigurationChanged:
		configured(log, e)
	case event.ConfigurationRefused:
		log.Error("the configuration changed and cannot be used; going on as before", "err", e.Why)
	}
}

// change is one ref that moved, as a line has it.
type change struct {
	Repository string `json:"repo"`
	Branch     string `json:"branch"`
	SHA        string `json:"sha"`
	MovedFrom  string `json:"moved_from,omitempty"` // of a tag: branches do all the time
}

// changes are the refs of a run: one value of a line, however many there are.
type changes []change

// String is the value in a line of text.
func (c changes) String() string {
	texts := make([]string, len(c))
	for i, ref := range c {
		from := ref.MovedFrom
		if from != "" {
			from += ".."
		}
		texts[i] = ref.Repository + "@" + ref.Branch + "=" + from + ref.SHA
	}
	return strings.Join(texts, " ")
}

// changesOf are the refs of a run that moved, or that a person named.
func changesOf(run plan.Run) changes {
	refs := make(changes, len(run.Trigger.Refs))
	for i, ref := range run.Trigger.Refs {
		refs[i] = change{ref.Repository, ref.Branch, ref.New.Short(), ""}
		if _, tag := repo.Tag(ref.Branch); tag {
			refs[i].MovedFrom = ref.Old.Short()
		}
	}
	return refs
}

// due names the first refs: a run that has yet to be made may have thousands, and holds a part of them.
func due(log *slog.Logger, e event.RunDue) {
	const few = 20
	refs := changesOf(e.Run)
	args := []any{"unit", e.Run.Unit.Label, "run", e.Run.Name, "changes", refs[:min(len(refs), few)]}
	if more := len(refs) - few; more > 0 {
		args = append(args, "more", more)
	}
	log.Info("a change was seen; a run is due", append(args, "look", e.Reason)...)
}

// tells returns what a line has of a deed that no person asked for.
func tells(v audit.Verb, cause string, args ...any) []any {
	return append(args, audit.By{Cause: cause}.Attrs(v)...)
}

// Created tells of a run that was created, for whomever.
func Created(log *slog.Logger, run plan.Run, by audit.By) {
	args := []any{"unit", run.Unit.Label, "run", run.Name, "changes", changesOf(run)}
	if run.Group.Cluster != "" {
		args = append(args, "cluster", run.Group.Cluster)
	}
	if len(run.LeftOut) > 0 {
		args = append(args, "left_out", run.LeftOut)
	}
	log.Info("created pipeline run", append(args, by.Attrs(audit.Created)...)...)
}

func created(log *slog.Logger, run plan.Run) {
	Created(log, run, audit.By{Cause: audit.Change})
	if n := run.Trigger.Waiting; n > 0 {
		log.Info("one run does not hold all changes; the others wait for the unit's next run",
			"unit", run.Unit.Label, "run", run.Name, "made", len(run.Trigger.Refs), "waiting", n)
	}
}

// waiting names the runs that the new one waits for, and when the first of them began.
func waiting(log *slog.Logger, run plan.Run) {
	if p := run.Pause; p != nil {
		args := []any{"unit", run.Unit.Label, "run", run.Name, "since", p.Since}
		if p.By != "" {
			args = append(args, "who", p.By)
		}
		if p.Reason != "" {
			args = append(args, "why", p.Reason)
		}
		log.Info("a change waits, as its unit is paused", args...)
		return
	}
	if f := run.Freeze; f != nil {
		log.Info("a change waits for the end of a window of not_on", "unit", run.Unit.Label, "run", run.Name, "window", f.Window.String(), "until", f.Until.Format(time.RFC3339))
		return
	}
	if run.MaxRuns > 0 {
		log.Info("a change waits for a place, of which there are global.max_runs", "unit", run.Unit.Label, "run", run.Name, "max_runs", run.MaxRuns)
		return
	}
	since := run.Behind[0].Created
	for _, r := range run.Behind {
		if r.Created.Before(since) {
			since = r.Created
		}
	}
	log.Info("a change waits for the unit's active run", "unit", run.Unit.Label, "run", run.Name,
		"active", strings.Join(plan.Names(run.Behind), ", "), "since", since)
}

func cancelled(log *slog.Logger, e event.RunCancelled) {
	if e.Err != nil {
		log.Error("cannot cancel the run that a newer change replaces", "unit", e.Unit, "run", e.Name, "err", e.Err)
		return
	}
	log.Info("cancelled the run that a newer change replaces", tells(audit.Cancelled, audit.Change, "unit", e.Unit, "run", e.Name, "for", e.For)...)
}

func otherSentry(log *slog.Logger, e event.OtherSentry) {
	if e.Name == "" {
		log.Info("somebody else wrote the state, such as another Sentry or a person who paused a unit; only the runs of this cycle are added to it")
		return
	}
	log.Info("another Sentry made the unit's next run; looking again in the next cycle", "unit", e.Unit, "run", e.Name)
}

// noticed tells what was seen; changes that made a run are told by the run.
func noticed(log *slog.Logger, e event.Noticed) {
	var failing, recovered groups
	var seen []plan.Event
	for _, n := range e.Events {
		args := []any{"repo", n.Ref.Repository}
		if n.Ref.Branch != "" {
			args = append(args, "branch", n.Ref.Branch)
		}
		switch n.Kind {
		case plan.FirstSeen:
			seen = append(seen, n)
		case plan.Forgotten:
			log.Info(repo.Noun(n.Ref.Branch)+" was deleted: forgotten", append(args, "sha", n.From.Short())...)
		case plan.Ignored:
			log.Info("the commit's message matches monitor.ignore: it runs nothing", append(args, "sha", n.To.Short())...)
		case plan.Untouched:
			log.Info("the commit changes nothing that monitor.paths match: it runs nothing", append(args, "sha", n.To.Short())...)
		case plan.Failing:
			if !e.First { // the end of the first cycle names all that cannot be read
				failing.add(n.Ref.Repository, n.Detail)
			}
		case plan.Recovered:
			recovered.add(n.Ref.Repository, "")
		default:
			log.Debug(string(n.Kind), append(args, "sha", n.To.Short())...)
		}
	}
	firstSeen(log, seen)
	failing.log(log.Error, "cannot read the repository; its branches count as unchanged", "cannot read the repositories; their branches count as unchanged")
	recovered.log(log.Info, "the repository can be read again", "the repositories can be read again")
}

// firstSeen has a line for each repository, or one for many, as at the first start: the others are
// for debugging then.
func firstSeen(log *slog.Logger, seen []plan.Event) {
	const few, message = 20, "first seen: recorded, nothing runs"
	write := log.Info
	if len(seen) > few {
		log.Info(message, "repositories", len(seen))
		write = log.Debug
	}
	for _, e := range seen {
		write(message, "repo", e.Ref.Repository, "branches", e.Detail)
	}
}

// cycleDone ends a cycle with one line: at info for the first cycle and for one that did something,
// because somebody who starts Sentry wants to see that it works and what does not.
func cycleDone(log *slog.Logger, e event.CycleDone) {
	if e.Stopped {
		log.Info("stopped before the cycle was done; the next start does the rest", "created", len(e.Created))
		return
	}
	var failing groups
	for _, f := range e.Unread {
		failing.add(f.Repository, f.Message)
	}
	failing.log(log.Warn, "cannot read the repository", "cannot read the repositories")
	level := slog.LevelDebug
	if e.First || len(e.Created) > 0 {
		level = slog.LevelInfo
	}
	log.Log(context.Background(), level, "cycle done", "repositories", e.Repositories, "failing", e.Failing,
		"created", len(e.Created), "waiting", e.Waiting, "problems", e.Problems, "duration", e.Duration.Round(time.Millisecond))
}

// configured has a line for each change.
func configured(log *slog.Logger, e event.ConfigurationChanged) {
	if len(e.Changes) == 0 {
		log.Info("the configuration says what is used", "file", e.File)
	} else {
		log.Info("the configuration changed; using the new one", "file", e.File)
	}
	for _, c := range e.Changes {
		log.Info("what changed in the configuration", "change", c)
	}
	if len(e.Kept) > 0 {
		log.Warn("restart Sentry to use what it reads at its start alone", "keys", strings.Join(e.Kept, ", "))
	}
}

// groups are repositories by what is wrong with them, so that a host that is down is not told of 500
// times.
type groups struct {
	order []string // of the errors
	repos map[string][]string
}

func (g *groups) add(repository, err string) {
	if g.repos == nil {
		g.repos = map[string][]string{}
	}
	if g.repos[err] == nil {
		g.order = append(g.order, err)
	}
	g.repos[err] = append(g.repos[err], repository)
}

// log writes a line for each repository of a small group, and one for a large one, which names the
// first ten.
func (g *groups) log(write func(string, ...any), one, many string) {
	const few, named = 3, 10
	for _, err := range g.order {
		var args []any
		if err != "" {
			args = []any{"err", err}
		}
		repos := slices.Sorted(slices.Values(g.repos[err])) // the hosts answer in any order
		if len(repos) > few {
			text := strings.Join(repos[:min(named, len(repos))], ", ")
			if len(repos) > named {
				text += ", …"
			}
			write(many, append([]any{"repositories", len(repos), "repo", text}, args...)...)
			continue
		}
		for _, r := range repos {
			write(one, append([]any{"repo", r}, args...)...)
		}
	}
}

// ended names the deployments that did not succeed, by how each ended. What they printed is not told: that may be a secret.
func ended(log *slog.Logger, r result.Result) {
	args := append([]any{"unit", r.Unit, "run", r.Name}, r.By.Keys()...)
	if r.Cluster != "" {
		args = append(args, "cluster", r.Cluster)
	}
	if r.Verdict == result.Succeeded {
		log.Info("the run succeeded", args...)
		return
	}
	args = append(args, "verdict", string(r.Verdict))
	for _, v := range []result.Verdict{result.Failed, result.TimedOut, result.Cancelled, result.Superseded, result.Skipped, result.RolledBack} {
		if names := r.Tasks(v); len(names) > 0 {
			args = append(args, strings.ReplaceAll(string(v), " ", "_"), strings.Join(names, ", "))
		}
	}
	if r.Why != "" {
		args = append(args, "why", r.Why)
	}
	switch r.Verdict {
	case result.Superseded:
		log.Info("the run was cancelled for a newer change", args...)
	case result.Cancelled:
		log.Warn("the run was cancelled", args...)
	default:
		log.Error("the run did not succeed", args...)
	}
}
