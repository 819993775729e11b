// Package reporting has the runs of `sentry watch` reported: it tells those of Sentry's from what others made, and hands them to
// package deliver.
package reporting

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/report/deliver"
	"github.com/tekton-sentry/sentry/pkg/report/mark"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
	"github.com/tekton-sentry/sentry/pkg/watch/stopping"
)

const (
	// maxWaiting and maxWaitingText bound the runs that were seen and not looked at yet, and their annotations in bytes: until then
	// anybody may have made them.
	maxWaiting     = 5_000
	maxWaitingText = 16 << 20
	// maxStrangers bounds the runs of which it is remembered that Sentry did not make them. A flood of them takes no room of others.
	maxStrangers = 1_000
	// maxSeen bounds the runs of which it is remembered that they were seen, until their mark is; there are two such lots.
	maxSeen = 10_000
	// Pauses after a failure of the API server.
	minPause = time.Second
	maxPause = time.Minute
)

// Reporter has runs reported. Package tekton tells it of them.
type Reporter struct {
	log  *slog.Logger
	key  func(context.Context) (naming.Key, error)
	past func(ctx context.Context, unit string) ([]result.Result, error)
	to   deliver.Options
	in   func(cluster string) string // namespace of the runs there
	wake chan struct{}

	mu      sync.Mutex
	cfg     *config.Config
	wanted  bool               // that anything is reported
	epoch   string             // of the state; "" until it is known
	deliver *deliver.Deliverer // nil but during During
	waiting []sighting
	text    int                      // bytes of the annotations of those
	seen    [2]map[string]mark.Phase // by run: what was handed in, the newer ones first
	newest  [2]map[string]time.Time  // by unit, repository and commit: when the newest run of it was created that was handed in, the newer ones first
	strange map[string]mark.Phase    // by run: those of others
	full    bool                     // the log was told that no more is taken
}

// sighting is a run that was seen.
type sighting struct {
	run     engine.Run
	members pinned.Members // what it says that it deploys
	ended   *result.Result
}

// Engine is what is asked of the engine of all clusters. Runs are named as naming.At has it.
type Engine interface {
	History(ctx context.Context, unit string) ([]result.Result, error)
	Namespace(cluster string) string
	Annotate(ctx context.Context, at, annotation, text string) error
	Report(to tekton.Reports) // has it told of runs
}

// Options are what a Reporter is made from.
type Options struct {
	Log       *slog.Logger
	Version   string
	Engine    Engine
	Key       func(context.Context) (naming.Key, error)
	Reader    *poller.Reader
	Transport http.RoundTripper // to receivers
}

// New returns a Reporter that follows the configuration.
func New(cfg *config.Config, o Options) *Reporter {
	r := &Reporter{
		log: o.Log, key: o.Key, past: o.Engine.History, in: o.Engine.Namespace, wake: make(chan struct{}, 1),
		cfg: cfg, wanted: Configured(cfg),
	}
	o.Engine.Report(r)
	r.to = deliver.Options{
		Log: o.Log, Version: o.Version, Transport: o.Transport,
		Statuses: func(s config.Source) (githost.Statuses, error) {
			return o.Reader.Statuses(config.Repository{Monitor: config.Monitor{Source: s}})
		},
		Mark: func(ctx context.Context, at string, p mark.Phase) error {
			_, run := naming.Place(at)
			return o.Engine.Annotate(ctx, at, mark.Annotation, mark.Text(run, p))
		},
		Lasting: func(err error) bool { return !kube.IsTemporary(err) },
	}
	return r
}

// Configured reports whether anything is to be reported.
func Configured(cfg *config.Config) bool {
	return slices.ContainsFunc(cfg.Repositories, func(r config.Repository) bool { return r.Report.Any() })
}

// Without returns the configuration without its reports: its runs do not say that somebody is owed a word about them, for which they
// would be kept.
func Without(cfg *config.Config) *config.Config {
	quiet := *cfg
	quiet.Repositories = slices.Clone(cfg.Repositories)
	for i := range quiet.Repositories {
		quiet.Repositories[i].Report = nil
	}
	return &quiet
}

// Apply makes it follow another configuration.
func (r *Reporter) Apply(cfg *config.Config) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cfg, r.wanted = cfg, Configured(cfg)
	if r.deliver != nil {
		r.deliver.Apply(cfg)
	}
}

