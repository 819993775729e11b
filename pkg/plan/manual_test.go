package plan

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// manualInput has the group site with web and db, the repositories rag and down on their own, and a
// repository that is named like the group it is not in.
func manualInput(t *testing.T) Input {
	return Input{
		Config: file(
			watched(t, "rag", "", "rel.*", "main"), watched(t, "web", "site", "main"), watched(t, "down", "", "main"),
			watched(t, "db", "site", "main"), watched(t, "both", "", "main"), watched(t, "x", "both", "main"),
		),
		Snapshot: remembered(map[string]state.Repository{"rag": known(t, "main", "a", "4"), "web": known(t, "main", "b", "2")}),
		Observed: []repo.Observation{
			heads("main", "a", "dev", "d"), heads("main", "c", "dev", "e"), failed("denied", "401"),
			heads("main", "1"), heads("main", "2", "feat/x", "7"), heads("main", "3"),
		},
		Now: noon,
	}
}

func TestManual(t *testing.T) {
	const (
		rag  = "rag.main: rag@main#0 a>a | rag=main@a<a"
		web  = "site: web@main#0 b>c | web=main@c<b*"
		site = "site: db@main#0 >1 web@main#0 b>c | web=main@c<b* db=main@1<*"
		both = "both.main: both@main#0 >2 | both=main@2<*"
		x    = "both: x@main#0 >3 | x=main@3<*"
	)
	tests := map[string]struct {
		names  []string
		branch string
		want   []string
	}{
		"a repository":                    {[]string{"rag"}, "", []string{rag}},
		"twice":                           {[]string{"rag", "rag"}, "", []string{rag}},
		"a group":                         {[]string{"site"}, "", []string{site}},
		"a member alone":                  {[]string{"web"}, "", []string{web}},
		"all members":                     {[]string{"db", "web"}, "", []string{site}},
		"a group and its member":          {[]string{"db", "site"}, "", []string{site}},
		"in the order of the file":        {[]string{"site", "rag"}, "", []string{rag, site}},
		"a repository named like a group": {[]string{"both"}, "", []string{both}},
		"that group's member":             {[]string{"x"}, "", []string{x}},
		"a unit":                          {[]string{"rag.main"}, "", []string{rag}},
		"a repository's branch":           {[]string{"rag@dev", "rag.dev"}, "", []string{"rag.dev: rag@dev#0 >d | rag=dev@d<*"}},
		"a member's branch":               {[]string{"web@dev"}, "", []string{"site: web@dev#0 >e | web=dev@e<*"}},
		"a unit and its repository":       {[]string{"rag.dev", "rag", "rag.main"}, "", []string{rag, "rag.dev: rag@dev#0 >d | rag=dev@d<*"}},
		"a unit with a hash":              {[]string{"both.feat-x..ef5413e5"}, "", []string{"both.feat-x..ef5413e5: both@feat/x#0 >7 | both=feat/x@7<*"}},
		"a branch that is not watched":    {[]string{"rag", "web"}, "dev", []string{"rag.dev: rag@dev#0 >d | rag=dev@d<*", "site: web@dev#0 >e | web=dev@e<*"}},
	}
	for name, tt := range tests {
		in := manualInput(t)
		before := in.Snapshot.Clone()
		got, err := Manual(in, tt.names, tt.branch, "word")
		if diff := cmp.Diff(tt.want, describeAll(got)); err != nil || diff != "" {
			t.Errorf("%s: Manual(%v, %q): %v, runs (-want +got):\n%s", name, tt.names, tt.branch, err, diff)
		}
		for _, r := range got {
			if r.Trigger.Manual != "word" || !r.Trigger.Seen.Equal(noon) || !strings.HasPrefix(r.Name, r.Unit.Prefix+"-") {
				t.Errorf("%s: run %s has trigger %+v", name, r.Name, r.Trigger)
			}
			r.Remember(&in.Snapshot, noon)
		}
		if !in.Snapshot.Equal(before) {
			t.Errorf("%s: a manual run changed the state:\n%s", name, cmp.Diff(before, in.Snapshot))
		}
	}
}

func TestManualEverything(t *testing.T) {
	in := manualInput(t)
	in.Observed[2] = heads("main", "4")
	got, err := Manual(in, nil, "", "word")
	var labels []string
	for _, r := range got {
		labels = append(labels, r.Unit.Label)
	}
	if want := "rag.main site down.main both.main both"; err != nil || strings.Join(labels, " ") != want {
		t.Errorf("Manual without names: units %v, %v, want %s", labels, err, want)
	}
}

func TestManualNamesDifferByWord(t *testing.T) {
	names := map[string]bool{}
	for _, word := range []string{"", "one", "two", "two"} {
		got, err := Manual(manualInput(t), []string{"rag"}, "", word)
		if err != nil {
			t.Fatal(err)
		}
		names[got[0].Name] = true
	}
	if len(names) != 3 {
		t.Errorf("three words give the names %v, want three", names)
	}
}

func TestManualRefuses(t *testing.T) {
	tests := map[string]struct {
		names  []string
		branch string
		want   string
	}{
		"unknown": {[]string{"zzz", "wb", "rag", "sites", "zzz", "\x1b[31m"}, "",
			`no repository, group or unit is named "\x1b[31m", "sites" (did you mean "site"?), "wb" (did you mean "web"?), "zzz"`},
		"like others":                {[]string{"rug", "wxy"}, "", `no repository, group or unit is named "rug" (did you mean "rag"?), "wxy"`},
		"like short ones":            {[]string{"dx"}, "", `no repository, group or unit is named "dx" (there is db, x)`},
		"a member's branch":          {[]string{"web.main"}, "", `no repository, group or unit is named "web.main" (did you mean "site", or "web@main"?)`},
		"a unit that is not there":   {[]string{"rag.gone"}, "", `rag has no branch that is "rag.gone"`},
		"a branch that is not there": {[]string{"web@gone"}, "", `web has no branch that is "web@gone"`},
		"no branch's name":           {[]string{"web@a..b"}, "", `no repository, group or unit is named "web@a..b"`},
		"a branch twice":             {[]string{"web@dev"}, "dev", `"web@dev" names a branch itself: name web, or leave --branch out`},
		"a unit and a branch":        {[]string{"rag.main"}, "dev", `"rag.main" names a branch itself: name rag, or leave --branch out`},
		"heads that cannot be read":  {[]string{"down", "rag"}, "", "cannot read the branches of down: wrapped: 401"},
		"no such branch":             {[]string{"site"}, "dev", `db has no branch "dev"`},
		"both":                       {[]string{"down", "db"}, "dev", "cannot read the branches of down: wrapped: 401\ndb has no branch \"dev\""},
	}
	for name, tt := range tests {
		got, err := Manual(manualInput(t), tt.names, tt.branch, "word")
		if err == nil || err.Error() != tt.want || got != nil {
			t.Errorf("%s: Manual(%q, %q) = %v, %v, want error\n%s", name, tt.names, tt.branch, describeAll(got), err, tt.want)
		}
	}
	in := manualInput(t)
	in.Observed[0] = heads("dev", "d")
	if _, err := Manual(in, []string{"rag"}, "", "word"); err == nil || err.Error() != "rag has no branch that matches rel.*, main: check monitor.branches" {
		t.Errorf("Manual of a repository without a configured branch: %v", err)
	}
}
