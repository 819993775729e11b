package replicas

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

var quiet = slog.New(slog.DiscardHandler)

func TestCheck(t *testing.T) {
	for name, good := range map[string]bool{"": true, "sentry-7d9f8b6c5-x2x9p": true, "a.b": false, "A": false, strings.Repeat("a", 64): false} {
		if err := Check(name); (err == nil) != good {
			t.Errorf("Check(%q) = %v", name, err)
		}
	}
}

// Of replicas that come and go, each unit is one's, and one alone does what one does; it is the same one while it is there.
func TestReplicas(t *testing.T) { synctest.Test(t, testReplicas) }

func testReplicas(t *testing.T) {
	_, cluster := kubetest.NewPiped(t)
	var (
		mu      sync.Mutex
		leaders []string
		moves   = map[string]int{}
	)
	leading := func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(leaders)
	}
	start := func(name string) (r *Replica, end func()) {
		ctx, cancel := context.WithCancel(t.Context())
		r = New(cluster, instance.Instance{}, name, quiet)
		wait := r.Start(ctx, func(int) { mu.Lock(); moves[name]++; mu.Unlock() })
		var work sync.WaitGroup
		work.Go(func() {
			r.Lead(ctx, func(ctx context.Context) {
				mu.Lock()
				leaders = append(leaders, name)
				mu.Unlock()
				<-ctx.Done()
				mu.Lock()
				leaders = slices.DeleteFunc(leaders, func(other string) bool { return other == name })
				mu.Unlock()
			})
		})
		return r, func() { cancel(); work.Wait(); wait() }
	}
	units := make([]config.Repository, 100)
	for i := range units {
		units[i].Name = "unit-" + string(rune('a'+i%26)) + strings.Repeat("x", i/26)
	}
	expect := func(leader string, of ...*Replica) {
		t.Helper()
		time.Sleep(30 * time.Second)
		synctest.Wait()
		if got := leading(); !slices.Equal(got, []string{leader}) {
			t.Errorf("%q lead, want %s", got, leader)
		}
		owners := map[string]int{}
		for _, r := range of {
			mine, _ := r.Mine()
			for _, u := range units {
				if mine(u) {
					owners[u.Name]++
				}
			}
		}
		for _, u := range units {
			if owners[u.Name] != 1 {
				t.Errorf("%s has %d owners", u.Name, owners[u.Name])
			}
		}
	}
	b, endB := start("b")
	if mine, moved := b.Mine(); !moved || !mine(units[0]) {
		t.Error("the first replica begins without its share")
	}
	expect("b", b)
	a, endA := start("a")
	expect("b", a, b)
	endB()
	expect("a", a)
	b, endB = start("b")
	expect("a", a, b)
	if _, moved := b.Mine(); moved {
		t.Error("a share that is as before counts as another one")
	}
	if mu.Lock(); moves["b"] > 5 {
		t.Errorf("b was told %d times of others", moves["b"])
	}
	mu.Unlock()
	endA()
	endB()
	if got := leading(); len(got) > 0 {
		t.Errorf("%q lead after the end", got)
	}
}
