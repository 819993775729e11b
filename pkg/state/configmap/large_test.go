package configmap

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/statetest"
)

// with returns statetest.Many(n, sha) with further repositories, each of that many bytes or hardly less.
func with(n int, sha string, sizes ...int) state.Snapshot {
	s := statetest.Many(n, sha)
	for i, size := range sizes {
		r := state.Repository{Branches: state.NewBranches(nil)}
		for size -= 40; size > 100; {
			name := fmt.Sprintf("branch-%d", r.Branches.Len())
			size -= len(name) + len(`"":{"sha":"","n":1,"time":"2026-03-01T12:00:00Z"},`) + 40
			r.Branches.Set(name, state.Branch{SHA: statetest.SHA(sha), N: 1, Time: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)})
		}
		s.Repositories[fmt.Sprintf("large-%d", i)] = r
	}
	return s
}

// A repository with as much as a part holds leaves the others their room, wherever a hash of its name puts it.
func TestLargeRepositoriesBesideMany(t *testing.T) {
	const share = (small/2 - 1024) * state.MaxRepository / (maxBytes/2 - 1024)
	for _, large := range []int{1, 5, 12} {
		_, c := kubetest.New(t)
		var sizes []int
		for range large {
			sizes = append(sizes, share)
		}
		for _, sha := range []string{"a", "b"} {
			want := with(120, sha, sizes...)
			save(t, c, want)
			if _, got := load(t, c); !got.Equal(want) {
				t.Errorf("%d large repositories: read back %d, not what was written", large, len(got.Repositories))
			}
		}
	}
}

// An entry that a Sentry of before wrote, and that fits no part, stays in the first ConfigMap while the others are split.
func TestEntryLargerThanAPart(t *testing.T) {
	const size = small * 8 / 10
	statetest.Deaths(t, with(270, "b", size), func() statetest.Place {
		server, c := kubetest.New(t)
		save(t, c, with(1, "a", size))
		save(t, c, with(120, "a", size))
		return onCluster(server, c)
	})
}

// When all is full, why nothing is saved can still be saved beside what is stored.
func TestNoteInAFullState(t *testing.T) {
	server, c := kubetest.New(t)
	n := 1700
	for ; ; n += 100 {
		s, _ := load(t, c)
		server.Writes()
		err := s.Save(t.Context(), varied(n, "a"))
		if err == nil {
			continue
		}
		if !errors.Is(err, state.ErrTooLarge) || len(server.Writes()) > 0 || !strings.Contains(err.Error(), "The largest repositories are repository-") {
			t.Fatalf("%d repositories: %v, want a refusal before anything is written, with the largest", n, err)
		}
		break
	}
	s, stored := load(t, c)
	stored.SetProblem(state.Whole, "too large", errors.New(strings.Repeat("x", 300)), time.Now())
	if err := s.Save(t.Context(), stored); err != nil {
		t.Fatal(err)
	}
	if _, got := load(t, c); !got.Equal(stored) || len(got.Repositories) != n-100 {
		t.Errorf("%d repositories, problems %v, want %d and why no more", len(got.Repositories), got.Problems(), n-100)
	}
	if held := (n - 100) * 230; held < maxFurther*small {
		t.Errorf("full with %d bytes, want more than %d, as they are compressed", held, maxFurther*small)
	}
}
