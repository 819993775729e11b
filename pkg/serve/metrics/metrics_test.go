package metrics

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/hook"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// configuration has these repositories; NAME:GROUP is one of a group.
func configuration(names ...string) *config.Config {
	cfg := &config.Config{}
	for _, name := range names {
		name, group, _ := strings.Cut(name, ":")
		cfg.Repositories = append(cfg.Repositories, config.Repository{Name: name, Group: group})
	}
	return cfg
}

// scrape returns the samples of Sentry's own metrics, without the buckets, and sets none that are zero. It is the second scrape
// since something happened.
func scrape(t *testing.T, m *Metrics) map[string]string {
	t.Helper()
	request := httptest.NewRequest(http.MethodGet, Path, nil)
	m.Handler().ServeHTTP(httptest.NewRecorder(), request)
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, request)
	if answer.Code != http.StatusOK {
		t.Fatalf("HTTP %d: %s", answer.Code, answer.Body)
	}
	samples := map[string]string{}
	for line := range strings.Lines(answer.Body.String()) {
		at := strings.LastIndexByte(strings.TrimSpace(line), ' ')
		if name := line[:max(at, 0)]; strings.HasPrefix(name, "sentry_") && !strings.Contains(name, "_bucket{") && strings.TrimSpace(line[at:]) != "0" {
			samples[strings.TrimPrefix(name, "sentry_")] = strings.TrimSpace(line[at:])
		}
	}
	return samples
}

// has checks that the samples whose names begin so are these, as NAME VALUE.
func has(t *testing.T, m *Metrics, start string, want ...string) {
	t.Helper()
	var got []string
	samples := scrape(t, m)
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		if strings.HasPrefix(name, start) {
			got = append(got, name+" "+samples[name])
		}
	}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("%s:\n%s\nwant\n%s", start, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// run is a run of a branch's unit, or of a group's, that was seen to be due so long ago, and ended just now after a minute.
func run(unit string, v result.Verdict, seen time.Duration, members ...result.Verdict) result.Result {
	name, branch, _ := strings.Cut(unit, ".")
	ref := result.Ref{Ref: repo.Ref{Repository: name, Branch: branch}}
	r := result.Result{Unit: unit, Created: time.Now().Add(-time.Minute), Seconds: 60, Verdict: v, Seen: time.Now().Add(-seen), Refs: []result.Ref{ref}}
	for _, v := range members {
		r.Members = append(r.Members, result.Member{Ref: ref, Verdict: v, Seconds: 40})
	}
	return r
}

func (m *Metrics) send(t *testing.T, events ...event.Event) {
	t.Helper()
	m.Sink(t.Context(), events)
}

func TestCycles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1", configuration("a"), time.Hour)
		has(t, m, "poll_interval", "poll_interval_seconds 3600")
		has(t, m, "last_cycle", fmt.Sprintf("last_cycle_timestamp_seconds %g", float64(time.Now().Unix())))
		time.Sleep(5 * time.Minute)
		cycle := func(late, took time.Duration, r event.Report) {
			t.Helper()
			m.send(t, event.CycleDone{Report: r, Whole: true, Every: time.Minute, Late: late, Duration: took})
		}
		cycle(0, 2*time.Second, event.Report{Repositories: 10, Failing: 6, NotAsked: 2, Overdue: 1, Waiting: 4, Problems: 5})
		has(t, m, "repositories", `repositories{status="ok"} 4`, `repositories{status="failed"} 3`, `repositories{status="not_asked"} 2`, `repositories{status="overdue"} 1`)
		has(t, m, "runs_waiting", "runs_waiting 4")
		has(t, m, "units_not_started", "units_not_started 5")
		has(t, m, "poll_interval", "poll_interval_seconds 60")
		has(t, m, "last_cycle", fmt.Sprintf("last_cycle_timestamp_seconds %g", float64(time.Now().Unix())))

		time.Sleep(time.Minute)
		cycle(20*time.Second, 41*time.Second, event.Report{Repositories: 10}) // ends a second after the next is due
		m.send(t, event.CycleDone{Report: event.Report{Repositories: 2, Failing: 2}, Every: time.Minute, Duration: time.Second},
			event.CycleDone{Report: event.Report{Repositories: 9, Stopped: true}, Whole: true, Every: time.Minute}, event.CycleFailed{})
		time.Sleep(3 * time.Minute) // in which two cycles should have been
		cycle(0, time.Second, event.Report{Repositories: 10})
		has(t, m, "repository_polls_total", `repository_polls_total{result="in_time"} 14`, `repository_polls_total{result="late"} 10`, `repository_polls_total{result="failed"} 3`,
			`repository_polls_total{result="not_asked"} 2`, `repository_polls_total{result="overdue"} 1`, `repository_polls_total{result="missed"} 20`)
		has(t, m, "repositories", `repositories{status="ok"} 10`)
		has(t, m, "cycle_duration", `cycle_duration_seconds_count{scope="all"} 3`, `cycle_duration_seconds_sum{scope="all"} 44`,
			`cycle_duration_seconds_count{scope="some"} 1`, `cycle_duration_seconds_sum{scope="some"} 1`)
		has(t, m, "cycle_start_lateness", "cycle_start_lateness_seconds_count 3", "cycle_start_lateness_seconds_sum 20")
		has(t, m, "cycle_end_lateness", "cycle_end_lateness_seconds_count 3", "cycle_end_lateness_seconds_sum 64")
		has(t, m, "cycle_errors", "cycle_errors_total 1")
	})
}

