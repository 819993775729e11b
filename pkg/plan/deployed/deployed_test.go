package deployed_test

import (
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/deployed"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var day = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// run is how a run ended that was created in the minute, with a deployment at the SHA of the digit.
func run(minute int, v result.Verdict, name, branch, digit string) result.Result {
	ref := result.Ref{Ref: repo.Ref{Repository: name, Branch: branch}, SHA: sha(digit)}
	return result.Result{Name: name + "-" + digit, Created: day.Add(time.Duration(minute) * time.Minute), Members: []result.Member{{Ref: ref, Verdict: v}}}
}

func TestLearn(t *testing.T) {
	known := func() state.Snapshot {
		return state.Snapshot{Repositories: map[string]state.Repository{
			"web":  {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha("9"), N: 7}})},
			"mail": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha("9"), Succeeded: sha("8")}})},
		}}
	}
	for name, tt := range map[string]struct {
		results [][]result.Result // what is learned one after the other
		want    string            // the digit of web's main, "" for none
	}{
		"nothing ended":                         {nil, ""},
		"a success":                             {[][]result.Result{{run(1, result.Succeeded, "web", "main", "1")}}, "1"},
		"a failure after it":                    {[][]result.Result{{run(1, result.Succeeded, "web", "main", "1")}, {run(2, result.Failed, "web", "main", "2")}}, "1"},
		"a skipped one alone":                   {[][]result.Result{{run(1, result.Skipped, "web", "main", "1")}}, ""},
		"rolled back with its group":            {[][]result.Result{{run(1, result.Succeeded, "web", "main", "1")}, {run(2, result.RolledBack, "web", "main", "2")}}, "1"},
		"in any order":                          {[][]result.Result{{run(2, result.Succeeded, "web", "main", "2"), run(1, result.Succeeded, "web", "main", "1")}}, "2"},
		"an older run ends after a newer one":   {[][]result.Result{{run(2, result.Succeeded, "web", "main", "2")}, {run(1, result.Succeeded, "web", "main", "1")}}, "2"},
		"learned again":                         {[][]result.Result{{run(1, result.Succeeded, "web", "main", "1")}, {run(1, result.Succeeded, "web", "main", "1")}}, "1"},
		"back to an older commit":               {[][]result.Result{{run(1, result.Succeeded, "web", "main", "1")}, {run(2, result.Succeeded, "web", "main", "2")}, {run(3, result.Succeeded, "web", "main", "1")}}, "1"},
		"no commit":                             {[][]result.Result{{run(1, result.Succeeded, "web", "main", "x")}}, ""},
		"a branch that the state does not know": {[][]result.Result{{run(1, result.Succeeded, "web", "other", "1"), run(1, result.Succeeded, "none", "main", "1")}}, ""},
	} {
		before := known()
		var ledger deployed.Ledger
		s := before
		for _, results := range tt.results {
			s = ledger.Learn(s, results)
		}
		want := repo.SHA("")
		if tt.want != "" {
			want = sha(tt.want)
		}
		expected := known()
		main := expected.Repositories["web"].Branches.Get("main")
		main.Succeeded = want
		expected.Repositories["web"].Branches.Set("main", main)
		if !s.Equal(expected) {
			t.Errorf("%s: %+v, want %s at web's main and nothing else", name, s.Repositories, want)
		}
		if !before.Equal(known()) {
			t.Errorf("%s: the snapshot that was learned from changed", name)
		}
	}
}

// A run that was active as its branch was deleted deploys all the same. Whoever brings the branch back before it is gone from the state
// compares with that.
func TestLearnOfABranchThatIsForgotten(t *testing.T) {
	s := state.Snapshot{Repositories: map[string]state.Repository{
		"web": {Branches: state.NewBranches(map[string]state.Branch{"gone": {SHA: sha("2"), Succeeded: sha("1"), N: 2, Missing: 2}})},
	}}
	var ledger deployed.Ledger
	s = ledger.Learn(s, []result.Result{run(2, result.Succeeded, "web", "gone", "2")})
	if b := s.Repositories["web"].Branches.Get("gone"); b.Succeeded != sha("2") || !b.Forgotten() {
		t.Errorf("the branch is %+v, want it forgotten, and deployed at %s", b, sha("2"))
	}
}
