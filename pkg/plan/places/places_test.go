package places

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var start = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// run is one of a branch, such as web@main.
func run(name string, priority int) plan.Run {
	before, branch, _ := strings.Cut(name, "@")
	r := &config.Repository{Name: before}
	g := config.Alone()
	g.Priority = priority
	return plan.Run{Name: name, Unit: naming.UnitOf(r, branch), Group: g, Members: []plan.Member{{Repository: r, Branch: branch}}}
}

// acted returns a state in which the repositories were acted upon one after the other.
func acted(repositories ...string) state.Snapshot {
	s := state.Snapshot{Repositories: map[string]state.Repository{}}
	for i, name := range repositories {
		s.Repositories[name] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {Time: start.Add(time.Duration(i) * time.Minute)}})}
	}
	return s
}

func names(runs []plan.Run) string {
	var all []string
	for _, r := range runs {
		all = append(all, r.Name)
	}
	return strings.Join(all, " ")
}

func everybody(naming.Unit) bool { return true }

func nobody(naming.Unit) bool { return false }

func among(answered ...string) func(naming.Unit) bool {
	return func(u naming.Unit) bool {
		for _, name := range answered {
			if u.Ref.Repository == name {
				return true
			}
		}
		return false
	}
}

// TestWhoIsFirst: the highest priority; then a turn for each repository; then whoever was acted upon longest ago.
func TestWhoIsFirst(t *testing.T) {
	for name, c := range map[string]struct {
		s           state.Snapshot
		due         []plan.Run
		free        int
		want, later string
	}{
		"no place":            {acted("a"), []plan.Run{run("a@main", 0)}, 0, "", "a@main"},
		"more than may be":    {acted("a"), []plan.Run{run("a@main", 0)}, -3, "", "a@main"},
		"room for all":        {acted("b", "a"), []plan.Run{run("a@main", 0), run("b@main", 0)}, 5, "b@main a@main", ""},
		"longest ago":         {acted("c", "a", "b"), []plan.Run{run("a@main", 0), run("b@main", 0), run("c@main", 0)}, 2, "c@main a@main", "b@main"},
		"priority":            {acted("c", "a", "b"), []plan.Run{run("a@main", 0), run("b@main", 1), run("c@main", -1)}, 2, "b@main a@main", "c@main"},
		"one for each":        {acted("a", "b"), []plan.Run{run("a@x", 0), run("a@y", 0), run("a@z", 0), run("b@main", 0)}, 2, "a@x b@main", "a@y a@z"},
		"never acted upon":    {acted("a"), []plan.Run{run("a@main", 0), run("new@main", 0)}, 1, "new@main", "a@main"},
		"the same: by a name": {acted(), []plan.Run{run("b@main", 0), run("a@main", 0)}, 1, "a@main", "b@main"},
	} {
		var q Queue
		q.Begin(c.free, true)
		now := q.Take(c.s, c.due, everybody)
		more, later := q.End(c.s, true, nobody)
		if names(now) != c.want || len(more) > 0 || names(later) != c.later {
			t.Errorf("%s: %q, then %q, and %q wait; want %q, and that %q wait", name, names(now), names(more), names(later), c.want, c.later)
		}
	}
}

