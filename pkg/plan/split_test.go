package plan

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// The group site has the members web (main, dev.*), api (main, dev.*) and db (main), in this order.
func TestSplit(t *testing.T) {
	fiveOfWeb := []string{"main", "a", "dev-1", "1", "dev-2", "2", "dev-3", "3", "dev-4", "4", "dev-5", "5"}
	tests := map[string]struct {
		scope         config.Scope
		web, api, db  []string // heads
		served        [3]string
		most          int
		large         []string
		want, waiting string
	}{
		"all have room": {
			scope: config.Changed, web: []string{"main", "2"}, most: 1,
			want: "site: web@main#2 a>2 | web=main@2<a*",
		},
		"a change of another member is not crowded out": {
			scope: config.Changed, web: fiveOfWeb, db: []string{"main", "2"}, most: 2,
			want: "site: db@main#2 a>2 web@dev-1#2 >1 | web=dev-1@1<* db=main@2<a*", waiting: "4",
		},
		"who has no more changes leaves the room to the others": {
			scope: config.Changed, web: fiveOfWeb, db: []string{"main", "2"}, most: 4,
			want: "site: db@main#2 a>2 web@dev-1#2 >1 web@dev-2#2 >2 web@dev-3#2 >3 |" +
				" web-dev-1=dev-1@1<* web-dev-2=dev-2@2<* web-dev-3=dev-3@3<* db=main@2<a*", waiting: "2",
		},
		"members take turns": {
			scope: config.Changed, web: fiveOfWeb, api: []string{"main", "a", "dev-1", "1", "dev-2", "2", "dev-3", "3"}, most: 5,
			want: "site: api@dev-1#2 >1 api@dev-2#2 >2 web@dev-1#2 >1 web@dev-2#2 >2 web@dev-3#2 >3 |" +
				" web-dev-1=dev-1@1<* web-dev-2=dev-2@2<* web-dev-3=dev-3@3<* api-dev-1=dev-1@1<* api-dev-2=dev-2@2<*", waiting: "3",
		},
		"unchanged members run along, before anybody's second change": {
			web: fiveOfWeb, most: 4,
			want: "site: web@dev-1#2 >1 web@dev-2#2 >2 | web-dev-1=dev-1@1<* web-dev-2=dev-2@2<* api=main@a<a db=main@a<a", waiting: "3",
		},
		"a branch that moved goes before new ones": {
			scope: config.Changed, web: append([]string{"main", "9"}, fiveOfWeb[2:]...), most: 1,
			want: "site: web@main#2 a>9 | web=main@9<a*", waiting: "5",
		},
		"who was served longer ago goes first": {
			scope: config.Changed, web: fiveOfWeb, api: []string{"main", "2"}, db: []string{"main", "2"},
			served: [3]string{"7", "5", "6"}, most: 2,
			want: "site: api@main#8 a>2 db@main#8 a>2 | api=main@2<a* db=main@2<a*", waiting: "5",
		},
		"a change that is too large for any run": {
			scope: config.Changed, web: fiveOfWeb, api: []string{"main", "2"}, most: 2, large: []string{"api@main"},
			want: "site: web@dev-1#2 >1 web@dev-2#2 >2 | web-dev-1=dev-1@1<* web-dev-2=dev-2@2<*", waiting: "3 without api@main",
		},
		"an unchanged member that is too large": {
			db: []string{"main", "2"}, most: 9, large: []string{"web@main"},
			want: "site: db@main#2 a>2 | api=main@a<a db=main@2<a*", waiting: "0 without web@main",
		},
		"no room for unchanged members": {
			web: fiveOfWeb, most: 2,
			want: "site: web@dev-1#2 >1 | web=dev-1@1<* api=main@a<a", waiting: "4 without db@main",
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			c := file(watched(t, "web", "site", "main", "dev.*"), watched(t, "api", "site", "main", "dev.*"), watched(t, "db", "site", "main"))
			g := c.Groups["site"]
			g.Deploy = tt.scope
			c.Groups["site"] = g
			was := map[string]state.Repository{}
			var observed []repo.Observation
			for i, pairs := range [][]string{tt.web, tt.api, tt.db} {
				if pairs == nil {
					pairs = []string{"main", "a"}
				}
				if tt.served[i] == "" {
					tt.served[i] = "1"
				}
				was[c.Repositories[i].Name] = known(t, "main", "a", tt.served[i])
				observed = append(observed, heads(pairs...))
			}
			whole := Make(Input{Config: c, Snapshot: remembered(was), Observed: observed, Now: noon}).Runs[0]
			before := describe(whole)
			large := map[repo.Ref]bool{}
			for _, m := range whole.Members {
				large[m.Ref()] = slices.Contains(tt.large, m.Ref().String())
			}
			part := whole.Split(tt.most, large)
			if diff := cmp.Diff(tt.want, describe(part)); diff != "" {
				t.Errorf("part (-want +got):\n%s", diff)
			}
			waiting := fmt.Sprint(part.Trigger.Waiting)
			if len(part.NoRoom) > 0 {
				waiting += " without " + strings.Join(part.NoRoom, " ")
			}
			if want := max(tt.waiting, "0"); waiting != want {
				t.Errorf("waiting %q, want %q", waiting, want)
			}
			if part.Name != whole.Name || describe(whole) != before {
				t.Errorf("the part is named %s, want %s, and the whole run is now %s, want %s", part.Name, whole.Name, describe(whole), before)
			}
		})
	}
}

