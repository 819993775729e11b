package model

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"github.com/tekton-sentry/sentry/pkg/result"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/share"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// process is one Sentry that runs: the real watch.Watcher, whose calls all go through here. As an engine it is no
// enginetest.Fake: it stands for the API server of several processes, some of which die in a call, and each run that it
// makes is checked against the truth, and is what people may cancel, copy and delete.
type process struct {
	*world
	name    string
	rand    *rand.Rand
	late    *rand.Rand // as the world's
	shares  *rand.Rand // as the world's
	members []string   // that it takes for alive
	watcher *watch.Watcher
	rev     int             // of the state that was loaded
	fuse    int             // calls until the process dies; 0 = it does not
	dead    bool            // it does nothing to the world any more
	ctx     context.Context // of the cycle: ends with SIGTERM
}

// key gives the key of the installation, which is older than all runs.
func key(context.Context) (naming.Key, error) { return naming.Key{Secret: "the key of the model"}, nil }

func (w *world) start(name string) *process {
	w.mu.Lock()
	defer w.mu.Unlock()
	p := &process{world: w, name: name, rand: rand.New(rand.NewPCG(w.seed, w.rand.Uint64())), late: rand.New(rand.NewPCG(w.seed, w.late.Uint64())), shares: rand.New(rand.NewPCG(w.seed, w.shares.Uint64()))}
	p.watcher = &watch.Watcher{
		Config: w.found(p.known(true)), Heads: p, Store: p, Engine: p.engine(), Key: key, Now: time.Now,
		Past: func(context.Context) ([]result.Result, error) {
			w.mu.Lock()
			defer w.mu.Unlock()
			return slices.Clone(w.past), nil
		},
		Tell: func(event.Event) {}, Word: func() string { return fmt.Sprintf("%016x", p.rand.Uint64()) },
	}
	if w.odds.hang > 0 {
		p.watcher.Share = p.share
	}
	w.sentrys[name] = p
	w.tell("%s starts", name)
	return p
}

// reload has the process follow the file as it is now.
func (p *process) reload() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.watcher.Apply(p.found(p.known(false)))
	p.tell("%s takes the file up", p.name)
}

// request asks for everything, or now and then for some repositories.
func (p *process) request() watch.Request {
	p.mu.Lock()
	defer p.mu.Unlock()
	var r watch.Request
	if p.calm || p.parts.IntN(100) >= p.odds.part {
		return r
	}
	for _, e := range p.file.entries {
		if p.parts.IntN(3) == 0 {
			r.Repositories = append(r.Repositories, e.name)
		}
	}
	p.tell("%s looks at %q, where that is empty at all", p.name, r.Repositories)
	return r
}

// share is what the process looks at as one of two replicas. It may take the other one for dead, or itself, see a third one that comes and
// goes and looks at nothing, not know, or go by what it knew before.
func (p *process) share() func(config.Repository) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch fate := p.shares.IntN(100); {
	case p.calm:
		p.members = []string{p.name} // the other one is gone
	case fate >= p.odds.hang:
		p.members = []string{"sentry", "twin"}
	case fate%5 == 0:
		p.members = []string{p.name}
	case fate%5 == 1:
		p.members = []string{"sentry", "third", "twin"}
	case fate%5 == 2:
		p.members = []string{"third"} // which is all that is said of this one
	case fate%5 == 3:
		p.tell("%s does not know who is alive", p.name)
		return nil
	}
	p.tell("%s takes %v for alive", p.name, p.members)
	divided := share.Of(p.members)
	return func(r config.Repository) bool { return divided.Owner(r.Group, r.Name) == p.name }
}

