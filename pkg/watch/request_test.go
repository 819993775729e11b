package watch

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// A request has its cycle at once, and the timer goes on as it was.
func TestRunServesRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
		w.set("a", "main", "1")
		w.set("b", "main", "1")
		var cycles []string
		start := time.Now()
		w.watcher.Now = time.Now
		w.watcher.Tell = func(e event.Event) {
			if done, ok := e.(event.CycleDone); ok {
				cycles = append(cycles, fmt.Sprintf("%s %s %d", time.Since(start), done.Reason, done.Repositories))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 130*time.Second)
		defer cancel()
		go func() {
			time.Sleep(20 * time.Second)
			w.watcher.Ask(Request{Repositories: []string{"b"}, Reason: "push"})
		}()
		w.watcher.Run(ctx)
		want := "[0s polling_interval 2 20s push 1 1m0s polling_interval 2 2m0s polling_interval 2]"
		if got := fmt.Sprint(cycles); got != want {
			t.Errorf("cycles %s, want %s", got, want)
		}
	})
}

// slow is Heads that take longer for every look than for the one before.
type slow struct {
	Heads
	looks int
}

func (s *slow) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	time.Sleep(time.Duration(s.looks) * 75 * time.Second)
	s.looks++
	s.Heads.Each(ctx, want, answered)
}

// A cycle that has to wait for the end of the one before is told as late as it is, from the first look on that is missed.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "repositories:"+entry("a", ""))
		w.set("a", "main", "1")
		w.watcher.Heads = &slow{Heads: w.watcher.Heads}
		w.watcher.Now = time.Now
		var cycles []string
		w.watcher.Tell = func(e event.Event) {
			if done, ok := e.(event.CycleDone); ok && !done.Stopped {
				cycles = append(cycles, fmt.Sprintf("%s after %s", done.Duration, done.Late))
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 6*time.Minute)
		defer cancel()
		w.watcher.Run(ctx)
		want := "[0s after 0s 1m15s after 0s 2m30s after 15s]" // at 0:00, 1:00 and 2:15
		if got := fmt.Sprint(cycles); got != want {
			t.Errorf("cycles %s, want %s", got, want)
		}
	})
}

// What Apply is given holds from the next cycle on: the repositories, the interval and keep_runs. Whoever applies may ask for that
// cycle, and what is asked for before a cycle that is due anyway is a part of it.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "repositories:"+entry("a", ""))
		w.watcher.Every = 0 // as the configuration says
		w.set("a", "main", "1")
		w.set("b", "main", "1")
		yaml := "polling_interval: 600\nglobal: {keep_runs: 3}\nrepositories:" + entry("a", "") + entry("b", "")
		changed, err := config.Parse([]byte(yaml), config.Options{Hosts: hosts.All.Config()})
		if err != nil {
			t.Fatal(err)
		}
		var cycles []string
		start := time.Now()
		w.watcher.Tell = func(e event.Event) {
			if done, ok := e.(event.CycleDone); ok {
				cycles = append(cycles, fmt.Sprint(time.Since(start), " ", done.Repositories))
			}
		}
		begun := 0
		w.watcher.Before = func(bool) {
			if begun++; begun == 2 {
				w.watcher.Apply(changed)
				w.set("a", "main", "2")
			}
			if begun <= 2 {
				w.watcher.Ask(Request{Reason: "the configuration"})
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		w.watcher.Run(ctx)
		want := "[0s 1 10s 2 10m10s 2]"
		if got := fmt.Sprint(cycles); got != want {
			t.Errorf("cycles and repositories %s, want %s", got, want)
		}
		if got := fmt.Sprint(w.called("prune")); got != "[prune all 20 prune a.main 3]" {
			t.Errorf("pruned %s, want with keep_runs as it was and as it is", got)
		}
	})
}

// Why a changed configuration is not used is in the state as long as that is so, in one write as it begins and one as it ends. The
// hosts are not asked for that.
func TestRefuse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, "repositories:"+entry("a", ""))
		w.set("a", "main", "1")
		w.watcher.Every = time.Hour
		var seen []string
		w.watcher.Tell = func(e event.Event) {
			if done, ok := e.(event.CycleDone); ok {
				s, err := w.store.Load(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				said := "nothing"
				if p := s.Units[state.Configuration].Problem; p != nil {
					said = p.Kind + ": " + p.Message
				}
				seen = append(seen, fmt.Sprint(done.Repositories, " read, ", done.Wrote, " written, ", said))
			}
		}
		steps := []string{"", "", "line 1 is wrong", "line 1 is wrong", "line 2 is wrong", "line 2 is wrong", "", "", "line 1 is wrong"}
		w.watcher.Before = func(bool) {
			if len(steps) > 0 {
				w.watcher.Refuse(steps[0])
				steps = steps[1:]
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Hour-time.Minute)
		defer cancel()
		w.watcher.Run(ctx)
		want := []string{
			"1 read, 2 written, nothing", // with the new state's epoch
			"0 read, 1 written, configuration: line 1 is wrong", "0 read, 1 written, configuration: line 2 is wrong",
			"0 read, 1 written, nothing", "0 read, 1 written, configuration: line 1 is wrong",
			"1 read, 0 written, configuration: line 1 is wrong",
		}
		if !slices.Equal(seen, want) {
			t.Errorf("cycles\n got %q\nwant %q", seen, want)
		}
		// A Sentry that starts with a configuration has one that it can use.
		w.start("repositories:" + entry("a", ""))
		if w.cycle(); w.store.writes != 7 {
			t.Errorf("%d writes after a start, want one more", w.store.writes)
		}
		if w.cycle(); w.store.writes != 7 {
			t.Errorf("%d writes, want none in an idle cycle", w.store.writes)
		}
	})
}
