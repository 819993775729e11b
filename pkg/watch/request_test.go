package watch

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// A look at some repositories neither acts upon the others nor forgets anything of them.
func TestLookAtSome(t *testing.T) {
	w := newWorld(t, "groups: {site: {}}\nrepositories:"+entry("a", "group: site")+entry("b", "group: site")+entry("c", ""))
	push := func(digit string) {
		for _, host := range []string{"a", "b", "c"} {
			w.set(host, "main", digit)
		}
	}
	push("1")
	w.cycle()
	push("2")
	asked := map[string]int{}
	w.watcher.Heads = counted{w, asked}
	look := func(names ...string) event.Report {
		t.Helper()
		report, err := w.watcher.RunOnce(t.Context(), Request{Repositories: names})
		if err != nil {
			t.Fatal(err)
		}
		return report
	}
	report := look("a", "no-such")
	w.check("a look at a", "a@main=2")
	if report.Repositories != 1 || asked["a"] != 1 || asked["b"]+asked["c"] > 0 {
		t.Errorf("report %+v, hosts asked %v; want a alone", report, asked)
	}
	for _, run := range w.engine.runs {
		if n := len(run.Spec.PipelineSpec.Tasks); n != 2 {
			t.Errorf("the group's run has %d tasks, want both members, b at the commit that was deployed last", n)
		}
	}
	delete(w.heads, "https://b.example/x") // of a host that is down nobody hears who did not ask it
	if report := look("c"); report.Failing > 0 {
		t.Errorf("report %+v, want no failure of what was not asked", report)
	}
	w.check("a look at c", "a@main=2 c@main=2")
	w.set("b", "main", "2")
	w.finish()
	w.cycle()
	w.check("the cycle after", "a@main=2 b@main=2 c@main=2")
}

// What waits elsewhere is told once, also when a look at something else comes between.
func TestLookAtSomeKeepsWhatWaits(t *testing.T) {
	w := newWorld(t, "groups: {one: {}}\nrepositories:"+entry("a", "group: one")+entry("b", ""))
	told := 0
	tell := w.watcher.Tell
	w.watcher.Tell = func(e event.Event) {
		if _, ok := e.(event.RunWaiting); ok {
			told++
		}
		tell(e)
	}
	for _, digit := range []string{"1", "2", "3"} {
		w.set("a", "main", digit)
		w.set("b", "main", "1")
		w.cycle()
	}
	if _, err := w.watcher.RunOnce(t.Context(), Request{Repositories: []string{"b"}}); err != nil {
		t.Fatal(err)
	}
	w.cycle()
	if told != 1 {
		t.Errorf("told %d times that a's change waits, want once", told)
	}
}

// Looks at a part come seconds apart, while a host may still lag: they forget no branch.
func TestLookAtSomeForgetsNothing(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", ""))
	w.set("a", "main", "1")
	w.set("a", "dev", "1")
	w.cycle()
	lagging := w.heads["https://a.example/x"]
	w.heads["https://a.example/x"] = map[string]repo.SHA{"main": lagging["main"]}
	for range 4 {
		if _, err := w.watcher.RunOnce(t.Context(), Request{Repositories: []string{"a"}}); err != nil {
			t.Fatal(err)
		}
	}
	w.heads["https://a.example/x"] = lagging
	w.cycle()
	w.check("dev was always there", "")
}

// The first look at everything names what cannot be read, also where a look at a part came before it.
func TestLookAtSomeBeforeTheFirstCycle(t *testing.T) {
	w := newWorld(t, "repositories:"+entry("a", "")+entry("b", ""))
	w.set("a", "main", "1")
	var unread []event.Failure
	w.watcher.Tell = func(e event.Event) {
		if done, ok := e.(event.CycleDone); ok {
			unread = append(unread, done.Unread...)
		}
	}
	if _, err := w.watcher.RunOnce(t.Context(), Request{Repositories: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	w.cycle()
	if len(unread) != 1 || unread[0].Repository != "b" {
		t.Errorf("told that %+v cannot be read, want b", unread)
	}
}

// A member of which nothing is known is not left out of its group's run because nobody asked for it.
func TestLookAtSomeWaitsForMembersNeverSeen(t *testing.T) {
	w := newWorld(t, "groups: {site: {}}\nrepositories:"+entry("a", "group: site")+entry("b", "group: site"))
	w.set("a", "main", "1")
	w.cycle()
	w.set("a", "main", "2")
	w.set("b", "main", "1")
	if _, err := w.watcher.RunOnce(t.Context(), Request{Repositories: []string{"a"}}); err != nil {
		t.Fatal(err)
	}
	w.check("b was never seen", "")
	w.cycle()
	w.check("a look at all", "a@main=2")
	for _, run := range w.engine.runs {
		if n := len(run.Spec.PipelineSpec.Tasks); n != 2 {
			t.Errorf("the run has %d tasks, want both members", n)
		}
	}
}

// counted counts the questions a host gets.
type counted struct {
	Heads
	asked map[string]int
}

func (c counted) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	for _, m := range want {
		var host string
		if _, err := fmt.Sscanf(m.URL, "https://%1s.example/x", &host); err == nil {
			c.asked[host]++
		}
	}
	c.Heads.Each(ctx, want, answered)
}

// Requests that come while a cycle is at work become one; a sender that goes wild gets a look at all.
func TestAsk(t *testing.T) {
	var w Watcher
	ask := func(reason string, names ...string) { w.Ask(Request{Repositories: names, Reason: reason}) }
	ask("push", "b")
	ask("page", "a", "b")
	if r := w.requests.take(); r.Reason != "push" || fmt.Sprint(r.Repositories) != "[a b]" {
		t.Errorf("took %+v, want a and b for the first reason", r)
	}
	ask("push", "a")
	ask("timer")
	ask("page", "b")
	if r := w.requests.take(); r.Reason != "timer" || r.Repositories != nil {
		t.Errorf("took %+v, want all, because of the timer", r)
	}
	for i := range 2 * maxAsked {
		ask("storm", fmt.Sprint(i))
	}
	if n := len(w.requests.names); n > maxAsked {
		t.Errorf("%d names are kept, want at most %d", n, maxAsked)
	}
	if r := w.requests.take(); r.Repositories != nil {
		t.Errorf("took %d names, want all", len(r.Repositories))
	}
}

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

// What Apply is given holds from the next cycle on: the repositories, the interval and keep_runs.
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
		w.watcher.Before = func() {
			if begun++; begun == 2 {
				w.watcher.Apply(changed)
				w.set("a", "main", "2")
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 15*time.Minute)
		defer cancel()
		w.watcher.Run(ctx)
		want := "[0s 1 1m0s 2 11m0s 2]"
		if got := fmt.Sprint(cycles); got != want {
			t.Errorf("cycles and repositories %s, want %s", got, want)
		}
		if got := fmt.Sprint(w.engine.pruned); got != "[ keep 20 a.main keep 3]" {
			t.Errorf("pruned %s, want with keep_runs as it was and as it is", got)
		}
	})
}
