package deliver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptrace"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/report/deliver"
	"github.com/tekton-sentry/sentry/pkg/report/mark"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

var yes = true

// world is what outlives a Sentry: the statuses of commits, what receivers were told, and the marks on runs.
type world struct {
	t   *testing.T
	log strings.Builder

	// before and after are called around the effect of each call, which fails with their errors; may be nil.
	before, after func(call string) error
	// answer is what a receiver answers before anything else; may be nil.
	answer func(*http.Request) error

	mu       sync.Mutex
	statuses map[string][]githost.Status // by repository, SHA and context, the oldest first
	read     int                         // of statuses
	told     []string                    // "URL ID"
	marks    map[string]mark.Phase       // by run
}

func newWorld(t *testing.T) *world {
	return &world{t: t, statuses: map[string][]githost.Status{}, marks: map[string]mark.Phase{}}
}

// call is a call from outside, with its effect.
func (w *world) call(name string, effect func()) error {
	if w.before != nil {
		if err := w.before(name); err != nil {
			return err
		}
	}
	w.mu.Lock()
	effect()
	w.mu.Unlock()
	if w.after != nil {
		return w.after(name)
	}
	return nil
}

// statusesOf is a host as one process sees it.
type statusesOf struct{ *world }

func (s statusesOf) StatusOf(_ context.Context, repoURL, sha, name string) (was githost.Status, ok bool, err error) {
	err = s.call("read "+repoURL+" "+sha, func() {
		s.read++
		if all := s.statuses[repoURL+" "+sha+" "+name]; len(all) > 0 {
			was, ok = all[len(all)-1], true
		}
	})
	return was, ok, err
}

func (s statusesOf) SetStatus(_ context.Context, repoURL, sha string, status githost.Status) error {
	return s.call("write "+repoURL+" "+sha, func() {
		key := repoURL + " " + sha + " " + status.Context
		s.statuses[key] = append(s.statuses[key], status)
	})
}

// RoundTrip is every receiver.
func (w *world) RoundTrip(req *http.Request) (*http.Response, error) {
	code := http.StatusNoContent
	header := http.Header{}
	var err error
	if w.answer != nil {
		err = w.answer(req)
	}
	if err == nil {
		err = w.call("tell "+req.URL.Host, func() { w.told = append(w.told, req.URL.String()+" "+req.Header.Get("Webhook-Id")) })
	}
	if answer, ok := errors.AsType[answered](err); ok {
		code, err = answer.code, nil
		header.Set("Retry-After", answer.after)
	}
	if err != nil {
		return nil, err
	}
	return &http.Response{StatusCode: code, Header: header, Body: io.NopCloser(strings.NewReader("s3cret")), Request: req}, nil
}

// answered is what a receiver answers.
type answered struct {
	code  int
	after string
}

func (a answered) Error() string { return fmt.Sprint(a.code) }

var errLasting = errors.New("forbidden")

// start begins a Sentry in the world.
func (w *world) start(cfg *config.Config) *deliver.Deliverer {
	return deliver.New(cfg, deliver.Options{
		Log: slog.New(slog.NewTextHandler(&w.log, nil)), Transport: w, Version: "1",
		Statuses: func(config.Source) (githost.Statuses, error) { return statusesOf{w}, nil },
		Mark: func(_ context.Context, run string, p mark.Phase) error {
			return w.call("mark "+run, func() { w.marks[run] = p })
		},
		Lasting: func(err error) bool { return errors.Is(err, errLasting) },
	})
}

// configuration has repositories on hosts, "name host", whose commits have statuses, and of whose failures a chat hears.
func configuration(chat string, repositories ...string) *config.Config {
	cfg := &config.Config{}
	for _, text := range repositories {
		name, host, _ := strings.Cut(text, " ")
		cfg.Repositories = append(cfg.Repositories, config.Repository{
			Name: name,
			Monitor: config.Monitor{Source: config.Source{
				URL: "https://" + host + "/o/" + name, Type: config.Gitea, Auth: config.Auth{Token: secret.New("${T}", "hunter2")},
			}},
			Report: &section.Report{CommitStatus: &yes, Slack: section.Receiver{URL: secret.New("${CHAT}", chat)}},
		})
	}
	return cfg
}

