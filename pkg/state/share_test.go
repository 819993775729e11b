package state

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// hostile is what a branch name may hold that is written longer than it is.
var hostile = []string{"a", "<", "&", "\"", "\u2028", "日", "\U0001f600", "$", "'"}

func hostileName(r *rand.Rand, i int) string {
	name := fmt.Sprintf("b%d-", i)
	for length := r.IntN(255); ; {
		next := name + hostile[r.IntN(len(hostile))]
		if len(next) > length {
			return name
		}
		name = next
	}
}

// What fits stays within the share however it is written later: with the highest numbers, the longest times, missing.
func TestWhatFitsIsWithinTheShare(t *testing.T) {
	for seed := range uint64(10) {
		r := rand.New(rand.NewPCG(seed, 1))
		names, sha := make([]string, 4_000), []repo.SHA{shaA, shaA + "0123456789abcdef01234567"}[seed%2]
		for i := range names {
			names[i] = hostileName(r, i)
			if err := repo.CheckBranch(names[i]); err != nil {
				t.Fatal(err)
			}
		}
		// The first n branches, of which every other one is a head, the rest is only remembered.
		first := sort.Search(len(names), func(n int) bool {
			was, heads := Repository{Branches: NewBranches(nil)}, map[string]repo.SHA{}
			for i, name := range names[:n] {
				if i%2 == 0 {
					heads[name] = sha
				}
				if i%2 == 1 || i%4 == 0 {
					was.Branches.Set(name, Branch{SHA: sha})
				}
			}
			return !was.Fits(heads)
		})
		size := func(n int) int {
			entry := Repository{
				Branches: NewBranches(nil), Floor: MaxNumber,
				Problem: &Problem{Kind: "too many branches", Message: strings.Repeat("<", 300), Since: noon.Add(1)},
			}
			for _, name := range names[:n] {
				entry.Branches.Set(name, Branch{SHA: sha, Succeeded: sha, N: MaxNumber, Time: noon.Add(123_456_789), Missing: 2})
			}
			return len(strings.Repeat("n", 63)+`"":,`) + len(encoded(&entry))
		}
		if got := size(first - 1); got > MaxRepository || got < MaxRepository*98/100 {
			t.Errorf("seed %d: %d branches fit, which take %d bytes, want hardly less than %d", seed, first-1, got, MaxRepository)
		}
	}
}

func TestTheShareInBranches(t *testing.T) {
	for length, want := range map[int]int{20: 2_300, 60: 1_900, 250: 1_050} {
		heads := map[string]repo.SHA{}
		for i := range want * 11 / 10 {
			name := fmt.Sprintf("%d-", i)
			heads[name+strings.Repeat("x", length-len(name))] = shaA
			if i == want*97/100 && !(Repository{}).Fits(heads) {
				t.Errorf("%d branches of %d bytes do not fit, and the documentation says some %d", i, length, want)
			}
		}
		if (Repository{}).Fits(heads) {
			t.Errorf("%d branches of %d bytes fit, and the documentation says some %d", len(heads), length, want)
		}
	}
}

// One repository's units cannot fill the state with what is wrong with them.
func TestProblemsOfManyUnits(t *testing.T) {
	var s Snapshot
	news := 0
	for range 3 {
		for i := range 5_000 {
			if s.SetProblem(fmt.Sprintf("web.branch-%d", i), "qa", errors.New("the QA repository cannot be read"), noon) {
				news++
			}
		}
	}
	if len(s.Units) != maxProblems+1 || news != maxProblems+1 {
		t.Errorf("%d problems, %d of them news, want %d and one for all others", len(s.Units), news, maxProblems)
	}
	if p := s.Problems()["web.*"]; p.Kind != "qa" || p.Message != "more branches, one of them: the QA repository cannot be read" {
		t.Errorf("the one for all others is %+v", p)
	}
	for _, unit := range []string{"web-2.main", "site", "site..01234567", "we.b"} {
		if !s.SetProblem(unit, "qa", errors.New("no"), noon) || s.Problems()[unit].Message != "no" {
			t.Errorf("the problem of %s is lost among another repository's", unit)
		}
	}
	if s.SetProblem("web.branch-9999", "create", errors.New("down"), noon) {
		t.Error("the one for all others is written again for each kind: that is news in every cycle")
	}
	if !s.SetProblem("web.branch-1", "create", errors.New("down"), noon.Add(time.Hour)) {
		t.Error("one that is listed keeps an old problem")
	}
}

// What heads that were passed over take is counted without being encoded, in each cycle, and is never more than was counted.
func TestPassedIsCounted(t *testing.T) {
	was, heads := Repository{Branches: NewBranches(nil)}, map[string]repo.SHA{}
	for i := range 500 {
		name := fmt.Sprint("branch-", i)
		heads[name] = shaA
		was.Branches.Set(name, Branch{SHA: shaA, N: MaxNumber, Time: noon.Add(1)}.PassedOver(shaA, repo.Untouched, noon.Add(1)))
	}
	for name, b := range was.Branches.All() {
		one := Repository{Branches: NewBranches(map[string]Branch{name: b})}
		if got, most := len(encoded(&one)), entryRoom+branchSize(name, b.SHA)+b.beside(); got > most {
			t.Errorf("a branch takes %d bytes, and %d are counted", got, most)
		}
		if got, want := b.beside(), len(encoded(&b)); got > want {
			t.Errorf("%d bytes are counted for a head that was passed over, and the whole branch takes %d", got, want)
		}
		break
	}
	if n := testing.AllocsPerRun(10, func() { was.Fits(heads) }); n > 20 {
		t.Errorf("counting 500 branches takes %.0f allocations, want none a branch", n)
	}
}
