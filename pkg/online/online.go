// Package online reads every repository of a configuration as `sentry watch` would, and predicts what watching costs:
// what `sentry validate --online` prints. What a host counts, and what draws on it, its driver tells.
package online

import (
	"context"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Survey says how to read.
type Survey struct {
	Config  *config.Config
	Hosts   githost.Drivers
	Version string // of Sentry
	Log     *slog.Logger
	Base    http.RoundTripper // of all accounts; nil = connections of each
	Network *transport.Network
}

// Account is one server with one credential: what a host's limits are counted for.
type Account struct {
	Host        string // host[:port], with http:// before it where there is no TLS
	Credential  string // as config.Auth.Label names it
	Watched, QA []Look

	driver      *githost.Driver
	token       bool
	first, idle usage // of one cycle over Watched
	runs        usage // of one look at QA
	glance      usage // of one between the cycles
	hints       bool  // an idle cycle reads only what the host's hints or the sweep name
}

// Look is one repository to be read, and what came of it.
type Look struct {
	Name    string // of the repository in sentry.yaml that it is read for
	Others  int    // repositories beside that which share it
	Key     string // "monitor" or "deploy"
	Monitor config.Monitor
	repo.Observation
}

// Read reads all repositories, watched ones and those of the deployments, of all accounts at the same time.
func (s *Survey) Read(ctx context.Context) []*Account {
	accounts := s.accounts()
	var wait sync.WaitGroup
	for _, a := range accounts {
		wait.Go(func() { s.read(ctx, a) })
	}
	wait.Wait()
	return accounts
}

// accounts groups what is to be read by server and credential, in the order of the file. A QA repository that
// several deployments share is read once.
func (s *Survey) accounts() []*Account {
	type qaKey struct {
		config.Source
		branch string
	}
	type place struct {
		account *Account
		at      int
	}
	var accounts []*Account
	known := make(map[githost.Account]*Account)
	find := func(source config.Source) *Account {
		driver := s.Hosts.Of(source.Type)
		k := driver.AccountOf(source)
		if known[k] == nil {
			known[k] = newAccount(driver, k, source.Auth)
			accounts = append(accounts, known[k])
		}
		return known[k]
	}
	shared := make(map[qaKey]place)
	for _, r := range s.Config.Repositories {
		a := find(r.Monitor.Source)
		a.Watched = append(a.Watched, Look{Name: r.Name, Key: "monitor", Monitor: r.Monitor})
		if r.Deploy.URL == "" {
			continue
		}
		k := qaKey{r.Deploy.Source, r.Deploy.Branch}
		if p, ok := shared[k]; ok {
			p.account.QA[p.at].Others++
			continue
		}
		a = find(r.Deploy.Source)
		shared[k] = place{a, len(a.QA)}
		a.QA = append(a.QA, Look{Name: r.Name, Key: "deploy", Monitor: config.Monitor{
			Source: r.Deploy.Source, Branches: repo.Patterns{repo.ExactPattern(r.Deploy.Branch)}}})
	}
	return accounts
}

// read does cycles as `sentry watch` would while nothing changes, until one costs what the next would, and then
// looks at the QA repositories, which watching only reads when a run begins.
func (s *Survey) read(ctx context.Context, a *Account) {
	start := time.Now()
	s.Log.Info("reading", "host", a.Host, "credential", a.Credential, "repositories", len(a.Watched)+len(a.QA))
	m := &meter{next: s.Base, driver: a.driver, token: a.token}
	if m.next == nil {
		m.next = s.Network.Connections()
	}
	r := &poller.Reader{Hosts: s.Hosts, Version: s.Version, Log: s.Log, Base: m, Billed: m.bill}
	if s.Config.Global.Sweep > 0 && len(a.Watched) > 0 { // else there are no hints, as for QA repositories alone
		r.Sweep = 365 * 24 * time.Hour // what it costs is predicted, and not to be counted in a cycle by chance
	}
	defer r.Close()
	observe(ctx, r, a.Watched)
	a.first = m.take()
	// Who did not answer now would not a second time, and a server in trouble is left alone.
	if a.answered() {
		before := a.first.requests()
		// A Gitea's list of repositories may take several cycles to learn.
		for range 8 {
			late := a.late()
			observe(ctx, r, a.Watched)
			a.idle = m.take()
			a.hints = r.Stats()[0].Cached > 0
			if !late && (!a.hints || a.idle.requests() >= before) {
				break
			}
			before = a.idle.requests()
		}
	}
	if a.answered() {
		r.Glance(ctx, monitorsOf(a.Watched))
		a.glance = m.take()
	}
	observe(ctx, r, a.QA)
	a.runs = m.take()
	s.Log.Info("read", "host", a.Host, "credential", a.Credential, "failed", a.failed(), "duration", time.Since(start).Round(time.Millisecond))
}

// observe reads repositories, and keeps what an earlier look found.
func observe(ctx context.Context, r *poller.Reader, looks []Look) {
	for i, seen := range r.Heads(ctx, monitorsOf(looks)) {
		if looks[i].Heads == nil {
			looks[i].see(seen)
		}
	}
}

func monitorsOf(looks []Look) []config.Monitor {
	monitors := make([]config.Monitor, len(looks))
	for i, l := range looks {
		monitors[i] = l.Monitor
	}
	return monitors
}

// see keeps what was found. More branches than are followed are an error, as they are to `sentry watch`.
func (l *Look) see(o repo.Observation) {
	if o.Err == nil && l.Key == "monitor" {
		o.Err = plan.CheckHeads(o.Heads)
	}
	l.Observation = o
}

// Count returns how many branches a pattern matches.
func (l *Look) Count(p repo.Pattern) int {
	n := 0
	for branch := range l.Heads {
		if p.Match(branch) {
			n++
		}
	}
	return n
}

// late reports whether there was no time for some watched repositories.
func (a *Account) late() bool {
	return slices.ContainsFunc(a.Watched, func(l Look) bool { return l.Status == repo.Late })
}

// answered reports whether any watched repository could be read.
func (a *Account) answered() bool {
	return slices.ContainsFunc(a.Watched, func(l Look) bool { return l.Err == nil })
}

// failed returns how many repositories could not be read.
func (a *Account) failed() int {
	n := 0
	for _, l := range slices.Concat(a.Watched, a.QA) {
		if l.Err != nil {
			n++
		}
	}
	return n
}

// Looks returns what was read of all accounts, the QA repositories last.
func Looks(accounts []*Account) []Look {
	var looks []Look
	for _, a := range accounts {
		looks = append(looks, a.Watched...)
	}
	for _, a := range accounts {
		looks = append(looks, a.QA...)
	}
	return looks
}