// TestAPlaceIsKept: a host that answers first does not take the place of one that waited longer, and which has it after all
// hosts have answered, if it does not need it any more.
func TestAPlaceIsKept(t *testing.T) {
	s := acted("slow", "fast")
	var q Queue
	q.Begin(0, true)
	q.Take(s, []plan.Run{run("slow@main", 0), run("fast@main", 0)}, everybody)
	q.End(s, true, nobody)

	q.Begin(1, true)
	if now := q.Take(s, []plan.Run{run("fast@main", 0)}, among("fast")); len(now) > 0 {
		t.Errorf("%s has the place for which slow waits", names(now))
	}
	if now := q.Take(s, []plan.Run{run("slow@main", 0)}, among("slow")); names(now) != "slow@main" {
		t.Errorf("%q has the place, want slow@main", names(now))
	}
	if now, later := q.End(s, true, nobody); len(now) > 0 || names(later) != "fast@main" {
		t.Errorf("%q runs and %q waits, want that fast@main waits", names(now), names(later))
	}

	// It answers, and nothing is due there; or it does not answer, and everything was looked at.
	for _, answered := range []func(naming.Unit) bool{among("fast", "slow"), among("fast")} {
		var q Queue
		q.Begin(0, true)
		q.Take(s, []plan.Run{run("slow@main", 0)}, everybody)
		q.End(s, true, nobody)
		q.Begin(1, true)
		now := q.Take(s, []plan.Run{run("fast@main", 0)}, answered)
		more, later := q.End(s, true, nobody)
		if names(now)+names(more) != "fast@main" || len(later) > 0 {
			t.Errorf("%q, then %q, and %q waits; want that fast@main runs", names(now), names(more), names(later))
		}
	}
}

// TestWhoCannotBeRead: others have its place while its host does not answer, and then it is first as before.
func TestWhoCannotBeRead(t *testing.T) {
	s := acted("slow", "fast", "high")
	for name, first := range map[string]struct {
		run  plan.Run
		free int
	}{
		"it waits":               {run("slow@main", 0), 0},
		"its place was promised": {replacing("slow@main"), 0},
	} {
		var q Queue
		q.Begin(first.free, true)
		q.Take(s, []plan.Run{first.run}, everybody)
		q.End(s, true, nobody)
		for range 2 {
			q.Begin(1, true)
			now := q.Take(s, []plan.Run{run("fast@main", 0)}, everybody)
			if more, _ := q.End(s, true, among("slow")); names(now)+names(more) != "fast@main" {
				t.Errorf("%s: while it cannot be read %q runs, want fast@main", name, names(now)+names(more))
			}
		}
		high := run("high@main", 0)
		if len(first.run.Cancel) > 0 {
			high = run("high@main", 9)
		}
		s.Repositories["slow"] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {Time: start}})}
		q.Begin(1, true)
		if now := q.Take(s, []plan.Run{high}, among("high")); len(now) > 0 {
			t.Errorf("%s: %s has the place for which slow waits", name, names(now))
		}
		if now := q.Take(s, []plan.Run{run("slow@main", 0)}, everybody); names(now) != "slow@main" {
			t.Errorf("%s: %q has the place, want slow@main", name, names(now))
		}
	}
}

// TestWhoCannotBeReadElsewhere: looks at some repositories keep it no place, and leave it its turn.
func TestWhoCannotBeReadElsewhere(t *testing.T) {
	s := acted("slow", "fast")
	var q Queue
	q.Begin(0, true)
	q.Take(s, []plan.Run{run("slow@main", 0)}, everybody)
	q.End(s, true, nobody)
	q.Begin(0, true)
	q.Take(s, nil, everybody)
	q.End(s, true, among("slow"))
	for range 2 {
		q.Begin(1, false)
		now := q.Take(s, []plan.Run{run("fast@main", 0)}, among("fast"))
		if more, _ := q.End(s, false, nobody); names(now)+names(more) != "fast@main" {
			t.Errorf("%q runs, want fast@main", names(now)+names(more))
		}
	}
	q.Begin(1, true)
	if now := q.Take(s, []plan.Run{run("fast@main", 0)}, among("fast")); len(now) > 0 {
		t.Errorf("%s has the place for which slow waits", names(now))
	}
	if now := q.Take(s, []plan.Run{run("slow@main", 0)}, everybody); names(now) != "slow@main" {
		t.Errorf("%q has the place, want slow@main", names(now))
	}
}

