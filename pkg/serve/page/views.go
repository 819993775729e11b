package page

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
)

// How much of something a view has at most.
const (
	unitsPerPage    = 50
	runsPerPage     = 50
	branchesPerPage = 25
	namesPerPage    = 200
	problemsPerPage = 100
	maxProblems     = 20
	maxFound        = 50
	shortStrip      = 14 // runs
	longStrip       = 60
	fewRefs         = 3 // of a run, in a list
)

// pagesOf returns which part is asked for by ?page=, of so many things.
func pagesOf(r *http.Request, all, each int) view.Pages {
	p := view.Pages{All: all, Last: max(1, (all+each-1)/each)}
	n, err := strconv.Atoi(r.URL.Query().Get("page"))
	if err != nil {
		n = 1
	}
	p.This = min(max(1, n), p.Last)
	p.From, p.To = (p.This-1)*each, min(all, p.This*each)
	to := func(n int) string {
		q := url.Values{}
		for _, name := range []string{"q", "file"} {
			if value := r.URL.Query().Get(name); value != "" {
				q.Set(name, value)
			}
		}
		q.Set("page", strconv.Itoa(n))
		return "?" + q.Encode()
	}
	if p.This > 1 {
		p.Before = to(p.This - 1)
	}
	if p.This < p.Last {
		p.Behind = to(p.This + 1)
	}
	return p
}

// key names a view among those that are kept: what it depends on, and no more, so that nobody fills the room with other spellings.
func key(path string, p view.Pages) string { return path + "?" + strconv.Itoa(p.This) }

// knowing has a view answer with what is known, or says why nothing is.
func (p *Page) knowing(answer func(s *shown, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := p.look(r.Context())
		if err != nil {
			w.Header().Set("Retry-After", "10")
			p.trouble(w, r, http.StatusServiceUnavailable, "What Sentry knows cannot be read: "+p.hide(err.Error()))
			return
		}
		answer(s, w, p.recognise(r))
	}
}

func (p *Page) rowOf(s *shown, u *overview.Unit) view.UnitRow {
	row := view.UnitRow{Unit: u, Strip: view.StripOf(s.OfUnit(u.Unit, 0, shortStrip))}
	row.Usual, row.Slow = usual(u)
	for _, h := range u.Heads[:min(fewRefs, len(u.Heads))] {
		row.Heads = append(row.Heads, p.commit(s, h.Ref, "", h.SHA))
	}
	row.More = len(u.Heads) - len(row.Heads)
	return row
}

// usual returns how long the runs of a unit take, and whether the newest took more than half as long again.
func usual(u *overview.Unit) (string, bool) {
	if u.Week == nil || u.Week.Duration == nil {
		return "", false
	}
	median := u.Week.Duration.Median
	return overview.Took(median), u.Week.Duration.Samples > 2 && u.Seconds > median*3/2 && u.Seconds > median+10
}

// commit returns a commit with the link to what is new in it since another one; "" = only it.
func (p *Page) commit(s *shown, ref repo.Ref, since, sha repo.SHA) view.Commit {
	return view.Commit{Ref: ref, SHA: sha, Link: p.link(s.Facts, ref.Repository, since, sha)}
}

func (p *Page) units(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Status.Units), unitsPerPage)
	p.write(w, r, s, key("/", pages), func() view.Frame {
		v := view.UnitList{Pages: pages, Troubled: s.Troubled, Active: s.Active, Never: s.Snapshot.Epoch == ""}
		for _, u := range s.Units(pages.From, pages.To-pages.From) {
			v.Rows = append(v.Rows, p.rowOf(s, u))
		}
		problems := newestFirst(s)
		v.Problems = problems[:min(maxProblems, len(problems))]
		v.More = len(problems) - len(v.Problems)
		return view.Frame{Title: counted(s.Troubled, "Units"), Section: "units", View: view.Units(v)}
	})
}

func counted(n int, title string) string {
	if n == 0 {
		return title
	}
	return "(" + strconv.Itoa(n) + ") " + title
}

