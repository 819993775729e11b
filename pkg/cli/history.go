package cli

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// pastRuns is the shape of the history's JSON and YAML.
type pastRuns struct {
	Runs []result.Result `json:"runs"` // newest first
}

// history prints how the runs ended, of all units or of those that are named.
func history(ctx context.Context, o *setup.Options, f statusFlags, names []string) error {
	cfg := o.Glance()
	all, err := everyRun(ctx, o, f, cfg.Global)
	if err != nil {
		return err
	}
	past := pastRuns{[]result.Result{}}
	choice := overview.Choose(names, members(cfg))
	for _, p := range all {
		if choice.Run(p.Name, p.Unit, pastRefs(p)) {
			past.Runs = append(past.Runs, p)
		}
	}
	switch f.output.Format {
	case term.JSON, term.YAML:
		return term.Encode(o.Out, past, f.output.Format)
	case term.Name:
		s := overview.Status{}
		for _, p := range past.Runs {
			s.Runs = append(s.Runs, overview.Run{Name: p.Name})
		}
		return s.PrintNames(table(o, f))
	}
	return past.print(table(o, f), time.Now())
}

// everyRun returns how the runs ended, on the cluster or on this machine.
func everyRun(ctx context.Context, o *setup.Options, f statusFlags, global config.Global) ([]result.Result, error) {
	if f.local {
		return o.LocalHistory(ctx, f.state)
	}
	cluster, _, of, err := o.Where(global)
	if err != nil {
		return nil, err
	}
	return tekton.New(cluster, "", of).History(ctx, "")
}

func pastRefs(p result.Result) []overview.Ref {
	refs := make([]overview.Ref, len(p.Refs))
	for i, r := range p.Refs {
		refs[i] = overview.Ref{Ref: r.Ref, SHA: r.SHA}
	}
	return refs
}

func (past pastRuns) print(t *term.Table, now time.Time) error {
	rows := make([][]any, len(past.Runs))
	for i, p := range past.Runs {
		duration := term.Age(p.Created.Add(time.Duration(p.Seconds)*time.Second), p.Created)
		rows[i] = []any{p.Name, p.Unit, cmp.Or(string(p.Verdict), p.Reason), term.Age(now, p.Created), duration, overview.Trigger(pastRefs(p)), cmp.Or(strings.Join(slices.Concat(p.Tasks(result.Failed), p.Tasks(result.TimedOut)), ","), "-")}
	}
	return t.Print([]string{"RUN", "UNIT", "STATUS", "AGE", "TOOK", "TRIGGER", "FAILED"}, rows, overview.PaintStatus)
}
