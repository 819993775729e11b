package metrics

import (
	"cmp"
	"maps"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// lookup is what is looked up at each scrape.
type lookup struct {
	m *Metrics

	asked, remaining, limit, reset *prometheus.Desc
	stateBytes, stateMost, entries *prometheus.Desc
	webhooks, failing, unfound     *prometheus.Desc
	clusters                       *prometheus.Desc
}

func (m *Metrics) lookedUp() *lookup {
	describe := func(kind, name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(m.define(kind, name, help, labels), help, labels, nil)
	}
	return &lookup{
		m:          m,
		asked:      describe("gauge", "host_asked", "1 while a Git host is asked, 0 while it is not: it is down, limits Sentry, or refused the credential.", "host", "credential"),
		remaining:  describe("gauge", "host_budget_remaining", "What a Git host said last that is left of the requests or points that it grants a credential.", "host", "credential", "resource"),
		limit:      describe("gauge", "host_budget_limit", "What a Git host grants a credential each time, in requests or points.", "host", "credential", "resource"),
		reset:      describe("gauge", "host_budget_reset_timestamp_seconds", "When a Git host grants the whole budget again, where it says so.", "host", "credential", "resource"),
		stateBytes: describe("gauge", "state_bytes", "Size of the state, as it is encoded."),
		stateMost:  describe("gauge", "state_limit_bytes", "Size of state for which there is room."),
		entries:    describe("gauge", "state_entries", "Entries of the state, by their kind.", "kind"),
		webhooks:   describe("counter", "webhooks_total", "Webhooks that came, by what became of them.", "result"),
		failing:    describe("gauge", "unit_failing_since_timestamp_seconds", "When the first of the failures of a unit ended that no success has followed.", "unit"),
		unfound:    describe("gauge", "owner_failing_since_timestamp_seconds", "When a Git host began not to say which repositories an owner of discover has.", "host", "owner"),
		clusters:   describe("gauge", "cluster_answers", "1 while a cluster beside the one that Sentry runs in answers, 0 while its units wait as it does not.", "cluster"),
	}
}

// Describe implements prometheus.Collector.
func (l *lookup) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{l.asked, l.remaining, l.limit, l.reset, l.stateBytes, l.stateMost, l.entries, l.webhooks, l.failing, l.unfound, l.clusters} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (l *lookup) Collect(to chan<- prometheus.Metric) {
	gauge := func(d *prometheus.Desc, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, value, labels...)
	}
	l.m.mu.Lock()
	from := l.m.from
	for label, u := range l.m.units.known {
		if !u.failing.IsZero() && l.m.there(label, u.ref) {
			gauge(l.failing, timestamp(u.failing), label)
		}
	}
	l.m.mu.Unlock()
	if from.Hosts != nil {
		l.hosts(from.Hosts(), gauge)
	}
	if from.Found != nil {
		l.owners(from.Found().Failing, gauge)
	}
	if from.State != nil {
		if size, known := from.State(); known {
			gauge(l.stateBytes, float64(size.Bytes))
			gauge(l.stateMost, float64(size.Most))
			gauge(l.entries, float64(size.Repositories), "repository")
			gauge(l.entries, float64(size.Branches), "branch")
			gauge(l.entries, float64(size.Units), "unit")
		}
	}
	if from.Clusters != nil {
		for cluster, answers := range from.Clusters() {
			value := 0.0
			if answers {
				value = 1
			}
			gauge(l.clusters, value, cluster)
		}
	}
	if from.Webhooks != nil {
		for outcome, n := range from.Webhooks() {
			to <- prometheus.MustNewConstMetric(l.webhooks, prometheus.CounterValue, float64(n), word(string(outcome)))
		}
	}
}

// owners tells since when the lists of owners fail. Several questions about one have the oldest time.
func (l *lookup) owners(failing []discover.Failure, gauge func(*prometheus.Desc, float64, ...string)) {
	since := map[[2]string]int64{}
	for _, f := range failing {
		_, host, _ := strings.Cut(f.Host, "://")
		at := [2]string{host, f.Owner}
		if was, ok := since[at]; !ok || f.Since < was {
			since[at] = f.Since
		}
	}
	for at, seconds := range since {
		gauge(l.unfound, float64(seconds), at[0], at[1])
	}
}

// account is a host and what names the credential. Several accounts may have both in common, such as with an API address
// each: the worst of them is told then.
type account struct{ host, credential string }

type budget struct {
	account
	resource string
}

func (l *lookup) hosts(all []poller.EndpointStats, gauge func(*prometheus.Desc, float64, ...string)) {
	asked := map[account]float64{}
	budgets := map[budget]transport.Grants{}
	there := map[string]bool{}
	for _, e := range all {
		at := account{e.Host, e.Credential}
		there[e.Host] = true
		is := 1.0
		if e.Why != nil && e.Resource == "" {
			is = 0
		}
		if was, ok := asked[at]; !ok || is < was {
			asked[at] = is
		}
		for _, g := range e.Grants {
			of := budget{at, cmp.Or(g.Resource, "all")}
			if was, ok := budgets[of]; !ok || g.Remaining < was.Remaining {
				budgets[of] = g
			}
		}
	}
	for at, is := range asked {
		gauge(l.asked, is, at.host, at.credential)
	}
	for of, g := range budgets {
		gauge(l.remaining, float64(g.Remaining), of.host, of.credential, of.resource)
		gauge(l.limit, float64(g.Limit), of.host, of.credential, of.resource)
		if !g.Reset.IsZero() {
			gauge(l.reset, timestamp(g.Reset), of.host, of.credential, of.resource)
		}
	}
	l.m.forget(there)
}

// forget takes the series of hosts away that are not asked any more.
func (m *Metrics) forget(there map[string]bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.hosts, func(host string, _ bool) bool {
		if there[host] {
			return false
		}
		m.requests.DeletePartialMatch(prometheus.Labels{"host": host})
		return true
	})
}

func timestamp(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }
