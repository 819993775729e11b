package watching

import (
	"context"
	"log/slog"
	"os"
	"os/signal"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/garbage"
	"github.com/tekton-sentry/sentry/pkg/cli/glance"
	"github.com/tekton-sentry/sentry/pkg/cli/live"
	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/cli/reload"
	"github.com/tekton-sentry/sentry/pkg/cli/replicas"
	"github.com/tekton-sentry/sentry/pkg/cli/reporting"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	found "github.com/tekton-sentry/sentry/pkg/discover"
	"github.com/tekton-sentry/sentry/pkg/engine/local"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/keys"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/health"
	"github.com/tekton-sentry/sentry/pkg/serve/hook"
	"github.com/tekton-sentry/sentry/pkg/serve/metrics"
	"github.com/tekton-sentry/sentry/pkg/traces/otlp"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// watching is `sentry watch` at work, with all that follows from the configuration.
type watching struct {
	*setup.Options
	flags   flags
	log     *slog.Logger
	cfg     *config.Config
	network *transport.Network
	reader  *poller.Reader
	machine *local.Engine // nil on a cluster
	cluster *setup.Engine // nil on this machine, and api too
	api     *kube.Cluster
	watcher *watch.Watcher
	hooks   *hook.Receiver      // nil without --listen
	metrics *metrics.Metrics    // nil without --health
	replica *replicas.Replica   // nil without --replica
	reports *reporting.Reporter // nil where nothing is reported
	glances *glance.Glances     // nil with --once
	finder  *found.Finder
	traces  *otlp.Sink
	board   *live.Board      // nil where nothing is redrawn
	again   *reload.Reloader // reads the configuration again
	health  health.Health
	shown   atomic.Pointer[config.Config] // by the page
	seeing  *setup.Engine                 // of the page, on a cluster
	text    *pages.Text                   // nil without --page
}

func (w *watching) onCluster() error {
	cluster, eng, store, err := w.Options.OnCluster(w.cfg)
	if err != nil {
		return err
	}
	w.cluster, w.api = eng, cluster
	w.watcher.Past = func(ctx context.Context) ([]result.Result, error) { return eng.History(ctx, "") }
	w.watcher.Result = eng.Result
	eng.Changed = w.answered()
	if !w.flags.once {
		eng.Patience = listedWithin
	}
	for _, name := range eng.Names() {
		if err := eng.Down(name); err != nil { // nothing tells how it is reached
			eng.Changed(name, err)
		}
	}
	of := instance.Instance{Name: w.cfg.Global.Instance}
	w.watcher.Engine, w.watcher.Store, w.watcher.Key = eng, store, keys.Of(cluster, of)
	w.finder.Store = setup.FoundIn(cluster, of)
	if w.flags.replica != "" {
		w.replica = replicas.New(cluster, of, w.flags.replica, w.log)
		w.finder.Shared = true
		w.watcher.Share = w.mine
	}
	return nil
}

// mine returns what this replica looks at. What is known of the rest is of no use any more, and takes memory.
func (w *watching) mine() func(config.Repository) bool {
	mine, moved := w.replica.Mine()
	if moved {
		var others []config.Monitor
		for _, r := range w.watcher.Config.Repositories {
			if !mine(r) {
				others = append(others, r.Monitor)
			}
		}
		w.reader.Forget(others)
	}
	return mine
}

// apply makes everything follow from cfg that follows from the configuration. Nothing else copies from it.
func (w *watching) apply(cfg *config.Config) error {
	if w.hooks != nil {
		if err := hook.Check(cfg); err != nil {
			return err
		}
	}
	if err := w.SetLevel(cfg); err != nil {
		return err
	}
	w.cfg = cfg
	garbage.Tolerate(len(cfg.Repositories))
	w.shown.Store(cfg)
	w.Hider.Use(cfg)
	w.health.Use(len(cfg.Repositories), w.interval(cfg))
	w.reader.SetSweep(cfg.Global.Sweep)
	w.network.Use(cfg.Global)
	if w.cluster != nil {
		w.cluster.Use(cfg.Clusters)
	}
	if w.seeing != nil {
		w.seeing.Use(cfg.Clusters)
	}
	if w.machine != nil {
		w.machine.Use(w.Variables.Environ(), w.Hidden(cfg))
	}
	if w.hooks != nil {
		w.hooks.Apply(cfg)
	}
	if w.reports != nil {
		w.reports.Apply(cfg)
	}
	if w.metrics != nil {
		w.metrics.Apply(cfg)
	}
	if w.traces != nil {
		w.traces.Apply(cfg)
	}
	if w.glances != nil {
		w.glances.Apply(cfg, w.interval(cfg))
	}
	if w.finder != nil {
		w.finder.Apply(cfg, w.findEvery(cfg))
	}
	w.watcher.Apply(cfg)
	return nil
}

// reloader returns what has another configuration applied.
func (w *watching) reloader() *reload.Reloader {
	paths := w.Config.Names
	if w.FromStandardInput() {
		paths = nil
	}
	again := &reload.Reloader{
		Paths: paths, Texts: w.Kept, Variables: &w.Variables, Config: w.cfg, Start: w.cfg.Global, Log: w.log, Now: time.Now,
		Parse: func(texts config.Files, known *discover.Found) (*config.Config, error) {
			cfg, err := w.Parse(texts, known)
			if err == nil {
				setup.LogWarnings(w.log, cfg)
			}
			return cfg, err
		},
		Use:    w.apply,
		Ask:    func() { w.watcher.Ask(watch.Request{Reason: "the configuration"}) },
		Refuse: w.watcher.Refuse,
		Tell:   func(e event.Event) { w.watcher.Tell(e) },
	}
	if w.finder != nil {
		again.Found = w.finder.Found
	}
	if w.text != nil {
		again.Taken, again.Refused = w.text.Use, w.text.Refuse
	}
	return again
}

// hurry has the configuration looked at, and then all repositories, at each SIGHUP, and returns what ends that. On a terminal it means that
// the terminal is gone, and under nohup that this is nothing to end for. From then on it ends Sentry no more, also while that
// remembers what it did.
func (w *watching) hurry(r *reload.Reloader) (end func()) {
	if w.flags.once || signal.Ignored(syscall.SIGHUP) {
		return func() {}
	}
	hangups, ended := make(chan os.Signal, 1), make(chan struct{})
	signal.Reset(syscall.SIGHUP) // at which main ends commands
	signal.Notify(hangups, syscall.SIGHUP)
	var hearing sync.WaitGroup
	hearing.Go(func() {
		for {
			select {
			case <-ended:
				return
			case <-hangups:
				r.Hurry()
				w.watcher.Ask(watch.Request{Reason: "SIGHUP"})
			}
		}
	})
	return func() {
		close(ended)
		hearing.Wait()
	}
}