// TestElsewhere: a look at some repositories leaves those their turn that wait and are not looked at.
func TestElsewhere(t *testing.T) {
	s := acted("slow", "fast")
	var q Queue
	q.Begin(0, true)
	q.Take(s, []plan.Run{run("slow@main", 0)}, everybody)
	q.End(s, true, nobody)
	for range 3 {
		q.Begin(1, true)
		now := q.Take(s, []plan.Run{run("fast@main", 0)}, among("fast"))
		if more, later := q.End(s, false, nobody); len(now)+len(more) > 0 || names(later) != "fast@main" {
			t.Fatalf("%s%s runs, %q waits; want that slow@main keeps its turn", names(now), names(more), names(later))
		}
	}
	q.Begin(2, true)
	if now := q.Take(s, []plan.Run{run("fast@main", 0)}, among("fast")); names(now) != "fast@main" {
		t.Errorf("%q has the second place, want fast@main", names(now))
	}
}

// TestARunThatIsNotMade: who had a place and could not use it lets all others go first once, whatever the priorities. It may have been refused
// for a moment only.
func TestARunThatIsNotMade(t *testing.T) {
	s := acted("bad", "a", "b")
	var q Queue
	var got []string
	due := []plan.Run{run("bad@main", 9), run("a@main", 0), run("b@main", 0)}
	for range 4 {
		q.Begin(1, true)
		now := q.Take(s, due, everybody)
		q.End(s, true, nobody)
		got = append(got, names(now))
		if name := names(now); name != "bad@main" { // it was made
			for i := range due {
				if due[i].Name == name {
					due[i] = run(name+"2", 0)
				}
			}
			s.Repositories[strings.TrimSuffix(name, "@main")] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {Time: start.Add(time.Hour)}})}
		}
	}
	if all := strings.Join(got, ", "); all != "bad@main, a@main, bad@main, b@main" {
		t.Errorf("%s have the place, want bad and another one in turn", all)
	}
}

// TestPlacesAreStrict: who was left out for one that waits longer has its place when that one does not need it.
func TestPlacesAreStrict(t *testing.T) {
	s := acted("slow", "high", "low")
	var q Queue
	q.Begin(0, true)
	q.Take(s, []plan.Run{run("slow@main", 10)}, everybody)
	q.End(s, true, nobody)
	q.Begin(1, true)
	if now := q.Take(s, []plan.Run{run("high@main", 5)}, among("high")); len(now) > 0 {
		t.Fatalf("%s has the place of slow", names(now))
	}
	if now := q.Take(s, []plan.Run{run("low@main", 0)}, everybody); names(now) != "high@main" {
		t.Errorf("%q has the place, want high@main", names(now))
	}
}

// replacing is a run that cancels one of its unit first.
func replacing(name string) plan.Run {
	r := run(name, 0)
	r.Cancel = []string{name + "-before"}
	return r
}

