package page

import (
	"net/http"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan/order"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// checkTask is what the check of a canary group is called: as the configuration has it.
const checkTask = "canary_check"

// graphOfGroup returns the graph of a group as its next run has it, with how each member's deployment ended last; nil where it has none, or where a
// module says it that was not asked yet: the page runs none.
func graphOfGroup(f *facts.Facts, u *overview.Unit, group config.Group, repositories []*config.Repository) *view.Graph {
	after, err := order.Known(f.Config, group, repositories)
	if err != nil {
		return nil
	}
	last := map[string]result.Member{}
	const look = 20 // runs: with deploy: changed a member may be in few of them
	for _, r := range slices.Backward(f.OfUnit(u.Unit, 0, look)) {
		for _, m := range r.Members {
			last[m.Repository] = m
		}
	}
	members := make([]view.Member, len(after.After))
	for i := range members {
		if i == len(repositories) {
			members[i] = view.Member{Task: checkTask}
			continue
		}
		m := last[repositories[i].Name]
		members[i] = view.Member{Task: repositories[i].Name, Ref: repo.Ref{Repository: repositories[i].Name}, Verdict: string(m.Verdict), Took: view.Took(m.Seconds)}
	}
	return view.GraphOf(members, after)
}

func (p *Page) run(s *shown, w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("run")
	ended, run := s.Run(name)
	if ended == nil && run == nil {
		p.trouble(w, r, http.StatusNotFound, "Nothing is known of such a run. The history keeps the newest ones; one that was made a moment ago is listed soon.")
		return
	}
	p.write(w, r, s, "/run/"+name, func() view.Frame {
		v := view.RunPage{Deleted: run == nil}
		if ended != nil {
			v.RunRow = p.rowOfResult(s, ended)
			v.Reason, v.Seen, v.By = ended.Reason, ended.Seen, ended.By.Person()
			for _, ref := range ended.Refs {
				v.Refs = append(v.Refs, p.commit(s, ref.Ref, s.Before(ended, ref.Ref), ref.SHA))
			}
			p.ended(s, ended, &v)
		} else {
			v.RunRow = p.rowOfRun(s, run)
			v.Reason, v.Seen = run.Reason, run.Trigger.Seen
			for _, c := range run.Trigger.Refs {
				v.Refs = append(v.Refs, p.commit(s, c.Ref, c.Old, c.New))
			}
		}
		live := run != nil && ended == nil
		v.Acts = actsOfRun(ended, run, visitorOf(r))
		if p.gate != nil && p.gate.Bring != nil && visitorOf(r) == nil && run != nil {
			v.NoLog = "What its steps print is shown to those who act and may read it."
		}
		if live {
			out, err := p.Source.Outcome(r.Context(), name)
			if err != nil {
				v.Unread = p.hide(err.Error())
			}
			p.active(out, &v)
		}
		if u, ok := s.Unit(v.Unit); ok {
			v.Usual, _ = usual(u)
		}
		return view.Frame{Title: name, Section: "runs", Live: live, View: view.Run(v)}
	})
}

// ended fills in the deployments of a run that has ended.
func (p *Page) ended(s *shown, x *result.Result, v *view.RunPage) {
	for _, m := range x.Members {
		v.Members = append(v.Members, view.Member{
			Task: m.Task, Ref: m.Ref.Ref, SHA: m.SHA, Link: p.link(s.Facts, m.Repository, "", m.SHA), Verdict: string(m.Verdict), Rollback: string(m.Rollback),
			Took: view.Took(m.Seconds), Why: m.Why, Command: m.Command, Exit: m.Exit, Output: m.Output,
		})
	}
	// The configuration of today has the order in which they ran, unless it changed since.
	group, _ := s.Members(x.Unit)
	var repositories []*config.Repository
	for _, m := range x.Members {
		if r, ok := s.Repository(m.Repository); ok && r.Group == group.Name && r.Group != "" {
			repositories = append(repositories, r)
		}
	}
	if len(repositories) < 2 || len(repositories) != len(x.Members) {
		return
	}
	after, err := order.Known(s.Config, group, repositories)
	if err != nil {
		return
	}
	members := slices.Clone(v.Members)
	if after.Check {
		members = append(members, view.Member{Task: checkTask})
	}
	v.Graph = view.GraphOf(members, after)
}

// active fills in the tasks of a run that has not ended, or of which only the engine knows how.
func (p *Page) active(out engine.Outcome, v *view.RunPage) {
	index := map[string]int{}
	var tasks []engine.Task
	for _, t := range out.Tasks {
		if !t.Idle() {
			index[t.Name] = len(tasks)
			tasks = append(tasks, t)
		}
	}
	after := strategy.Graph{After: make([][]int, len(tasks))}
	for at, t := range tasks {
		m := view.Member{
			Task: t.Name, Verdict: facts.TaskVerdicts[t.Result], Why: t.Message, Command: t.Command, Exit: t.Exit, Output: t.Output, Began: t.Start,
		}
		if !t.Start.IsZero() && !t.End.IsZero() {
			m.Took = view.Took(int(t.End.Sub(t.Start).Seconds()))
		}
		v.Members = append(v.Members, m)
		for _, name := range t.After {
			if i, ok := index[name]; ok {
				after.After[at] = append(after.After[at], i)
			}
		}
	}
	if len(v.Members) > 1 {
		v.Graph = view.GraphOf(slices.Clone(v.Members), after)
	}
}