func (p *Page) rowOfResult(s *shown, x *result.Result) view.RunRow {
	row := view.RunRow{Name: x.Name, Unit: x.Unit, Verdict: string(x.Verdict), Why: x.Why, Created: x.Created, Seconds: x.Seconds, Manual: x.Manual}
	for _, ref := range x.Refs[:min(fewRefs, len(x.Refs))] {
		row.Refs = append(row.Refs, p.commit(s, ref.Ref, s.Before(x, ref.Ref), ref.SHA))
	}
	row.More = len(x.Refs) - len(row.Refs)
	return row
}

// activeRows are the runs that have not ended, newest first, of a unit or, with "", of all.
func (p *Page) activeRows(s *shown, unit string) []view.RunRow {
	var rows []view.RunRow
	for _, x := range slices.Backward(s.Runs) {
		if x.Active && (unit == "" || x.Unit == unit) && len(rows) < runsPerPage {
			rows = append(rows, p.rowOfRun(s, &x))
		}
	}
	return rows
}

func (p *Page) rowOfRun(s *shown, x *engine.Run) view.RunRow {
	row := view.RunRow{Name: x.Name, Unit: x.Unit, Verdict: overview.Active, Created: x.Created, Manual: x.Trigger.Manual != ""}
	if x.Pending {
		row.Verdict = overview.HeldBack
	}
	for _, c := range x.Trigger.Refs[:min(fewRefs, len(x.Trigger.Refs))] {
		row.Refs = append(row.Refs, p.commit(s, c.Ref, c.Old, c.New))
	}
	row.More = len(x.Trigger.Refs) - len(row.Refs)
	return row
}

func (p *Page) rows(s *shown, results []*result.Result) []view.RunRow {
	rows := make([]view.RunRow, len(results))
	for i, x := range results {
		rows[i] = p.rowOfResult(s, x)
	}
	return rows
}

func (p *Page) unit(s *shown, w http.ResponseWriter, r *http.Request) {
	u, ok := s.Unit(r.PathValue("unit"))
	if !ok {
		p.trouble(w, r, http.StatusNotFound, "Nothing is known of such a unit.")
		return
	}
	pages := pagesOf(r, s.Ended(u.Unit), runsPerPage)
	p.write(w, r, s, key("/unit/"+u.Unit, pages), func() view.Frame {
		v := view.UnitPage{UnitRow: p.rowOf(s, u), Problems: s.Problems(u.Unit), Strip: view.StripOf(s.OfUnit(u.Unit, 0, longStrip)), Pages: pages}
		group, members := s.Members(u.Unit)
		v.Text = textOf(s.Facts, group.Name, u)
		v.Acts = actsOfUnit(s, u, group.Name, visitorOf(r))
		if len(members) > 0 {
			v.Strategy = string(group.Strategy)
			v.Graph = graphOfGroup(s.Facts, u, group, members)
		}
		v.Measures = s.Statistics().Units[u.Unit]
		v.Active = p.activeRows(s, u.Unit)
		v.Runs = p.rows(s, s.OfUnit(u.Unit, pages.From, pages.To-pages.From))
		return view.Frame{Title: u.Unit, Section: "units", View: view.Unit(v)}
	})
}

func (p *Page) runs(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Results), runsPerPage)
	p.write(w, r, s, key("/runs", pages), func() view.Frame {
		v := view.RunList{Pages: pages}
		if pages.This == 1 {
			v.Active = p.activeRows(s, "")
		}
		for i := pages.From; i < pages.To; i++ {
			v.Runs = append(v.Runs, p.rowOfResult(s, &s.Results[i]))
		}
		return view.Frame{Title: "Runs", Section: "runs", View: view.Runs(v)}
	})
}

func (p *Page) repositories(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Config.Repositories), namesPerPage)
	p.write(w, r, s, key("/repositories", pages), func() view.Frame {
		v := view.RepositoryList{Pages: pages}
		for i := pages.From; i < pages.To; i++ {
			c := &s.Config.Repositories[i]
			one := view.RepositoryRow{Repository: c, Branches: len(s.Branches(c.Name))}
			if problem := s.Snapshot.Repositories[c.Name].Problem; problem != nil {
				one.Problem = problem.Kind
			}
			v.Rows = append(v.Rows, one)
		}
		return view.Frame{Title: "Repositories", Section: "repositories", View: view.Repositories(v)}
	})
}

