package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// account is one server with one credential: what a host's limits are counted for.
type account struct {
	config.Source // of its first repository
	host          string
	watched, qa   []look
	first, idle   usage // of one cycle over watched
}

// look is one repository to be read, and what came of it.
type look struct {
	name    string // of the repository in sentry.yaml that it is read for
	others  int    // repositories beside that which share it
	key     string // "monitor" or "deploy"
	monitor config.Monitor
	repo.Observation
}

// validateOnline reads all repositories, watched ones and those of the deployments, prints what it found, and
// predicts what watching costs. Its error says that some cannot be read.
func validateOnline(ctx context.Context, o *options, cfg *config.Config, log *slog.Logger) error {
	accounts := accountsOf(cfg)
	var wait sync.WaitGroup
	for _, a := range accounts {
		wait.Go(func() { a.read(ctx, cfg, log) })
	}
	wait.Wait()
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := printLooks(o, accounts); err != nil {
		return err
	}
	if err := printSpending(o, log, accounts, cfg); err != nil {
		return err
	}
	return report(o, log, accounts)
}

// accountsOf groups what is to be read by server and credential, in the order of the file. A QA repository
// that several deployments share is read once.
func accountsOf(cfg *config.Config) []*account {
	type qaKey struct {
		config.Source
		branch string
	}
	var accounts []*account
	known := make(map[githost.Account]*account)
	find := func(s config.Source) *account {
		k := githost.AccountOf(s)
		if known[k] == nil {
			known[k] = &account{Source: s, host: strings.TrimPrefix(k.Origin, "https://")}
			accounts = append(accounts, known[k])
		}
		return known[k]
	}
	type place struct {
		account *account
		at      int
	}
	shared := make(map[qaKey]place)
	for _, r := range cfg.Repositories {
		a := find(r.Monitor.Source)
		a.watched = append(a.watched, look{name: r.Name, key: "monitor", monitor: r.Monitor})
		k := qaKey{r.Deploy.Source, r.Deploy.Branch}
		if p, ok := shared[k]; ok {
			p.account.qa[p.at].others++
			continue
		}
		a = find(r.Deploy.Source)
		shared[k] = place{a, len(a.qa)}
		a.qa = append(a.qa, look{name: r.Name, key: "deploy", monitor: config.Monitor{
			Source: r.Deploy.Source, Branches: repo.Patterns{repo.ExactPattern(r.Deploy.Branch)}}})
	}
	return accounts
}

// read does a first cycle and one in which nothing has changed, as `sentry watch` would, and then looks at
// the QA repositories, which watching only reads when something changed.
func (a *account) read(ctx context.Context, cfg *config.Config, log *slog.Logger) {
	start := time.Now()
	log.Info("reading", "host", a.host, "credential", a.credential(), "repositories", len(a.watched)+len(a.qa))
	m := &meter{next: githost.NewTransport(), free304: a.Type == config.GitHub && a.Auth.Token.Reveal() != ""}
	r := reader(log, cfg.Global.Sweep)
	r.Base = m
	defer r.Close()
	monitors := monitorsOf(a.watched)
	answered := 0
	for i, seen := range r.Heads(ctx, monitors) {
		a.watched[i].Observation = seen
		if seen.Err == nil {
			answered++
		}
	}
	a.first = m.take()
	if answered > 0 {
		// Who did not answer now would not a second time, and a server in trouble is left alone.
		r.Heads(ctx, monitors)
		a.idle = m.take()
	}
	for i, seen := range r.Heads(ctx, monitorsOf(a.qa)) {
		a.qa[i].Observation = seen
	}
	log.Info("read", "host", a.host, "credential", a.credential(), "took", time.Since(start).Round(time.Millisecond))
}

func monitorsOf(looks []look) []config.Monitor {
	monitors := make([]config.Monitor, len(looks))
	for i, l := range looks {
		monitors[i] = l.monitor
	}
	return monitors
}

// credential names the credential without telling it.
func (a *account) credential() string {
	switch user, token := a.Auth.Username, a.Auth.Token; {
	case token.Reveal() == "" && user.Reveal() == "":
		return "none"
	case token.Variable() != "":
		return "$" + token.Variable()
	case token.Reveal() == "" && user.Variable() != "":
		return "$" + user.Variable()
	}
	return "as written"
}

func allLooks(accounts []*account) []look {
	var looks []look
	for _, a := range accounts {
		looks = append(looks, a.watched...)
	}
	for _, a := range accounts {
		looks = append(looks, a.qa...)
	}
	return looks
}

func printLooks(o *options, accounts []*account) error {
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "REPOSITORY\tREAD AS\tURL\tBRANCHES\tPROBLEM")
	for _, l := range allLooks(accounts) {
		name, problem := l.name, "-"
		if l.others > 0 {
			name = fmt.Sprintf("%s and %d more", name, l.others)
		}
		if l.Err != nil {
			problem = kindOf(l.Err)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", name, l.key, l.monitor.URL, l.matches(), problem)
	}
	return w.Flush()
}

