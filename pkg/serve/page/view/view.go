// Package view is how what the page tells looks: what each view is given, and its HTML. The HTML is written in the files
// *.templ, of which templ makes the Go code beside them (make templates): it escapes all that is put in, and calls no
// method by its name, for which the linker would keep each method of each type of the program.
package view

import (
	"cmp"
	"fmt"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/a-h/templ"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/listing"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

// Frame is what is around each view.
type Frame struct {
	Title   string
	Section string // of the navigation
	Query   string // that was looked for last
	Live    bool   // it changes by itself while it is looked at
	Still   bool   // it is not brought up to date: somebody writes in it, or it asks something
	Enters  bool   // who looks may come to act
	Acting  bool   // who looks may do something
	Place   string
	At      time.Time // when what is shown was read; the zero time = nothing was
	Trouble string    // why what is known could not be read again
	Gap     string    // why the history is not known
	View    templ.Component
}

// Pages are the parts of a list, one of which is shown.
type Pages struct {
	This, Last     int
	Before, Behind string // their addresses; "" = there is none
	From, To, All  int
}

// Commit is a commit of a ref.
type Commit struct {
	repo.Ref
	SHA  repo.SHA
	Link string // to what is new; "" = nowhere
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

// UnitList is the first view.
type UnitList struct {
	Rows             []UnitRow
	Pages            Pages
	Problems         []overview.Problem
	More             int // problems
	Troubled, Active int // units, of all
	Never            bool
}

// UnitPage is a unit with all that is known of it.
type UnitPage struct {
	UnitRow
	Acts     []Act
	Problems []overview.Problem
	Graph    *Graph
	Strategy string
	Text     *Reference // nil where it is not known
	Strip    *Strip
	Measures []statistics.Measures
	Active   []RunRow
	Runs     []RunRow
	Pages    Pages
}

// RunRow is a run in a list.
type RunRow struct {
	Name, Unit, Verdict, Why string
	Created                  time.Time
	Seconds                  int
	Manual                   bool
	Refs                     []Commit
	More                     int // refs
}

// RunList is the list of all runs.
type RunList struct {
	Active, Runs []RunRow
	Pages        Pages
}

// RunPage is a run with all that is known of it.
type RunPage struct {
	RunRow
	Acts    []Act
	NoLog   string // why its log is not to be had
	Reason  string
	Seen    time.Time
	By      string
	Refs    []Commit
	Usual   string
	Graph   *Graph
	Members []Member
	Deleted bool // the engine does not have it any more
	Unread  string
}

// RepositoryRow is a repository in the list.
type RepositoryRow struct {
	*config.Repository
	Branches int
	Problem  string
}

// RepositoryList is the list of all repositories.
type RepositoryList struct {
	Rows  []RepositoryRow
	Pages Pages
}

// Branch is a branch of a repository.
type Branch struct {
	Said  explain.Subject
	Known *overview.Branch // nil where it is not remembered
	Link  string
}

// RepositoryPage is a repository with all that is known of it.
type RepositoryPage struct {
	Name     string
	Config   *config.Repository // nil where it is not in the configuration
	URL      string             // to which a browser may be sent; "" = none
	Text     *Reference         // nil where it is not known
	Problems []overview.Problem
	Branches []Branch
	Pages    Pages
	Measures []statistics.Measures
	Strip    *Strip
	Runs     []RunRow
}

// HostList is how the hosts stand.
type HostList struct {
	Hosts []facts.Host
	Asks  bool // this process asks hosts
}

// ReplicaRow is a replica in the list.
type ReplicaRow struct {
	facts.Replica
	Percent int // of the repositories
}

// ReplicaList is who shares the work.
type ReplicaList struct {
	Rows   []ReplicaRow
	Shared bool // among several
	Asks   bool // this process asks hosts
}

// ProblemList is a part of what keeps things from running.
type ProblemList struct {
	Problems []overview.Problem
	Pages    Pages
}

// Matches are what was found.
type Matches struct {
	Query string
	Found []facts.Found
	All   int
}

// Reference leads to a place in the configuration.
type Reference struct {
	Link string
	File string // its name without the folder
	Line int
}

// Note is what is wrong at a line, and what leads there.
type Note struct {
	listing.Note
	At Reference
}

// File is one in the list of those that there are.
type File struct {
	Name, Link string
	This       bool
}

// Text is a part of the text of the configuration.
type Text struct {
	Refused  bool // it cannot be used
	Why      string
	Behind   bool // Why has a text of its own
	Problems []overview.Problem
	Files    []File
	Name     string
	All      int // lines
	Notes    []Note
	More     int // notes
	Lines    []listing.Line
	Pages    Pages
}

// What is shown of a text of others at most, in bytes.
const (
	maxLine   = 400  // that stands on a line of its own
	maxOutput = 2000 // a line of what a command printed
)

func line(text string) string { return oneline.Of(text, maxLine) }

// clean returns a line of what a command printed without what moves a cursor or hides other text.
func clean(text string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text[:min(len(text), maxOutput)])
}

// to returns the address of a view of something that has a name.
func to(kind, name string) templ.SafeURL {
	return templ.SafeURL("/" + kind + "/" + url.PathEscape(name)) // a path of ours
}

// Took returns how long something took; "" = that is not known.
func Took(seconds int) string {
	if seconds == 0 {
		return ""
	}
	return overview.Took(seconds)
}

func tookOrDash(seconds int) string { return orDash(Took(seconds)) }

func orDash(text string) string { return cmp.Or(text, "–") }

func verdictWords(verdict string) string { return cmp.Or(verdict, "no run yet") }

func percent(rate float64) string { return fmt.Sprintf("%.0f %%", 100*rate) }

// Plural returns so many things in words.
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	if thing == "match" {
		return fmt.Sprintf("%d matches", n)
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// current says whether a link of the navigation leads to where one is.
func (f Frame) current(section string) templ.Attributes { return here(f.Section == section) }

// here marks a link to what is shown.
func here(shown bool) templ.Attributes {
	if !shown {
		return nil
	}
	return templ.Attributes{"aria-current": "page"}
}

func (r Reference) words() string { return fmt.Sprintf("%s, line %d", line(r.File), r.Line) }

func rate(m statistics.Measures) string {
	if m.SuccessRate == nil {
		return "–"
	}
	return percent(*m.SuccessRate)
}

func median(s statistics.Spread) int { return s.Median }

func p95(s statistics.Spread) int { return s.P95 }

// spread returns one value of a spread, in words.
func spread(s *statistics.Spread, of func(statistics.Spread) int) string {
	if s == nil {
		return "–"
	}
	return tookOrDash(of(*s))
}

func orWaiting(verdict string) string { return cmp.Or(verdict, "waiting") }

// failed says how a command did; an exit code of 0 is one that is not known.
func failed(exit int) string {
	if exit == 0 {
		return "failed."
	}
	return fmt.Sprintf("failed with exit code %d.", exit)
}

// printed returns what a command printed, cleaned.
func printed(lines []string) string {
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(clean(l))
		b.WriteByte('\n')
	}
	return b.String()
}

// byHand says who asked for a run, where that is known.
func byHand(by string) string {
	if by == "" {
		return "by hand"
	}
	return "by hand, by " + line(by)
}

// notAsked says that a host, or one resource of it, is not asked.
func notAsked(h facts.Host) string {
	if h.Resource == "" {
		return "It is not asked"
	}
	return "It is not asked for " + line(h.Resource)
}
