package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Make compares what was observed with what is remembered, ref by ref:
//
//	remembered        | observed           | event      | what follows
//	------------------+--------------------+------------+------------------------------------------------
//	no such repository| its heads          | first seen | remembered; on_first_seen: deploy: run, N=floor+1
//	no tags by        | a tag that none of | first seen | remembered
//	patterns, or by   | those matches      |            |
//	other ones        |                    |            |
//	all tags were lost| tags               | first seen | remembered, N=floor
//	at once           |                    |            |
//	no such branch    | its head           | new branch | run, N=floor+1, no old SHA
//	SHA               | the same SHA       |            | nothing
//	SHA, N            | another SHA        | moved      | run, N+1; forwards or back is all the same
//	SHA, N, redo      | any head           | moved      | run, N+1
//	SHA               | a head passed over | ignored    | remembered beside the SHA, from which the next run goes on
//	no such branch    | a head passed over | ignored    | remembered as at first sight
//	SHA, missing once | any head           |            | no longer missing; the SHA as above
//	SHA               | no such branch     | missing    | remembered as missing once
//	SHA, missing once | no such branch     | forgotten  | forgotten: only its N stays
//	SHA               | nothing matches it |            | the same, as it is no longer configured
//	forgotten, N      | its head           | new branch | as above; the floor counts as N at least
//	forgotten, N      | no such branch     |            | the floor is N at least, and nothing else stays
//	anything          | nothing yet        |            | nothing
//	no problem        | an error           | failing    | the problem is remembered
//	problem           | error of that kind |            | nothing
//	problem           | error of another   | failing    | the problem is remembered
//	problem           | heads              | recovered  | no problem; the heads as above
//	SHA               | not configured     |            | only the highest N stays, as the floor
//	SHA of another    | any head           | first seen | the same, and as of a repository that was never seen
//	that was found    |                    |            |
//	anything          | more heads than    | failing    | as an error
//	                  | its share holds    |            |
//	as much as its    | other heads that   | failing    | as heads, without new branches until those that are
//	share holds       | its share holds    |            | missing are forgotten
//
// A repository's share of the state is what state.Repository.Fits says. It counts all that the entry would hold: what
// is observed, and what is remembered beside it, also of branches that are missing or forgotten.
//
// A ref for which a run follows stays in Plan.Snapshot as it was: Run.Remember advances it once the run
// exists. Until then every plan finds the change again and gives its run the same name.
//
// Recover takes the runs up to the floor for those of forgotten branches. So the floor, by which a new branch gets
// its N, must not rise in the same cycle in which another Sentry, by mistake on the same state, gives a new branch that
// N and its run is not remembered. That is why the N of a forgotten branch counts for new ones at once and goes
// to the floor one good answer later, and why neither happens while the repository has a new branch waiting
// to run.
//
// What was found comes and goes with a list that replicas read one after the other, and they share one snapshot. Config.Decides says
// whose word counts: by an older list than that of the snapshot, or by files that the one who asks the hosts does not have, nothing is
// taken up that was found and nothing at all is dropped. Two that decide by the same list know the same repositories. So what
// one takes up another drops only by a newer list.
//
// The changes of one unit are one run. In a group they all get the N after the highest of all members. In a
// group:
//
//	member          | deploy: all (default)                        | deploy: changed
//	----------------+----------------------------------------------+----------------
//	changed         | one task for each of its changed branches    | the same
//	unchanged       | its first configured branch, at its head     | no task
//	cannot be read  | the same, at the SHA that is remembered      | no task
//	nothing known   | left out, and the run says so                | no task
//	no answer yet   | the whole run has to wait for the answer     | the same
//	not asked       | as if it could not be read; where nothing is | no task; the same
//	                | known the whole run has to wait              |
//
// The first configured branch is the first one, sorted by name, that matches the first entry of `branches`
// which matches any. Everything comes in the order of the file, refs of one repository sorted by branch.
func Make(in Input) Plan {
	p := planner{Input: in, next: in.Snapshot, decides: in.Config.Decides(in.Snapshot.Found)}
	p.dropOthers()
	for i := range in.Config.Repositories {
		p.look(i)
	}
	if p.decides && in.Config.Forgets() {
		p.dropUnconfigured()
	}
	runs := p.runs()
	if len(runs) > 0 {
		p.own() // for Remember
	}
	p.dropProblems(runs)
	return Plan{Runs: runs, Snapshot: p.next, Events: p.events}
}