const chat = "https://chat.example/s3cret"

func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// run is one of the members "repository digit", in the order in which they were created.
func run(name string, n int, v result.Verdict, members ...string) *report.Facts {
	f := &report.Facts{Run: name, Unit: "unit", Created: time.Date(2026, 1, 1, 0, n, 0, 0, time.UTC)}
	if v != "" {
		f.Result = &result.Result{Name: name, Verdict: v}
	}
	for i, text := range members {
		repository, digit, _ := strings.Cut(text, " ")
		task := fmt.Sprint("t", i)
		f.Members = append(f.Members, pinned.Member{Task: task, Ref: repo.Ref{Repository: repository, Branch: "main"}, SHA: sha(digit)})
		if v != "" {
			f.Result.Members = append(f.Result.Members, result.Member{Task: task, Verdict: v, Exit: 1})
		}
	}
	return f
}

func (w *world) take(d *deliver.Deliverer, f *report.Facts) {
	w.t.Helper()
	if err := d.Take(f); err != nil {
		w.t.Fatal(err)
	}
}

// states returns what each commit was told, "repository digit: states".
func (w *world) states() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var all []string
	for key, list := range w.statuses {
		parts := strings.Fields(key)
		name := parts[0][strings.LastIndex(parts[0], "/")+1:]
		line := fmt.Sprintf("%s %s:", name, parts[1][:1])
		for _, s := range list {
			line += " " + string(s.State)
		}
		all = append(all, line)
	}
	slices.Sort(all)
	return all
}

func (w *world) expect(states ...string) {
	w.t.Helper()
	if got := w.states(); !slices.Equal(got, states) {
		w.t.Errorf("the commits were told %q, want %q\n%s", got, states, &w.log)
	}
}

// pass lets time pass, and all be done that is to be done by then.
func pass(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// ending ends a Sentry at once.
func ending(d *deliver.Deliverer) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	d.Close(ctx)
}

func TestDelivered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		d := w.start(configuration(chat, "web a.example", "api b.example"))
		defer ending(d)
		w.take(d, run("r1", 1, "", "web a", "api b"))
		synctest.Wait()
		w.expect("api b: pending", "web a: pending")
		if len(w.told) > 0 || w.marks["r1"] != mark.Pending {
			t.Errorf("told %q and marked %q of a run that goes on", w.told, w.marks["r1"])
		}
		w.take(d, run("r1", 1, "failed", "web a", "api b"))
		synctest.Wait()
		w.expect("api b: pending failure", "web a: pending failure")
		// Once each, and nobody finds the receiver's secret in the log.
		for _, line := range []string{
			"kind=commit_status repo=web run=r1 sha=aaaaaaa state=pending audit=reported by=run", "kind=commit_status repo=web run=r1 sha=aaaaaaa state=failure audit=reported by=run",
			"kind=slack repo=web run=r1 host=chat.example audit=reported by=run",
		} {
			if n := strings.Count(w.log.String(), line); n != 1 {
				t.Errorf("the log has %q %d times, want it once:\n%s", line, n, &w.log)
			}
		}
		if want := []string{chat + " r1.ended"}; !slices.Equal(w.told, want) || w.marks["r1"] != mark.Ended || d.Waiting() != 0 {
			t.Errorf("told %q and marked %q, %d wait; want %q once, and that it ended", w.told, w.marks["r1"], d.Waiting(), want)
		}
	})
}

