package watching

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/pages"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/reading"
)

func (f flags) checkPage() error {
	switch {
	case f.page == "" && len(f.names) > 0:
		return usage.Errorf("--page-host goes with --page")
	case f.tokens && (f.page == "" || f.local):
		return usage.Errorf("--page-tokens goes with --page, on a cluster")
	case f.page == "":
		return nil
	case f.once:
		return usage.Errorf("--page does not go with --once, which ends by itself; 'sentry page' shows what it did")
	case f.page == f.listen, f.page == f.health:
		return usage.Errorf("--page wants an address of its own: who may read what is deployed is another circle than those of --listen and --health")
	}
	if err := pages.CheckNames(f.names); err != nil {
		return usage.Errorf("--page-host: %w", err)
	}
	return nil
}

// servePage serves the page where an address is given for that, and returns what waits for its end. The loop does nothing for it: what it
// loads and saves is shown by reference, and all else is asked for by the page, while somebody looks.
func (w *watching) servePage(ctx context.Context) (ended func(), err error) {
	if w.flags.page == "" {
		return func() {}, nil
	}
	l, err := serve.Listen(ctx, w.flags.page)
	if err != nil {
		return nil, fmt.Errorf("--page: %w", err)
	}
	w.shown.Store(w.cfg)
	latest := &reading.Latest{}
	w.watcher.Store = latest.Store(w.watcher.Store)
	from := reading.Sources{
		Config: w.shown.Load, Text: w.text.Text, State: latest.State, Hosts: pages.Hosts(w.reader, w.Hider.Hide), Now: time.Now,
	}
	if w.replica != nil {
		from.Peers = pages.Replicas(w.replica.Seen, w.flags.replica)
	}
	var beside *kube.Cluster
	if w.machine != nil {
		from.Runs, from.Follow, from.History = reading.RunsOf(w.machine), w.machine.Follow, w.watcher.Past
	} else {
		if beside, err = w.ConnectBeside(w.cfg.Global.Namespace); err != nil {
			return nil, fmt.Errorf("--page: %w", err)
		}
		runs := w.EngineOn(beside, w.cfg.Global.RunsIn(), w.which(), w.cfg.Clusters)
		w.seeing = runs
		from.Runs, from.Follow = reading.RunsOf(runs), runs.Follow
		from.History = func(ctx context.Context) ([]result.Result, error) { return w.History(ctx, runs) }
	}
	w.log.Info("serving the page", "address", l.Addr().String())
	o := page.Options{
		Source: reading.New(from), Log: w.log, Hide: w.Hider.Hide, Link: pages.Link, Names: w.flags.names, Place: w.cfg.Global.Namespace,
	}
	if w.flags.tokens {
		o.Act = &act.Options{Bring: w.bring(beside, latest), Log: w.log, Hide: w.Hider.Hide}
	}
	var serving sync.WaitGroup
	serving.Go(func() {
		if err := pages.Serve(ctx, o, l); err != nil {
			w.log.Error("the page is not served any more, and polling goes on; restart Sentry", "err", err)
		}
	})
	return serving.Wait, nil
}

// which is the Sentry that this is.
func (w *watching) which() instance.Instance { return instance.Instance{Name: w.cfg.Global.Instance} }

// bring returns what takes a token for a person: whatever they do is asked of the API server by nothing else.
func (w *watching) bring(beside *kube.Cluster, latest *reading.Latest) func(token string) (act.Person, error) {
	runsIn, of := w.cfg.Global.RunsIn(), w.which()
	return func(token string) (act.Person, error) {
		theirs, err := beside.As(token)
		if err != nil {
			return nil, err
		}
		h := &pages.Hands{
			Config: func() (*config.Config, error) { return w.shown.Load(), nil }, Logger: w.log, Token: token, Saved: latest.Put, Hide: w.Hider.Hide,
			// What a person asks of hosts takes no turn of the loop's.
			Heads: func(cfg *config.Config) *poller.Reader { return w.Reader(w.log, 0, transport.NewNetwork(cfg.Global)) },
			By: func(ctx context.Context, command string) audit.By {
				return audit.By{Cause: command, Who: oneline.Of(theirs.WhoAmI(ctx), maxName)}
			},
		}
		h.On(theirs, w.EngineOn(theirs, runsIn, of, nil).Home(), of)
		return h, nil
	}
}

// maxName bounds the name of a person, in bytes.
const maxName = 100
