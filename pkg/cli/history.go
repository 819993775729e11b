package cli

import (
	"cmp"
	"context"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
)

// pastRuns is the shape of the history's JSON and YAML.
type pastRuns struct {
	Runs []tekton.Past `json:"runs"` // newest first
}

// history prints the deleted runs, of all units or of those that are named.
func history(ctx context.Context, o *setup.Options, f statusFlags, names []string) error {
	if f.local {
		return usage.Errorf("--history goes with a cluster: nothing is deleted on this machine")
	}
	cfg := o.Glance()
	cluster, _, of, err := o.Where(cfg.Global)
	if err != nil {
		return err
	}
	all, err := tekton.New(cluster, "", of).History(ctx, "")
	if err != nil {
		return err
	}
	past := pastRuns{[]tekton.Past{}}
	choice := overview.Choose(names, members(cfg))
	for _, p := range all {
		if choice.Run(p.Name, p.Unit, pastRefs(p)) {
			past.Runs = append(past.Runs, p)
		}
	}
	switch f.output {
	case term.JSON, term.YAML:
		return term.Encode(o.Out, past, f.output)
	case term.Name:
		s := overview.Status{}
		for _, p := range past.Runs {
			s.Runs = append(s.Runs, overview.Run{Name: p.Name})
		}
		return s.PrintNames(table(o, f))
	}
	return past.print(table(o, f), time.Now())
}

func pastRefs(p tekton.Past) []overview.Ref {
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
		rows[i] = []any{p.Name, p.Unit, p.Reason, term.Age(now, p.Created), duration, overview.Trigger(pastRefs(p)), cmp.Or(strings.Join(p.Failed, ","), "-")}
	}
	return t.Print([]string{"RUN", "UNIT", "STATUS", "AGE", "TOOK", "TRIGGER", "FAILED"}, rows, overview.PaintStatus)
}