func TestRunsAndDeployments(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1", configuration("a", "web:shop", "db:shop"), time.Minute)
		m.send(t,
			event.RunCreated{Run: plan.Run{Trigger: plan.Trigger{Seen: time.Now().Add(-3 * time.Second)}}},
			event.RunCreated{Run: plan.Run{Trigger: plan.Trigger{Seen: time.Now().Add(-time.Hour), Manual: "0a"}}},
			event.Noticed{Events: []plan.Event{{Kind: plan.Moved}, {Kind: plan.NewBranch, Ref: repo.Ref{Repository: "a"}}, {Kind: plan.FirstSeen}, {Kind: plan.Failing}}},
			event.RunEnded{Result: run("shop", result.Failed, 5*time.Minute, result.Succeeded, result.Failed, result.Skipped)},
			event.RunEnded{Result: run("a.main", result.TimedOut, time.Minute, result.TimedOut)})
		broke := time.Now()
		time.Sleep(time.Hour)
		byHand := run("shop", result.Succeeded, time.Hour)
		byHand.Manual, byHand.Created = true, byHand.Created.Add(-2*time.Hour) // before the failure
		m.send(t, event.RunEnded{Result: byHand},
			event.RunEnded{Result: run("a.main", result.Cancelled, time.Minute, result.Cancelled)}, // which says nothing of either
			event.RunEnded{Result: run("a.main", result.Failed, time.Minute, result.Failed)},
			event.RunEnded{Result: run("shop", result.Succeeded, 90*time.Second, result.Succeeded, result.Succeeded)})
		has(t, m, "runs_", "runs_created_total 2", `runs_total{verdict="failed"} 2`, `runs_total{verdict="succeeded"} 2`, `runs_total{verdict="timed_out"} 1`, `runs_total{verdict="cancelled"} 1`)
		has(t, m, "changes_total", "changes_total 2")
		has(t, m, "detection_lag", "detection_lag_seconds_count 1", "detection_lag_seconds_sum 3")
		has(t, m, "deployments_total",
			`deployments_total{unit="shop",verdict="succeeded"} 3`, `deployments_total{unit="shop",verdict="failed"} 1`, `deployments_total{unit="shop",verdict="skipped"} 1`,
			`deployments_total{unit="a.main",verdict="timed_out"} 1`, `deployments_total{unit="a.main",verdict="cancelled"} 1`, `deployments_total{unit="a.main",verdict="failed"} 1`)
		has(t, m, "deployment_duration", `deployment_duration_seconds_count{unit="a.main"} 2`, `deployment_duration_seconds_sum{unit="a.main"} 80`,
			`deployment_duration_seconds_count{unit="shop"} 4`, `deployment_duration_seconds_sum{unit="shop"} 160`)
		has(t, m, "lead_time", "lead_time_seconds_count 1", "lead_time_seconds_sum 90")
		has(t, m, "time_to_restore", "time_to_restore_seconds_count 1", "time_to_restore_seconds_sum 3600")
		has(t, m, "unit_failing", fmt.Sprintf(`unit_failing_since_timestamp_seconds{unit="a.main"} %g`, float64(broke.Unix())))
	})
}

// A unit's first deployment is not lost to rates, which need a value from before: neither where this replica created the run nor
// where it only hears how that ends.
func TestCountersBeginAtZero(t *testing.T) {
	r := plan.Run{Unit: naming.Unit{Label: "a.main"}, Trigger: plan.Trigger{Refs: []plan.Change{{Ref: repo.Ref{Repository: "a", Branch: "main"}}}}}
	for name, begins := range map[string]event.Event{"created here": event.RunCreated{Run: r}, "elsewhere": event.RunEnded{Result: run("a.main", result.Failed, 0, result.Failed)}} {
		t.Run(name, func(t *testing.T) { beginsAtZero(t, begins) })
	}
}

func beginsAtZero(t *testing.T, begins event.Event) {
	m := New("v1", configuration("a"), time.Minute)
	m.send(t, begins)
	all := families(t, m)
	for _, s := range all["sentry_deployments_total"].GetMetric() {
		if s.GetCounter().GetValue() != 0 {
			t.Errorf("a series begins with %s", s)
		}
	}
	if _, created := begins.(event.RunCreated); created { // a moment ago
		m.send(t, event.RunEnded{Result: run("a.main", result.Failed, 0, result.Failed)})
	}
	if got := fmt.Sprint(families(t, m)["sentry_deployments_total"]); !strings.Contains(got, "counter:{value:1") {
		t.Errorf("once its zero was scraped a deployment does not count: %s", got)
	}
	if n := len(all["sentry_deployments_total"].GetMetric()); n != 7 {
		t.Errorf("%d series of deployments once a run was created, want one for each of 7 verdicts", n)
	}
	for _, name := range []string{"sentry_deployment_duration_seconds", "sentry_runs_total", "sentry_repository_polls_total"} {
		if len(all[name].GetMetric()) == 0 {
			t.Errorf("%s has no series yet", name)
		}
	}
}

// A restart forgets no unit that fails, and a history that is read late puts nothing back that has ended since.
func TestPast(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1", configuration("a", "b", "c"), time.Minute)
		good := run("a.main", result.Succeeded, 0)
		time.Sleep(time.Hour)
		bad, b, c := run("a.main", result.Failed, 0), run("b.main", result.Failed, 0), run("c.main", result.Failed, 0)
		began := time.Now()
		time.Sleep(time.Hour)
		worse := run("a.main", result.TimedOut, 0)
		m.send(t, event.RunEnded{Result: run("b.main", result.Succeeded, 0)})
		m.Past([]result.Result{worse, c, b, bad, good}) // newest first, as the history is
		time.Sleep(time.Hour)
		m.send(t, event.RunEnded{Result: run("c.main", result.Succeeded, 0)})
		has(t, m, "unit_failing", fmt.Sprintf(`unit_failing_since_timestamp_seconds{unit="a.main"} %g`, float64(began.Unix())))
		has(t, m, "time_to_restore", "time_to_restore_seconds_count 1", "time_to_restore_seconds_sum 7200")
	})
}

// Of several replicas the one that hears of the ends of runs tells which units fail, and no other.
func TestReplicas(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1", configuration("a", "b"), time.Minute)
		failed := []result.Result{run("a.main", result.Failed, 0), run("b.main", result.Failed, 0)}
		began := time.Now()
		m.Hear(false)
		m.Past(failed)
		has(t, m, "unit_failing")
		m.Hear(true)
		m.Past(failed)
		m.send(t, event.RunEnded{Result: run("b.main", result.Failed, 0)})
		has(t, m, "unit_failing", fmt.Sprintf(`unit_failing_since_timestamp_seconds{unit="a.main"} %g`, float64(began.Unix())),
			fmt.Sprintf(`unit_failing_since_timestamp_seconds{unit="b.main"} %g`, float64(began.Unix())))
		m.Hear(false)
		m.send(t, event.RunEnded{Result: run("a.main", result.Failed, 0)}) // which was on its way
		has(t, m, "unit_failing")
		time.Sleep(time.Hour)
		m.Hear(true) // again, and all is mended meanwhile
		m.Past(append(failed, run("a.main", result.Succeeded, 0), run("b.main", result.Succeeded, 0)))
		has(t, m, "unit_failing")
	})
}

// A change that waits for its unit's run is seen in each cycle, and is one change.
func TestChangeThatWaits(t *testing.T) {
	m := New("v1", configuration("a"), time.Minute)
	ref := repo.Ref{Repository: "a", Branch: "main"}
	cycle := func(whole bool, want int, heads ...repo.SHA) {
		t.Helper()
		var seen event.Noticed
		for _, sha := range heads {
			seen.Events = append(seen.Events, plan.Event{Kind: plan.Moved, Ref: ref, From: "1", To: sha})
		}
		m.send(t, seen, event.CycleDone{Whole: whole})
		has(t, m, "changes_total", fmt.Sprintf("changes_total %d", want))
	}
	cycle(true, 1, "2")
	cycle(true, 1, "2")
	cycle(false, 1)      // that looks elsewhere
	cycle(false, 1, "2") // a webhook
	cycle(true, 1, "2")
	cycle(false, 2, "3")
	cycle(true, 2, "3")
	cycle(true, 2) // it was deployed
	cycle(true, 3, "3")
	if n := len(m.moved) + len(m.waited); n != 1 {
		t.Errorf("%d changes are kept, want the one that waits", n)
	}
}

// A replica tells how much of the work is its own, and nothing of it while it does not know.
func TestShare(t *testing.T) {
	m := New("v1", configuration("a", "b", "c", "d"), time.Minute)
	has(t, m, "share_ratio", "share_ratio 1")
	m.Share(0)
	has(t, m, "share_ratio")
	m.Share(2)
	m.send(t, event.CycleDone{Whole: true, Report: event.Report{Repositories: 3}}, event.CycleDone{Report: event.Report{Repositories: 1}})
	has(t, m, "share_ratio", "share_ratio 0.75")
	m.Apply(configuration("a", "b", "c"))
	m.send(t, event.CycleDone{Whole: true, Report: event.Report{Repositories: 3}})
	has(t, m, "share_ratio", "share_ratio 1")
	m.Share(0)
	has(t, m, "share_ratio")
}

// branches is a state that knows these.
func branches(units ...string) state.Snapshot {
	s := state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{}}
	for _, u := range units {
		name, branch, _ := strings.Cut(u, ".")
		if s.Repositories[name].Branches == (state.Branches{}) {
			s.Repositories[name] = state.Repository{Branches: state.NewBranches(nil)}
		}
		s.Repositories[name].Branches.Set(branch, state.Branch{})
	}
	return s
}

// stored is a store that has a snapshot.
type stored struct{ state.Snapshot }

func (s *stored) Load(context.Context) (state.Snapshot, error)   { return s.Snapshot, nil }
func (s *stored) Save(_ context.Context, n state.Snapshot) error { s.Snapshot = n; return nil }