// planner is a Make at work.
type planner struct {
	Input
	next    state.Snapshot
	decides bool                // what was found may be taken up, and what is not configured be dropped
	owned   bool                // next is a fork of Snapshot
	edited  map[string]bool     // repositories whose branches in next are its own
	due     map[string][]Change // by repository, sorted by branch; only of repositories with changes
	events  []Event
}

// own makes next writable. An idle cycle, which is nearly all of them, never copies the snapshot.
func (p *planner) own() {
	if !p.owned {
		p.next, p.owned = p.next.Fork(), true
	}
}

// edit changes what will be remembered of a repository.
func (p *planner) edit(name string, change func(*state.Repository)) {
	p.own()
	r := p.next.Repositories[name]
	if !p.edited[name] {
		r.Branches = r.Branches.Clone()
		if p.edited == nil {
			p.edited = make(map[string]bool)
		}
		p.edited[name] = true
	}
	change(&r)
	p.next.Repositories[name] = r
}

func (p *planner) notice(kind EventKind, ref repo.Ref, from, to repo.SHA, detail string) {
	p.events = append(p.events, Event{Kind: kind, Ref: ref, From: from, To: to, Detail: detail})
}

// errNoHeads stands for a good answer without any head, which package githost promises not to give: taken
// at its word it would delete all branches.
var errNoHeads = errors.New("the host answered without an error and without a branch")

// errNoAnswer stands for a repository whose answer is still to come, or will not come in this cycle, while nothing is
// known to be wrong with it. It counts as unchanged and not as failing.
var errNoAnswer = errors.New("the host has not answered")

// errDamaged stands for what is remembered of a repository and cannot be read: whatever its heads are, it is
// not known which of them were acted upon.
type errDamaged struct{}

func (errDamaged) Error() string       { return "what is remembered of the repository cannot be read" }
func (errDamaged) ProblemKind() string { return state.Unreadable }

// failure returns why the repository's heads are not known, or nil when they are.
func (p *planner) failure(i int) error {
	switch o := p.Observed[i]; {
	case p.Snapshot.Repositories[p.Config.Repositories[i].Name].Damaged != nil:
		return errDamaged{}
	case o.Status == repo.Pending, o.Status == repo.Skipped, o.Status == repo.Late && p.Snapshot.Seen(p.Config.Repositories[i].Name):
		return errNoAnswer
	case p.early(i):
		return errNoAnswer
	case o.Err != nil:
		return o.Err
	case len(o.Heads) == 0 && len(p.Config.Repositories[i].Monitor.Branches.Branches()) > 0:
		return errNoHeads
	}
	return share(p.Snapshot.Repositories[p.Config.Repositories[i].Name], p.Observed[i].Heads)
}

// early reports whether the repository was found, is not known yet, and must not become so by this configuration.
func (p *planner) early(i int) bool {
	r := &p.Config.Repositories[i]
	return r.ID != "" && !p.decides && !p.Snapshot.Seen(r.Name)
}

// look plans one repository.
func (p *planner) look(i int) {
	r := &p.Config.Repositories[i]
	was, known := p.Snapshot.Repositories[r.Name]
	was.Unseen = was.Unseen || !known
	err := p.failure(i)
	if err != nil && !errors.Is(err, errNoAnswer) {
		p.fail(r, was, err)
	}
	if err != nil && !crowded(err) {
		return
	}
	if err == nil && was.Problem != nil {
		p.edit(r.Name, func(now *state.Repository) { now.Problem = nil })
		p.notice(Recovered, repo.Ref{Repository: r.Name}, "", "", was.Problem.Kind)
	}
	if err == nil && r.ID != "" && was.Of != r.ID && p.decides {
		p.edit(r.Name, func(now *state.Repository) { now.Of = r.ID })
	}
	changes, found := p.changes(r, was, p.Observed[i].Heads)
	if err != nil {
		changes = slices.DeleteFunc(changes, func(c Change) bool { return c.Old == "" })
	}
	if err == nil {
		changes = p.firstSight(r, was, changes, p.Observed[i].Requests)
	}
	changes = p.pass(r.Name, was, p.Observed[i], changes)
	added := false
	for _, c := range changes {
		kind := Moved
		if c.Old == "" {
			kind, added = NewBranch, true
		}
		p.notice(kind, c.Ref, c.Old, c.New, "")
	}
	if len(changes) > 0 {
		if p.due == nil {
			p.due = make(map[string][]Change)
		}
		p.due[r.Name] = changes
	}
	if found < was.Branches.Len() && p.Observed[i].Status == repo.Fresh {
		p.lose(r, was, i, added)
	}
}

