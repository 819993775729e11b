package page

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

// How much of something a view has at most.
const (
	unitsPerPage    = 50
	runsPerPage     = 50
	branchesPerPage = 25
	namesPerPage    = 200
	maxProblems     = 20
	maxFound        = 50
	shortStrip      = 14 // runs
	longStrip       = 60
	fewRefs         = 3 // of a run, in a list
)

// Pages are the parts of a list, one of which is shown.
type Pages struct {
	This, Last     int
	Before, Behind string // their addresses; "" = there is none
	From, To, All  int
}

// pagesOf returns which part is asked for by ?page=, of so many things.
func pagesOf(r *http.Request, all, each int) Pages {
	p := Pages{All: all, Last: max(1, (all+each-1)/each)}
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
func (p Pages) key(path string) string { return path + "?" + strconv.Itoa(p.This) }

// knowing has a view answer with what is known, or says why nothing is.
func (p *Page) knowing(answer func(s *shown, w http.ResponseWriter, r *http.Request)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		s, err := p.look(r.Context())
		if err != nil {
			w.Header().Set("Retry-After", "10")
			p.trouble(w, r, http.StatusServiceUnavailable, "What Sentry knows cannot be read: "+p.hide(err.Error()))
			return
		}
		answer(s, w, r)
	}
}

// UnitRow is a unit in the list.
type UnitRow struct {
	*overview.Unit
	Heads []Commit
	More  int // heads
	Strip *Strip
	Usual string // how long its runs take usually; "" = not known
	Slow  bool   // the newest took much longer
}

func (p *Page) rowOf(s *shown, u *overview.Unit) UnitRow {
	row := UnitRow{Unit: u, Strip: stripOf(s.OfUnit(u.Unit, 0, shortStrip))}
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

// Commit is a commit of a ref.
type Commit struct {
	repo.Ref
	SHA  repo.SHA
	Link string // to what is new; "" = nowhere
}

// commit returns a commit with the link to what is new in it since another one; "" = only it.
func (p *Page) commit(s *shown, ref repo.Ref, since, sha repo.SHA) Commit {
	return Commit{ref, sha, p.link(s.Facts, ref.Repository, since, sha)}
}

func (p *Page) units(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Status.Units), unitsPerPage)
	p.write(w, r, s, "units", pages.key("/"), func() (frame, error) {
		v := struct {
			Rows     []UnitRow
			Pages    Pages
			Problems []overview.Problem
			More     int
			Never    bool
		}{Pages: pages, Never: s.Snapshot.Epoch == ""}
		for _, u := range s.Units(pages.From, pages.To-pages.From) {
			v.Rows = append(v.Rows, p.rowOf(s, u))
		}
		problems := slices.Clone(s.Status.Problems)
		slices.SortStableFunc(problems, func(a, b overview.Problem) int { return b.Since.Compare(a.Since) })
		v.Problems = problems[:min(maxProblems, len(problems))]
		v.More = len(problems) - len(v.Problems)
		return frame{Title: counted(s.Troubled, "Units"), Section: "units", View: v}, nil
	})
}

func counted(n int, title string) string {
	if n == 0 {
		return title
	}
	return "(" + strconv.Itoa(n) + ") " + title
}

// RunRow is a run in a list.
type RunRow struct {
	Name, Unit, Verdict, Why string
	Created                  time.Time
	Seconds                  int
	Manual                   bool
	Refs                     []Commit
	More                     int // refs
	Failed                   []string
}

func (p *Page) rowOfResult(s *shown, x *result.Result) RunRow {
	row := RunRow{Name: x.Name, Unit: x.Unit, Verdict: string(x.Verdict), Why: x.Why, Created: x.Created, Seconds: x.Seconds, Manual: x.Manual}
	for _, ref := range x.Refs[:min(fewRefs, len(x.Refs))] {
		row.Refs = append(row.Refs, p.commit(s, ref.Ref, s.Before(x, ref.Ref), ref.SHA))
	}
	row.More = len(x.Refs) - len(row.Refs)
	for _, m := range x.Members {
		if m.Verdict == result.Failed || m.Verdict == result.TimedOut {
			row.Failed = append(row.Failed, m.Task)
		}
	}
	return row
}

// activeRows are the runs that have not ended, newest first, of a unit or, with "", of all.
func (p *Page) activeRows(s *shown, unit string) []RunRow {
	var rows []RunRow
	for _, x := range slices.Backward(s.Runs) {
		if x.Active && (unit == "" || x.Unit == unit) && len(rows) < runsPerPage {
			rows = append(rows, p.rowOfRun(s, &x))
		}
	}
	return rows
}

func (p *Page) rowOfRun(s *shown, x *engine.Run) RunRow {
	row := RunRow{Name: x.Name, Unit: x.Unit, Verdict: overview.Active, Created: x.Created, Manual: x.Trigger.Manual != ""}
	if x.Pending {
		row.Verdict = overview.HeldBack
	}
	for _, c := range x.Trigger.Refs[:min(fewRefs, len(x.Trigger.Refs))] {
		row.Refs = append(row.Refs, p.commit(s, c.Ref, c.Old, c.New))
	}
	row.More = len(x.Trigger.Refs) - len(row.Refs)
	return row
}

