package share

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
)

func names(random *rand.Rand, n int) []string {
	all := make([]string, n)
	for i := range all { // as a Deployment names its pods
		all[i] = fmt.Sprintf("sentry-7d9f8b6c5-%05x", random.Uint32N(1<<20))
	}
	return all
}

// Of many clusters, the largest share is bounded, and one that comes or goes moves little beyond its own.
func TestShares(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	units := make([]string, 5000)
	for i := range units {
		units[i] = fmt.Sprintf("team-%d/service-%d", i%37, i)
	}
	for _, n := range []int{1, 2, 3, 5, 8} {
		largest, came, went := 0.0, 0.0, 0.0
		const clusters = 50
		for range clusters {
			members := names(random, n)
			before := Of(members)
			count := map[string]int{}
			for _, u := range units {
				count[before.Owner("", u)]++
			}
			for _, c := range count {
				largest = max(largest, float64(c)/float64(len(units)))
			}
			came += moved(units, before, Of(append(slices.Clone(members), names(random, 1)...)))
			if n > 1 {
				went += moved(units, before, Of(members[1:]))
			}
		}
		t.Logf("%d members: the largest share is %.1f %%; %.1f %% move when one comes, %.1f %% when one goes",
			n, 100*largest, 100*came/clusters, 100*went/clusters)
		part := 1 / float64(n)
		if largest > 1.25*part {
			t.Errorf("of %d members one has %.1f %% of the units, want at most a quarter more than its part, %.1f %%", n, 100*largest, 100*part)
		}
		if next := 1 / float64(n+1); came/clusters > 1.5*next {
			t.Errorf("one that comes to %d moves %.1f %%, want little more than its part, %.1f %%", n, 100*came/clusters, 100*next)
		}
		if went/clusters > 1.5*part {
			t.Errorf("one that leaves %d moves %.1f %%, want little more than its part, %.1f %%", n, 100*went/clusters, 100*part)
		}
	}
}

func moved(units []string, a, b Share) float64 {
	n := 0
	for _, u := range units {
		if a.Owner("", u) != b.Owner("", u) {
			n++
		}
	}
	return float64(n) / float64(len(units))
}

// Each unit has one owner, and replicas that see the same members agree on it, in whatever order they see them.
func TestAgreement(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	members := names(random, 5)
	a := Of(members)
	slices.Reverse(members)
	b := Of(append(members, members[0]))
	for i := range 1000 {
		unit := fmt.Sprint("unit-", i)
		owner := a.Owner("", unit)
		if owner != b.Owner("", unit) || !slices.Contains(members, owner) {
			t.Fatalf("%s belongs to %q and to %q", unit, owner, b.Owner("", unit))
		}
		if group := a.Owner("shop", unit); group != a.Owner("shop", "another") {
			t.Fatalf("the members of a group belong to %q and %q", group, a.Owner("shop", "another"))
		}
	}
	if got := Of(nil).Owner("", "x"); got != "" {
		t.Errorf("without members it belongs to %q", got)
	}
}
