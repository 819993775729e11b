package pagetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
)

// Person is somebody who does nothing but note what they were to do. Its fields may be set between two requests.
type Person struct {
	Name    string
	May     act.Rights
	Err     error    // of what they do
	Trouble error    // of the question who they are
	Printed []string // what a run prints

	mu    sync.Mutex
	asked int
	done  []act.Order
}

// All are all rights.
var All = act.Rights{Run: true, Cancel: true, Pause: true, Logs: true}

// Who implements act.Person.
func (p *Person) Who(context.Context) (string, act.Rights, error) {
	p.note()
	if p.Trouble != nil {
		return "", act.Rights{}, p.Trouble
	}
	if p.Name == "" {
		return "", act.Rights{}, act.ErrNobody
	}
	return p.Name, p.May, nil
}

func (p *Person) note() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
}

// Asked returns how often they were asked for anything.
func (p *Person) Asked() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.asked
}

// Done returns what they were to do.
func (p *Person) Done() []act.Order {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.done
}

// Plan implements act.Person.
func (p *Person) Plan(_ context.Context, _ *facts.Facts, ask act.Ask) (act.Plan, error) {
	p.note()
	plan := act.Plan{Unit: ask.Unit}
	if ask.Unit == "none" {
		return plan, errors.New("nothing is known of it")
	}
	plan.Lead = "This is what is done."
	switch ask.Verb {
	case act.Trigger, act.Rollback, act.Rerun, act.Failed:
		ref := repo.Ref{Repository: "web", Branch: "main"}
		plan.Members = []pinned.Member{{Task: "web", Ref: ref, SHA: SHA("c"), QA: SHA("d")}}
		plan.Planned = view.Planned{
			Lead: "Its newest commits are deployed.", Notes: []string{"shop-3 is active: it is cancelled first (on_busy: cancel)."},
			Commits: []view.Pinned{{Commit: view.Commit{Ref: ref, SHA: SHA("c"), Link: "https://github.com/a/web/compare/b...c"}, Task: "web", Was: SHA("b")}},
			Tasks:   []view.Order{{Task: "web"}, {Task: "api", After: []string{"web"}}},
			Text:    "apiVersion: tekton.dev/v1\nkind: PipelineRun\n" + Script,
		}
	}
	return plan, nil
}

// Do implements act.Person.
func (p *Person) Do(_ context.Context, _ *facts.Facts, o act.Order) (string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked++
	if p.Err != nil {
		return "", p.Err
	}
	p.done = append(p.done, o)
	if len(o.Members) > 0 {
		return "made-" + o.Word, nil
	}
	return o.Run, nil
}

// Log implements act.Person.
func (p *Person) Log(_ context.Context, _ *facts.Facts, _ string, _ bool, out io.Writer) error {
	p.note()
	for _, line := range p.Printed {
		if _, err := fmt.Fprintln(out, line); err != nil {
			return err
		}
	}
	return p.Err
}

// Acting returns a page of a source on which people act.
func Acting(t testing.TB, s page.Source, now func() time.Time, o act.Options) *page.Page {
	t.Helper()
	o.Log = slog.New(slog.DiscardHandler)
	p := page.New(page.Options{Source: s, Log: o.Log, Hide: o.Hide, Now: now, Place: "sentry", Names: []string{"sentry.example.com"}, Act: &o})
	t.Cleanup(p.Close)
	return p
}
