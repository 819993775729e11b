package statistics

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

var now = time.Date(2026, 3, 31, 12, 0, 0, 0, time.UTC)

// ended is a run of the unit that ended so long ago, took so long, and whose change was seen 30 s before it began.
func ended(unit string, ago time.Duration, seconds int, v result.Verdict) result.Result {
	created := now.Add(-ago - time.Duration(seconds)*time.Second)
	return result.Result{Unit: unit, Created: created, Seen: created.Add(-30 * time.Second), Seconds: seconds, Verdict: v}
}

func rate(f float64) *float64 { return &f }

func TestOf(t *testing.T) {
	hand := ended("shop", time.Hour, 100, result.Succeeded)
	hand.Manual = true
	got := Of([]result.Result{
		ended("shop", 40*day, 5, result.Failed), // before all periods, and mended within the longest
		ended("shop", 29*day, 10, result.Succeeded),
		ended("shop", 6*day, 20, result.Failed),
		ended("shop", 5*day, 30, result.TimedOut), // of the same trouble
		ended("shop", 4*day, 1, result.Cancelled),
		ended("shop", 4*day, 1, result.Superseded),
		ended("shop", 3*day, 40, result.Succeeded),
		hand,
		ended("web.main", 2*time.Hour, 7, result.Failed),
	}, now)
	since := now.Add(-40 * day)
	want := map[string][]Measures{
		"shop": {
			{Period: "24h", Since: since, Succeeded: 1, SuccessRate: rate(1), PerDay: 1, Duration: &Spread{Samples: 1, Median: 100}},
			{
				Period: "7d", Since: since, Succeeded: 2, Failed: 2, Cancelled: 1, Superseded: 1, SuccessRate: rate(0.5), PerDay: 0.29,
				Duration: &Spread{Samples: 4, Median: 30}, LeadTime: &Spread{Samples: 1, Median: 70}, Restore: &Spread{Samples: 1, Median: 3 * 86400},
			},
			{
				Period: "30d", Since: since, Succeeded: 3, Failed: 2, Cancelled: 1, Superseded: 1, SuccessRate: rate(0.6), PerDay: 0.1,
				Duration: &Spread{Samples: 5, Median: 30}, LeadTime: &Spread{Samples: 2, Median: 40}, Restore: &Spread{Samples: 2, Median: 3 * 86400},
			},
		},
	}
	if diff := cmp.Diff(want["shop"], got.Units["shop"]); diff != "" {
		t.Errorf("of shop (-want +got):\n%s", diff)
	}
	failing := Measures{Period: "24h", Since: now.Add(-2 * time.Hour), Failed: 1, SuccessRate: rate(0), Duration: &Spread{Samples: 1, Median: 7}, FailingSince: now.Add(-2 * time.Hour)}
	if diff := cmp.Diff(failing, got.Units["web.main"][0]); diff != "" {
		t.Errorf("of web.main, which fails (-want +got):\n%s", diff)
	}
	if all := got.All[0]; all.Succeeded != 1 || all.Failed != 1 || all.Restore != nil {
		t.Errorf("of all in 24h: %+v; one unit's success mends no other unit", all)
	}
}

// A repository's deployments count by their own ends, whatever became of the run.
func TestRepositories(t *testing.T) {
	run := ended("shop", time.Hour, 90, result.Failed)
	ref := func(name string) result.Ref {
		return result.Ref{Ref: repo.Ref{Repository: name, Branch: "main"}, SHA: "a"}
	}
	run.Refs = []result.Ref{ref("web")}
	run.Members = []result.Member{
		{Ref: ref("web"), Verdict: result.Succeeded, Seconds: 20}, {Ref: ref("api"), Verdict: result.Failed, Seconds: 40}, {Ref: ref("db"), Verdict: result.Skipped},
		{Ref: ref("old"), Verdict: result.Succeeded, Seconds: 3}, {Ref: ref("back"), Verdict: result.RolledBack, Seconds: 5},
	}
	got := Of([]result.Result{run}, now).Repositories
	since := now.Add(-time.Hour)
	want := map[string]Measures{
		"web":  {Period: "24h", Since: since, Succeeded: 1, SuccessRate: rate(1), PerDay: 1, Duration: &Spread{Samples: 1, Median: 20}, LeadTime: &Spread{Samples: 1, Median: 120}},
		"api":  {Period: "24h", Since: since, Failed: 1, SuccessRate: rate(0), Duration: &Spread{Samples: 1, Median: 40}, FailingSince: since},
		"back": {Period: "24h", Since: since, RolledBack: 1},
		"db":   {Period: "24h", Since: since, Skipped: 1},
		"old":  {Period: "24h", Since: since, Succeeded: 1, SuccessRate: rate(1), PerDay: 1, Duration: &Spread{Samples: 1, Median: 3}}, // it ran along: no lead time
	}
	for name, m := range want {
		if diff := cmp.Diff(m, got[name][0]); diff != "" {
			t.Errorf("of %s (-want +got):\n%s", name, diff)
		}
	}
}

func TestSpread(t *testing.T) {
	values := func(n int) (v []int) {
		for i := range n {
			v = append(v, n-i)
		}
		return v
	}
	for n, want := range map[int]*Spread{0: nil, 1: {1, 1, 0}, 2: {2, 1, 0}, 19: {19, 10, 0}, 20: {20, 10, 19}, 100: {100, 50, 95}} {
		if diff := cmp.Diff(want, spread(values(n))); diff != "" {
			t.Errorf("of 1 to %d (-want +got):\n%s", n, diff)
		}
	}
}
