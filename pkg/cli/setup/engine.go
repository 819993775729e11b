package setup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/clusters"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// readWithin is how long another cluster may take for one answer.
const readWithin = 5 * time.Second

// Engine is the engine of an instance's runs in the cluster that Sentry runs in, and in those of the configuration. Runs are named as naming.At has
// it; Find and Follow take one that was listed or made by its name alone, too.
type Engine struct {
	*clusters.Engine[*tekton.Engine]
	options *Options

	mu      sync.Mutex
	used    map[string]config.Cluster
	engines map[string]*tekton.Engine
	reports tekton.Reports
	where   map[string]string // the clusters of runs by name; "" is the one that Sentry runs in, whose run of a name is meant before another one
	changed chan struct{}     // closed when other engines are used
}

// EngineOn returns the engine of an instance's runs, in a namespace of the cluster that Sentry runs in, and in others.
func (o *Options) EngineOn(cluster *kube.Cluster, namespace string, of instance.Instance, others map[string]config.Cluster) *Engine {
	home := tekton.New(cluster, namespace, of)
	home.Hide = o.Hider.Hide
	e := &Engine{Engine: clusters.New(home), options: o, where: map[string]string{}, changed: make(chan struct{})}
	e.Use(others)
	return e
}

// ConnectTo connects to another cluster: by its kubeconfig where that is known, and else by a context of whoever runs the command.
func (o *Options) ConnectTo(c config.Cluster) (*kube.Cluster, error) {
	how := kube.Options{Namespace: c.Namespace, UserAgent: transport.UserAgent(o.Version), ReadWithin: readWithin}
	switch text := c.Kubeconfig.Reveal(); {
	case text != "":
		return kube.ConnectBy(text, how)
	case c.Context != "":
		how.Kubeconfig, how.Context = o.Kubeconfig, c.Context
		return kube.Connect(how)
	}
	return nil, c.Unknown()
}

// Use has the other clusters be these. Whose access and namespace are what they were stays connected.
func (e *Engine) Use(others map[string]config.Cluster) {
	e.mu.Lock()
	defer e.mu.Unlock()
	engines, why := map[string]*tekton.Engine{}, map[string]error{}
	for name, c := range others {
		if was, ok := e.used[name]; ok && was == c && e.engines[name] != nil {
			engines[name] = e.engines[name]
			continue
		}
		connection, err := e.options.ConnectTo(c)
		if err != nil {
			why[name] = err
			continue
		}
		engines[name] = e.Home().Beside(connection, c.Namespace, name)
		engines[name].Reports = e.reports
	}
	e.used, e.engines = others, engines
	e.Set(engines, why)
	for name := range why {
		if e.Changed != nil {
			e.Changed(name, e.Down(name))
		}
	}
	close(e.changed)
	e.changed = make(chan struct{})
}

// Report has all engines tell of their runs. It is called before Ends.
func (e *Engine) Report(to tekton.Reports) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.reports, e.Home().Reports = to, to
	for _, other := range e.engines {
		other.Reports = to
	}
}

// Answers returns of each other cluster whether it answers, as far as that is known.
func (e *Engine) Answers() map[string]bool {
	answers := map[string]bool{}
	for _, name := range e.Names() {
		answers[name] = e.Down(name) == nil
	}
	return answers
}

// Namespace is where the PipelineRuns are, in a cluster.
func (e *Engine) Namespace(cluster string) string {
	e.mu.Lock()
	defer e.mu.Unlock()
	if cluster == "" {
		return e.Home().Namespace()
	}
	return e.used[cluster].Namespace
}

// Runs is as of the loop's engine.
func (e *Engine) Runs(ctx context.Context, units []string) ([]engine.Run, error) {
	runs, err := e.Engine.Runs(ctx, units)
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(units) == 0 {
		e.where = map[string]string{}
	}
	for _, r := range runs {
		e.place(r.Name, r.Cluster)
	}
	return runs, err
}