// matches says how many branches each pattern matches.
func (l look) matches() string {
	if l.Err != nil {
		return "-"
	}
	counts := make([]string, len(l.monitor.Branches))
	for i, p := range l.monitor.Branches {
		counts[i] = fmt.Sprintf("%s: %d", printable(p.String(), ""), l.count(p))
	}
	return strings.Join(counts, ", ")
}

func (l look) count(p repo.Pattern) int {
	n := 0
	for branch := range l.Heads {
		if p.Match(branch) {
			n++
		}
	}
	return n
}

func kindOf(err error) string {
	if e, ok := errors.AsType[*githost.Error](err); ok {
		return string(e.Kind)
	}
	return string(githost.Temporary)
}

// mend says what to do about an error, by its kind, at the place in sentry.yaml that is to be looked at.
func mend(l look) string {
	auth := l.key + ".auth"
	url, branches := "monitor.repo_url", "monitor.branches"
	if l.key == "deploy" {
		url, branches = "deploy.qa_repo_url", "deploy.qa_repo_branch"
	}
	switch githost.Kind(kindOf(l.Err)) {
	case githost.Denied:
		return "give " + auth + " a token that is valid and may read this repository"
	case githost.NotFound:
		return "correct " + url + ", or give " + auth + " a token that may see the repository (hosts hide private ones)"
	case githost.NoBranch:
		return "correct " + branches + ", or push the branch"
	case githost.Invalid:
		return "correct " + l.key + ".repo_type, " + url + " or " + l.key + ".api_url"
	case githost.RateLimited:
		return "wait until the limit resets; a token in " + auth + " has a higher limit than none, and a longer polling_interval needs less"
	}
	return "try again; where it lasts, see whether this machine reaches the host (DNS, proxy, firewall)"
}

// report tells what is wrong and how to mend it.
func report(o *options, log *slog.Logger, accounts []*account) error {
	looks := allLooks(accounts)
	failed := 0
	for _, l := range looks {
		if l.Err == nil {
			for _, p := range l.monitor.Branches {
				if l.count(p) == 0 {
					log.Warn("a pattern matches no branch: is it spelt right?", "repo", l.name, "pattern", p.String(), "matched", len(l.Heads))
				}
			}
			continue
		}
		if failed == 0 {
			fmt.Fprintln(o.Out)
		}
		failed++
		fmt.Fprintf(screen{o.Out}, "%s, %s %s:\n  %v\n  to mend it: %s\n", l.name, l.key, l.monitor.URL, l.Err, mend(l))
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d repositories cannot be read", failed, len(looks))
	}
	return nil
}

// printSpending predicts what an hour costs each account of what its host counts, from what the two cycles cost.
func printSpending(o *options, log *slog.Logger, accounts []*account, cfg *config.Config) error {
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "\nHOST\tCREDENTIAL\tREPOSITORIES\tCOUNTED\tFIRST CYCLE\tIDLE CYCLE\tAN HOUR\tLIMIT AN HOUR\tUSED")
	for _, a := range accounts {
		for _, c := range []currency{points, requests, git} {
			if a.first[c].requests+a.idle[c].requests == 0 {
				continue
			}
			hour := a.anHour(c, cfg)
			limit, share := "unknown", "-"
			if most := a.limit(c); most > 0 {
				limit, share = strconv.Itoa(most), fmt.Sprintf("%d%%", hour*100/most)
				if hour*2 > most {
					log.Warn("watching would use more than half of the host's limit: raise polling_interval, or split the repositories between credentials",
						"host", a.host, "credential", a.credential(), "an_hour", hour, "limit", most)
				}
			}
			fmt.Fprintf(w, "%s\t%s\t%d\t%s\t%d\t%d\t%d\t%s\t%s\n", a.host, a.credential(), len(a.watched), c,
				a.first[c].counted, a.idle[c].counted, hour, limit, share)
		}
	}
	return w.Flush()
}

// anHour predicts the cost of an hour of idle cycles. Where hints make a cycle cheaper than the first was,
// everything is read once in each sweep all the same.
func (a *account) anHour(c currency, cfg *config.Config) int {
	cycles := int(time.Hour / cfg.PollingInterval)
	if len(a.idle) == 0 {
		return a.first[c].counted * cycles
	}
	hour := a.idle[c].counted * cycles
	if cfg.Global.Sweep > 0 && a.idle[c].requests < a.first[c].requests {
		hour += a.first[c].counted * int(time.Hour/cfg.Global.Sweep)
	}
	return hour
}

// limit returns what the host grants an hour: what it told in its answers, or what it documents; 0 when
// that is not known. https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api,
// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api,
// https://docs.gitlab.com/user/gitlab_com/#rate-limits-on-gitlabcom.
func (a *account) limit(c currency) int {
	told := cmp.Or(a.idle[c].limit, a.first[c].limit)
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