// Branches that move again and again do not keep another one of their repository waiting.
func TestPartsServeBranchesInTurn(t *testing.T) {
	c := file(watched(t, "web", "site", "main", "a.*"))
	busy := []string{"a-1", "a-2", "a-3", "a-4"}
	in := Input{Config: c, Now: noon, Snapshot: remembered(map[string]state.Repository{"web": known(t, append([]string{"main", "0", "1"}, "a-1", "0", "1", "a-2", "0", "1", "a-3", "0", "1", "a-4", "0", "1")...)})}
	for i := range 4 {
		digit := string("12345"[i])
		moved := []string{"main", "1"}
		for _, branch := range busy {
			moved = append(moved, branch, digit)
		}
		in.Observed = []repo.Observation{heads(moved...)}
		p := Make(in)
		if len(p.Runs) == 0 {
			t.Fatal("nothing is due")
		}
		part := p.Runs[0].Split(3, nil)
		part.Remember(&p.Snapshot, noon)
		in.Snapshot = p.Snapshot
	}
	if got := in.Snapshot.Repositories["web"].Branches.Get("main"); got.SHA != sha("1") {
		t.Errorf("after four runs main is at %s, and waits behind branches that move in each of them", got.SHA.Short())
	}
}

// However small the parts are, each change is in one of them, and a member's change waits for the
// others' first ones only.
func TestPartsAreAll(t *testing.T) {
	for _, scope := range []config.Scope{config.All, config.Changed} {
		for most := 1; most <= 8; most++ {
			c := file(watched(t, "web", "site", "main", "dev.*"), watched(t, "api", "site", "main"), watched(t, "db", "site", "main"))
			g := c.Groups["site"]
			g.Deploy = scope
			c.Groups["site"] = g
			in := Input{
				Config: c, Now: noon,
				Observed: []repo.Observation{heads("main", "2", "dev-1", "1", "dev-2", "2", "dev-3", "3", "dev-4", "4"), heads("main", "2"), heads("main", "2")},
				Snapshot: remembered(map[string]state.Repository{"web": known(t, "main", "a", "1"), "api": known(t, "main", "a", "1"), "db": known(t, "main", "a", "1")}),
			}
			var deployed []string
			names := map[string]bool{}
			for range 20 {
				p := Make(in)
				if len(p.Runs) == 0 {
					break
				}
				part := p.Runs[0].Split(most, nil)
				names[part.Name] = true
				for _, change := range part.Trigger.Refs {
					deployed = append(deployed, change.Ref.String())
				}
				if n := len(names); n == 3 && !slices.Contains(deployed, "db@main") {
					t.Errorf("%s, at most %d: the first three runs deploy %v, want db@main among them", scope, most, deployed)
				}
				if len(part.Members) > most {
					t.Errorf("%s, at most %d: a run of %d", scope, most, len(part.Members))
				}
				part.Remember(&p.Snapshot, noon)
				in.Snapshot = p.Snapshot
			}
			slices.Sort(deployed)
			want := []string{"api@main", "db@main", "web@dev-1", "web@dev-2", "web@dev-3", "web@dev-4", "web@main"}
			if !slices.Equal(deployed, want) {
				t.Errorf("%s, at most %d: the runs deploy %v, want %v", scope, most, deployed, want)
			}
		}
	}
}

// A branch whose name no run can hold costs the group nothing else.
func TestWithout(t *testing.T) {
	c := file(watched(t, "web", "site", "main", "dev.*"), watched(t, "db", "site", "main"))
	was := map[string]state.Repository{"web": known(t, "main", "a", "1"), "db": known(t, "main", "a", "1")}
	observed := []repo.Observation{heads("main", "2", "dev-$x", "3", "dev-y", "4"), heads("main", "a")}
	whole := Make(Input{Config: c, Snapshot: remembered(was), Observed: observed, Now: noon}).Runs[0]
	before := describe(whole)
	part := whole.Without(map[repo.Ref]bool{{Repository: "web", Branch: "dev-$x"}: true})
	const want = "site: web@dev-y#2 >4 web@main#2 a>2 | web-dev-y=dev-y@4<* web-main=main@2<a* db=main@a<a"
	if got := describe(part); got != want || !slices.Equal(part.Refused, []string{"web@dev-$x"}) || part.Name != whole.Name || part.Trigger.Waiting != 0 {
		t.Errorf("%s without %q is %s, named %s; want %s, named %s", before, part.Refused, got, part.Name, want, whole.Name)
	}
	if got := describe(part.Split(2, nil)); got != "site: web@main#2 a>2 | web=main@2<a* db=main@a<a" {
		t.Errorf("the first two by turn are %s", got)
	}
	if describe(whole) != before || describe(whole.Without(nil)) != before {
		t.Errorf("the whole run is now %s, want %s", describe(whole), before)
	}
}