// A branch that is gone does not fail for ever, whether it was deleted before the start, under another replica or while its run
// goes on. One that another replica has found and not written yet is not gone.
func TestGoneBranches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := New("v1", configuration("a", "web:shop"), time.Minute)
		store := m.Store(&stored{branches("a.main", "a.dev", "web.main")})
		load := func() {
			t.Helper()
			if _, err := store.Load(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		fails := func(unit string) event.RunEnded {
			return event.RunEnded{Result: run(unit, result.Failed, 0, result.Failed)}
		}
		failing := func(units ...string) {
			t.Helper()
			var want []string
			for _, u := range units {
				want = append(want, fmt.Sprintf(`unit_failing_since_timestamp_seconds{unit=%q} %g`, u, float64(time.Now().Unix())))
			}
			has(t, m, "unit_failing", want...)
		}
		load()
		past := []result.Result{run("a.main", result.Failed, 0), run("shop", result.Failed, 0)} // newest first
		for i := range maxBranches {
			past = append(past, run(fmt.Sprintf("a.old%d", i), result.Failed, 0))
		}
		m.Past(past)
		m.send(t, fails("a.dev"), fails("a.gone"), fails("a.new"))
		failing("a.main", "a.dev", "shop")
		if err := store.Save(t.Context(), branches("a.main", "a.new", "web.main")); err != nil {
			t.Fatal(err)
		}
		failing("a.main", "a.new", "shop")
		has(t, m, `deployments_total{unit="a.d`)
		m.Past(past)
		failing("a.main", "a.new", "shop")
		time.Sleep(2 * settled)
		load()
		has(t, m, `deployments_total{unit="a.g`)
		if n := len(m.units.known); n != 3 {
			t.Errorf("%d units are known, want those that there are", n)
		}
	})
}

// Whoever may push can make any number of branches, and whoever may make runs any number of units: neither makes series
// without end, nor takes the place of another repository's units.
func TestUnitsAreBounded(t *testing.T) {
	m := New("v1", configuration("a", "b"), time.Minute)
	for i := range 5000 {
		m.send(t, event.RunEnded{Result: run(fmt.Sprintf("a.x%d", i), result.Failed, 0, result.Failed)},
			event.RunEnded{Result: run(fmt.Sprintf("stranger.x%d", i), result.Failed, 0, result.Failed)},
			event.RunEnded{Result: run(fmt.Sprintf("group%d", i), result.Failed, 0, result.Failed)})
	}
	m.send(t, event.RunEnded{Result: run("b.main", result.Succeeded, 0, result.Succeeded)})
	samples := scrape(t, m)
	for name, want := range map[string]string{
		`deployments_total{unit="a.x0",verdict="failed"}`:      "1",
		`deployments_total{unit="a.*",verdict="failed"}`:       fmt.Sprint(5000 - maxBranches),
		`deployments_total{unit="other",verdict="failed"}`:     "10000",
		`deployments_total{unit="b.main",verdict="succeeded"}`: "1",
	} {
		if samples[name] != want {
			t.Errorf("%s is %q, want %s", name, samples[name], want)
		}
	}
	if n := strings.Count(fmt.Sprint(samples), "deployments_total{"); n != maxBranches+3 {
		t.Errorf("%d series of deployments, want %d", n, maxBranches+3)
	}

	var many []string
	for i := range 2 * maxUnits {
		many = append(many, fmt.Sprintf("r%d", i))
	}
	m = New("v1", configuration(many...), time.Minute)
	for _, name := range many {
		m.send(t, event.RunEnded{Result: run(name+".main", result.Succeeded, 0, result.Succeeded)})
	}
	samples = scrape(t, m)
	if n := strings.Count(fmt.Sprint(samples), "deployments_total{"); n != maxUnits+1 {
		t.Errorf("%d series of deployments of %d units, want %d", n, len(many), maxUnits+1)
	}
}