// Create is as of the loop's engine.
func (e *Engine) Create(ctx context.Context, cfg *config.Config, run plan.Run) (engine.Made, error) {
	made, err := e.Engine.Create(ctx, cfg, run)
	if err == nil {
		e.mu.Lock()
		defer e.mu.Unlock()
		e.place(made.Run.Name, run.Group.Cluster)
	}
	return made, err
}

// place keeps where a run is. Anybody who may make runs in another cluster can give one the name of a run here.
func (e *Engine) place(name, cluster string) {
	if was, known := e.where[name]; !known || was != "" {
		e.where[name] = cluster
	}
}

// Find returns the engine that has a run that a person may have named by its name alone, and its name there.
func (e *Engine) Find(at string) (*tekton.Engine, string, error) {
	cluster, name := naming.Place(at)
	e.mu.Lock()
	cluster = cmp.Or(cluster, e.where[name])
	e.mu.Unlock()
	return e.Of(naming.At(cluster, name))
}

// Follow calls progress for each change of a run, until it has ended.
func (e *Engine) Follow(ctx context.Context, at string, progress func(engine.Outcome)) (engine.Outcome, error) {
	in, name, err := e.Find(at)
	if err != nil {
		return engine.Outcome{}, err
	}
	return in.Follow(ctx, name, progress)
}

// Ended returns when a run ended; zero when it has not, or is gone. at is as naming.At has it.
func (e *Engine) Ended(ctx context.Context, at string) (time.Time, error) {
	in, name, err := e.Of(at)
	if err != nil {
		return time.Time{}, err
	}
	return in.Ended(ctx, name)
}

// Annotate notes on a run what was done about it. at is as naming.At has it.
func (e *Engine) Annotate(ctx context.Context, at, annotation, text string) error {
	in, name, err := e.Of(at)
	if err != nil {
		return err
	}
	return in.Annotate(ctx, name, annotation, text)
}

// Result reads how a run ended.
func (e *Engine) Result(ctx context.Context, run engine.Run) (r result.Result, err error) {
	err = e.Read(ctx, run.Cluster, func(ctx context.Context, in *tekton.Engine) (err error) {
		r, err = in.Result(ctx, run)
		return err
	})
	return r, err
}

// History returns what is known of a unit's runs that have ended, or of all, newest first.
func (e *Engine) History(ctx context.Context, unit string) ([]result.Result, error) {
	return e.Home().History(ctx, unit)
}

// Ends tells how runs end, in each cluster by a watch of its own, until ctx ends.
func (e *Engine) Ends(ctx context.Context, log *slog.Logger, told func(result.Result)) {
	var listening sync.WaitGroup
	defer listening.Wait()
	listening.Go(func() { e.Home().Ends(ctx, log, told) })
	ends := map[*tekton.Engine]context.CancelFunc{}
	for ctx.Err() == nil {
		e.mu.Lock()
		now, changed := map[*tekton.Engine]bool{}, e.changed
		for _, other := range e.engines {
			now[other] = true
		}
		e.mu.Unlock()
		for other, end := range ends {
			if !now[other] {
				end()
				delete(ends, other)
			}
		}
		for other := range now {
			if ends[other] == nil {
				listen, end := context.WithCancel(ctx)
				ends[other] = end
				listening.Go(func() { other.Ends(listen, log.With("cluster", other.In), told) })
			}
		}
		select {
		case <-ctx.Done():
		case <-changed:
		}
	}
	for _, end := range ends {
		end()
	}
}

// CheckKubeconfigs says which kubeconfigs of the configuration are not taken, and why.
func CheckKubeconfigs(cfg *config.Config) error {
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(cfg.Clusters)) {
		if text := cfg.Clusters[name].Kubeconfig.Reveal(); text != "" {
			if err := kube.CheckKubeconfig(text); err != nil {
				errs = append(errs, fmt.Errorf("clusters.%s.kubeconfig: what its variable holds %w", name, err))
			}
		}
	}
	return errors.Join(errs...)
}