// Owes implements tekton.Reports.
func (r *Reporter) Owes(at string, annotations map[string]string, over bool) bool {
	_, name := naming.Place(at)
	switch mark.Of(annotations, name) {
	case mark.Due:
	case mark.Pending:
		if !over {
			return false
		}
	default:
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.wanted && !r.knows(at, over)
}

// knows reports whether the run was handed in, over or not. It is called with r.mu held.
func (r *Reporter) knows(at string, over bool) bool {
	for _, seen := range []map[string]mark.Phase{r.seen[0], r.seen[1], r.strange} {
		if p := seen[at]; p == mark.Ended || p != mark.None && !over {
			return true
		}
	}
	return false
}

// Seen implements tekton.Reports. What finds no room is seen again with the next list of the runs.
func (r *Reporter) Seen(run engine.Run, annotations map[string]string, ended *result.Result) {
	members, err := pipelinerun.MembersOf(annotations)
	if err != nil {
		members = pinned.Members{} // which nobody signed
	}
	text := 0
	for name, value := range annotations {
		text += len(name) + len(value)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.knows(run.At(), ended != nil) {
		return
	}
	if len(r.waiting) >= maxWaiting || r.text+text > maxWaitingText {
		r.overflow()
		return
	}
	r.text += text
	p := mark.Pending
	if ended != nil {
		p = mark.Ended
	}
	if len(r.seen[0]) >= maxSeen {
		r.seen = [2]map[string]mark.Phase{{}, r.seen[0]}
	}
	r.seen[0][run.At()] = p
	r.waiting = append(r.waiting, sighting{run, members, silent(ended)})
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// overflow tells the log once that no more is taken. It is called with r.mu held.
func (r *Reporter) overflow() {
	if !r.full {
		r.full = true
		r.log.Warn("so many runs wait to be reported that others go without; the next start of Sentry reports those of the last day")
	}
}

// grace is how long after the end what is on its way may take. The next start delivers the rest.
const grace = 10 * time.Second

// During reports what the engine tells while ends runs, until ctx ends. It begins with nothing: what is owed follows from the runs.
func (r *Reporter) During(ctx context.Context, ends func()) {
	ending, cancel := stopping.Outlasting(ctx, grace)
	defer cancel()
	r.mu.Lock()
	d := deliver.New(r.cfg, r.to)
	r.deliver, r.waiting, r.text, r.full = d, nil, 0, false
	r.seen, r.strange = [2]map[string]mark.Phase{{}, {}}, map[string]mark.Phase{}
	r.newest = [2]map[string]time.Time{{}, {}}
	r.mu.Unlock()
	var work sync.WaitGroup
	work.Go(func() {
		defer d.Close(ending)
		r.run(ctx, d)
	})
	ends()
	work.Wait()
	r.mu.Lock()
	r.deliver = nil
	r.mu.Unlock()
}

func (r *Reporter) run(ctx context.Context, d *deliver.Deliverer) {
	for ctx.Err() == nil {
		r.mu.Lock()
		waiting, epoch := r.waiting, r.epoch
		if epoch == "" {
			waiting = nil // whose runs they are is not known yet
		} else {
			r.waiting, r.text = nil, 0
		}
		r.mu.Unlock()
		past := sync.OnceValue(func() (past []result.Result) { // of many runs, it is read once
			r.persist(ctx, "it is not known how earlier runs ended, so no recovery is reported, nor a run refused that somebody made again", kube.IsTemporary, func() (err error) {
				past, err = r.past(ctx, "")
				return err
			})
			return past
		})
		for _, s := range waiting {
			r.look(ctx, d, s, epoch, past)
		}
		if len(waiting) > 0 {
			continue
		}
		select {
		case <-r.wake:
		case <-ctx.Done():
		}
	}
}

// look hands a run in, if Sentry made it: whoever may create PipelineRuns must not tell a commit that it was deployed.
func (r *Reporter) look(ctx context.Context, d *deliver.Deliverer, s sighting, epoch string, past func() []result.Result) {
	var key naming.Key
	always := func(error) bool { return true }
	if !r.persist(ctx, "the key of the runs cannot be read, so nothing is reported", always, func() (err error) {
		key, err = r.key(ctx)
		return err
	}) {
		return
	}
	if !s.run.Ours(key, epoch) || !s.members.Signed(key.In(s.run.Cluster), epoch, s.run.Name) {
		r.log.Debug("not reported, as it lacks Sentry's signature", "run", s.run.Name, "unit", s.run.Unit)
		r.forget(s.run.At(), true)
		return
	}
	ended := past()
	if ctx.Err() != nil { // it may not be known how earlier runs ended; the next start looks again
		return
	}
	if madeAgain(s.run, ended) {
		r.log.Warn("not reported, as a run of its name has ended before: somebody made it again", "run", s.run.Name, "unit", s.run.Unit)
		return
	}
	f := &report.Facts{Run: s.run.Name, Cluster: s.run.Cluster, Namespace: r.in(s.run.Cluster), Unit: s.run.Unit, Created: s.run.Created, Members: s.members.List, Result: s.ended}
	f.Outdated = r.outdated(f, later(s.run, ended, key, epoch))
	f.Recovered = d.AsksPast(f) && report.Recovered(ended, f)
	switch err := d.Take(f); {
	case err != nil:
		r.forget(s.run.At(), false)
	case !d.Crowded():
		r.mu.Lock()
		defer r.mu.Unlock()
		r.full = false
	}
}

// forget forgets that a run was handed in: Sentry did not make it, or there is no room for it.
func (r *Reporter) forget(run string, strange bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if strange {
		if len(r.strange) >= maxStrangers {
			clear(r.strange)
		}
		r.strange[run] = cmp.Or(r.seen[0][run], r.seen[1][run])
	} else {
		r.overflow()
	}
	for _, seen := range r.seen {
		delete(seen, run)
	}
}

// outdated returns the tasks of the run whose commits a newer run of the unit has the last word on, and notes what this one deploys.
func (r *Reporter) outdated(f *report.Facts, later []result.Result) (tasks []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, p := range later {
		for _, m := range p.Members {
			r.newer(f.Unit, m.Repository, m.SHA, p.Created)
		}
	}
	for _, m := range f.Members {
		if r.newer(f.Unit, m.Repository, m.SHA, f.Created) {
			tasks = append(tasks, m.Task)
		}
	}
	return tasks
}

// newer notes that a run which was created then deploys a commit, and reports whether a newer run does. It is called with r.mu held.
func (r *Reporter) newer(unit, repository string, sha repo.SHA, created time.Time) bool {
	key := unit + " " + repository + " " + string(sha)
	if r.newest[0][key].After(created) || r.newest[1][key].After(created) {
		return true
	}
	if len(r.newest[0]) >= maxSeen {
		r.newest = [2]map[string]time.Time{{}, r.newest[0]}
	}
	r.newest[0][key] = created
	return false
}

// later returns the runs of the unit that Sentry made after the run and that have ended, such as before a restart. The history has those of
// others, too: Sentry's have the names that follow from their numbers.
func later(run engine.Run, past []result.Result, key naming.Key, epoch string) (runs []result.Result) {
	first := map[string]time.Time{} // of each name: the others were made again
	for _, p := range past {
		if t, ok := first[p.Name]; p.Unit == run.Unit && p.Cluster == run.Cluster && (!ok || p.Created.Before(t)) {
			first[p.Name] = p.Created
		}
	}
	for _, p := range past {
		if p.Unit == run.Unit && p.Cluster == run.Cluster && p.Created.After(run.Created) && p.Created.Equal(first[p.Name]) &&
			strings.HasSuffix(p.Name, "-"+key.In(run.Cluster).RunHash(epoch, p.Unit, p.Word, p.N)) {
			runs = append(runs, p)
		}
	}
	return runs
}

// madeAgain reports whether the history has a run of the name from before it was created. Sentry uses none twice, and whoever kept a run that was deleted has
// its signature, which holds for no time.
func madeAgain(run engine.Run, past []result.Result) bool {
	return slices.ContainsFunc(past, func(p result.Result) bool {
		return p.Name == run.Name && p.Cluster == run.Cluster && p.Created.Before(run.Created)
	})
}

// silent returns the result without what commands printed, which is for the history alone.
func silent(r *result.Result) *result.Result {
	if r == nil {
		return nil
	}
	quiet := *r
	quiet.Members = slices.Clone(r.Members)
	for i := range quiet.Members {
		quiet.Members[i].Output = nil
	}
	return &quiet
}

// persist calls f until it does not fail in a way that is tried again, and reports whether it went well. The log is told what a
// failure means.
func (r *Reporter) persist(ctx context.Context, meaning string, again func(error) bool, f func() error) bool {
	for wait := minPause; ; wait = min(2*wait, maxPause) {
		err := f()
		switch {
		case err == nil:
			return true
		case ctx.Err() != nil:
			return false
		case wait == minPause:
			r.log.Warn(meaning, "err", err)
		}
		if !again(err) {
			return false
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// Store returns the store, and learns from what it gives whose runs are Sentry's: the loop reads the state anyway.
func (r *Reporter) Store(s watch.Store) watch.Store { return learning{s, r} }

type learning struct {
	watch.Store
	reporter *Reporter
}

// Load implements watch.Store.
func (l learning) Load(ctx context.Context) (state.Snapshot, error) {
	s, err := l.Store.Load(ctx)
	if err == nil {
		l.reporter.learn(s.Epoch)
	}
	return s, err
}

// Save implements watch.Store.
func (l learning) Save(ctx context.Context, s state.Snapshot) error {
	err := l.Store.Save(ctx, s)
	if err == nil {
		l.reporter.learn(s.Epoch)
	}
	return err
}

func (r *Reporter) learn(epoch string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.epoch == epoch {
		return
	}
	r.epoch = epoch
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