func (p *Page) repository(s *shown, w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("repository")
	c, watched := s.Repository(name)
	_, remembered := s.Snapshot.Repositories[name]
	if !watched && !remembered {
		p.trouble(w, r, http.StatusNotFound, "Nothing is known of such a repository.")
		return
	}
	var refs []repo.Ref
	if watched {
		refs, _ = s.Named(name) // without a branch there is nothing to say
	} else {
		for _, b := range s.Branches(name) {
			refs = append(refs, b.Ref)
		}
	}
	pages := pagesOf(r, len(refs), branchesPerPage)
	p.write(w, r, s, key("/repository/"+name, pages), func() view.Frame {
		v := view.RepositoryPage{
			Name: name, Config: c, Problems: s.Problems(name), Pages: pages, Measures: s.Statistics().Repositories[name],
			Strip: view.StripOf(s.OfRepository(name, 0, longStrip)), Runs: p.rows(s, s.OfRepository(name, 0, 10)),
		}
		if watched && isWeb(c.Monitor.URL) {
			v.URL = c.Monitor.URL
		}
		v.Text = textOf(s.Facts, "", nil, name)
		known := map[repo.Ref]overview.Branch{}
		for _, b := range s.Branches(name) {
			known[b.Ref] = b
		}
		for _, ref := range refs[pages.From:pages.To] {
			one := view.Branch{Said: explain.Subject{Ref: ref}}
			if watched {
				one.Said = s.Explain(ref)
			}
			if b, ok := known[ref]; ok {
				one.Known, one.Link = &b, p.link(s.Facts, name, "", b.SHA)
			}
			v.Branches = append(v.Branches, one)
		}
		return view.Frame{Title: name, Section: "repositories", View: view.Repository(v)}
	})
}

// isWeb reports whether a browser may be sent to an address.
func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func (p *Page) hosts(s *shown, w http.ResponseWriter, r *http.Request) {
	v := view.HostList{Asks: s.Hosts != nil}
	if v.Asks {
		v.Hosts = s.Hosts()
	}
	p.write(w, r, s, "", func() view.Frame {
		return view.Frame{Title: "Hosts", Section: "hosts", Live: true, View: view.Hosts(v)}
	})
}

func (p *Page) replicas(s *shown, w http.ResponseWriter, r *http.Request) {
	v := view.ReplicaList{Shared: s.Peers != nil, Asks: s.Hosts != nil}
	for _, x := range s.Replicas() {
		one := view.ReplicaRow{Replica: x}
		if all := len(s.Config.Repositories); all > 0 {
			one.Percent = (100*x.Repositories + all/2) / all
		}
		v.Rows = append(v.Rows, one)
	}
	p.write(w, r, s, "", func() view.Frame {
		return view.Frame{Title: "Replicas", Section: "replicas", Live: true, View: view.Replicas(v)}
	})
}

// newestFirst returns what keeps things from running.
func newestFirst(s *shown) []overview.Problem {
	problems := slices.Clone(s.Status.Problems)
	slices.SortStableFunc(problems, func(a, b overview.Problem) int { return b.Since.Compare(a.Since) })
	return problems
}

func (p *Page) problems(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Status.Problems), problemsPerPage)
	p.write(w, r, s, key("/problems", pages), func() view.Frame {
		v := view.ProblemList{Problems: newestFirst(s)[pages.From:pages.To], Pages: pages}
		return view.Frame{Title: counted(pages.All, "Problems"), Section: "units", View: view.Problems(v)}
	})
}

func (p *Page) search(s *shown, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("q")
	query = query[:min(len(query), facts.MaxQuery)]
	found, all := s.Find(query, maxFound)
	p.write(w, r, s, "", func() view.Frame {
		return view.Frame{Title: "Find", Query: query, Live: true, View: view.Search(view.Matches{Query: query, Found: found, All: all})}
	})
}
