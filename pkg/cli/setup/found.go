package setup

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	found "github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/files"
	"github.com/tekton-sentry/sentry/pkg/discover"
	foundin "github.com/tekton-sentry/sentry/pkg/discover/configmap"
	foundbeside "github.com/tekton-sentry/sentry/pkg/discover/file"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/state/file"
)

// FoundBeside is where it is kept what was found, beside the state file at path; "" is that of the configuration.
func (o *Options) FoundBeside(path string) (discover.Store, error) {
	if path == "" {
		var err error
		if path, err = o.stateFile(); err != nil {
			return nil, err
		}
	}
	return foundbeside.New(file.BehindLinks(path)), nil
}

// FoundIn is where it is kept what an instance found, in the namespace of the connection.
func FoundIn(cluster *kube.Cluster, of instance.Instance) discover.Store {
	return foundin.New(cluster, of)
}

// found returns the configuration with what was found, where it has discover and the command that runs asks somebody at all; else, and
// beside an error, as it is.
func (o *Options) found(cfg *config.Config, opts config.Options) (*config.Config, error) {
	defer func() {
		if there, err := files.Look(o.Config.Names); !o.FromStandardInput() && err == nil && there.Regular() {
			o.Kept = nil
		}
	}()
	if len(cfg.Discover) == 0 || opts.Examples || o.Running == nil {
		return cfg, nil
	}
	store, err := o.foundStore(cfg.Global)
	if err != nil {
		return cfg, err
	}
	ctx := o.Running.Context()
	if ctx == nil {
		ctx = context.Background()
	}
	opts.Found, err = store.Load(ctx)
	if err != nil {
		return cfg, err
	}
	o.Found = opts.Found
	all, err := o.loadConfig(opts)
	if err != nil {
		return cfg, fmt.Errorf("read the configuration again: %w", err)
	}
	return all, o.place(all)
}

func (o *Options) foundStore(global config.Global) (discover.Store, error) {
	if o.flag("local") == "true" {
		return o.FoundBeside(o.flag("state"))
	}
	cluster, _, of, err := o.Where(global)
	if err != nil {
		return nil, err
	}
	return FoundIn(cluster, of), nil
}

// FindNow asks the hosts of discover once, and returns the configuration with what they say. It is kept nowhere but in o.Found.
func (o *Options) FindNow(ctx context.Context, cfg *config.Config, log *slog.Logger) (*config.Config, error) {
	if len(cfg.Discover) == 0 {
		return cfg, nil
	}
	reader := o.Reader(log, 0, transport.NewNetwork(cfg.Global))
	defer reader.Close()
	finder := &discover.Finder{Ask: reader.Owned, Store: nowhere{}, Used: func() {}, Log: slog.New(slog.DiscardHandler)}
	finder.Begin(&found.Found{})
	finder.Apply(cfg, time.Minute)
	finder.Once(ctx)
	o.Found = finder.Found()
	all, err := o.loadConfig(config.Options{Found: o.Found})
	if err != nil {
		return nil, fmt.Errorf("read the configuration again: %w", err)
	}
	return all, o.place(all)
}

// nowhere keeps nothing of what is found.
type nowhere struct{}

func (nowhere) Load(context.Context) (*found.Found, error) { return &found.Found{}, nil }
func (nowhere) Save(context.Context, *found.Found) error   { return nil }
func (nowhere) Changed(context.Context) (bool, error)      { return false, nil }

// flag returns the value of a flag of the command that runs; "" where it has none of that name.
func (o *Options) flag(name string) string {
	if o.Running == nil {
		return ""
	}
	if f := o.Running.Flags().Lookup(name); f != nil {
		return f.Value.String()
	}
	return ""
}
