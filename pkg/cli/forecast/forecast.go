// Package forecast prints what `sentry validate --online` found, and what it predicts.
package forecast

import (
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/online"
)

// PrintValid prints what a valid configuration has, and, unless hosts are asked, that its owners' repositories are not counted.
func PrintValid(out io.Writer, name string, cfg *config.Config, asked bool) error {
	written := len(cfg.Repositories)
	for i := range cfg.Discover {
		written -= cfg.Discover[i].Watched
	}
	_, err := fmt.Fprintf(out, "%s: valid: repositories: %d, groups: %d, polled every %.0f s\n", name, written, len(cfg.Groups), cfg.PollingInterval.Seconds())
	if err == nil && !asked && len(cfg.Discover) > 0 {
		_, err = fmt.Fprintf(out, "discover: owners: %d, whose repositories Sentry knows where it runs\n", len(cfg.Discover))
	}
	return err
}

// Print prints what was read, what watching costs, and what is wrong. Its error says that some repositories cannot be
// read.
func Print(out io.Writer, accounts []*online.Account, cfg *config.Config, log *slog.Logger) error {
	looks := online.Looks(accounts)
	if err := printLooks(out, looks); err != nil {
		return err
	}
	if err := printSpending(out, log, accounts, cfg); err != nil {
		return err
	}
	return report(out, log, looks)
}

func printLooks(out io.Writer, looks []online.Look) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REPOSITORY\tREAD AS\tURL\tBRANCHES\tPROBLEM")
	for _, l := range looks {
		name, problem := l.Name, "-"
		if l.Others > 0 {
			name = fmt.Sprintf("%s and %d more", name, l.Others)
		}
		if l.Err != nil {
			problem = online.KindOf(l.Err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, l.Key, l.Monitor.URL, matches(l), problem)
	}
	return w.Flush()
}

// matches says how many branches each pattern matches.
func matches(l online.Look) string {
	if l.Err != nil {
		return "-"
	}
	counts := make([]string, len(l.Monitor.Branches))
	for i, p := range l.Monitor.Branches {
		counts[i] = fmt.Sprintf("%s: %d", term.Printable(p.String(), ""), l.Count(p))
	}
	return strings.Join(counts, ", ")
}

// printSpending prints what an hour costs each account of what its host counts.
func printSpending(out io.Writer, log *slog.Logger, accounts []*online.Account, cfg *config.Config) error {
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nHOST\tCREDENTIAL\tREPOS\tCOUNTED\tFIRST\tIDLE\tRUN\tAN HOUR\tLIMIT\tUSED")
	for _, a := range accounts {
		for _, s := range a.Spending(cfg) {
			idle, hour, limit, share := "-", "unknown", "unknown", "-"
			if s.Limit > 0 {
				limit = strconv.Itoa(s.Limit)
			}
			if s.Known {
				idle, hour = strconv.Itoa(s.Idle), strconv.Itoa(s.Hour)
			}
			if s.Known && s.Limit > 0 {
				share = fmt.Sprintf("%d%%", s.Hour*100/s.Limit)
				if s.Hour*2 > s.Limit {
					log.Warn("watching would use more than half of the host's limit: raise polling_interval, or split the repositories between credentials",
						"host", a.Host, "credential", a.Credential, "an_hour", s.Hour, "limit", s.Limit)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\t%d\t%s\t%s\t%s\n", a.Host, a.Credential, len(a.Watched), s.Unit, s.First, idle, s.Run, hour, limit, share)
		}
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if slices.ContainsFunc(accounts, func(a *online.Account) bool { return a.Glances(cfg) }) {
		fmt.Fprintln(out, "\nAN HOUR is one in which nothing is pushed. Glances, and the looks at what they name, take a quarter of LIMIT at most.")
	}
	return nil
}

// named is how many repositories with the same trouble are named; of the others it is said how many there are.
const named = 3

// logUnmatched warns of patterns that match no branch: once of each, however many repositories have it.
func logUnmatched(log *slog.Logger, looks []online.Look) {
	missed := make(map[string][]string) // repositories by pattern
	watched := make(map[string]int)
	var patterns []string
	for _, l := range looks {
		if l.Err != nil {
			continue
		}
		for _, p := range l.Monitor.Branches {
			text := p.String()
			watched[text]++
			if l.Count(p) > 0 {
				continue
			}
			if missed[text] == nil {
				patterns = append(patterns, text)
			}
			missed[text] = append(missed[text], l.Name)
		}
	}
	for _, p := range patterns {
		names := strings.Join(missed[p][:min(named, len(missed[p]))], ", ")
		if more := len(missed[p]) - named; more > 0 {
			names += fmt.Sprintf(" and %d more", more)
		}
		if n := watched[p] - len(missed[p]); n > 0 {
			log.Warn("a pattern matches no branch of some repositories that have it", "repo", names, "pattern", p, "elsewhere", n)
		} else {
			log.Warn("a pattern matches no branch: is it spelt right?", "repo", names, "pattern", p)
		}
	}
}

// report tells what is wrong and how to mend it.
func report(out io.Writer, log *slog.Logger, looks []online.Look) error {
	logUnmatched(log, looks)
	failed := 0
	out = term.Screen{Writer: out}
	for _, t := range online.Troubles(looks) {
		failed += len(t.Looks)
		fmt.Fprintln(out)
		for _, l := range t.Looks[:min(named, len(t.Looks))] {
			fmt.Fprintf(out, "%s, %s %s\n", l.Name, l.Key, l.Monitor.URL)
		}
		if more := len(t.Looks) - named; more > 0 {
			fmt.Fprintf(out, "and %d more\n", more)
		}
		fmt.Fprintf(out, "  %s\n", t.Text)
		if t.Remedy != "" {
			fmt.Fprintf(out, "  to mend it: %s\n", t.Remedy)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d repositories cannot be read", failed, len(looks))
	}
	return nil
}

// PrintFound prints of each entry of discover what its owner has. Its error says that some hosts do not tell.
func PrintFound(out io.Writer, known *discover.Found, entries []config.Discovery) error {
	if len(entries) == 0 {
		return nil
	}
	out = term.Screen{Writer: out}
	asked := make([]discover.Question, len(entries))
	for i := range entries {
		asked[i] = entries[i].Question()
	}
	failed := 0
	for i := range entries {
		q := asked[i]
		var text string
		if at := slices.IndexFunc(known.Failing, func(f discover.Failure) bool { return f.Question == q }); at >= 0 {
			failed++
			text = known.Failing[at].Why
		} else {
			list, _ := known.Of(q, asked)
			text = fmt.Sprintf("repositories: %d, of which are watched: %d", len(list.Repositories), entries[i].Watched)
		}
		fmt.Fprintf(out, "discover[%d]: %s at %s: %s\n", i, q.Owner, q.Host, text)
	}
	fmt.Fprintln(out)
	if failed > 0 {
		return fmt.Errorf("the repositories of %d of %d owners cannot be listed", failed, len(entries))
	}
	return nil
}