// A unit, a branch and a host that are no more are not told of, and what is new has their room.
func TestWhatLeftIsGone(t *testing.T) {
	hosts := []poller.EndpointStats{{Host: "a.example"}, {Host: "b.example"}}
	m := New("v1", configuration("a", "b", "web:shop"), time.Minute)
	m.Ask(Sources{Hosts: func() []poller.EndpointStats { return hosts }})
	for i := range maxBranches {
		m.send(t, event.RunEnded{Result: run(fmt.Sprintf("a.x%d", i), result.Failed, 0, result.Failed)})
	}
	for _, unit := range []string{"b.main", "shop"} {
		m.send(t, event.RunEnded{Result: run(unit, result.Failed, 0, result.Failed)})
	}
	s := branches("a.new", "b.main", "web.main")
	for i := range maxBranches {
		s.Repositories["a"].Branches.Set(fmt.Sprintf("x%d", i), state.Branch{})
	}
	m.see(s.Clone())
	s = s.Clone()
	s.Repositories["a"].Branches.Delete("x3")
	m.see(s)
	m.send(t, event.RunEnded{Result: run("a.new", result.Failed, 0, result.Failed)})
	m.Called("a.example", 200, time.Second)
	m.Called("b.example", 503, time.Second)
	m.Apply(configuration("a", "new"))
	hosts = hosts[1:]
	scrape(t, m) // which forgets it for the next one
	text := fmt.Sprint(scrape(t, m))
	for part, want := range map[string]bool{`"a.x2"`: true, `"a.x3"`: false, `"a.new"`: true, `"a.*"`: false, `"b.main"`: false, `"shop"`: false, `"a.example"`: false, `"b.example"`: true} {
		if strings.Contains(text, part) != want {
			t.Errorf("%s is there: %t, want %t, in\n%s", part, !want, want, text)
		}
	}
}

// full are metrics of which each has a value.
func full(t *testing.T) *Metrics {
	t.Helper()
	m := New("v1", configuration("a"), time.Minute)
	m.Ask(Sources{
		State: func() (state.Size, bool) {
			return state.Size{Bytes: 1000, Most: 5000, Repositories: 3, Branches: 4, Units: 5}, true
		},
		Clusters: func() map[string]bool { return map[string]bool{"prod": true, "qa": false} },
		Webhooks: func() map[hook.Outcome]int {
			return map[hook.Outcome]int{hook.Accepted: 3, hook.TooLarge: 1}
		},
		Found: func() *discover.Found {
			failure := func(owner, file string, since int64) discover.Failure {
				return discover.Failure{Question: discover.Question{Host: "https://a.example", Owner: owner, File: file}, Since: since}
			}
			return &discover.Found{Failing: []discover.Failure{failure("team", "", 2_000), failure("team", ".sentry.yaml", 1_000), failure("company/web", "", 3_000)}}
		},
		Hosts: func() []poller.EndpointStats {
			grants := transport.Grants{Resource: "core", Limit: 5000, Remaining: 4000, Reset: time.Unix(2_000_000_000, 0)}
			less := grants
			less.Remaining = 17
			down := transport.Status{Why: &githost.Error{}}
			return []poller.EndpointStats{
				{Host: "a.example", Credential: "$TOKEN", Grants: []transport.Grants{grants}},
				{Host: "a.example", Credential: "$TOKEN", Grants: []transport.Grants{less}}, // at another address of its API
				{Host: "b.example", Credential: "none", Status: down, Grants: []transport.Grants{{Limit: 60, Remaining: 59}}},
				{Host: "c.example", Credential: "none", Status: transport.Status{Why: &githost.Error{}, Resource: "graphql"}},
			}
		},
	})
	m.send(t, event.RunEnded{Result: run("a.main", result.Succeeded, 0, result.Succeeded)},
		event.RunEnded{Result: run("a.dev", result.Failed, 0, result.Failed)},
		event.RunCreated{Run: plan.Run{Unit: naming.Unit{Label: "a.main"}}},
		event.CycleDone{Report: event.Report{Repositories: 3}, Whole: true, Every: time.Minute, Duration: time.Second})
	for _, status := range []int{200, 304, 404, 503, 0, 999} {
		m.Called("a.example", status, 200*time.Millisecond)
	}
	return m
}

