package page

import (
	"net/http"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan/order"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/drawing"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Member is a deployment of a run, or what would be one.
type Member struct {
	Task     string
	Ref      repo.Ref // without a repository where it is not known
	SHA      repo.SHA
	Link     string
	Verdict  string // "" = it has not begun
	Rollback string
	Took     string
	Began    time.Time
	After    []string
	Why      string
	Command  string
	Exit     int
	Output   []string
}

// checkTask is what the check of a canary group is called: as the configuration has it.
const checkTask = "canary_check"

// Graph is the members with who waits for whom: drawn, or in stages where they are too many.
type Graph struct {
	Members []Member // in the order of the graph
	Drawing *drawing.Drawing
	Stages  [][]Member
}

// maxLabel is how many characters of a name have room in a box.
const maxLabel = 22

// Label returns the name of a member that has room in a box.
func (m Member) Label() string {
	name := m.Task
	if r := []rune(name); len(r) > maxLabel {
		return string(r[:maxLabel-1]) + "…"
	}
	return name
}

// Commit returns the commit that it deploys.
func (m Member) Commit() Commit { return Commit{m.Ref, m.SHA, m.Link} }

// At returns the member in a box.
func (g *Graph) At(b drawing.Box) Member { return g.Members[b.Task] }

func graphOf(members []Member, after strategy.Graph) *Graph {
	g := &Graph{Members: members}
	for i := range members {
		for _, before := range after.After[i] {
			members[i].After = append(members[i].After, members[before].Task)
		}
	}
	if d, ok := drawing.Of(after); ok {
		g.Drawing = &d
		return g
	}
	for _, stage := range drawing.Stages(after) {
		var named []Member
		for _, i := range stage {
			named = append(named, members[i])
		}
		g.Stages = append(g.Stages, named)
	}
	return g
}

// graphOfGroup returns the graph of a group as its next run has it, with how each member's deployment ended last; nil where it has none.
func graphOfGroup(f *facts.Facts, u *overview.Unit, group config.Group, repositories []*config.Repository) *Graph {
	after, err := order.Of(f.Config, group, repositories)
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
	members := make([]Member, len(after.After))
	for i := range members {
		if i == len(repositories) {
			members[i] = Member{Task: checkTask}
			continue
		}
		m := last[repositories[i].Name]
		members[i] = Member{Task: repositories[i].Name, Ref: repo.Ref{Repository: repositories[i].Name}, Verdict: string(m.Verdict), Took: took(m.Seconds)}
	}
	return graphOf(members, after)
}

// RunView is a run with all that is known of it.
type RunView struct {
	RunRow
	Reason  string
	Seen    time.Time
	By      string
	Refs    []Commit
	Usual   string
	Slow    bool
	Graph   *Graph
	Members []Member
	Deleted bool // the engine does not have it any more
	Unread  string
}

func (p *Page) run(s *shown, w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("run")
	ended, run := s.Run(name)
	if ended == nil && run == nil {
		p.trouble(w, r, http.StatusNotFound, "Nothing is known of such a run. The history keeps the newest ones.")
		return
	}
	p.write(w, r, s, "run", "/run/"+name, func() (frame, error) {
		v := RunView{Deleted: run == nil}
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
		return frame{Title: name, Section: "runs", Live: live, View: v}, nil
	})
}

// ended fills in the deployments of a run that has ended.
func (p *Page) ended(s *shown, x *result.Result, v *RunView) {
	for _, m := range x.Members {
		v.Members = append(v.Members, Member{
			Task: m.Task, Ref: m.Ref.Ref, SHA: m.SHA, Link: p.link(s.Facts, m.Repository, "", m.SHA), Verdict: string(m.Verdict), Rollback: string(m.Rollback),
			Took: took(m.Seconds), Why: m.Why, Command: m.Command, Exit: m.Exit, Output: m.Output,
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
	after, err := order.Of(s.Config, group, repositories)
	if err != nil {
		return
	}
	members := slices.Clone(v.Members)
	if after.Check {
		members = append(members, Member{Task: checkTask})
	}
	v.Graph = graphOf(members, after)
}

// active fills in the tasks of a run that has not ended, or of which only the engine knows how.
func (p *Page) active(out engine.Outcome, v *RunView) {
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
		m := Member{
			Task: t.Name, Verdict: facts.TaskVerdicts[t.Result], Why: t.Message, Command: t.Command, Exit: t.Exit, Output: t.Output, Began: t.Start,
		}
		if !t.Start.IsZero() && !t.End.IsZero() {
			m.Took = took(int(t.End.Sub(t.Start).Seconds()))
		}
		v.Members = append(v.Members, m)
		for _, name := range t.After {
			if i, ok := index[name]; ok {
				after.After[at] = append(after.After[at], i)
			}
		}
	}
	if len(v.Members) > 1 {
		v.Graph = graphOf(slices.Clone(v.Members), after)
	}
}
