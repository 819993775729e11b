// Package deeds has what people have Sentry do by hand, for the commands and for the page: which runs that makes, how they are started and
// ended, and what becomes of the state.
package deeds

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// Wanted is what is asked for by hand.
type Wanted struct {
	Names  []string
	Branch string   // "" = the first configured one of each
	SHA    repo.SHA // "" = the heads
}

// Runs plans the runs that `trigger` creates and `render` prints, with their QA revisions. It asks the hosts.
func Runs(ctx context.Context, cfg *config.Config, hosts *poller.Reader, store watch.Store, log *slog.Logger, asked Wanted, word string) ([]plan.Run, error) {
	snapshot := state.Snapshot{}
	if store != nil {
		var err error
		if snapshot, err = store.Load(ctx); err != nil {
			// The state only tells the previous SHAs: a trigger works without.
			log.Warn("cannot read the state; SENTRY_PREVIOUS_SHA and SENTRY_SUCCEEDED_SHA will be empty", "err", err)
		}
	}
	observed := make([]repo.Observation, len(cfg.Repositories))
	var want []config.Monitor
	var index []int
	for i, r := range cfg.Repositories {
		observed[i].Status = repo.Pending
		branches, ok := named.Asked(&r, asked.Names)
		if !ok {
			continue
		}
		if asked.Branch != "" {
			branches = append(branches, asked.Branch)
		}
		m := r.Monitor
		for _, b := range branches {
			// A branch that is named need not match what is watched.
			m.Branches = m.Branches.With(repo.ExactPattern(b))
		}
		want, index = append(want, m), append(index, i)
	}
	for i, o := range hosts.Heads(ctx, want) {
		observed[index[i]] = plan.Watched(o, want[i])
	}
	in := plan.Input{Config: cfg, Snapshot: snapshot, Observed: observed, Now: time.Now()}
	runs, err := plan.Manual(in, asked.Names, asked.Branch, word)
	if err != nil {
		return nil, err
	}
	if asked.SHA != "" {
		if len(runs) != 1 || len(runs[0].Members) != 1 {
			return nil, usage.Errorf("--sha is a commit of one repository, and %.80q is several: name one of them", asked.Names[0])
		}
		m := runs[0].Members[0]
		m.SHA, m.Changed = asked.SHA, asked.SHA != m.Previous
		runs[0] = plan.ByHand(in, []plan.Member{m}, word)
	}
	errs := make([]error, len(runs))
	for i := range runs {
		runs[i], errs[i] = runs[i].Pin(hosts.Heads(ctx, runs[i].QA()))
	}
	if err := errors.Join(errs...); err != nil {
		return nil, err
	}
	return runs, nil
}