// TestWhatReplaces: an active run is replaced when its place is that of the new one: who waits longer goes first, and nobody gets that place meanwhile.
func TestWhatReplaces(t *testing.T) {
	for name, c := range map[string]struct {
		due         []plan.Run
		free        int
		want, later string
	}{
		"in its own place":        {[]plan.Run{replacing("a@main")}, 0, "a@main", ""},
		"there are too many":      {[]plan.Run{replacing("a@main")}, -1, "", "a@main"},
		"others wait longer":      {[]plan.Run{replacing("b@main"), run("a@main", 0)}, 0, "", "b@main a@main"},
		"it waits longer":         {[]plan.Run{replacing("a@main"), run("b@main", 0)}, 0, "a@main", "b@main"},
		"it takes no free place":  {[]plan.Run{replacing("a@main"), run("b@main", 0)}, 1, "a@main b@main", ""},
		"a higher priority waits": {[]plan.Run{replacing("a@main"), run("b@main", 1)}, 0, "", "a@main b@main"},
	} {
		var q Queue
		q.Begin(c.free, true)
		now := q.Take(acted("a", "b"), c.due, everybody)
		if _, later := q.End(acted("a", "b"), true, nobody); names(now) != c.want || names(later) != c.later {
			t.Errorf("%s: %q, and %q wait; want %q, and that %q wait", name, names(now), names(later), c.want, c.later)
		}
	}

	// b replaces, and its host answers after that of high, whose run is more urgent.
	s := acted("high", "b")
	var q Queue
	for range 2 { // the run takes a while to end
		q.Begin(0, true)
		if now := q.Take(s, []plan.Run{replacing("b@main")}, everybody); names(now) != "b@main" {
			t.Fatalf("%q may cancel, want b@main", names(now))
		}
		q.End(s, true, nobody)
	}
	q.Begin(1, true)
	if now := q.Take(s, []plan.Run{run("high@main", 9)}, among("high")); len(now) > 0 {
		t.Errorf("%s has the place that was made for b", names(now))
	}
	if now := q.Take(s, []plan.Run{run("b@main", 0)}, everybody); names(now) != "b@main" {
		t.Errorf("%q has the place, want b@main", names(now))
	}
	q.End(s, true, nobody)

	// What is promised and not due any more keeps nobody waiting.
	q.Begin(0, true)
	q.Take(s, []plan.Run{replacing("b@main")}, everybody)
	q.End(s, true, nobody)
	q.Begin(1, true)
	if now := q.Take(s, []plan.Run{run("high@main", 9)}, everybody); names(now) != "high@main" {
		t.Errorf("%q has the place, want high@main", names(now))
	}
}

// TestOrderOfMany compares the places of random runs with what their definition gives: each place goes to the first of all that are left.
func TestOrderOfMany(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 300 {
		s := acted("a", "b", "c", "d", "e")
		var q Queue
		var due []plan.Run
		for _, name := range []string{"a@1", "a@2", "a@3", "b@1", "b@2", "c@1", "d@1", "e@1", "e@2"} {
			if random.IntN(3) > 0 {
				due = append(due, run(name, random.IntN(2)))
			}
		}
		random.Shuffle(len(due), func(i, j int) { due[i], due[j] = due[j], due[i] })
		free := random.IntN(6)
		var want []string
		left, taken := slices.Clone(due), map[string]int{}
		for range min(free, len(left)) {
			first := slices.MinFunc(left, func(a, b plan.Run) int {
				return cmp.Or(cmp.Compare(b.Group.Priority, a.Group.Priority), cmp.Compare(taken[a.Unit.Ref.Repository], taken[b.Unit.Ref.Repository]), cmp.Compare(a.Name, b.Name))
			})
			taken[first.Unit.Ref.Repository]++
			want = append(want, first.Name)
			left = slices.DeleteFunc(left, func(r plan.Run) bool { return r.Name == first.Name })
		}
		q.Begin(free, true)
		now := q.Take(s, due, everybody)
		if _, later := q.End(s, true, nobody); names(now) != strings.Join(want, " ") || names(later) != names(left) {
			t.Fatalf("%d places for %s: %q and %q wait, want %v", free, names(due), names(now), names(later), want)
		}
	}
}

// TestBranchesTakeTurns: a branch that moves all the time, and new ones, keep no other branch of the repository waiting for ever.
func TestBranchesTakeTurns(t *testing.T) {
	var q Queue
	var got []string
	for i := range 4 {
		q.Begin(1, true)
		due := []plan.Run{run("a@dev", 0), run("a@main", 0), run(fmt.Sprint("a@new-", i), 0)}
		due[0].Name = fmt.Sprint("dev#", i)
		if slices.Contains(got, "a@main") {
			due = slices.Delete(due, 1, 2)
		}
		got = append(got, names(q.Take(acted("a"), due, everybody)))
		q.End(acted("a"), true, nobody)
	}
	if all := strings.Join(got, " "); !strings.HasPrefix(all, "dev#0 a@main ") {
		t.Errorf("%s have the place, want main second", all)
	}
}
