package watch

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/filter"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/places"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

const (
	// saveTries bounds how often one step is planned anew because somebody else wrote the state.
	saveTries = 8
	// firstPause bounds the pause after the first try. It doubles with each: in all that is some 6 s, and 3 s on average.
	firstPause = 50 * time.Millisecond
	// pruneAll is every how many cycles the runs of all units are pruned, from the first one on: a unit whose
	// last run was long ago has to follow a lower keep_runs too.
	pruneAll = 60
)

// cycle is one RunOnce. One goroutine at a time works on it: the hosts' answers come through steps.
type cycle struct {
	*Watcher
	key      naming.Key
	stored   state.Snapshot // what the store holds
	next     state.Snapshot // what it shall hold
	saved    bool           // the store holds the runs of this cycle
	observed []repo.Observation
	whole    bool  // everything is looked at
	looking  []int // indices of the repositories that are looked at
	reason   string
	began    time.Time
	late     time.Duration // how much later than due it began
	report   event.Report
	ended    []result.Result // the runs that ended and whose commits stored may not have
	told     *string         // of the configuration, by Refuse
	made     []plan.Existing // the runs that next knows and stored may not
	pruning  []string        // labels of the units that got a run
	crowd    int             // runs that were active when the first one was due, where that counts; -1 before
	owing    map[string]bool // names of the runs that are due
	waiting  map[string]bool // names of the runs that wait
	noticed  []plan.Event
	errs     []error

	steps chan func()
	asked int // questions whose last answer is still to come
}

// RunOnce does one cycle over what the request names, or over everything:
//   - it loads what is remembered, adds what the engine's runs say was done beyond that, where something may
//     have been, and asks all hosts for heads;
//   - as each host answers, it plans what is complete by then, so that a slow host delays only its own;
//   - it creates the planned runs, and only then remembers what they act upon, in one write at the end;
//   - it deletes finished runs beyond keep_runs in the units that got a new one, now and then in all.
//
// A repository that is not looked at counts as unchanged. Where one of its group runs, it is deployed
// at the commit that was acted upon last, and what changed in it meanwhile waits for the next cycle.
//
// The error says that the state or the engine failed. A repository that cannot be read or a run that
// cannot be made is counted in the report, told of when it begins, and tried again in the next cycle.
//
// When ctx ends, the cycle begins nothing more: it ends the call in hand and remembers what it did.
// The next cycle, of this process or another one, does the rest.
func (w *Watcher) RunOnce(ctx context.Context, request Request) (event.Report, error) {
	start := w.Now()
	w.follow()
	c := w.newCycle(request)
	c.began = start
	if !request.Due.IsZero() {
		c.late = max(0, start.Sub(request.Due))
	}
	err := c.load(ctx)
	if err == nil {
		err = c.recover(ctx)
	}
	if c.report.Stopped = ctx.Err() != nil; err != nil && c.report.Stopped {
		return c.report, nil // nothing was done
	}
	if err != nil {
		return c.report, err
	}
	c.learnEnds(ctx)
	c.noteRefused()
	c.askHosts(ctx)
	c.work()
	c.fill(ctx)
	for i := range c.observed { // what they are needed for is done, and what remembers it takes memory of its own
		c.observed[i].Heads = nil
	}
	c.report.Stopped = ctx.Err() != nil
	ending, done := outlasting(ctx)
	defer done()
	remembered := c.remember(ending)
	if remembered != nil {
		c.markUnsure()
		c.errs = append(c.errs, remembered)
	}
	if remembered == nil {
		c.notedRefused()
	}
	if c.saved {
		c.prune(ctx) // a run that is deleted before it is remembered would be made again
	}
	c.end()
	return c.report, errors.Join(c.errs...)
}

func (w *Watcher) newCycle(request Request) *cycle {
	c := &cycle{
		Watcher: w, observed: make([]repo.Observation, len(w.Config.Repositories)), reason: request.Reason, crowd: -1,
		owing: map[string]bool{}, waiting: map[string]bool{}, steps: make(chan func()),
	}
	if w.indexed != w.Config {
		w.index, w.indexed = naming.NewIndex(w.Config.Repositories), w.Config
	}
	if w.unsure == nil {
		w.unsure, w.turns = map[string]bool{}, map[string]map[string]int{}
	}
	c.whole = request.Everything()
	asked := make(map[string]bool, len(request.Repositories))
	for _, name := range request.Repositories {
		asked[name] = true
	}
	mine := func(config.Repository) bool { return true }
	if w.Share != nil {
		if mine = w.Share(); mine == nil {
			c.whole = false
		}
	}
	for i, r := range w.Config.Repositories {
		if c.whole && mine(r) || asked[r.Name] {
			c.looking = append(c.looking, i)
			c.observed[i].Status = repo.Pending
		} else {
			c.observed[i].Status = repo.Skipped
		}
	}
	if !c.whole { // what waits elsewhere is not looked for, and still waits
		maps.Copy(c.waiting, w.waiting)
		maps.Copy(c.owing, w.owing)
	}
	c.report.Repositories = len(c.looking)
	return c
}