// Where nothing is owed, a run that goes on is not marked. One that ended is: what is configured later does not concern it.
func TestNothingIsOwed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		cfg := configuration(chat, "web a.example")
		cfg.Repositories[0].Report.CommitStatus = nil
		d := w.start(cfg)
		defer ending(d)
		w.take(d, run("on", 1, "", "web a"))
		w.take(d, run("over", 2, "succeeded", "web b"))
		synctest.Wait()
		if len(w.told) > 0 || len(w.statuses) > 0 || len(w.marks) != 1 || w.marks["over"] != mark.Ended || d.Waiting() != 0 {
			t.Errorf("told %q, %q and marked %v, want the run that ended marked alone", w.told, w.states(), w.marks)
		}
	})
}

// killed is what every call of a process returns once it was killed.
var errKilled = errors.New("killed")

// A Sentry that is killed between any two steps leaves each commit with each state once, in their order, after a restart. Nobody is
// untold, and nobody is told the same under two names.
func TestKilledAnywhere(t *testing.T) {
	runs := []struct {
		name    string
		verdict result.Verdict
		members []string
	}{
		{"r1", "failed", []string{"web a", "api b"}},
		{"r2", "succeeded", []string{"lib c"}},
	}
	cfg := configuration(chat, "web a.example", "api b.example", "lib a.example")
	steps := 0
	for kill := 1; ; kill++ {
		died := false
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t)
			var mu sync.Mutex
			dead := make(chan struct{})
			step, alive := 0, true
			first := func(string) error {
				mu.Lock()
				defer mu.Unlock()
				if step++; step == kill {
					died, alive = true, false
					close(dead)
				}
				if !alive {
					return errKilled
				}
				return nil
			}
			w.before, w.after = first, first
			d := w.start(cfg)
			// list hands in what a list of the runs tells.
			list := func(over bool) {
				for i, r := range runs {
					v := r.verdict
					if !over {
						v = ""
					}
					w.mu.Lock()
					p := w.marks[r.name]
					w.mu.Unlock()
					if p != mark.Ended && (over || p == "") {
						w.take(d, run(r.name, i, v, r.members...))
					}
				}
			}
			// restart replaces a process that was killed.
			restart := func(over bool) {
				select {
				case <-dead:
				case <-time.After(time.Hour):
					return
				}
				ending(d)
				w.before, w.after, dead = nil, nil, nil
				d = w.start(cfg)
				list(over)
				pass(time.Hour)
			}
			list(false)
			restart(false)
			list(true)
			restart(true)
			ending(d)
			w.expect("api b: pending failure", "lib c: pending success", "web a: pending failure")
			slices.Sort(w.told)
			if !slices.Equal(slices.Compact(slices.Clone(w.told)), []string{chat + " r1.ended"}) || len(w.told) > 2 {
				t.Errorf("the chat was told %q, want r1 once, or twice under one name", w.told)
			}
			if w.marks["r1"] != mark.Ended || w.marks["r2"] != mark.Ended {
				t.Errorf("marks %v, want that both ended", w.marks)
			}
			if t.Failed() {
				t.Logf("killed at step %d", kill)
			}
		})
		if t.Failed() || !died {
			break
		}
		steps = kill
	}
	if steps < 30 {
		t.Errorf("killed at %d steps, want 30 and more", steps)
	}
}

// A host that hangs, fails or says so although it did as it was told keeps nobody else waiting, and gets each state once.
func TestTrouble(t *testing.T) {
	for name, fail := range map[string]func(w *world, block <-chan struct{}){
		"hangs": func(w *world, block <-chan struct{}) {
			w.before = func(call string) error {
				if strings.Contains(call, "a.example") {
					<-block
				}
				return nil
			}
		},
		"fails": func(w *world, block <-chan struct{}) {
			w.before = func(call string) error {
				select {
				case <-block:
				default:
					if strings.Contains(call, "a.example") {
						return githost.NewError(githost.Temporary, "a.example", "down")
					}
				}
				return nil
			}
		},
		"lies": func(w *world, block <-chan struct{}) {
			w.after = func(call string) error {
				select {
				case <-block:
				default:
					if strings.HasPrefix(call, "write https://a.example") {
						return githost.NewError(githost.Temporary, "a.example", "down")
					}
				}
				return nil
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w, block := newWorld(t), make(chan struct{})
				fail(w, block)
				d := w.start(configuration(chat, "web a.example", "api b.example"))
				defer ending(d)
				w.take(d, run("r1", 1, "failed", "web a", "api b"))
				pass(time.Minute / 2)
				if got := w.states(); !slices.Contains(got, "api b: failure") || len(w.told) != 1 {
					t.Errorf("within half a minute %q and %q were told, want the other host and the chat", got, w.told)
				}
				close(block)
				pass(time.Hour)
				w.expect("api b: failure", "web a: failure")
				if w.marks["r1"] != mark.Ended || len(w.told) != 1 {
					t.Errorf("marked %q, the chat was told %q", w.marks["r1"], w.told)
				}
			})
		})
	}
}

