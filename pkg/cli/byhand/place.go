package byhand

import (
	"context"
	"log/slog"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// Place is where runs are made: in the cluster that the flags name, or on this machine.
type Place struct {
	Local   bool
	State   string // on this machine, the state file; "" = that of the configuration
	Command string // that the runs are made by

	By audit.By // for whom they are made
	Engine
	Store watch.Store

	// History returns how runs ended there, newest first.
	History func(context.Context) ([]result.Result, error)
	close   func() error
}

// Open gets its engine and its store. It must be closed then.
func (p *Place) Open(ctx context.Context, o *setup.Options, cfg *config.Config, log *slog.Logger) error {
	p.close = func() error { return nil }
	if p.Local {
		machine, store, err := o.OnMachine(ctx, cfg, p.State, log)
		if err != nil {
			return err
		}
		p.Engine, p.Store, p.close, p.By = machine, store, machine.Close, o.By(ctx, nil, p.Command)
		p.History = func(ctx context.Context) ([]result.Result, error) { return o.LocalHistory(ctx, p.State) }
		return nil
	}
	cluster, eng, store, err := o.OnCluster(cfg)
	if err != nil {
		return err
	}
	p.Engine, p.Store, p.By = eng, store, o.By(ctx, cluster, p.Command)
	p.History = func(ctx context.Context) ([]result.Result, error) { return o.History(ctx, eng) }
	return nil
}

// Close ends what Open began, also the runs that go on on this machine.
func (p *Place) Close() error { return p.close() }
