// Package metrics tells Prometheus how Sentry fares: from the loop's events, from each request to a Git host, and from what
// is looked up at a scrape. Its labels are bounded by the configuration, whatever branches and servers are called.
package metrics

import (
	"net/http"
	"runtime"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/hook"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Path is where Prometheus looks by default.
const Path = "/metrics"

// atOnce bounds the scrapes that are answered at the same time.
const atOnce = 4

// Sources are asked at each scrape, from any goroutine. Each may be nil, and is not told of then.
type Sources struct {
	Hosts    func() []poller.EndpointStats
	Found    func() *discover.Found
	State    func() (state.Size, bool)
	Webhooks func() map[hook.Outcome]int
	Clusters func() map[string]bool // whether those beside Sentry's own answer
}

// Metrics are what is counted. New makes them.
type Metrics struct {
	registry *prometheus.Registry
	rows     []Row

	mu        sync.Mutex
	from      Sources
	units     units
	state     state.Snapshot  // that was read or written last; without an epoch before that
	deaf      bool            // another replica hears of the ends of runs
	all       int             // repositories of the configuration
	cycleDone time.Time       // the end of the last cycle over all repositories
	every     time.Duration   // between such cycles, as it said
	hosts     map[string]bool // that requests were counted for
	moved     heads           // changes that were seen since the last cycle over all repositories
	waited    heads           // and those that were before that
	begun     map[string]bool // the labels of units whose series have begun at zero
	// fresh are those of them whose zero was not scraped yet, with what is counted once it was.
	fresh map[string][]func()

	repositories *prometheus.GaugeVec
	polls        *prometheus.CounterVec
	interval     prometheus.Gauge
	cycles       *prometheus.HistogramVec
	cycleErrors  prometheus.Counter
	began, ended prometheus.Observer
	lastCycle    prometheus.Gauge
	changes      prometheus.Counter
	passed       *prometheus.CounterVec
	created      prometheus.Counter
	waiting      prometheus.Gauge
	notMade      prometheus.Gauge
	lag          prometheus.Observer
	runs         *prometheus.CounterVec
	deployments  *prometheus.CounterVec
	durations    *prometheus.HistogramVec
	lead         prometheus.Observer
	restore      prometheus.Observer
	requests     *prometheus.HistogramVec
	replicas     prometheus.Gauge
	share        prometheus.Gauge
}

// The buckets, in seconds. Who scrapes native histograms has finer ones.
var (
	ofRequests    = []float64{.01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 20}
	ofCycles      = []float64{.1, .25, .5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300}
	ofLateness    = []float64{.1, 1, 5, 10, 30, 60, 120, 300, 600}
	ofDeployments = []float64{10, 30, 60, 120, 300, 600, 1800, 3600}
	ofChanges     = []float64{30, 60, 120, 300, 600, 1200, 1800, 3600, 7200, 14400}
	ofRestoring   = []float64{300, 900, 1800, 3600, 7200, 14400, 28800, 86400, 172800, 604800}
)

// New returns the metrics of a Sentry of a version that begins with cfg, and looks at all repositories that often.
func New(version string, cfg *config.Config, every time.Duration) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), hosts: map[string]bool{}, moved: heads{}, begun: map[string]bool{}, fresh: map[string][]func(){}}
	m.repositories = m.gauges("repositories", "Repositories in the last cycle over all, by whether their heads could be read.", "status")
	m.polls = m.counters("repository_polls_total", "Looks at a repository in cycles over all: read before the next was due (in_time) or after that (late); "+
		"not read, since the host gave an error (failed), was not asked (not_asked) or took too long (overdue); not begun, as cycles were missing (missed).", "result")
	m.interval = m.gauge("poll_interval_seconds", "Time between the looks at all repositories.")
	m.cycles = m.histograms("cycle_duration_seconds", "How long cycles took, over all repositories or those that were asked for, such as by a webhook.", ofCycles, "scope")
	m.cycleErrors = m.counter("cycle_errors_total", "Cycles in which the state or the engine failed.")
	m.began = m.histogram("cycle_start_lateness_seconds", "How much later than due cycles over all repositories began.", ofLateness)
	m.ended = m.histogram("cycle_end_lateness_seconds", "How much later than due cycles over all repositories ended: what was pushed before has its run, or waits.", ofLateness)
	m.lastCycle = m.gauge("last_cycle_timestamp_seconds", "When the last cycle over all repositories ended; before the first one, when Sentry started.")
	m.changes = m.counter("changes_total", "Branches that were seen to be new or to have moved.")
	m.passed = m.counters("heads_passed_over_total", "Heads that moved and run nothing, by why.", "why")
	m.created = m.counter("runs_created_total", "Runs that were created.")
	m.waiting = m.gauge("runs_waiting", "Runs that are due and wait for their unit's active run, or for the end of a pause.")
	m.notMade = m.gauge("units_not_started", "Units whose run is due and could not be made in the last cycle over all repositories.")
	m.lag = m.histogram("detection_lag_seconds", "From when a change was seen to when its run was created.", ofLateness)
	m.runs = m.counters("runs_total", "Runs that ended, by how.", "verdict")
	m.deployments = m.counters("deployments_total", "Deployments that ended, by the unit and by how.", "unit", "verdict")
	m.durations = m.histograms("deployment_duration_seconds", "How long deployments took that succeeded, failed or timed out, by the unit.", ofDeployments, "unit")
	m.lead = m.histogram("lead_time_seconds", "From when a change was seen to the end of the run that deployed it with success.", ofChanges)
	m.restore = m.histogram("time_to_restore_seconds", "From the end of a unit's first failure in a row to that of the success after it.", ofRestoring)
	m.requests = m.histograms("host_request_duration_seconds", "Requests to Git hosts, by the class of the answer's status, and how long its head took to come; error = no answer.", ofRequests, "host", "code")
	m.replicas = m.gauge("replicas", "Replicas that are alive, as this one sees them; 0 while it cannot tell and looks at nothing by itself. 1 is one Sentry alone.")
	m.share = m.gauge("share_ratio", "Which part of the repositories this replica looks at by itself, from 0 to 1, in its last cycle over all of them; 1 is one Sentry alone.")
	for _, r := range polled {
		m.polls.WithLabelValues(r)
	}
	m.passed.WithLabelValues(string(repo.Ignored))
	m.passed.WithLabelValues(string(repo.Untouched))
	for _, v := range verdicts {
		m.runs.WithLabelValues(v)
	}
	m.registry.MustRegister(m.lookedUp(), collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	m.gauges("build_info", "The version of this Sentry, and of Go that it was built with.", "version", "goversion").WithLabelValues(version, runtime.Version()).Set(1)
	m.interval.Set(every.Seconds())
	m.replicas.Set(1)
	m.share.Set(1)
	m.lastCycle.Set(timestamp(time.Now()))
	m.Apply(cfg)
	return m
}