// What no try can mend is told the log once, without the secret, and keeps no run from being done.
func TestUseless(t *testing.T) {
	for name, err := range map[string]error{
		"denied":    githost.NewError(githost.Denied, "a.example", "HTTP 403: hunter2"),
		"not found": githost.NewError(githost.NotFound, "a.example", "HTTP 404"),
		"answer":    answered{code: http.StatusGone},
		"no such":   answered{code: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				calls := 0
				_, receiver := errors.AsType[answered](err)
				w.before = func(call string) error {
					if receiver == strings.HasPrefix(call, "tell") && !strings.HasPrefix(call, "mark") {
						calls++
						return err
					}
					return nil
				}
				d := w.start(configuration(chat, "web a.example"))
				defer ending(d)
				w.take(d, run("r1", 1, "failed", "web a"))
				w.take(d, run("r2", 2, "failed", "web b"))
				pass(25 * time.Hour)
				if calls != 4 || w.marks["r1"] != mark.Ended || w.marks["r2"] != mark.Ended {
					t.Errorf("%d calls, marks %v, want two tries each, and both done", calls, w.marks)
				}
				w.take(d, run("r3", 3, "failed", "web c"))
				pass(time.Hour)
				if calls != 5 || w.marks["r3"] != mark.Ended {
					t.Errorf("%d calls, marks %v, want one try where others were given up", calls, w.marks)
				}
				log := w.log.String()
				if strings.Count(log, "level=WARN") != 1 || strings.Contains(log, "s3cret") || strings.Contains(log, "hunter2") || !strings.Contains(log, "repo=web") {
					t.Errorf("the log has\n%swant one warning with the repository, and no secret", log)
				}
			})
		})
	}
}

// What is refused once is told a little later, and keeps nothing else waiting.
func TestRefusedForAMoment(t *testing.T) {
	for name, err := range map[string]error{
		"a status": githost.NewError(githost.Denied, "a.example", "HTTP 403"),
		"a chat":   answered{code: http.StatusNotFound},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				refusals := 0
				_, receiver := errors.AsType[answered](err)
				w.before = func(call string) error {
					if receiver == strings.HasPrefix(call, "tell") && !strings.HasPrefix(call, "mark") && refusals < 1 {
						refusals++
						return err
					}
					return nil
				}
				d := w.start(configuration(chat, "web a.example"))
				defer ending(d)
				w.take(d, run("r1", 1, "failed", "web a"))
				w.take(d, run("r2", 2, "failed", "web b"))
				pass(time.Second)
				if n := len(w.states()) + len(w.told); n != 3 {
					t.Errorf("%d of four were told at once, want all but one", n)
				}
				pass(time.Minute)
				if len(w.states()) != 2 || len(w.told) != 2 || strings.Contains(w.log.String(), "WARN") {
					t.Errorf("within a minute %q and %q were told, want all, and no warning:\n%s", w.states(), w.told, &w.log)
				}
			})
		})
	}
}

// arrives has it seen that a request was sent as a whole.
func arrives(req *http.Request) {
	if trace := httptrace.ContextClientTrace(req.Context()); trace != nil {
		trace.WroteRequest(httptrace.WroteRequestInfo{})
	}
}

