package plan

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// hostileEntry returns what a stored entry may be: nearly one of ours, or anything.
func hostileEntry(r *rand.Rand) string {
	pick := func(texts ...string) string { return texts[r.IntN(len(texts))] }
	n := func() string {
		return pick("0", "3", "998999998", "998999999", "999000000", "999000001", "1000000000", "-1", "9223372036854775807", "1e30", "1.5", `"3"`, "null")
	}
	if r.IntN(8) == 0 {
		return pick("null", "7", "[]", `"x"`, `{"branches":7}`, `{"unsee":true}`, `{"problem":7}`, `{"branches":{"main":null}}`, `{"floor":{}}`)
	}
	var branches []string
	for range r.IntN(4) {
		sha := pick(strings.Repeat("a", 40), strings.Repeat("a", 40), strings.Repeat("b", 64), strings.Repeat("0", 40), "xyz", "")
		at := pick("2026-03-01T08:00:00Z", "9999-12-31T23:59:59-23:59", "0000-01-01T00:00:00+23:59", "yesterday")
		name := pick("main", "main", "dev-1", "a..b", "", `\ud800`, `dev-\u2028`)
		branches = append(branches, fmt.Sprintf(`"%s":{"sha":"%s","n":%s,"time":"%s","missing":%s}`, name, sha, n(), at, pick("0", "1", "2", n())))
	}
	return fmt.Sprintf(`{"unseen":%s,"branches":{%s},"floor":%s}`, pick("false", "true"), strings.Join(branches, ","), n())
}

// hostileHeads returns what a host may answer, also what package githost does not let through.
func hostileHeads(r *rand.Rand) repo.Observation {
	o := heads("main", fmt.Sprint(1+r.IntN(9)))
	switch r.IntN(6) {
	case 0:
		o.Heads["a..b"] = sha("1")
	case 1:
		o.Heads["main"] = "xyz"
	case 2:
		o.Heads["dev-\xff"] = sha("1")
	case 3:
		for i := range 4_000 {
			o.Heads[fmt.Sprintf("dev-%d-%s", i, strings.Repeat("<", 50))] = sha("1")
		}
	case 4:
		return failed("denied", "\x00\xff no")
	}
	return o
}

// Whatever is stored, observed and claimed of some repositories: those of others are remembered, run when they
// change, and are remembered as they ran.
func TestHonestEntriesSurvive(t *testing.T) {
	c := file(watched(t, "honest", "", "main"), watched(t, "a", "", ".*"), watched(t, "b", "site", ".*"), watched(t, "good", "site", "main"), watched(t, "friend", "team", "main"))
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 1))
		document := fmt.Sprintf(`{"version":1,"epoch":"e","repositories":{"a":%s,"b":%s,"":%s,"gone":%s,`+
			`"honest":{"branches":{"main":{"sha":"%[5]s","n":3,"time":"2026-03-01T08:00:00Z"}}},`+
			`"friend":{"branches":{"main":{"sha":"%[5]s","n":3,"time":"2026-03-01T08:00:00Z"}}}},"problems":{"x":%s}}`,
			hostileEntry(r), hostileEntry(r), hostileEntry(r), hostileEntry(r), sha("a"), hostileEntry(r))
		s, err := state.Decode([]byte(document))
		if err != nil {
			t.Fatalf("seed %d: Decode(%s): %v", seed, document, err)
		}
		for cycle := range 5 {
			digit := fmt.Sprint(1 + cycle)
			in := Input{
				Config: c, Snapshot: s, Now: noon.Add(time.Duration(cycle) * time.Minute),
				Observed: []repo.Observation{heads("main", digit), hostileHeads(r), hostileHeads(r), heads("main", digit), heads("main", digit)},
			}
			existing := claims(r, in)
			in.Snapshot, _ = Recover(s, naming.Key{}, existing, true)
			s = act(Make(in), existing, r)
			text, err := state.Encode(s)
			if err != nil {
				t.Fatalf("seed %d, cycle %d: Encode: %v\nfrom %s", seed, cycle, err, document)
			}
			if s, err = state.Decode(text); err != nil {
				t.Fatalf("seed %d, cycle %d: Decode of what was written: %v", seed, cycle, err)
			}
			for _, name := range []string{"honest", "friend"} {
				if got := s.Repositories[name].Branches.Get("main"); got.SHA != sha(digit) || got.N != 4+cycle {
					t.Fatalf("seed %d, cycle %d: %s is remembered as %+v, want run %d at %s\nfrom %s", seed, cycle, name, got, 4+cycle, digit, document)
				}
			}
			// Its own entry stays whole, whatever its group's other member does to the number of their run.
			if good := s.Repositories["good"]; good.Damaged != nil {
				t.Fatalf("seed %d, cycle %d: good: %s\nfrom %s", seed, cycle, good.Problem.Message, document)
			}
		}
	}
}

// claims returns runs that say of hostile repositories what they like, under the names that follow from it.
func claims(r *rand.Rand, in Input) []Existing {
	var runs []Existing
	for _, i := range []int{1, 2} {
		if r.IntN(2) == 0 {
			continue
		}
		repository := &in.Config.Repositories[i]
		c := Change{Ref: repo.Ref{Repository: repository.Name, Branch: "main"}, N: 5, New: sha("c")}
		seen := time.Date(9999, 12, 31, 23, 59, 59, 0, time.FixedZone("", -23*3600))
		run := newRun(in, naming.UnitOf(repository, "main"), Trigger{Refs: []Change{c}, Seen: seen}, []Member{changed(repository, c)}, nil)
		runs = append(runs, run.numbered([]int{5, state.MaxNumber - 1, state.MaxNumber, state.MaxNumber + 1}[r.IntN(4)]).Existing())
	}
	return runs
}

// act makes the runs of a plan, now and then under their next names, and remembers them, as package watch does.
func act(p Plan, existing []Existing, r *rand.Rand) state.Snapshot {
	for _, run := range p.Runs {
		if run = run.After(existing); strings.HasPrefix(run.Unit.Label, "a.") || run.Unit.Label == "site" {
			for range r.IntN(11) {
				run = run.Next()
			}
		}
		if run.CheckNumber() == nil {
			run.Remember(&p.Snapshot, noon)
		}
	}
	return p.Snapshot
}