func (p *Page) rows(s *shown, results []*result.Result) []RunRow {
	rows := make([]RunRow, len(results))
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
	p.write(w, r, s, "unit", pages.key("/unit/"+u.Unit), func() (frame, error) {
		v := struct {
			UnitRow
			Problems []overview.Problem
			Graph    *Graph
			Strategy string
			Text     *Reference
			Strip    *Strip
			Measures []statistics.Measures
			Active   []RunRow
			Runs     []RunRow
			Pages    Pages
		}{UnitRow: p.rowOf(s, u), Problems: s.Problems(u.Unit), Strip: stripOf(s.OfUnit(u.Unit, 0, longStrip)), Pages: pages}
		group, members := s.Members(u.Unit)
		v.Text = textOf(s.Facts, group.Name, u)
		if len(members) > 0 {
			v.Strategy = string(group.Strategy)
			v.Graph = graphOfGroup(s.Facts, u, group, members)
		}
		v.Measures = s.Statistics().Units[u.Unit]
		v.Active = p.activeRows(s, u.Unit)
		v.Runs = p.rows(s, s.OfUnit(u.Unit, pages.From, pages.To-pages.From))
		return frame{Title: u.Unit, Section: "units", View: v}, nil
	})
}

func (p *Page) runs(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Results), runsPerPage)
	p.write(w, r, s, "runs", pages.key("/runs"), func() (frame, error) {
		v := struct {
			Active, Runs []RunRow
			Pages        Pages
		}{Pages: pages}
		if pages.This == 1 {
			v.Active = p.activeRows(s, "")
		}
		for i := pages.From; i < pages.To; i++ {
			v.Runs = append(v.Runs, p.rowOfResult(s, &s.Results[i]))
		}
		return frame{Title: "Runs", Section: "runs", View: v}, nil
	})
}

func (p *Page) repositories(s *shown, w http.ResponseWriter, r *http.Request) {
	pages := pagesOf(r, len(s.Config.Repositories), namesPerPage)
	p.write(w, r, s, "repositories", pages.key("/repositories"), func() (frame, error) {
		type row struct {
			*config.Repository
			Branches int
			Problem  string
		}
		v := struct {
			Rows  []row
			Pages Pages
		}{Pages: pages}
		for i := pages.From; i < pages.To; i++ {
			c := &s.Config.Repositories[i]
			one := row{Repository: c, Branches: len(s.Branches(c.Name))}
			if problem := s.Snapshot.Repositories[c.Name].Problem; problem != nil {
				one.Problem = problem.Kind
			}
			v.Rows = append(v.Rows, one)
		}
		return frame{Title: "Repositories", Section: "repositories", View: v}, nil
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
	p.write(w, r, s, "repository", pages.key("/repository/"+name), func() (frame, error) {
		type branch struct {
			Said  explain.Subject
			Known *overview.Branch // nil where it is not remembered
			Link  string
		}
		v := struct {
			Name     string
			Config   *config.Repository
			URL      string
			Text     *Reference
			Problems []overview.Problem
			Branches []branch
			Pages    Pages
			Measures []statistics.Measures
			Strip    *Strip
			Runs     []RunRow
		}{
			Name: name, Config: c, Problems: s.Problems(name), Pages: pages, Measures: s.Statistics().Repositories[name],
			Strip: stripOf(s.OfRepository(name, 0, longStrip)), Runs: p.rows(s, s.OfRepository(name, 0, 10)),
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
			one := branch{Said: explain.Subject{Ref: ref}}
			if watched {
				one.Said = s.Explain(ref)
			}
			if b, ok := known[ref]; ok {
				one.Known, one.Link = &b, p.link(s.Facts, name, "", b.SHA)
			}
			v.Branches = append(v.Branches, one)
		}
		return frame{Title: name, Section: "repositories", View: v}, nil
	})
}

// isWeb reports whether a browser may be sent to an address.
func isWeb(address string) bool {
	u, err := url.Parse(address)
	return err == nil && u.User == nil && (u.Scheme == "https" || u.Scheme == "http")
}

func (p *Page) hosts(s *shown, w http.ResponseWriter, r *http.Request) {
	v := struct {
		Hosts []facts.Host
		Asks  bool
	}{Asks: s.Hosts != nil}
	if v.Asks {
		v.Hosts = s.Hosts()
	}
	p.write(w, r, s, "hosts", "", func() (frame, error) {
		return frame{Title: "Hosts", Section: "hosts", Live: true, View: v}, nil
	})
}

func (p *Page) search(s *shown, w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query().Get("q")
	query = query[:min(len(query), facts.MaxQuery)]
	found, all := s.Find(query, maxFound)
	f := frame{Title: "Find", Query: query, Live: true, View: struct {
		Found []facts.Found
		All   int
	}{found, all}}
	p.write(w, r, s, "search", "", func() (frame, error) { return f, nil })
}
