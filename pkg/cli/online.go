package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync"
	"text/tabwriter"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// account is one server with one credential: what a host's limits are counted for.
type account struct {
	config.Source // of its first repository
	host          string
	watched, qa   []look
	first, idle   usage // of one cycle over watched
	runs          usage // of one look at qa
	hints         bool  // an idle cycle reads only what the host's hints or the sweep name
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
		wait.Go(func() { a.read(ctx, transport.NewTransport(), cfg, log) })
	}
	wait.Wait()
	if ctx.Err() != nil {
		return errors.New("interrupted before everything was read")
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

// read does cycles as `sentry watch` would while nothing changes, until one costs what the next would, and then
// looks at the QA repositories, which watching only reads when a run begins.
func (a *account) read(ctx context.Context, base http.RoundTripper, cfg *config.Config, log *slog.Logger) {
	start := time.Now()
	log.Info("reading", "host", a.host, "credential", githost.CredentialOf(a.Auth), "repositories", len(a.watched)+len(a.qa))
	m := &meter{next: base, free304: a.Type == config.GitHub && a.Auth.Token.Reveal() != ""}
	var sweep time.Duration // 0: no hints, as for QA repositories alone
	if cfg.Global.Sweep > 0 && len(a.watched) > 0 {
		sweep = 365 * 24 * time.Hour // what it costs is predicted, and not to be counted in a cycle by chance
	}
	r := reader(log, sweep)
	r.Base = m
	defer r.Close()
	observe(ctx, r, a.watched)
	a.first = m.take()
	// Who did not answer now would not a second time, and a server in trouble is left alone.
	if a.answered() {
		before := a.first.requests()
		// A Gitea's list of repositories may take several cycles to learn.
		for range 8 {
			late := a.late()
			observe(ctx, r, a.watched)
			a.idle = m.take()
			a.hints = r.Stats()[0].Cached > 0
			if !late && (!a.hints || a.idle.requests() >= before) {
				break
			}
			before = a.idle.requests()
		}
	}
	observe(ctx, r, a.qa)
	a.runs = m.take()
	log.Info("read", "host", a.host, "credential", githost.CredentialOf(a.Auth), "failed", a.failed(), "took", time.Since(start).Round(time.Millisecond))
}

// observe reads repositories, and keeps what an earlier look found.
func observe(ctx context.Context, r *poller.Reader, looks []look) {
	for i, seen := range r.Heads(ctx, monitorsOf(looks)) {
		if looks[i].Heads == nil {
			looks[i].see(seen)
		}
	}
}

// see keeps what was found. More branches than are followed are an error, as they are to `sentry watch`.
func (l *look) see(o repo.Observation) {
	if o.Err == nil && l.key == "monitor" {
		o.Err = plan.CheckHeads(o.Heads)
	}
	l.Observation = o
}

// late reports whether there was no time for some watched repositories.
func (a *account) late() bool {
	return slices.ContainsFunc(a.watched, func(l look) bool {
		e, ok := errors.AsType[*githost.Error](l.Err)
		return ok && e.Late
	})
}

// answered reports whether any watched repository could be read.
func (a *account) answered() bool {
	return slices.ContainsFunc(a.watched, func(l look) bool { return l.Err == nil })
}

// failed returns how many repositories could not be read.
func (a *account) failed() int {
	n := 0
	for _, l := range slices.Concat(a.watched, a.qa) {
		if l.Err != nil {
			n++
		}
	}
	return n
}

func monitorsOf(looks []look) []config.Monitor {
	monitors := make([]config.Monitor, len(looks))
	for i, l := range looks {
		monitors[i] = l.monitor
	}
	return monitors
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
	if e, ok := errors.AsType[interface {
		error
		ProblemKind() string
	}](err); ok {
		return e.ProblemKind()
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
	token := "give " + auth + " a token"
	if v := l.monitor.Auth.Token.Variable(); v != "" {
		token = fmt.Sprintf("put a token into %s (%s.token)", v, auth)
	}
	e, _ := errors.AsType[*githost.Error](l.Err)
	_, badCertificate := errors.AsType[*tls.CertificateVerificationError](l.Err)
	switch kind := githost.Kind(kindOf(l.Err)); {
	case badCertificate || kind == githost.TooLarge || e != nil && e.Status == http.StatusProxyAuthRequired || e == nil && kind != githost.Temporary:
		return "" // it says so itself
	case kind == githost.Denied:
		return token + " that is valid and may read this repository"
	case kind == githost.NotFound:
		return "correct " + url + " or " + l.key + ".repo_type, or " + token + " that may see the repository (hosts hide private ones)"
	case kind == githost.NoBranch:
		return "correct " + branches + ", or push the branch"
	case kind == githost.Invalid:
		return "correct " + l.key + ".repo_type, " + url + " or " + l.key + ".api_url"
	case kind == githost.RateLimited:
		return "wait until the limit resets; a token in " + auth + " has a higher limit than none, and a longer polling_interval needs less"
	case e != nil && e.Status >= http.StatusInternalServerError:
		return "the host is reached, and its trouble is its own: look at its status page, and try again"
	case e != nil && e.Status > 0:
		return "the host is reached: see whether " + l.key + ".repo_type is right, and try again"
	}
	return "try again; where it lasts, see whether this machine reaches the host (DNS, proxy, firewall)"
}

// trouble is what is wrong with several repositories of a host.
type trouble struct {
	looks        []look
	text, remedy string
}

// troubles groups what could not be read by what is wrong, so that a host that is down is told of once.
func troubles(accounts []*account) []*trouble {
	type key struct{ what, text, remedy string }
	var all []*trouble
	known := make(map[key]*trouble)
	for _, l := range allLooks(accounts) {
		if l.Err == nil {
			continue
		}
		k := key{l.key, l.Err.Error(), mend(l)}
		if known[k] == nil {
			known[k] = &trouble{text: k.text, remedy: k.remedy}
			all = append(all, known[k])
		}
		known[k].looks = append(known[k].looks, l)
	}
	return all
}

// named is how many repositories with the same trouble are named; of the others it is said how many there are.
const named = 3

// logUnmatched warns of patterns that match no branch: once of each, however many repositories have it.
func logUnmatched(log *slog.Logger, looks []look) {
	missed := make(map[string][]string) // repositories by pattern
	watched := make(map[string]int)
	var patterns []string
	for _, l := range looks {
		if l.Err != nil {
			continue
		}
		for _, p := range l.monitor.Branches {
			text := p.String()
			watched[text]++
			if l.count(p) > 0 {
				continue
			}
			if missed[text] == nil {
				patterns = append(patterns, text)
			}
			missed[text] = append(missed[text], l.name)
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
func report(o *options, log *slog.Logger, accounts []*account) error {
	logUnmatched(log, allLooks(accounts))
	out, failed := screen{o.Out}, 0
	for _, t := range troubles(accounts) {
		failed += len(t.looks)
		fmt.Fprintln(out)
		for _, l := range t.looks[:min(named, len(t.looks))] {
			fmt.Fprintf(out, "%s, %s %s\n", l.name, l.key, l.monitor.URL)
		}
		if more := len(t.looks) - named; more > 0 {
			fmt.Fprintf(out, "and %d more\n", more)
		}
		fmt.Fprintf(out, "  %s\n", t.text)
		if t.remedy != "" {
			fmt.Fprintf(out, "  to mend it: %s\n", t.remedy)
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d repositories cannot be read", failed, len(allLooks(accounts)))
	}
	return nil
}