// A receiver that takes half a minute for its answer is told once.
func TestReceiverThatIsSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(req *http.Request) error {
			arrives(req)
			w.mu.Lock()
			w.told = append(w.told, "once")
			w.mu.Unlock()
			select {
			case <-time.After(30 * time.Second):
				return nil
			case <-req.Context().Done():
				return req.Context().Err()
			}
		}
		d := w.start(configuration(chat, "web a.example"))
		defer ending(d)
		w.take(d, run("r1", 1, "failed", "web a"))
		pass(25 * time.Hour)
		if len(w.told) != 2 || w.marks["r1"] != mark.Ended || strings.Contains(w.log.String(), "level=WARN") { // it came, and was answered
			t.Errorf("told %d times and marked %q, want it told once\n%s", len(w.told)-1, w.marks["r1"], &w.log)
		}
	})
}

// A chat that may have shown a message is not sent it for a day. A program is: it can tell by the ID that it has it.
func TestNoAnswer(t *testing.T) {
	lost := errors.New("unexpected EOF")
	for name, tt := range map[string]struct {
		kind   report.Kind
		sent   bool
		answer error
		most   int
	}{
		"a chat that hangs":             {report.Slack, true, nil, 3},
		"a chat that breaks off":        {report.Slack, true, lost, 3},
		"a chat behind a gateway":       {report.Slack, true, answered{code: http.StatusGatewayTimeout}, 3},
		"a chat that is not reached":    {report.Slack, false, lost, 200},
		"a chat that says it is down":   {report.Slack, true, answered{code: http.StatusServiceUnavailable}, 200},
		"a program that hangs":          {report.Webhook, true, nil, 200},
		"a program that breaks off":     {report.Webhook, true, lost, 200},
		"events to one that breaks off": {report.CloudEvents, true, lost, 200},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var asked []time.Time
				w.answer = func(req *http.Request) error {
					asked = append(asked, time.Now())
					if tt.sent {
						arrives(req)
					}
					if tt.answer == nil {
						<-req.Context().Done()
						return req.Context().Err()
					}
					return tt.answer
				}
				cfg := configuration("", "web a.example")
				to := section.Receiver{URL: secret.New("${CHAT}", chat)}
				cfg.Repositories[0].Report = map[report.Kind]*section.Report{
					report.Slack: {Slack: to}, report.Webhook: {Webhook: to}, report.CloudEvents: {CloudEvents: to},
				}[tt.kind]
				d := w.start(cfg)
				defer ending(d)
				w.take(d, run("r1", 1, "failed", "web a"))
				pass(25 * time.Hour)
				if len(asked) > tt.most || len(asked) < tt.most/2 || w.marks["r1"] != mark.Ended {
					t.Errorf("sent %d times, marked %q; want %d at most, and that it ends", len(asked), w.marks["r1"], tt.most)
				}
				if tt.most == 3 && asked[2].Sub(asked[0]) < time.Minute {
					t.Errorf("sent at %v, want minutes between", asked[:3])
				}
				if log := w.log.String(); strings.Count(log, "given up") != 1 || strings.Contains(log, "s3cret") {
					t.Errorf("the log has\n%s", log)
				}
			})
		})
	}
}

// A receiver that wants to be left alone is, for as long as it says. One that is down for good is given up after a day.
func TestReceiverInTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		start := time.Now()
		var asked []time.Duration
		w.before = func(call string) error {
			if !strings.HasPrefix(call, "tell") {
				return nil
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			if asked = append(asked, time.Since(start)); len(asked) == 1 {
				return answered{http.StatusTooManyRequests, "300"}
			}
			return answered{code: http.StatusServiceUnavailable}
		}
		d := w.start(configuration(chat, "web a.example"))
		defer ending(d)
		w.take(d, run("r1", 1, "failed", "web a"))
		pass(23 * time.Hour)
		w.mu.Lock()
		if asked[0] != 0 || asked[1] < 5*time.Minute || asked[1] > 6*time.Minute || len(asked) < 100 || len(asked) > 200 || w.marks["r1"] != "" {
			t.Errorf("asked %d times, first at %v, marked %q; want a try every ten minutes", len(asked), asked[:2], w.marks["r1"])
		}
		w.mu.Unlock()
		pass(2 * time.Hour)
		if w.marks["r1"] != mark.Ended {
			t.Errorf("after a day the run is marked %q, want it given up", w.marks["r1"])
		}
		if log := w.log.String(); strings.Contains(log, "s3cret") || strings.Count(log, "level=WARN") != 2 || !strings.Contains(log, "chat.example") {
			t.Errorf("the log has\n%swant that it waits and that it is given up, without the URL", log)
		}
	})
}