// cycle runs RunOnce, which may die at any call.
func (p *process) cycle() event.Report {
	p.fuse = 0
	if !p.calm && p.rand.IntN(100) < p.odds.crash {
		p.fuse = 1 + p.rand.IntN(14)
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	p.ctx = ctx
	if after, ok := p.termAfter(); ok {
		defer time.AfterFunc(after, cancel).Stop()
	}
	report, err := p.watcher.RunOnce(ctx, p.request())
	p.mu.Lock()
	defer p.mu.Unlock()
	if ctx.Err() != nil {
		p.tell("%s is told to end, and does", p.name)
		defer func() { p.dead = true }()
	}
	p.tell("%s: cycle done: created %v, waiting %d, problems %d, error %v", p.name, report.Created, report.Waiting, report.Problems, err)
	return report
}

// termAfter says when in the cycle SIGTERM comes, if it does.
func (p *process) termAfter() (time.Duration, bool) {
	if p.calm || p.late.IntN(100) >= p.odds.term {
		return 0, false
	}
	return time.Duration(1 + p.late.Int64N(int64(12*time.Second))), true
}

var (
	errDead = errors.New("the process is dead")
	errDown = errors.New("the server is down")
	errLost = errors.New("the answer was lost")
)

// call does something to the world, or not, and says whether it did, or not: the four combinations, and the
// death of the process before or after.
func (p *process) call(what string, percent int, do func() error) error {
	if p.dead {
		return errDead
	}
	time.Sleep(time.Duration(1 + p.rand.Int64N(int64(2*time.Second))))
	fate := p.rand.IntN(200)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.fuse--; p.fuse == 0 {
		p.dead = true
		if fate%2 == 0 {
			p.tell("%s dies before %s", p.name, what)
			return errDead
		}
		p.tell("%s dies after %s: %v", p.name, what, do())
		return errDead
	}
	switch {
	case p.calm || fate >= 2*percent:
		return do()
	case fate%2 == 0:
		p.tell("%s: %s fails", p.name, what)
		return errDown
	default:
		p.tell("%s: %s has its answer lost: %v", p.name, what, do())
		return errLost
	}
}

// Each answers as three servers do, of which each may fail, hang until the deadline, be a copy that lags, or
// not be asked at all.
func (p *process) Each(_ context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	type answer struct {
		after time.Duration
		fate  int
		of    []int
	}
	answers := make([]answer, 3)
	time.Sleep(time.Nanosecond) // until all else waits: the draws below have their order
	for i := range answers {
		answers[i] = answer{after: time.Duration(1 + p.rand.Int64N(int64(5*time.Second))), fate: p.rand.IntN(400)}
		if answers[i].fate < p.odds.host && !p.calm {
			answers[i].after += 30 * time.Second
		}
	}
	for i, m := range want {
		server := int(m.URL[len("https://")]) % 3
		answers[server].of = append(answers[server].of, i)
	}
	slices.SortFunc(answers, func(a, b answer) int { return int(a.after - b.after) })
	begun := time.Now()
	for _, a := range answers {
		if len(a.of) == 0 {
			continue
		}
		time.Sleep(time.Until(begun.Add(a.after)))
		batch := map[int]repo.Observation{}
		p.mu.Lock()
		if p.fuse--; p.fuse == 0 {
			p.dead = true
			p.tell("%s dies while it reads heads", p.name)
		}
		for _, i := range a.of {
			batch[i] = p.observe(want[i], a.fate)
		}
		p.mu.Unlock()
		answered(batch)
	}
}

// observe is what a server says of a repository. fate is below 4 x odds.host when something is wrong.
func (p *process) observe(m config.Monitor, fate int) repo.Observation {
	r := p.remote(m.URL)
	from := r.heads
	var o repo.Observation
	if bad := p.odds.host; fate < 4*bad && !p.calm {
		switch fate / bad {
		case 0, 1:
			p.tell("%s: %s does not answer", p.name, m.URL)
			return repo.Observation{Err: errDown}
		case 2:
			if len(r.past) > 0 {
				from = r.past[fate%len(r.past)]
				p.tell("%s: %s answers as it was: %v", p.name, m.URL, from)
			}
		case 3:
			o.Status = repo.Cached
		}
	}
	if p.dead {
		return repo.Observation{Err: errDead}
	}
	o.Heads = map[string]repo.SHA{}
	for branch, sha := range from {
		if m.Branches.Match(branch) {
			o.Heads[branch] = sha
		}
	}
	if pattern, ok := m.Branches.Requests(); ok {
		o.Requests = map[string]repo.Request{}
		for name := range o.Heads {
			if o.Requests[name] = requestOf(name); !pattern.Takes(o.Requests[name]) {
				p.wrong("%s is not watched by %s", name, pattern)
			}
		}
	} else if len(o.Heads) == 0 {
		return repo.Observation{Err: errors.New("no branch matches")}
	}
	p.truth.said(p.world, m.URL, o.Heads)
	return o
}

// Load implements watch.Store.
func (p *process) Load(context.Context) (s state.Snapshot, err error) {
	err = p.call("reading the state", p.odds.store, func() error {
		s, p.rev = p.stored.Clone(), p.world.rev
		return nil
	})
	return s, err
}

// Save implements watch.Store.
func (p *process) Save(_ context.Context, s state.Snapshot) error {
	return p.call("writing the state", p.odds.store, func() error {
		if p.rev != p.world.rev {
			p.tell("%s: somebody else wrote the state", p.name)
			return state.ErrConflict
		}
		text, err := state.Encode(s)
		if err == nil {
			s, err = state.Decode(text)
		}
		if err != nil {
			p.wrong("the state cannot be stored and read again: %v", err)
			return err
		}
		p.truth.saving(p.world, p.stored, s)
		p.checkLists(p, p.stored, s)
		p.stored, p.world.rev, p.writes = s, p.world.rev+1, p.writes+1
		p.rev = p.world.rev
		return nil
	})
}

// Create implements watch.Engine as engine/tekton does it.
func (p *process) Create(_ context.Context, cfg *config.Config, run plan.Run) (made engine.Made, err error) {
	pr, part, err := p.fit(cfg, run)
	if err != nil {
		return engine.Made{}, err
	}
	p.checkNow(part)
	if p.ctx.Err() != nil {
		p.mu.Lock()
		p.wrong("%s begins to create %s after it was told to end", p.name, pr.Name)
		p.mu.Unlock()
	}
	made = engine.Made{Run: part, Existed: true, NoRoom: pipelinerun.NotTaken(part)}
	err = p.call("creating "+pr.Name, p.odds.engine, func() error {
		if !p.calm && p.rand.IntN(100) < p.odds.foreign {
			p.foreign(pr)
		}
		old, ok := p.runs[pr.Name]
		if !ok {
			made.Existed = false
			p.create(p, pr)
			return nil
		}
		mine, err := pipelinerun.TriggerOf(pr)
		if err != nil {
			return err
		}
		if old.anonymous || !mine.Equal(old.trigger) || old.signature != pr.Annotations[pipelinerun.AnnotationSignature] {
			p.tell("%s: the name %s is taken", p.name, pr.Name)
			return engine.ErrNameTaken
		}
		return nil
	})
	if err != nil {
		return engine.Made{}, err
	}
	return made, nil
}

func (p *process) fit(cfg *config.Config, run plan.Run) (*v1.PipelineRun, plan.Run, error) {
	return pipelinerun.Fit(cfg, run, cmp.Or(p.most, pipelinerun.MaxMembers))
}

// Check implements watch.Engine.
func (p *process) Check(cfg *config.Config, run plan.Run) error {
	_, _, err := p.fit(cfg, run)
	return err
}

// Runs implements watch.Engine.
func (p *process) Runs(_ context.Context, units []string) (runs []engine.Run, err error) {
	err = p.call(fmt.Sprintf("listing the runs of %v", units), p.odds.engine, func() error {
		for _, name := range slices.Sorted(maps.Keys(p.runs)) {
			r := p.runs[name]
			if !r.unlabelled && (len(units) == 0 || slices.Contains(units, r.unit)) {
				e := plan.Existing{Name: name, Unit: r.unit, Created: time.Unix(int64(r.order), 0), Active: r.active}
				if !r.anonymous {
					e.Trigger, e.Signature = r.trigger, r.signature
				}
				runs = append(runs, engine.Run{Existing: e})
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return runs, nil
}

// Active counts, as engine.Active has it.
func (p *process) Active(_ context.Context, want func(plan.Existing) bool) (n int, err error) {
	err = p.call("counting the active runs", p.odds.engine, func() error {
		for _, r := range p.listed() {
			if r.Active && want(r.Existing) {
				n++
			}
		}
		return nil
	})
	if err != nil {
		return 0, err
	}
	return n, nil
}

// Cancel implements watch.Engine. The run ends some time later.
func (p *process) Cancel(_ context.Context, name, superseded string) error {
	return p.call("cancelling "+name, p.odds.engine, func() error {
		if r := p.runs[name]; r != nil {
			p.tell("%s cancels %s", p.name, name)
			p.checkCancel(r)
			if superseded == "" || superseded == name {
				p.wrong("%s cancels %s for the run %q, which does not replace it", p.name, name, superseded)
			}
			if r.trigger.Waiting > 0 && !r.byHand {
				p.wrong("%s cancels %s, which is a part, and the rest is not newer", p.name, name)
			}
		}
		return nil
	})
}

// Prune implements watch.Engine.
func (p *process) Prune(_ context.Context, unit string, keep int) ([]plan.Existing, error) {
	return nil, p.call("pruning "+unit, p.odds.engine, func() error {
		var ended []*run
		for _, r := range p.runs {
			// In truth nobody can guess a name that is to come, so that none is pruned before a Sentry wants it.
			foreign := r.anonymous || r.signature == forged
			if r.unit == unit && !r.active && !r.unlabelled && !foreign && len(r.trigger.Refs) > 0 {
				ended = append(ended, r)
			}
		}
		slices.SortFunc(ended, func(a, b *run) int { return b.order - a.order })
		for _, r := range ended[min(keep, len(ended)):] {
			delete(p.runs, r.name)
		}
		return nil
	})
}
