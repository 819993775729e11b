package online

import (
	"math"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/timing"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

func newAccount(driver *githost.Driver, a githost.Account, auth config.Auth) *Account {
	return &Account{Host: strings.TrimPrefix(a.Origin, "https://"), Credential: auth.Label(),
		driver: driver, token: auth.Token.Reveal() != "" || auth.App.IsSet()}
}

// Spending is what an account spends of one budget of its host.
type Spending struct {
	Unit  string // what is counted
	First int    // of the first cycle
	Run   int    // of looking up the QA revisions of one run, at most
	Limit int    // an hour; 0 = not known
	// Of an hour in which nothing changes, and of an idle cycle in it. Not known where nothing could be read.
	Known      bool
	Idle, Hour int
}

// Spending predicts what an hour costs of what the host counts, in the order of its driver. What is not drawn on is left out.
func (a *Account) Spending(cfg *config.Config) []Spending {
	var all []Spending
	for i, b := range a.driver.Budgets {
		if a.first[i].requests+a.idle[i].requests+a.runs[i].requests == 0 {
			continue
		}
		s := Spending{Unit: b.Unit, First: a.first[i].counted, Run: a.aRun(i), Limit: a.limit(i)}
		if s.Known = len(a.Watched) == 0 || a.answered(); s.Known {
			cycles := float64(time.Hour) / float64(cfg.PollingInterval)
			s.Idle = a.idle[i].counted
			s.Hour = int(math.Ceil(float64(s.Idle)*cycles + a.swept(i, cycles, cfg.Global.Sweep) + a.glanced(i, cfg)))
		}
		all = append(all, s)
	}
	return all
}

// swept predicts what the sweep costs in an hour, where hints make an idle cycle cheaper than the first was.
func (a *Account) swept(budget int, cycles float64, sweep time.Duration) float64 {
	price := a.driver.Budgets[budget].Sweep
	if !a.hints || price == nil {
		return 0
	}
	return price(githost.Sweep{
		Repositories: len(a.Watched),
		All:          float64(a.first[budget].counted),
		Cycles:       cycles,
		Sweeps:       min(cycles, float64(time.Hour)/float64(max(sweep, 1))),
	})
}

// glanced predicts what glances cost in an hour: as many as there are, and at most their share of what the host grants.
func (a *Account) glanced(budget int, cfg *config.Config) float64 {
	every := timing.Glances(cfg.Global.Glance, cfg.PollingInterval)
	if every == 0 {
		return 0
	}
	cost := float64(a.glance[budget].counted) * float64(time.Hour) / float64(every)
	if limit := a.limit(budget); limit > 0 {
		cost = min(cost, float64(limit)/poller.GlanceShare)
	}
	return cost
}

// Glances reports whether glances show what is pushed to the account's repositories.
func (a *Account) Glances(cfg *config.Config) bool {
	for i := range a.driver.Budgets {
		if a.glanced(i, cfg) > 0 {
			return true
		}
	}
	return false
}

// aRun returns what looking up the QA revisions of one run costs at most.
func (a *Account) aRun(budget int) int {
	n := max(1, len(a.QA))
	return (a.runs[budget].counted + n - 1) / n
}

// limit returns what the host grants an hour: what it told in its answers, or what it documents; 0 when
// that is not known.
func (a *Account) limit(budget int) int {
	for _, u := range []usage{a.idle, a.first, a.runs} {
		if told := u[budget].limit; told > 0 {
			return told
		}
	}
	if documented := a.driver.Budgets[budget].Limit; documented != nil {
		return documented(a.token)
	}
	return 0
}