// failing answers 500 to what is said of any of these, "repository digit" or "repository".
func failing(calls *int, of ...string) func(call string) error {
	return func(call string) error {
		for _, text := range of {
			name, digit, _ := strings.Cut(text, " ")
			if strings.Contains(call, "/o/"+name+" "+digit) {
				*calls++
				return githost.NewError(githost.Temporary, "a.example", "HTTP 500")
			}
		}
		return nil
	}
}

// A commit that its host cannot take for hours keeps waiting neither other commits of the repository nor other repositories, and
// is tried no more often for them. Neither does a repository, or two.
func TestOneThatFails(t *testing.T) {
	for name, tt := range map[string]struct {
		poison, healthy []string
	}{
		"a commit":         {[]string{"web a"}, []string{"web b", "api c"}},
		"two commits":      {[]string{"web a", "web b"}, []string{"web c", "api d"}},
		"a repository":     {[]string{"web a", "web b", "web c", "web d", "web e"}, []string{"api f"}},
		"two repositories": {[]string{"web a", "web b", "web c", "lib d", "lib e", "lib f"}, []string{"api 0"}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				calls := 0
				w.before = failing(&calls, tt.poison...)
				d := w.start(configuration("", "web a.example", "api a.example", "lib a.example"))
				defer ending(d)
				for i, text := range tt.poison {
					w.take(d, run(fmt.Sprint("poison", i), i, "succeeded", text))
				}
				var told []string
				for i, text := range tt.healthy {
					pass(3*time.Hour + 10*time.Second)
					w.take(d, run(fmt.Sprint("healthy", i), 10+i, "succeeded", text))
					pass(time.Second)
					told = append(told, text+": success")
					slices.Sort(told)
					w.expect(told...)
				}
				if most := len(tt.poison) * 40 * len(tt.healthy); calls > most || calls < 20 {
					t.Errorf("%d calls, want %d at most", calls, most)
				}
			})
		})
	}
}

// What is tried again has its turn beside new reports, however fast these come.
func TestBusyLane(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		failed := false
		w.before = func(call string) error {
			if strings.HasPrefix(call, "mark") {
				return nil
			}
			time.Sleep(time.Second)
			if !failed && strings.Contains(call, "/lib") {
				failed = true
				return githost.NewError(githost.Temporary, "a.example", "HTTP 500")
			}
			return nil
		}
		d := w.start(configuration("", "web a.example", "lib a.example"))
		defer ending(d)
		w.take(d, run("first", 0, "succeeded", "lib a"))
		for i := range 60 {
			pass(time.Second)
			f := run(fmt.Sprint("r", i), i+1, "succeeded", "web 0")
			f.Members[0].SHA = repo.SHA(fmt.Sprintf("%040d", i))
			w.take(d, f)
		}
		if got := w.states(); !failed || !slices.Contains(got, "lib a: success") {
			t.Errorf("after a minute: %q", got)
		}
	})
}

