package answers

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/reading"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

type pageFlags struct {
	place
	address string
	names   []string
}

func newPage(o *setup.Options) *cobra.Command {
	var f pageFlags
	cmd := &cobra.Command{
		Use:   "page",
		Short: "Show it all in a browser, at an address of this machine",
		Long: `Serve a page that shows how each unit stands, its runs and members, the repositories with what
'sentry explain' says of each branch, and what failed deployments printed last. It is brought up
to date as things change, until Ctrl-C.

It reads what 'sentry status', 'explain' and 'history' do, with the rights of your kubeconfig or,
with --local, on this machine. It is served to this machine alone: whoever uses the machine can
read it. By the second address, which has a secret of this process, you can also trigger, rerun,
roll back, cancel, pause and resume, as the commands of these names do, and read logs; with --local
pause and resume.

A running Sentry serves the same page with 'sentry watch --page', to whoever reaches it.`,
		Example: `  sentry page -n sentry --run-namespace sentry-runs
  sentry page --local
  sentry page --address 127.0.0.1:9000`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runPage(cmd.Context(), o, f) },
	}
	f.register(cmd)
	cmd.Flags().StringVar(&f.address, "address", "127.0.0.1:8082", "serve it at this `address` of this machine; port 0 is any that is free")
	cmd.Flags().StringSliceVar(&f.names, "page-host", nil, "serve it under this host `name`, too, beside localhost and IP addresses")
	complete.Flag(cmd, "address", cobra.NoFileCompletions)
	complete.Flag(cmd, "page-host", cobra.NoFileCompletions)
	return cmd
}

func runPage(ctx context.Context, o *setup.Options, f pageFlags) error {
	if err := f.check(); err != nil {
		return err
	}
	if err := pages.OnThisMachine(f.address); err != nil {
		return usage.Errorf("--address: %w", err)
	}
	if err := pages.CheckNames(f.names); err != nil {
		return usage.Errorf("--page-host: %w", err)
	}
	log, err := o.Logger()
	if err != nil {
		return usage.Error(err)
	}
	source, hands, where, err := f.source(o, log)
	if err != nil {
		return err
	}
	at, err := pages.Listen(ctx, f.address)
	if err != nil {
		return fmt.Errorf("--address: %w", err)
	}
	key := act.Word(32)
	fmt.Fprintf(o.Out, "http://%s/\nTo act as well: http://%s/enter?key=%s\n", at[0].Addr(), pages.Own(at[0].Addr()), key)
	return pages.Serve(ctx, page.Options{
		Source: source, Log: log, Hide: o.Hider.Hide, Link: pages.Link, Names: f.names, Place: where,
		Act: &act.Options{Self: hands, Key: key, Log: log, Hide: o.Hider.Hide},
	}, at...)
}

// source returns where the page is read, who does what its person asks for, and what it is called.
func (f *pageFlags) source(o *setup.Options, log *slog.Logger) (page.Source, *pages.Hands, string, error) {
	text := &pages.Text{}
	o.Texts = text
	var turn sync.Mutex // the options are read for the views and for what is done
	glance := func() *config.Config {
		turn.Lock()
		defer turn.Unlock()
		return o.Glance()
	}
	load := func() (*config.Config, error) {
		turn.Lock()
		defer turn.Unlock()
		cfg, _, err := o.Load(config.Options{})
		return cfg, err
	}
	heads := func(cfg *config.Config) *poller.Reader { return o.Reader(log, 0, transport.NewNetwork(cfg.Global)) }
	from := reading.Sources{Config: glance, Text: text.Text, Now: time.Now}
	hands := &pages.Hands{Config: load, Heads: heads, Logger: log, Hide: o.Hider.Hide}
	if f.local {
		from.State = func(ctx context.Context) (state.Snapshot, error) { return o.LocalState(ctx, f.state) }
		from.History = func(ctx context.Context) ([]result.Result, error) { return o.LocalHistory(ctx, f.state) }
		from.Runs = func(context.Context) ([]engine.Run, []plan.Existing, error) { return o.LocalRuns(f.state) }
		from.Key = &naming.Key{}
		hands.By = func(ctx context.Context, command string) audit.By { return o.By(ctx, nil, command) }
		hands.Store = func() (watch.Store, error) { return o.LocalStore(f.state) }
		return reading.New(from), hands, o.ConfigName(), nil
	}
	cfg := glance()
	cluster, runsIn, of, err := o.Where(cfg.Global)
	if err != nil {
		return nil, nil, "", err
	}
	runs := o.EngineOn(cluster, runsIn, of, cfg.Clusters)
	from.State, from.Runs, from.Follow = setup.ClusterStore(cluster, of).Load, reading.RunsOf(runs), runs.Follow
	from.History = func(ctx context.Context) ([]result.Result, error) { return o.History(ctx, runs) }
	hands.By = func(ctx context.Context, command string) audit.By { return o.By(ctx, cluster, command) }
	hands.On(cluster, runs.Home(), of)
	return reading.New(from), hands, strings.TrimSpace(cluster.Namespace + " " + of.Name), nil
}
