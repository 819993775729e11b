package gitea_test

import (
	"fmt"
	"regexp"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// A change may come into the list after others that have a later time: it was written a moment after its time was
// taken. It is not passed over for that.
func TestListedLate(t *testing.T) { synctest.Test(t, listedLate) }

func listedLate(t *testing.T) {
	s, want := warmed(t, 40, 3)
	hidden := regexp.MustCompile(`\{"id":\d+,"name":"app7",[^}]*\},?`)
	s.list = func(_ string, page []byte) []byte { return hidden.ReplaceAll(page, nil) }
	s.Push("team/app7", "main", sha(70))
	time.Sleep(3 * time.Second)
	for i := range 5 {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(50+i))
	}
	time.Sleep(2 * time.Second)
	if diff := cmp.Diff([]int{0, 1, 2, 3, 4}, s.changed(want)); diff != "" {
		t.Fatalf("before it is listed (-want +got):\n%s", diff)
	}
	s.list = nil
	time.Sleep(time.Second)
	if got := s.changed(want); !slices.Contains(got, 7) {
		t.Errorf("once it is listed: %v changed, want 7 among them", got)
	}
}

// A list that cannot be one is an error, so that all is read, and not the news that nothing changed.
func TestListsThatMakeNoSense(t *testing.T) {
	times := regexp.MustCompile(`"updated_at":"[^"]*"`)
	for name, list := range map[string]func(string, []byte) []byte{
		"empty":         func(string, []byte) []byte { return []byte(`{"ok":true,"data":[]}`) },
		"without times": func(_ string, page []byte) []byte { return times.ReplaceAll(page, []byte(`"x":1`)) },
	} {
		synctest.Test(t, func(t *testing.T) {
			s, want := warmed(t, 20, 2)
			s.list = list
			for i := range 3 { // of which the newest two are listed first
				s.Push(fmt.Sprintf("team/app%d", i), "main", sha(50+i))
			}
			time.Sleep(time.Minute)
			if changed, err := s.host.(githost.Prefilter).Changed(t.Context(), want); err == nil {
				t.Errorf("a list that is %s: told %v, want an error", name, changed)
			}
			s.list = nil
			if got := s.changed(want); !slices.Contains(got, 0) {
				t.Errorf("after a list that was %s: %v changed, want 0 among them", name, got)
			}
		})
	}
}

// Of changes within a second a database may list some twice and others not at all, where a page ends among them.
func TestTiesAcrossPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 120
		s := newServer(t, "", token)
		for i := range n {
			s.Push(fmt.Sprintf("team/app%d", i), "main", sha(i))
			time.Sleep(time.Second)
		}
		want := s.wanted(n, "main")
		for range 2 {
			time.Sleep(time.Minute)
			s.read(want, s.changed(want))
		}
		s.SetTies(true)
		for i := range 80 {
			s.Push(fmt.Sprintf("team/app%d", i), "main", sha(n+i))
		}
		time.Sleep(time.Minute)
		got := s.changed(want)
		for i := range 80 {
			if !slices.Contains(got, i) {
				t.Errorf("app%d was pushed to within the same second as 79 others, and is not among the %d that changed", i, len(got))
			}
		}
	})
}

// A push between two pages moves what follows on to the next page, where it is listed twice: that is no reason to read all.
func TestPushBetweenPages(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const n = 300
		s := newServer(t, "", token)
		push := func(i, value int) {
			s.Push(fmt.Sprintf("team/app%d", i), "main", sha(value))
			time.Sleep(time.Second)
		}
		for i := range n {
			push(i, i)
		}
		want := s.wanted(n, "main")
		for range 2 {
			time.Sleep(time.Minute)
			s.read(want, s.changed(want))
		}
		for i := range 80 {
			push(i, n+i)
		}
		pages := 0
		s.list = func(_ string, page []byte) []byte {
			if pages++; pages == 3 { // the first of 50
				push(200, 0)
			}
			return page
		}
		got := s.changed(want)
		if len(got) > 80+2 || !slices.Contains(got, 0) || !slices.Contains(got, 79) {
			t.Errorf("%d of %d count as changed, want the 80 that were pushed to and the one that was meanwhile", len(got), n)
		}
	})
}
