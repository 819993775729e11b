package plan

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// The group site has the members web (main, dev.*), api (rel.*, main) and db (main), in this order; between
// them stands rag, on its own.
func TestMakeGroup(t *testing.T) {
	unchanged := map[string]state.Repository{
		"web": known(t, "main", "a", "1", "dev-x", "b", "1"),
		"rag": known(t, "main", "c", "1"),
		"api": known(t, "main", "d", "1", "rel-1", "e", "0", "rel-2", "f", "0"),
		"db":  known(t, "main", "1", "1"),
	}
	with := func(name string, r state.Repository) map[string]state.Repository {
		m := remembered(unchanged).Clone().Repositories
		m[name] = r
		return m
	}
	web, rag := heads("main", "a", "dev-x", "b"), heads("main", "c")
	api, db := heads("main", "d", "rel-1", "e", "rel-2", "f"), heads("main", "1")
	tests := map[string]struct {
		scope       config.Scope
		deployFirst bool
		was         map[string]state.Repository
		observed    []repo.Observation
		want        []string
	}{
		"nothing changed": {observed: []repo.Observation{web, rag, api, db}},
		"one member changed": {
			observed: []repo.Observation{web, rag, api, heads("main", "2")},
			want:     []string{"site: db@main#2 1>2 | web=main@a<a api=rel-1@e<e db=main@2<1*"},
		},
		"deploy: changed": {
			scope:    config.Changed,
			observed: []repo.Observation{web, rag, api, heads("main", "2")},
			want:     []string{"site: db@main#2 1>2 | db=main@2<1*"},
		},
		"two branches of a member, and another member": {
			observed: []repo.Observation{heads("main", "2", "dev-x", "3"), rag, heads("main", "4", "rel-1", "e", "rel-2", "f"), db},
			want: []string{"site: api@main#2 d>4 web@dev-x#2 b>3 web@main#2 a>2 |" +
				" web-dev-x=dev-x@3<b* web-main=main@2<a* api=main@4<d* db=main@1<1"},
		},
		"the group's place is that of its first member": {
			observed: []repo.Observation{web, heads("main", "2"), api, heads("main", "2")},
			want: []string{
				"site: db@main#2 1>2 | web=main@a<a api=rel-1@e<e db=main@2<1*",
				"rag.main: rag@main#2 c>2 | rag=main@2<c*",
			},
		},
		"a member that cannot be read": {
			observed: []repo.Observation{web, rag, failed("temporary", "down"), heads("main", "2")},
			want:     []string{"site: db@main#2 1>2 | web=main@a<a api=rel-1@e<e db=main@2<1*"},
		},
		"a member that cannot be read and is at an older SHA": {
			was:      with("api", known(t, "main", "9", "4")),
			observed: []repo.Observation{web, rag, failed("temporary", "down"), heads("main", "2")},
			want:     []string{"site: db@main#5 1>2 | web=main@a<a api=main@9<9 db=main@2<1*"},
		},
		"members of which nothing is known": {
			was:      map[string]state.Repository{"db": known(t, "main", "1", "1"), "api": {Unseen: true}, "rag": known(t, "main", "c", "1")},
			observed: []repo.Observation{failed("denied", "no"), rag, failed("denied", "no"), heads("main", "2")},
			want:     []string{"site: db@main#2 1>2 | db=main@2<1* | without web api"},
		},
		"nothing is left out of deploy: changed": {
			scope:    config.Changed,
			was:      map[string]state.Repository{"db": known(t, "main", "1", "1"), "rag": known(t, "main", "c", "1")},
			observed: []repo.Observation{failed("denied", "no"), rag, failed("denied", "no"), heads("main", "2")},
			want:     []string{"site: db@main#2 1>2 | db=main@2<1*"},
		},
		"a member that is seen for the first time": {
			was:      map[string]state.Repository{"web": unchanged["web"], "db": unchanged["db"], "rag": known(t, "main", "c", "1")},
			observed: []repo.Observation{web, rag, api, heads("main", "2")},
			want:     []string{"site: db@main#2 1>2 | web=main@a<a api=rel-1@e< db=main@2<1*"},
		},
		"a member that is seen for the first time, to be deployed": {
			deployFirst: true,
			was:         map[string]state.Repository{"web": unchanged["web"], "db": unchanged["db"], "rag": known(t, "main", "c", "1")},
			observed:    []repo.Observation{web, rag, heads("main", "d"), db},
			want:        []string{"site: api@main#2 >d | web=main@a<a api=main@d<* db=main@1<1"},
		},
		"the first pattern that matches any": {
			observed: []repo.Observation{web, rag, heads("main", "d", "rel-5", "5", "rel-4", "4", "rel-3", "3", "rel-6", "6", "rel-7", "7"), heads("main", "2")},
			was:      with("api", known(t, "main", "d", "0", "rel-5", "5", "0", "rel-4", "4", "0", "rel-3", "3", "0", "rel-6", "6", "0", "rel-7", "7", "0")),
			want:     []string{"site: db@main#2 1>2 | web=main@a<a api=rel-3@3<3 db=main@2<1*"},
		},
		"the next pattern when the first matches none": {
			observed: []repo.Observation{web, rag, heads("main", "d"), heads("main", "2")},
			was:      with("api", known(t, "main", "d", "0")),
			want:     []string{"site: db@main#2 1>2 | web=main@a<a api=main@d<d db=main@2<1*"},
		},
		"an answer is still to come": {
			observed: []repo.Observation{web, heads("main", "2"), pending, heads("main", "2")},
			want:     []string{"rag.main: rag@main#2 c>2 | rag=main@2<c*"},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := file(
				watched(t, "web", "site", "main", "dev.*"), watched(t, "rag", "", "main"),
				watched(t, "api", "site", "rel.*", "main"), watched(t, "db", "site", "main"),
			)
			if tt.scope != "" {
				g := c.Groups["site"]
				g.Deploy = tt.scope
				c.Groups["site"] = g
			}
			if tt.deployFirst {
				c.Global.OnFirstSeen = config.DeployFirst
			}
			if tt.was == nil {
				tt.was = unchanged
			}
			p := Make(Input{Config: c, Snapshot: remembered(tt.was), Observed: tt.observed, Now: noon})
			if diff := cmp.Diff(tt.want, describeAll(p.Runs)); diff != "" {
				t.Errorf("runs (-want +got):\n%s", diff)
			}
			for _, r := range p.Runs {
				if r.Unit.Group != r.Group.Name || !r.Trigger.Seen.Equal(noon) {
					t.Errorf("run %s: group %q of unit %q, seen %s", r.Name, r.Group.Name, r.Unit.Group, r.Trigger.Seen)
				}
			}
		})
	}
}