// maxRefusals bounds the reasons of which this Sentry knows that they are its own.
const maxRefusals = 10

// noteRefused has it remembered why the configuration that there is cannot be used. That it can is remembered once: another
// replica may not have seen yet what is mended.
func (c *cycle) noteRefused() {
	if c.told = c.refused.Load(); c.told != nil {
		c.next.Refuse(*c.told, c.refusals, c.Now())
		if *c.told != "" && !slices.Contains(c.refusals, *c.told) {
			c.refusals = append(c.refusals[max(0, len(c.refusals)-maxRefusals+1):], *c.told)
		}
	} else if !c.noted {
		c.next.Refuse("", nil, c.Now())
	}
}

// notedRefused keeps that the state has what noteRefused said.
func (c *cycle) notedRefused() {
	if c.told == nil || *c.told == "" {
		c.noted = true
		c.refused.CompareAndSwap(c.told, nil)
	}
}

// askHosts asks for the heads of what the cycle looks at, and plans as the answers come.
func (c *cycle) askHosts(ctx context.Context) {
	want := make([]config.Monitor, len(c.looking))
	for at, i := range c.looking {
		want[at] = c.Config.Repositories[i].Monitor
	}
	c.ask(ctx, want, func(batch map[int]repo.Observation) {
		c.sift(ctx, batch)
		c.take(ctx, batch)
	})
}

// take plans what was answered, by its index in c.looking.
func (c *cycle) take(ctx context.Context, batch map[int]repo.Observation) {
	answered := make([]bool, len(c.observed))
	for at, o := range batch {
		i := c.looking[at]
		c.observed[i], answered[i] = plan.Watched(o, c.Config.Repositories[i].Monitor), true
		if !c.whole { // such looks may come seconds apart, while a host still lags
			c.planned(i)
		}
	}
	c.plan(ctx, answered)
	for at := range batch {
		c.planned(c.looking[at])
		c.count(c.looking[at])
	}
}

// count counts a repository that cannot be read.
func (c *cycle) count(i int) {
	if c.failing(i) == "" {
		return
	}
	c.report.Failing++
	switch c.observed[i].Status {
	case repo.NotAsked:
		c.report.NotAsked++
	case repo.Late:
		c.report.Overdue++
	}
}

// planned notes that an answer counts no more as one in which a branch is missing.
func (c *cycle) planned(i int) {
	if c.observed[i].Status == repo.Fresh {
		c.observed[i].Status = repo.Cached
	}
}

// end tells that the cycle is done, and keeps what the next one is to know of it.
func (c *cycle) end() {
	done := event.CycleDone{Report: c.report, Reason: c.reason, First: c.first(), Whole: c.whole, Every: c.interval(), Late: c.late, Duration: c.Now().Sub(c.began)}
	if !c.report.Stopped {
		if done.First {
			done.Unread = c.unread()
		}
		if c.whole {
			c.Watcher.cycles++
		}
		c.Watcher.waiting = c.waiting
		c.Watcher.owing = c.owing
	}
	c.Tell(done)
}

// first reports whether this is the first look at everything, whose end names all that cannot be read.
func (c *cycle) first() bool { return c.cycles == 0 && c.whole }

// unread returns the repositories that could not be read, but for those of which damage told.
func (c *cycle) unread() []event.Failure {
	var unread []event.Failure
	for _, i := range c.looking {
		name := c.Config.Repositories[i].Name
		if why := c.failing(i); why != "" && !c.Watcher.damaged[name] {
			unread = append(unread, event.Failure{Repository: name, Message: why})
		}
	}
	return unread
}

// ask has the hosts asked in the background; work hands their answers over.
func (c *cycle) ask(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	background(ctx, c, func(f func(map[int]repo.Observation)) { c.Heads.Each(ctx, want, f) }, answered)
}

// background has each called in the background; work hands over what it tells. What comes after ctx ended is no answer.
func background[T any](ctx context.Context, c *cycle, each func(func(T)), answered func(T)) {
	c.asked++
	go func() {
		each(func(some T) {
			c.steps <- func() {
				if ctx.Err() == nil {
					answered(some)
				}
			}
		})
		c.steps <- func() { c.asked-- }
	}()
}

