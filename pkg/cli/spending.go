package cli

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// printSpending predicts what an hour costs each account of what its host counts.
func printSpending(o *options, log *slog.Logger, accounts []*account, cfg *config.Config) error {
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nHOST\tCREDENTIAL\tREPOS\tCOUNTED\tFIRST\tIDLE\tRUN\tAN HOUR\tLIMIT\tUSED")
	for _, a := range accounts {
		for _, c := range []currency{points, requests, git} {
			if a.first[c].requests+a.idle[c].requests+a.runs[c].requests == 0 {
				continue
			}
			limit := a.limit(c)
			idle, text, most, share := "-", "unknown", "unknown", "-"
			if limit > 0 {
				most = strconv.Itoa(limit)
			}
			if hour, known := a.anHour(c, cfg); known {
				idle, text = strconv.Itoa(a.idle[c].counted), strconv.Itoa(hour)
				if limit > 0 {
					share = fmt.Sprintf("%d%%", hour*100/limit)
				}
				if limit > 0 && hour*2 > limit {
					log.Warn("watching would use more than half of the host's limit: raise polling_interval, or split the repositories between credentials",
						"host", a.host, "credential", githost.CredentialOf(a.Auth), "an_hour", hour, "limit", limit)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%s\t%d\t%s\t%s\t%s\n", a.host, githost.CredentialOf(a.Auth), len(a.watched), a.unit(c),
				a.first[c].counted, idle, a.aRun(c), text, most, share)
		}
	}
	return w.Flush()
}

// unit names what the host counts. Only GitHub prices its GraphQL.
func (a *account) unit(c currency) string {
	if c == points && a.Type == config.GitHub {
		return "points"
	}
	return string(c)
}

// anHour predicts the cost of an hour in which nothing changes. It is not known where nothing could be read.
func (a *account) anHour(c currency, cfg *config.Config) (cost int, known bool) {
	if len(a.watched) > 0 && !a.answered() {
		return 0, false
	}
	cycles := float64(time.Hour) / float64(cfg.PollingInterval)
	return int(math.Ceil(float64(a.idle[c].counted)*cycles + a.swept(c, cfg))), true
}

// swept predicts what the sweep costs in an hour, where hints make an idle cycle cheaper than the first was. It
// reads each repository once, an equal part of them in each cycle.
func (a *account) swept(c currency, cfg *config.Config) float64 {
	all, cycles := float64(a.first[c].counted), float64(time.Hour)/float64(cfg.PollingInterval)
	sweeps := min(cycles, float64(time.Hour)/float64(max(cfg.Global.Sweep, 1)))
	switch {
	case !a.hints:
		return 0
	case a.Type == config.Gitea && c == git:
		return all * sweeps
	case a.Type == config.GitHub && c == points:
		// The part of a cycle is a whole query at least, in the cycles that have one.
		return min(cycles, float64(len(a.watched))*sweeps) * math.Ceil(all*sweeps/cycles)
	}
	return 0 // of the hints alone, which every cycle asks for
}

// aRun returns what looking up the QA revisions of one run costs at most.
func (a *account) aRun(c currency) int {
	n := max(1, len(a.qa))
	return (a.runs[c].counted + n - 1) / n
}

// limit returns what the host grants an hour: what it told in its answers, or what it documents; 0 when
// that is not known. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api,
// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api,
// https://docs.gitlab.com/user/gitlab_com/#rate-limits-on-gitlabcom.
func (a *account) limit(c currency) int {
	told := cmp.Or(a.idle[c].limit, a.first[c].limit, a.runs[c].limit)
	switch {
	case told > 0:
		return told
	case a.Type == config.GitHub && c != git:
		if c == requests && a.Auth.Token.Reveal() == "" {
			return 60
		}
		return 5_000
	case a.Type == config.GitLab && c != git:
		return 2_000 * 60
	}
	return 0
}