// A member that is seen for the first time runs along and is remembered at what ran.
func TestFirstSightInAGroupIsRecorded(t *testing.T) {
	c := file(watched(t, "web", "site", "main"), watched(t, "db", "site", "main"))
	in := Input{Config: c, Snapshot: remembered(map[string]state.Repository{"db": known(t, "main", "1", "1")}), Observed: []repo.Observation{heads("main", "a"), heads("main", "2")}, Now: noon}
	p := Make(in)
	p.Runs[0].Remember(&p.Snapshot, noon)
	in.Snapshot = p.Snapshot
	if again := Make(in); len(again.Runs) > 0 || !again.Snapshot.Equal(p.Snapshot) {
		t.Errorf("the next plan has runs %v and changes the snapshot to %+v", describeAll(again.Runs), again.Snapshot)
	}
	if got := p.Snapshot.Repositories["web"].Branches.Get("main"); got.SHA != sha("a") || got.N != 0 {
		t.Errorf("web@main is remembered as %+v, want %s with n 0", got, sha("a"))
	}
}

// A member that is not looked at is deployed at the head that was passed over, as runs before deployed it there, and does not go back.
func TestUnchangedMemberDoesNotGoBack(t *testing.T) {
	c := file(watched(t, "web", "site", "main"), watched(t, "db", "site", "main"))
	web := known(t, "main", "a", "1")
	web.Branches.Set("main", web.Branches.Get("main").PassedOver(sha("c"), repo.Ignored, noon))
	for name, o := range map[string]repo.Observation{"skipped": {Status: repo.Skipped}, "failed": failed("temporary", "down"), "read": heads("main", "c")} {
		in := Input{Config: c, Snapshot: remembered(map[string]state.Repository{"web": web, "db": known(t, "main", "1", "1")}), Observed: []repo.Observation{o, heads("main", "2")}, Now: noon}
		p := Make(in)
		if len(p.Runs) != 1 || len(p.Runs[0].Members) != 2 || p.Runs[0].Members[0].SHA != sha("c") {
			t.Errorf("%s: %v, want web at %s", name, describeAll(p.Runs), sha("c").Short())
		}
	}
}

// The same change has the same name whatever else is edited in the file.
func TestNamesOutliveEditedConfiguration(t *testing.T) {
	names := func(c *config.Config, o ...repo.Observation) []string {
		was := map[string]state.Repository{"web": known(t, "main", "a", "1"), "db": known(t, "main", "1", "1"), "rag": known(t, "main", "c", "1")}
		var names []string
		for _, r := range Make(Input{Config: c, Snapshot: remembered(was), Observed: o, Now: noon}).Runs {
			names = append(names, r.Name)
		}
		slices.Sort(names)
		return names
	}
	web, db, rag := watched(t, "web", "site", "main"), watched(t, "db", "site", "main"), watched(t, "rag", "", "main")
	want := names(file(web, db, rag), heads("main", "2"), heads("main", "3"), heads("main", "4"))
	web.Monitor.Branches = append(watched(t, "", "", "x.*").Monitor.Branches, web.Monitor.Branches...)
	rag.Deploy.Commands = []string{"true"}
	edited := file(rag, db, watched(t, "new", "site", "main"), web)
	edited.Global.OnFirstSeen = config.DeployFirst
	g := edited.Groups["site"]
	g.Deploy, g.OnBusy = config.Changed, config.CancelOld
	edited.Groups["site"] = g
	got := names(edited, heads("main", "4"), heads("main", "3"), failed("denied", "no"), heads("main", "2"))
	if len(want) != 2 || !slices.Equal(got, want) {
		t.Errorf("names with the edited file %v, want %v", got, want)
	}
}