// changes returns the heads that differ from what is remembered, sorted by branch, and how many of the
// remembered branches there are among all heads.
func (p *planner) changes(r *config.Repository, was state.Repository, heads map[string]repo.SHA) (changes []Change, found int) {
	fresh := was.LastForgotten()
	for branch, sha := range heads {
		if _, ok := was.Branches.Lookup(branch); ok {
			found++
		}
		n := fresh
		b, ok := was.Branch(branch)
		if ok {
			n = b.N
			if b.Missing > 0 {
				p.edit(r.Name, func(now *state.Repository) {
					b := now.Branches.Get(branch)
					b.Missing = 0
					now.Branches.Set(branch, b)
				})
			}
		}
		if b.Due(sha) {
			changes = append(changes, Change{Ref: repo.Ref{Repository: r.Name, Branch: branch}, N: n + 1, Old: b.SHA, New: sha, Of: r.ID})
		}
	}
	slices.SortFunc(changes, func(a, b Change) int { return a.Ref.Compare(b.Ref) })
	return changes, found
}

// pass remembers the heads that run nothing, and returns the other changes. What there is no room for runs.
func (p *planner) pass(name string, was state.Repository, o repo.Observation, changes []Change) []Change {
	if len(o.Passed) == 0 {
		return changes
	}
	return slices.DeleteFunc(changes, func(c Change) bool {
		why := o.Passed[c.Branch]
		if why == "" || !was.FitsPassed(o.Heads, len(o.Passed)) {
			return false
		}
		p.edit(name, func(now *state.Repository) {
			if c.Old == "" {
				now.Remember(c.Branch, c.New, c.N-1, p.Now)
				return
			}
			now.Branches.Set(c.Branch, now.Branches.Get(c.Branch).PassedOver(c.New, why, p.Now))
		})
		p.notice(EventKind(why), c.Ref, c.Old, c.New, "")
		return true
	})
}

// firstSight remembers the heads that are seen for the first time, and returns the changes: those of a repository that was never
// seen, and tags and requests by patterns by which nobody looked. A new one by patterns by which somebody did is a change.
func (p *planner) firstSight(r *config.Repository, was state.Repository, heads []Change, requests map[string]repo.Request) (changes []Change) {
	if memo := r.Monitor.Branches.Sighted().Memo(); was.Unseen || memo != was.Tags {
		// From here on the repository is a known one, whether or not its first runs come about.
		p.edit(r.Name, func(now *state.Repository) { now.Unseen, now.Tags, now.Tagged = false, memo, now.HasTags() })
	}
	if len(heads) == 0 && !was.Unseen {
		return nil // as in nearly all looks
	}
	old := was.Old(r.Monitor.Branches, requests)
	var record []Change
	for _, c := range heads {
		_, tag := repo.Tag(c.Branch)
		// Of what is forgotten nothing counts but its N.
		if _, known := was.Branch(c.Branch); !known && old(c.Branch) && (tag || p.Config.Global.OnFirstSeen != config.DeployFirst) {
			record = append(record, c)
		} else {
			changes = append(changes, c)
		}
	}
	if len(record) > 0 || was.Unseen && len(changes) == 0 {
		p.record(r.Name, record)
	}
	return changes
}

// record remembers heads that nothing runs for.
func (p *planner) record(name string, heads []Change) {
	p.edit(name, func(now *state.Repository) {
		now.Branches.Grow(len(heads))
		for _, c := range heads {
			now.Remember(c.Branch, c.New, c.N-1, p.Now)
		}
	})
	p.notice(FirstSeen, repo.Ref{Repository: name}, "", "", someOf(heads))
}

// someOf returns the first few heads for people, and how many others there are, as a first cycle sees all repositories.
func someOf(heads []Change) string {
	const few = 5
	var text strings.Builder
	for i, c := range heads {
		switch {
		case i == few && len(heads) > few+1:
			fmt.Fprintf(&text, " and %d more", len(heads)-few)
			return text.String()
		case i > 0:
			text.WriteByte(' ')
		}
		text.WriteString(c.Branch + "@" + c.New.Short())
	}
	return text.String()
}