// A host that is down is asked a few times, however much waits for it, and gets all of it in the end.
func TestHostThatIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		var down atomic.Bool
		down.Store(true)
		calls := 0
		w.before = func(call string) error {
			if down.Load() && strings.Contains(call, "a.example") {
				calls++
				return githost.NewError(githost.Temporary, "a.example", "HTTP 500")
			}
			return nil
		}
		var repositories, want []string
		for i := range 100 {
			repositories = append(repositories, fmt.Sprintf("r%d a.example", i))
			want = append(want, fmt.Sprintf("r%d a: success", i))
		}
		d := w.start(configuration("", repositories...))
		defer ending(d)
		for i := range 100 {
			w.take(d, run(fmt.Sprint("run", i), i, "succeeded", fmt.Sprintf("r%d a", i)))
		}
		pass(3 * time.Hour)
		if calls > 50 {
			t.Errorf("in three hours it was asked %d times, want 50 at most", calls)
		}
		down.Store(false)
		pass(10 * time.Minute)
		slices.Sort(want)
		w.expect(want...)
		if log := w.log.String(); strings.Count(log, "level=WARN") != 1 {
			t.Errorf("the log has\n%swant one line", log)
		}
	})
}

// What is on its way as the configuration changes has what is owed now follow it: by another token, or to nobody.
func TestApplyWhileOnTheWay(t *testing.T) {
	for name, tt := range map[string]struct {
		answer error // to what is on its way
		change func(*config.Config)
		states []string
		told   int
	}{
		"a token that was refused": {githost.NewError(githost.Denied, "a.example", "HTTP 401"),
			func(c *config.Config) { c.Repositories[0].Monitor.Auth.Token = secret.New("${T}", "hunter3") }, []string{"web a: failure"}, 1},
		"a host that is down": {githost.NewError(githost.Temporary, "a.example", "HTTP 500"),
			func(c *config.Config) { c.Repositories[0].Monitor.Auth.Token = secret.New("${T}", "hunter3") }, []string{"web a: failure"}, 1},
		"well":                 {nil, func(*config.Config) {}, []string{"web a: failure"}, 1},
		"another page":         {nil, func(c *config.Config) { c.Repositories[0].Report.TargetURL = "https://page.example/" }, []string{"web a: failure"}, 1},
		"no statuses any more": {githost.NewError(githost.Temporary, "a.example", "HTTP 500"), func(c *config.Config) { c.Repositories[0].Report.CommitStatus = nil }, nil, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				first := true
				w.before = func(call string) error {
					if strings.HasPrefix(call, "write") && first {
						first = false
						time.Sleep(10 * time.Second)
						return tt.answer
					}
					if strings.HasPrefix(call, "tell") {
						time.Sleep(10 * time.Second)
					}
					return nil
				}
				d := w.start(configuration(chat, "web a.example"))
				defer ending(d)
				w.take(d, run("r1", 1, "failed", "web a"))
				pass(time.Second)
				cfg := configuration(chat, "web a.example")
				tt.change(cfg)
				d.Apply(cfg)
				pass(time.Minute)
				w.expect(tt.states...)
				if len(w.told) != tt.told || w.marks["r1"] != mark.Ended || d.Waiting() != 0 {
					t.Errorf("told %q, marked %q, %d wait; want it told once\n%s", w.told, w.marks["r1"], d.Waiting(), &w.log)
				}
			})
		})
	}
}

// What it costs to follow another configuration grows with what waits, and no faster.
func BenchmarkApply(b *testing.B) {
	for _, n := range []int{1000, 4000, 8000} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			w := newWorld(nil)
			w.before = func(string) error { return githost.NewError(githost.Temporary, "a.example", "down") }
			cfg := configuration("", "web a.example")
			d := w.start(cfg)
			defer ending(d)
			for i := range n {
				f := run(fmt.Sprint("r", i), i, "succeeded", "web a")
				f.Members[0].SHA = repo.SHA(fmt.Sprintf("%040x", i))
				if err := d.Take(f); err != nil {
					b.Fatal(err)
				}
			}
			for b.Loop() {
				d.Apply(cfg)
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/run")
		})
	}
}