// Handler answers scrapes.
func (m *Metrics) Handler() http.Handler {
	answer := promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{MaxRequestsInFlight: atOnce, EnableOpenMetrics: true, ErrorHandling: promhttp.ContinueOnError})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.mu.Lock()
		fresh := m.fresh
		m.fresh = map[string][]func(){}
		m.mu.Unlock()
		answer.ServeHTTP(w, r)
		m.mu.Lock()
		defer m.mu.Unlock()
		for label, counts := range fresh {
			for _, count := range counts {
				if m.begun[label] { // else the unit left meanwhile
					count()
				}
			}
		}
	})
}

// Share says how many replicas are alive, this one among them; 0 while that is not known.
func (m *Metrics) Share(replicas int) {
	m.replicas.Set(float64(replicas))
	if replicas == 0 {
		m.share.Set(0)
	}
}

// Ask makes from what is asked at each scrape from now on.
func (m *Metrics) Ask(from Sources) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.from = from
}

// Apply makes cfg what the labels are bounded by. What is no unit any more is not told of. It may be called at any time.
func (m *Metrics) Apply(cfg *config.Config) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.all = len(cfg.Repositories)
	m.drop(m.units.apply(cfg))
}

// drop takes the series of units away. It is called with m.mu held.
func (m *Metrics) drop(labels []string) {
	for _, label := range labels {
		of := prometheus.Labels{"unit": label}
		m.deployments.DeletePartialMatch(of)
		m.durations.DeletePartialMatch(of)
		delete(m.begun, label)
		delete(m.fresh, label)
	}
}

// Called counts a request to a Git host, as poller.Reader has it told.
func (m *Metrics) Called(host string, status int, took time.Duration) {
	m.mu.Lock()
	m.hosts[host] = true
	m.mu.Unlock()
	m.requests.WithLabelValues(host, class(status)).Observe(took.Seconds())
}

// class is the class of a status. What is none is an error.
func class(status int) string {
	if status < 100 || status > 599 {
		return "error"
	}
	return [...]string{"1xx", "2xx", "3xx", "4xx", "5xx"}[status/100-1]
}

// Hear says whether this Sentry hears of the ends of runs, which one of several replicas does. One that does not cannot tell
// which units fail.
func (m *Metrics) Hear(ends bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf = !ends; m.deaf {
		m.units.follow()
	}
}

// Past notes which units fail, from the history of runs: that survives a restart of Sentry, and no counter does.
func (m *Metrics) Past(results []result.Result) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.deaf {
		return
	}
	for _, r := range byEnd(results) {
		if m.there(r.Unit, refOf(r)) {
			m.follow(r)
		}
	}
}