// sift takes what may run nothing out of a batch, and has it planned once that is known.
func (c *cycle) sift(ctx context.Context, batch map[int]repo.Observation) {
	if c.Filter == nil {
		return
	}
	var questions []filter.Question
	held := map[int]repo.Observation{}
	for at, o := range batch {
		r := &c.Config.Repositories[c.looking[at]]
		if q, open := filter.Of(r, c.next, c.Config.Global.OnFirstSeen, o.Heads); open {
			q.At, held[at] = at, o
			questions = append(questions, q)
			delete(batch, at)
		}
	}
	if len(questions) == 0 {
		return
	}
	background(ctx, c, func(f func([]filter.Answer)) { c.Filter.Each(ctx, questions, f) }, func(answers []filter.Answer) {
		some := make(map[int]repo.Observation, len(answers))
		for _, a := range answers {
			for _, u := range a.Unclear {
				c.Tell(event.HeadUnclear{Ref: u.Ref, SHA: u.SHA, Key: u.Key, Err: u.Err})
			}
			some[a.At] = a.Observed(held[a.At])
		}
		c.take(ctx, some)
	})
}

// work takes the steps until nothing is asked any more.
func (c *cycle) work() {
	for c.asked > 0 {
		(<-c.steps)()
	}
}

func (c *cycle) loadKey(ctx context.Context) (err error) {
	if c.Key == nil {
		return nil
	}
	if c.key, err = c.Key(ctx); err != nil {
		return fmt.Errorf("find the key that the names of runs follow from: %w", err)
	}
	return nil
}

// load reads the state. A state without an epoch is new: the epoch is written before anything is planned,
// because the names of runs follow from it and must be the same after a crash. So is the number of a newer list of what was found: from
// then on no replica with an older one forgets what follows from it, not even what is only in a run yet.
func (c *cycle) load(ctx context.Context) error {
	for try := range saveTries {
		s, err := c.Store.Load(ctx)
		if err != nil {
			return fmt.Errorf("load the state: %w", err)
		}
		if err := c.loadKey(ctx); err != nil {
			return err
		}
		found := c.decided(s.Found)
		if s.Epoch == "" || found != s.Found {
			if s.Epoch == "" {
				s.Epoch = c.key.Epoch(c.Word())
			}
			s.Found = found
			err := c.Store.Save(ctx, s)
			if errors.Is(err, state.ErrConflict) {
				c.giveWay(ctx, try)
				continue
			}
			if err != nil {
				return fmt.Errorf("save the new state: %w", err)
			}
			c.report.Wrote++
		}
		c.forgetOthers(s)
		c.stored, c.next, c.known = s, s, s
		c.tellDamaged()
		return nil
	}
	return fmt.Errorf("load the state: %w, %d times in a row", state.ErrConflict, saveTries)
}

// decided returns the number of the newest list of what was found, where the state has that of the last one. It tells of one that is newer than
// the configuration's.
func (c *cycle) decided(last int64) int64 {
	known := c.Config.Found
	switch {
	case known != nil && known.Number > last && c.Config.Decides(last):
		return known.Number
	case c.Behind != nil && last > 0 && (known == nil || known.Number < last):
		c.Behind(last)
	}
	return last
}

// plan plans with what was observed so far, of which some was answered just now, and starts what is due.
func (c *cycle) plan(ctx context.Context, answered []bool) {
	p := plan.Make(plan.Input{Config: c.Config, Snapshot: c.next, Key: c.key, Observed: c.observed, Now: c.Now()})
	c.next = p.Snapshot
	c.notice(p.Events, answered)
	// What an earlier answer of this cycle made due was started then.
	p.Runs = slices.DeleteFunc(p.Runs, func(r plan.Run) bool { return !c.concerns(r.Unit, answered) })
	here, elsewhere := places.ByCluster(p)
	c.begin(ctx, here) // whose units wait for no other cluster
	c.begin(ctx, elsewhere)
}