func TestLookedUp(t *testing.T) {
	m := full(t)
	has(t, m, "host_asked", `host_asked{credential="$TOKEN",host="a.example"} 1`, `host_asked{credential="none",host="c.example"} 1`)
	has(t, m, "host_budget_remaining", `host_budget_remaining{credential="$TOKEN",host="a.example",resource="core"} 17`, `host_budget_remaining{credential="none",host="b.example",resource="all"} 59`)
	has(t, m, "host_budget_limit", `host_budget_limit{credential="$TOKEN",host="a.example",resource="core"} 5000`, `host_budget_limit{credential="none",host="b.example",resource="all"} 60`)
	has(t, m, "host_budget_reset", `host_budget_reset_timestamp_seconds{credential="$TOKEN",host="a.example",resource="core"} 2e+09`)
	has(t, m, "state_", "state_bytes 1000", "state_limit_bytes 5000", `state_entries{kind="repository"} 3`, `state_entries{kind="branch"} 4`, `state_entries{kind="unit"} 5`)
	has(t, m, "owner_", `owner_failing_since_timestamp_seconds{host="a.example",owner="company/web"} 3000`, `owner_failing_since_timestamp_seconds{host="a.example",owner="team"} 1000`)
	has(t, m, "webhooks_total", `webhooks_total{result="accepted"} 3`, `webhooks_total{result="too_large"} 1`)
	has(t, m, "host_request_duration_seconds_count", `host_request_duration_seconds_count{code="2xx",host="a.example"} 1`, `host_request_duration_seconds_count{code="3xx",host="a.example"} 1`,
		`host_request_duration_seconds_count{code="4xx",host="a.example"} 1`, `host_request_duration_seconds_count{code="5xx",host="a.example"} 1`, `host_request_duration_seconds_count{code="error",host="a.example"} 2`)
	m.Ask(Sources{State: func() (state.Size, bool) { return state.Size{}, false }})
	if _, ok := scrape(t, m)["state_limit_bytes"]; ok {
		t.Error("a state that is not known has a limit")
	}
}

// families returns all metrics, as who scrapes native histograms gets them.
func families(t *testing.T, m *Metrics) map[string]*dto.MetricFamily {
	t.Helper()
	req := httptest.NewRequest(http.MethodGet, Path, nil)
	req.Header.Set("Accept", string(expfmt.NewFormat(expfmt.TypeProtoDelim)))
	answer := httptest.NewRecorder()
	m.Handler().ServeHTTP(answer, req)
	all := map[string]*dto.MetricFamily{}
	for d := expfmt.NewDecoder(answer.Body, expfmt.NewFormat(expfmt.TypeProtoDelim)); ; {
		f := &dto.MetricFamily{}
		if err := d.Decode(f); errors.Is(err, io.EOF) {
			return all
		} else if err != nil {
			t.Fatal(err)
		}
		all[f.GetName()] = f
	}
}

// Names, units and help are by Prometheus' conventions, and each histogram has both kinds of buckets.
func TestConventions(t *testing.T) {
	m := full(t)
	all := families(t, m)
	var ours []*dto.MetricFamily
	for _, row := range m.Reference() {
		f := all[row.Name]
		if f == nil {
			t.Errorf("%s: nothing has a value here", row.Name)
			continue
		}
		if got := strings.ToLower(f.GetType().String()); got != row.Type {
			t.Errorf("%s is a %s, and the reference says a %s", row.Name, got, row.Type)
		}
		if h := f.GetMetric()[0].GetHistogram(); h != nil && (h.Schema == nil || len(h.GetBucket()) == 0) {
			t.Errorf("%s lacks native or classic buckets", row.Name)
		}
		ours = append(ours, f)
	}
	problems, err := promlint.NewWithMetricFamilies(ours).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		t.Errorf("%s: %s", p.Metric, p.Text)
	}
	for name := range all {
		if strings.HasPrefix(name, "sentry_") && !slices.ContainsFunc(m.Reference(), func(r Row) bool { return r.Name == name }) {
			t.Errorf("%s is not in the reference", name)
		}
	}
	for _, name := range []string{"go_goroutines", "process_resident_memory_bytes"} {
		if all[name] == nil {
			t.Errorf("%s is missing", name)
		}
	}
}