// Two runs deploy one commit while its host is down. The newer one has the last word.
func TestTheNewerRunHasTheLastWord(t *testing.T) {
	for name, order := range map[string][]*report.Facts{
		"in order":     {run("r1", 1, "failed", "web a"), run("r2", 2, "succeeded", "web a")},
		"out of order": {run("r2", 2, "succeeded", "web a"), run("r1", 1, "failed", "web a")},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t)
				var down atomic.Bool
				down.Store(true)
				w.before = func(call string) error {
					if down.Load() && strings.HasPrefix(call, "read") {
						return githost.NewError(githost.Temporary, "a.example", "down")
					}
					return nil
				}
				d := w.start(configuration(chat, "web a.example"))
				defer ending(d)
				for _, f := range order {
					w.take(d, f)
					pass(time.Second)
				}
				down.Store(false)
				pass(time.Hour)
				w.expect("web a: success")
				if w.marks["r1"] != mark.Ended || w.marks["r2"] != mark.Ended {
					t.Errorf("marks %v, want that both ended", w.marks)
				}
			})
		})
	}
}

// What waits follows another configuration: a receiver that moved is told at its new address, once.
func TestApply(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.before = func(call string) error {
			if call == "tell chat.example" {
				return answered{code: http.StatusBadGateway}
			}
			return nil
		}
		d := w.start(configuration(chat, "web a.example"))
		defer ending(d)
		w.take(d, run("r1", 1, "failed", "web a"))
		pass(time.Hour)
		d.Apply(configuration("https://new.example/", "web a.example"))
		pass(time.Second)
		if want := []string{"https://new.example/ r1.ended"}; !slices.Equal(w.told, want) || w.marks["r1"] != mark.Ended {
			t.Errorf("told %q, marked %q; want %q", w.told, w.marks["r1"], want)
		}
		w.expect("web a: failure")
	})
}

// A run that takes no mark, for good, is told of once.
func TestMarkIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.before = func(call string) error {
			if strings.HasPrefix(call, "mark") {
				return errLasting
			}
			return nil
		}
		d := w.start(configuration(chat, "web a.example"))
		defer ending(d)
		w.take(d, run("r1", 1, "failed", "web a"))
		pass(time.Hour)
		if len(w.told) != 1 || d.Waiting() != 0 || !strings.Contains(w.log.String(), "forbidden") {
			t.Errorf("told %q, %d wait; want one, and none\n%s", w.told, d.Waiting(), &w.log)
		}
	})
}

// What waits has an end. What found no room is refused, for its next list.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.before = func(string) error { return githost.NewError(githost.Temporary, "a.example", "down") }
		d := w.start(configuration(chat, "web a.example"))
		defer ending(d)
		var err error
		n := 0
		for ; err == nil && n < 20_000; n++ {
			err = d.Take(run(fmt.Sprint("r", n), n, "succeeded", fmt.Sprintf("web %x", n%16)))
		}
		if !errors.Is(err, deliver.ErrFull) {
			t.Errorf("%d runs were taken: %v", n, err)
		}
	})
}

// The end waits for what is on its way, and begins nothing.
func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.before = func(call string) error {
			if strings.HasPrefix(call, "write") {
				time.Sleep(3 * time.Second)
			}
			return nil
		}
		d := w.start(configuration("", "web a.example", "api a.example"))
		w.take(d, run("r1", 1, "", "web a", "api b"))
		pass(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		d.Close(ctx)
		if took := time.Since(start); len(w.states()) != 1 || took != 2*time.Second {
			t.Errorf("after %s the commits were told %q, want the one that was on its way", took, w.states())
		}
	})
}

// A configuration may change while the last message is on its way.
func TestApplyWhileItEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.answer = func(*http.Request) error {
			<-time.After(3 * time.Second)
			return nil
		}
		d := w.start(configuration(chat, "web a.example"))
		w.take(d, run("r1", 1, "failed", "web a"))
		pass(time.Second)
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		go d.Close(ctx)
		pass(time.Second)
		next := configuration(chat, "web a.example")
		next.Repositories[0].Report.TargetURL = "https://dash.example/{{run}}"
		d.Apply(next)
		pass(10 * time.Second)
		if len(w.told) != 1 {
			t.Errorf("told %q, want it told once", w.told)
		}
	})
}