// begin starts what is due and not held back in some clusters, which are asked at once. They are asked only when something is due, so that an
// idle cycle sends them nothing.
func (c *cycle) begin(ctx context.Context, parts []plan.Plan) {
	var units []string
	for i := range parts {
		parts[i] = c.free(parts[i])
		for _, r := range parts[i].Runs {
			units = append(units, r.At())
		}
	}
	if len(units) == 0 {
		return
	}
	list, err := c.Engine.Runs(ctx, units)
	unlisted, partly := errors.AsType[engine.Unlisted](err)
	if err != nil && (!partly || ctx.Err() != nil) {
		if ctx.Err() == nil {
			c.errs = append(c.errs, fmt.Errorf("find the runs of the units that are due: %w", err))
		}
		return
	}
	for _, part := range parts {
		c.create(ctx, c.placed(ctx, c.inTurn(c.hold(ctx, part, list, unlisted))))
	}
}

// notice keeps what was seen in the repositories that answered just now: a change that an earlier answer showed is planned
// again until it is remembered, and was kept then.
func (c *cycle) notice(events []plan.Event, answered []bool) {
	if len(events) == 0 {
		return
	}
	now := map[string]bool{}
	for i, ok := range answered {
		if ok {
			now[c.Config.Repositories[i].Name] = true
		}
	}
	c.noticed = slices.Grow(c.noticed, len(events))
	for _, e := range events {
		if now[e.Ref.Repository] {
			c.noticed = append(c.noticed, e)
		}
	}
}

// remember writes what the cycle did. When another Sentry wrote the state meanwhile, it loads that and adds
// the runs of this cycle to it. It does not plan again: the heads it knows may be older than what the other
// one acted upon. The next cycle does the rest.
func (c *cycle) remember(ctx context.Context) error {
	for try := range saveTries {
		if c.next.Equal(c.stored) {
			c.saved = true
			c.unsaved = nil
			c.tellNoticed()
			return nil
		}
		err := c.Store.Save(ctx, c.next)
		if err == nil {
			c.saved = true
			c.known = c.next
			c.report.Wrote++
			c.unsaved = nil
			c.tellNoticed()
			return nil
		}
		if errors.Is(err, state.ErrTooLarge) {
			c.rememberRuns(ctx, err)
		}
		if !errors.Is(err, state.ErrConflict) {
			return fmt.Errorf("remember what was done: %w", err)
		}
		if c.Share == nil { // else it is another replica, as it should be
			c.Tell(event.OtherSentry{})
		}
		c.giveWay(ctx, try)
		if err := c.load(ctx); err != nil {
			return err
		}
		c.noticed = nil
		c.next, _ = c.recovered(c.next, c.made)
		c.deployed()
		c.noteRefused()
	}
	return fmt.Errorf("remember what was done: %w, %d times in a row: do two Sentrys work on one state?", state.ErrConflict, saveTries)
}

// giveWay waits for a moment that no other writer of the state waits for, too, and that is longer with each try.
func (c *cycle) giveWay(ctx context.Context, try int) {
	at, _ := strconv.ParseUint(c.Word()[:8], 16, 64) // a Word that is none makes no pause
	timer := time.NewTimer(time.Duration(at) * time.Microsecond % (firstPause << try))
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// concerns reports whether a member of the unit is among the repositories.
func (c *cycle) concerns(u naming.Unit, repositories []bool) bool {
	return slices.ContainsFunc(c.index.Of(u), func(i int) bool { return repositories[i] })
}

// tellNoticed tells what was seen, once it is remembered.
func (c *cycle) tellNoticed() {
	if len(c.noticed) > 0 {
		c.Tell(event.Noticed{Events: c.noticed, First: c.first()})
	}
}

func (c *cycle) prune(ctx context.Context) {
	if !c.Config.Global.Cleanup {
		return
	}
	units := c.pruning
	if c.whole && c.cycles%pruneAll == 0 {
		units = []string{""}
	}
	if slices.Contains(units, "") { // all, which begins with what is in this cluster
		units = slices.DeleteFunc(slices.Clone(units), func(at string) bool {
			cluster, label := naming.Place(at)
			return cluster == "" && label != ""
		})
	}
	for _, unit := range units {
		deleted, err := c.Engine.Prune(ctx, unit, c.Config.Global.KeepRuns)
		for _, r := range deleted {
			c.Tell(event.RunDeleted{Unit: r.Unit, Name: r.Name})
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			c.Tell(event.RunsKept{Unit: unit, Err: err})
		}
	}
}

// tellDamaged tells of each entry of the state that cannot be read, when it is found.
func (c *cycle) tellDamaged() {
	damaged := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(c.stored.Repositories)) {
		r := c.stored.Repositories[name]
		if r.Damaged == nil {
			continue
		}
		damaged[name] = true
		if !c.Watcher.damaged[name] {
			c.Tell(event.StateDamaged{Repository: name, Message: r.Problem.Message})
		}
	}
	c.Watcher.damaged = damaged
}
