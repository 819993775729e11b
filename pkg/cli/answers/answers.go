// Package answers has the commands that answer questions about what was deployed and what was not: status, explain, history, logs and
// page.
// What they say of the state and the runs is worked out elsewhere, by functions that ask nobody.
package answers

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Commands returns the commands.
func Commands(o *setup.Options) []*cobra.Command {
	return []*cobra.Command{newExplain(o), newHistory(o), newStatus(o), newLogs(o), newPage(o)}
}

// place is whose state and runs are meant.
type place struct {
	local bool
	state string
}

func (p *place) register(cmd *cobra.Command) {
	cmd.Flags().BoolVar(&p.local, "local", false, "the state of 'sentry watch --local'")
	cmd.Flags().StringVar(&p.state, "state", "", "with --local: state `file`")
}

func (p *place) check() error {
	if p.state != "" && !p.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	return nil
}

// known is what there is to answer by.
type known struct {
	snapshot state.Snapshot
	runs     []engine.Run    // oldest first; none of this machine
	past     []result.Result // newest first
	gap      error           // why past is empty, when it cannot be read
	engine   *setup.Engine   // nil on this machine
}

// warn says what the answer lacks.
func (k known) warn(o *setup.Options) {
	if k.gap != nil {
		fmt.Fprintf(o.Err, "How runs ended is told by what is left of them: %v\n", k.gap)
	}
}

func (p *place) load(ctx context.Context, o *setup.Options, cfg *config.Config) (k known, err error) {
	if p.local {
		k.past, k.gap = o.LocalHistory(ctx, p.state)
		k.snapshot, err = o.LocalState(ctx, p.state)
		return k, err
	}
	cluster, runsIn, of, err := o.Where(cfg.Global)
	if err != nil {
		return k, err
	}
	if k.snapshot, err = setup.ClusterStore(cluster, of).Load(ctx); err != nil {
		return k, err
	}
	k.engine = o.EngineOn(cluster, runsIn, of, cfg.Clusters)
	k.runs, err = k.engine.Runs(ctx, nil)
	if err = o.Partly(err); err != nil {
		return k, err
	}
	k.past, k.gap = o.History(ctx, k.engine)
	return k, nil
}
