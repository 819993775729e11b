package model

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/clusters"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// places are the clusters of the units: those of the group ops, and in some seeds of repositories without a group, are in another one, prod. In
// most seeds there is none.
type places struct {
	rand  *rand.Rand // of when prod goes down and comes back; nil where there is none
	alone string     // the cluster of repositories without a group
	down  bool       // prod is
}

func newPlaces(seed uint64) (p places) {
	random := rand.New(rand.NewPCG(seed, 11))
	if random.IntN(4) == 0 {
		p.rand, p.alone = random, []string{"", "prod"}[random.IntN(2)]
	}
	return p
}

// of returns the cluster of a unit.
func (p *places) of(unit string) string {
	switch {
	case p.rand == nil:
		return ""
	case naming.IsRefLabel(unit):
		return p.alone
	case unit == "ops":
		return "prod"
	}
	return ""
}

// apply puts the clusters into a configuration.
func (p *places) apply(c *config.Config) {
	if p.rand == nil {
		return
	}
	c.Clusters = map[string]config.Cluster{"prod": {Name: "prod", Namespace: "deploy"}}
	for i, r := range c.Repositories {
		if r.Group == "" {
			c.Repositories[i].Deploy.Cluster = p.alone
		}
	}
	for name, g := range c.Groups {
		g.Cluster = p.of(name)
		c.Groups[name] = g
	}
}

// fall has prod go down, or come back.
func (w *world) fall() {
	if w.places.rand != nil && w.places.rand.IntN(3) == 0 {
		w.places.down = !w.places.down
		w.tell("prod is down: %t", w.places.down)
	}
}

// outage has nothing fail but prod, after which every head elsewhere must count as deployed.
func (w *world) outage(p *process) {
	elsewhere := w.places.rand != nil && w.places.rand.IntN(2) == 0 && !w.limits.any() && w.most == 0
	if w.places.down = elsewhere; !elsewhere {
		return
	}
	w.tell("prod alone is down")
	for i := range 6 {
		p.cycle()
		w.progress(true)
		time.Sleep(time.Minute)
		if i == 0 && w.odds.twins > 0 {
			time.Sleep(time.Hour)
		}
	}
	for _, e := range w.file.entries {
		if cluster := w.places.of(e.group); e.group == "" && w.places.alone == "" || e.group != "" && cluster == "" {
			w.checkHeads(e, func(string) bool { return true })
		}
	}
	w.places.down = false
	w.tell("prod is back")
}

// engine is what the process has for one: itself, or that of both clusters.
func (p *process) engine() watch.Engine {
	if p.places.rand == nil {
		return p
	}
	e := clusters.New(&at{p, ""})
	e.Now, e.Try = time.Now, func(f func()) { f() }
	e.Set(map[string]*at{"prod": {p, "prod"}}, nil)
	return e
}

// at is the process as the engine of one cluster.
type at struct {
	*process
	in string
}

// reach fails where the cluster is down.
func (a *at) reach(what string) error {
	a.mu.Lock()
	down := a.in == "prod" && a.places.down && !a.dead
	if down {
		a.tell("%s: %s in prod, which is down", a.name, what)
	}
	a.mu.Unlock()
	if down {
		time.Sleep(5 * time.Second)
		return errDown
	}
	return nil
}

func (a *at) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	if want := a.places.of(run.Unit.Label); want != a.in {
		a.mu.Lock()
		a.wrong("%s is created in the cluster %q, want %q", run.Name, a.in, want)
		a.mu.Unlock()
	}
	if err := a.reach("creating " + run.Name); err != nil {
		return engine.Made{}, err
	}
	return a.process.Create(ctx, cfg, run)
}

func (a *at) Runs(ctx context.Context, units []string) ([]engine.Run, error) {
	if err := a.reach(fmt.Sprintf("listing the runs of %v", units)); err != nil {
		return nil, err
	}
	runs, err := a.process.Runs(ctx, units)
	runs = slices.DeleteFunc(runs, func(r engine.Run) bool { return a.places.of(r.Unit) != a.in })
	for i := range runs {
		runs[i].Cluster = a.in
	}
	return runs, err
}

func (a *at) Active(ctx context.Context, want func(plan.Existing) bool) (int, error) {
	if err := a.reach("counting the active runs"); err != nil {
		return 0, err
	}
	return a.process.Active(ctx, func(r plan.Existing) bool {
		r.Cluster = a.in
		return a.places.of(r.Unit) == a.in && want(r)
	})
}

func (a *at) Cancel(ctx context.Context, name, superseded string) error {
	if err := a.reach("cancelling " + name); err != nil {
		return err
	}
	a.mu.Lock()
	if r := a.runs[name]; r != nil && a.places.of(r.unit) != a.in {
		a.wrong("%s is cancelled in the cluster %q", name, a.in)
	}
	a.mu.Unlock()
	return a.process.Cancel(ctx, name, superseded)
}

func (a *at) Prune(ctx context.Context, unit string, keep int) ([]plan.Existing, error) {
	if err := a.reach("pruning " + unit); err != nil {
		return nil, err
	}
	return a.process.Prune(ctx, unit, keep)
}
