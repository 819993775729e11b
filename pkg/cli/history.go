package cli

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
)

// pastRuns is the shape of the history's JSON and YAML.
type pastRuns struct {
	Runs []tekton.Past `json:"runs"` // newest first
}

// history prints the deleted runs of a unit, or of all units where unit is "".
func (o *options) history(ctx context.Context, f statusFlags, unit string) error {
	if err := f.check(); err != nil {
		return err
	}
	if f.local {
		return usage.Errorf("--history goes with a cluster: nothing is deleted on this machine")
	}
	cluster, _, of, err := o.statusCluster()
	if err != nil {
		return err
	}
	past, err := tekton.New(cluster, "", of).History(ctx, unit)
	if err != nil {
		return err
	}
	if f.output == "table" {
		return historyTable(o.Out, past, time.Now())
	}
	return o.encode(pastRuns{append([]tekton.Past{}, past...)}, f.output)
}

func historyTable(out io.Writer, past []tekton.Past, now time.Time) error {
	w := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	fmt.Fprintln(w, "RUN\tUNIT\tSTATUS\tAGE\tTOOK\tTRIGGER\tFAILED")
	for _, p := range past {
		refs := make([]string, len(p.Refs))
		for i, r := range p.Refs {
			refs[i] = r.Repository + "/" + r.Branch + "@" + r.SHA.Short()
		}
		took := since(p.Created.Add(time.Duration(p.Seconds)*time.Second), p.Created)
		term.Row(w, p.Name, p.Unit, p.Reason, since(now, p.Created), took,
			cmp.Or(strings.Join(refs, ","), "-"), cmp.Or(strings.Join(p.Failed, ","), "-"))
	}
	return w.Flush()
}
