package gitea_test

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// learning has a server list n repositories of which every step-th is wanted, and reports how many pages of the list
// one call of ten seconds, as long as a cycle gives it, asks for, at most so many calls, until none is asked for.
func learning(t *testing.T, n, every int, elapsed time.Duration, calls int) (pages []int, s *server, want []githost.Wanted) {
	t.Helper()
	s = newServer(t, "", token)
	for i := range n {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(i))
	}
	for i, w := range s.wanted(n, "main") {
		if i%every == 0 {
			want = append(want, w)
		}
	}
	time.Sleep(time.Hour)
	s.Push("team/other", "main", sha(0))
	time.Sleep(time.Minute)
	s.SetLatency(elapsed)
	for range calls {
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		if _, err := s.host.(githost.Prefilter).Changed(ctx, want); err != nil {
			t.Errorf("%d repositories, %s a page: %v", n, elapsed, err)
		}
		cancel()
		asked := len(s.Requests())
		if len(pages) > 0 {
			asked-- // for what changed
		}
		if asked <= 0 {
			break
		}
		pages = append(pages, asked)
		time.Sleep(time.Minute)
	}
	s.SetLatency(0)
	return pages, s, want
}

// The whole list is learnt at once where there is time for it.
func TestLearnsAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 5000
		pages, s, want := learning(t, n, 1, 20*time.Millisecond, 3)
		if len(pages) != 1 || pages[0] != n/50+1 {
			t.Errorf("%d pages asked for, want all %d in one call", pages, n/50+1)
		}
		s.read(want, s.changed(want))
		time.Sleep(time.Minute)
		if got := s.changed(want); len(got) > 0 {
			t.Errorf("%d of %d repositories are still not known", len(got), n)
		}
	})
}

// A slow server is asked for as many pages as there is time for, and for the others by the next calls, without an
// error in between.
func TestLearnsSlowly(t *testing.T) {
	for elapsed, most := range map[time.Duration]int{100 * time.Millisecond: 51, time.Second: 6, 4900 * time.Millisecond: 2, 8 * time.Second: 1} {
		synctest.Test(t, func(t *testing.T) {
			const n = 1000
			pages, s, want := learning(t, n, 1, elapsed, 100)
			sum := 0
			for _, p := range pages {
				sum += p
				if p > most {
					t.Errorf("%s a page: one call asked for %d pages, want at most %d", elapsed, p, most)
				}
			}
			if most == 1 {
				return // what changed is all that there is time for
			}
			if sum != n/50+1 {
				t.Errorf("%s a page: %d pages asked for, want %d in all", elapsed, pages, n/50+1)
			}
			s.read(want, s.changed(want))
			time.Sleep(time.Minute)
			if got := s.changed(want); len(got) > 0 {
				t.Errorf("%s a page: %d of %d repositories are still not known", elapsed, len(got), n)
			}
		})
	}
}

// Where more changed than a slow server lists in time, all is read, and the next call is as good as ever.
func TestMoreChangedThanThereIsTimeFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 500
		_, s, want := learning(t, n, 1, 0, 1)
		s.read(want, s.changed(want))
		for i := range n {
			s.Push(fmt.Sprintf("team/app%d", i), "main", sha(n+i))
			time.Sleep(time.Second)
		}
		time.Sleep(time.Minute)
		s.Push("team/other", "main", sha(1))
		s.SetLatency(2 * time.Second)
		for i, changed := range []int{n, 0} {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			got, err := s.host.(githost.Prefilter).Changed(ctx, want)
			cancel()
			if sum := len(slices.DeleteFunc(got, func(c bool) bool { return !c })); err != nil || sum != changed {
				t.Errorf("call %d: %d changed, error %v, want %d", i, sum, err, changed)
			}
			s.SetLatency(0)
			time.Sleep(time.Minute)
			s.read(want, numbers(n))
			time.Sleep(time.Minute)
			s.SetLatency(2 * time.Second)
		}
	})
}

func numbers(n int) []int {
	all := make([]int, n)
	for i := range all {
		all[i] = i
	}
	return all
}

// Pages that show few wanted repositories are given up: those that are not found are read.
func TestLearningThatIsNotWorthIt(t *testing.T) {
	const n = 10_000
	for every, most := range map[int]int{
		10:   n/50 + 1, // five a page
		40:   n/50 + 1, // more than one a page
		100:  30,       // one in two pages
		1000: 6,        // ten repositories
	} {
		synctest.Test(t, func(t *testing.T) {
			pages, _, want := learning(t, n, every, 0, 3)
			if len(pages) != 1 || pages[0] > most {
				t.Errorf("%d of %d repositories are wanted: %d pages asked for, want at most %d", len(want), n, pages, most)
			}
			if every <= 40 && pages[0] < n/50 {
				t.Errorf("%d of %d repositories are wanted: %d pages asked for, want all", len(want), n, pages)
			}
		})
	}
}

// A repository that is wanted later, and not listed, costs a few pages and not the whole list.
func TestLearnsOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 2000
		_, s, want := learning(t, n, 1, 0, 1)
		more := s.wanted(n+1, "main")
		s.changed(want)
		s.Requests()
		s.changed(more)
		if asked := len(s.Requests()); asked > 6 {
			t.Errorf("%d pages asked for a repository that is not listed, want at most 6", asked)
		}
	})
}
