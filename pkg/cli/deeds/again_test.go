package deeds

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// ran is a run of the unit web.main at the commit of the digit, which is its name.
func ran(digit string, v result.Verdict) result.Result {
	ref := result.Ref{Ref: repo.Ref{Repository: "web", Branch: "main"}, SHA: sha(digit)}
	return result.Result{Name: digit, Unit: "web.main", Verdict: v, Members: []result.Member{{Task: "web", Ref: ref, QA: sha("f"), Verdict: v}}}
}

func TestLastGood(t *testing.T) {
	other := ran("9", result.Succeeded)
	other.Unit = "web.dev"
	for name, tt := range map[string]struct {
		past []result.Result // newest first
		want string          // "" = none
	}{
		"after a failure":                       {[]result.Result{ran("2", result.Failed), ran("1", result.Succeeded)}, "1"},
		"after a success that turned out badly": {[]result.Result{ran("2", result.Succeeded), ran("1", result.Succeeded)}, "1"},
		"the same commit is no way back":        {[]result.Result{ran("2", result.Succeeded), ran("2", result.Succeeded), ran("1", result.Succeeded)}, "1"},
		"failures are passed over":              {[]result.Result{ran("3", result.Failed), ran("2", result.TimedOut), ran("1", result.Succeeded)}, "1"},
		"another unit of the name":              {[]result.Result{ran("2", result.Failed), other, ran("1", result.Succeeded)}, "1"},
		"none":                                  {[]result.Result{ran("2", result.Failed), ran("1", result.Failed)}, ""},
		"nothing":                               {nil, ""},
	} {
		got, err := lastGood(tt.past, "web")
		if got.Name != tt.want || (err == nil) != (tt.want != "") {
			t.Errorf("%s: %q, %v, want %q", name, got.Name, err, tt.want)
		}
	}
}

// A run of a few members, as a rerun of what failed is one, is no state of the unit to go back to, and counts as deployed last.
func TestLastGoodOfAGroup(t *testing.T) {
	of := func(name string, v result.Verdict, byHand bool, members ...string) result.Result {
		r := result.Result{Name: name, Unit: "shop", Verdict: v, Manual: byHand}
		for _, m := range members { // such as a1: member a at the commit 1
			ref := result.Ref{Ref: repo.Ref{Repository: m[:1], Branch: "main"}, SHA: sha(m[1:])}
			r.Members = append(r.Members, result.Member{Task: m[:1], Ref: ref, Verdict: v})
		}
		return r
	}
	good := of("good", result.Succeeded, false, "a1", "b1", "c1")
	for name, tt := range map[string]struct {
		past []result.Result
		want string
	}{
		"what failed was run again": {[]result.Result{
			of("next", result.Failed, false, "a3", "b3", "c3"), of("rerun", result.Succeeded, true, "b2"), of("bad", result.Failed, false, "a2", "b2", "c2"), good,
		}, "good"},
		"a member was triggered at what is deployed": {[]result.Result{
			of("trigger", result.Succeeded, true, "a1"), good, of("older", result.Succeeded, false, "a5", "b1", "c1"),
		}, "older"},
		"the whole group by hand": {[]result.Result{of("bad", result.Failed, false, "a2", "b2", "c2"), of("all", result.Succeeded, true, "a4", "b4", "c4"), good}, "all"},
	} {
		if got, err := lastGood(tt.past, "shop"); got.Name != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, got.Name, err, tt.want)
		}
	}
}

// People can write what they like into a run: what cannot be deployed is refused.
func TestWhatCannotBeMadeAgain(t *testing.T) {
	in := plan.Input{Config: &config.Config{Repositories: []config.Repository{
		{Name: "web", Deploy: &config.Deploy{Source: config.Source{URL: "https://host.example/qa"}}},
		{Name: "task", Deploy: &config.Deploy{Task: &config.Reference{Name: "it"}}},
	}}}
	run, err := Again(in, ran("1", result.Failed), "0123abcd")
	if err != nil || run.Trigger.Manual != "0123abcd" || run.Members[0].SHA != sha("1") || run.Members[0].QASHA != sha("f") || run.Members[0].Task != "web" {
		t.Errorf("a good one: %+v, %v", run, err)
	}
	for name, change := range map[string]func(r *result.Result){
		"no commit":                       func(r *result.Result) { r.Members[0].SHA = "" },
		"none of the QA repository":       func(r *result.Result) { r.Members[0].QA = "" },
		"no members":                      func(r *result.Result) { r.Members = nil },
		"it deployed is not known":        func(r *result.Result) { r.Members[0].Repository = "" },
		"no repository gone any more":     func(r *result.Result) { r.Members[0].Repository = "gone" },
		"the commit that":                 func(r *result.Result) { r.Members[0].SHA = "$(id)" },
		"the commit of the QA repository": func(r *result.Result) { r.Members[0].QA = "x" },
		"the branch that":                 func(r *result.Result) { r.Members[0].Branch = "a..b" },
		"was of the unit \"shop\"":        func(r *result.Result) { r.Unit = "shop" },
		"are of web.dev now":              func(r *result.Result) { r.Members[0].Branch = "dev" },
	} {
		r := ran("1", result.Failed)
		change(&r)
		if _, err := Again(in, r, "0123abcd"); err == nil || !strings.HasPrefix(err.Error(), "1 cannot be made again: ") {
			t.Errorf("%s: %v, want it refused", name, err)
		}
	}
	withTask := ran("1", result.Failed)
	withTask.Unit, withTask.Members[0].Repository, withTask.Members[0].QA = "task.main", "task", ""
	if _, err := Again(in, withTask, "0123abcd"); err != nil {
		t.Errorf("of a Task without a QA repository: %v", err)
	}
}