// lose plans the remembered branches of a repository that are not in a good answer. added says that a new
// branch has yet to run.
func (p *planner) lose(r *config.Repository, was state.Repository, i int, added bool) {
	tags, forgotten := 0, 0 // which the answer forgets; those of them that are watched
	for branch, b := range was.Branches.All() {
		if _, ok := p.Observed[i].Heads[branch]; ok {
			continue
		}
		ref := repo.Ref{Repository: r.Name, Branch: branch}
		configured := r.Monitor.Branches.Match(branch)
		switch {
		case configured && b.Missing == 0:
			b.Missing = 1
			p.edit(r.Name, func(now *state.Repository) { now.Branches.Set(branch, b) })
			p.notice(Missing, ref, b.SHA, "", "")
		case added:
		case !b.Forgotten():
			b.Missing = 2
			p.edit(r.Name, func(now *state.Repository) { now.Branches.Set(branch, b) })
			_, tag := repo.Tag(branch)
			if tag {
				tags++
			}
			if configured {
				p.notice(Forgotten, ref, b.SHA, "", "")
				if tag {
					forgotten++
				}
			}
		default:
			p.edit(r.Name, func(now *state.Repository) {
				now.Branches.Delete(branch)
				now.Floor = max(now.Floor, b.N)
			})
		}
	}
	if tags > 0 && forgotten < 2 {
		p.edit(r.Name, func(now *state.Repository) { now.Tagged = now.HasTags() })
	}
}

// fail notes why a repository cannot be read, unless that is known.
func (p *planner) fail(r *config.Repository, was state.Repository, err error) {
	kind := problemKind(err)
	if was.Problem != nil && was.Problem.Kind == kind {
		return
	}
	problem := state.NewProblem(kind, err.Error(), p.Now)
	p.edit(r.Name, func(now *state.Repository) {
		now.Unseen = was.Unseen
		now.Problem = &problem
	})
	p.notice(Failing, repo.Ref{Repository: r.Name}, "", "", problem.Message)
}

// dropUnconfigured shrinks what is remembered of repositories that are not in the configuration to their
// highest N. When one of them comes back it is seen for the first time, and never plans the name of an
// earlier run.
func (p *planner) dropUnconfigured() {
	if len(p.Config.Repositories) == 0 {
		return
	}
	configured := 0
	for i := range p.Config.Repositories {
		if _, ok := p.Snapshot.Repositories[p.Config.Repositories[i].Name]; ok {
			configured++
		}
	}
	if configured == len(p.Snapshot.Repositories) {
		return
	}
	names := make(map[string]bool, len(p.Config.Repositories))
	for i := range p.Config.Repositories {
		names[p.Config.Repositories[i].Name] = true
	}
	for name, was := range p.Snapshot.Repositories {
		switch {
		case names[name]:
		case was.Damaged != nil: // stays until a person looks at it
		case was.Highest() == 0:
			p.own()
			delete(p.next.Repositories, name)
		case !was.Unseen || was.Problem != nil:
			p.own()
			p.next.Repositories[name] = was.Forget()
		}
	}
}

// dropOthers has nothing planned with what is remembered of another repository that was found and had the name of one that is
// configured, and drops it as dropUnconfigured does.
func (p *planner) dropOthers() {
	var others map[string]state.Repository
	for i := range p.Config.Repositories {
		r := &p.Config.Repositories[i]
		if r.ID == "" { // as nearly all are
			continue
		}
		if was := p.Snapshot.Repositories[r.Name]; was.Of != "" && was.Of != r.ID && was.Damaged == nil {
			if others == nil {
				others = map[string]state.Repository{}
			}
			others[r.Name] = was.Forget()
		}
	}
	if len(others) == 0 {
		return
	}
	p.Snapshot = p.Snapshot.Fork()
	maps.Copy(p.Snapshot.Repositories, others)
	if p.decides {
		p.own()
		maps.Copy(p.next.Repositories, others)
	}
}

// dropProblems forgets what kept units from running that have nothing to run any more. While a repository
// cannot be read it is not known whether its units have.
func (p *planner) dropProblems(runs []Run) {
	problems := p.Snapshot.Problems()
	if len(problems) == 0 {
		return
	}
	open := map[string]bool{state.Configuration: true} // labels, and starts of labels up to the first dot
	for _, r := range runs {
		open[r.Unit.Label], open[state.More(r.Unit.Label)] = true, true
	}
	for i := range p.Config.Repositories {
		r := &p.Config.Repositories[i]
		switch {
		case p.failure(i) == nil:
		case r.Group != "":
			open[naming.GroupLabel(r.Group)] = true
		default:
			open[r.Name+"."], open[naming.LabelStart(r.Name)] = true, true
		}
	}
	for label := range problems {
		start, _, _ := strings.Cut(label, ".")
		if !open[label] && !open[start+"."] {
			p.own()
			p.next.DropProblem(label)
		}
	}
}
