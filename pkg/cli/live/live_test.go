package live

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/result"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// screen is a terminal of some width, as far as a board uses one.
type screen struct {
	width int
	rows  []string // the last one is where the cursor is
}

func (s *screen) Write(text []byte) (int, error) {
	rest := string(text)
	for rest != "" {
		var up int
		switch {
		case strings.HasPrefix(rest, "\x1b["):
			if _, err := fmt.Sscanf(rest, "\x1b[%dA\r\x1b[J", &up); err != nil {
				return 0, fmt.Errorf("unknown sequence %q", rest)
			}
			if up >= len(s.rows) {
				return 0, fmt.Errorf("%d rows up, and there are %d", up, len(s.rows)-1)
			}
			s.rows = append(s.rows[:len(s.rows)-1-up], "")
			_, rest, _ = strings.Cut(rest, "\x1b[J")
		default:
			line, after, ended := strings.Cut(rest, "\n")
			s.rows[len(s.rows)-1] += line
			for last := s.rows[len(s.rows)-1]; len(last) > s.width; last = s.rows[len(s.rows)-1] {
				s.rows = append(s.rows[:len(s.rows)-1], last[:s.width], last[s.width:])
			}
			if ended {
				s.rows = append(s.rows, "")
			}
			rest = after
		}
	}
	return len(text), nil
}

// resize makes the terminal narrower: what is on it wraps, as terminals do.
func (s *screen) resize(width int) {
	rows := s.rows
	s.width, s.rows = width, []string{""}
	_, _ = s.Write([]byte(strings.Join(rows, "\n")))
}

func (s *screen) shows() string { return strings.TrimRight(strings.Join(s.rows, "\n"), "\n") }

func newBoard() (*Board, *screen) {
	s := &screen{width: 60, rows: []string{""}}
	return &Board{out: s, width: func() int { return s.width }, now: func() time.Time { return now }}, s
}

func outcome(done bool, tasks ...engine.Task) engine.Outcome {
	return engine.Outcome{Name: "shop-1", Done: done, Tasks: tasks}
}

// What is written while runs work stands above their lines, whole, and the lines are there once, also on a terminal that
// became narrower.
func TestBoard(t *testing.T) {
	b, s := newBoard()
	log := b.Above(s)
	fmt.Fprintln(log, "begins")
	web := engine.Task{Name: "web", Result: engine.Running, Start: now.Add(-12 * time.Second)}
	db := engine.Task{Name: "database", After: []string{"web"}}
	b.Show(outcome(false, web, db), map[string]int{"web": 40})
	fmt.Fprint(log, "half a line, ")
	b.redraw()
	fmt.Fprintln(log, "and its end")
	const want = "begins\nhalf a line, and its end\nshop-1\n  web       runs 12s of about 40s\n  database  waits for web"
	if got := s.shows(); got != want {
		t.Errorf("the screen shows\n%s\nwant\n%s", got, want)
	}
	s.resize(20)
	b.redraw()
	fmt.Fprintln(log, "narrow")
	const narrow = "begins\nhalf a line, and its\n end\nnarrow\nshop-1\n  web       runs 12\n  database  waits f"
	if got := s.shows(); got != narrow {
		t.Errorf("the narrow screen shows\n%s\nwant\n%s", got, narrow)
	}
	b.Show(outcome(true, web, db), nil)
	if got := s.shows(); got != "begins\nhalf a line, and its\n end\nnarrow" {
		t.Errorf("after the run the screen shows\n%s", got)
	}
}

func TestStopLeavesNothing(t *testing.T) {
	b, s := newBoard()
	stop := b.Start(t.Context())
	b.Show(outcome(false, engine.Task{Name: "web"}), nil)
	stop()
	b.Show(outcome(false, engine.Task{Name: "late"}), nil)
	if got := s.shows(); got != "" {
		t.Errorf("the screen still shows\n%s", got)
	}
}

// What is no terminal gets what is written, and nothing else.
func TestNoBoard(t *testing.T) {
	var out bytes.Buffer
	b := New(&out, false)
	defer b.Start(t.Context())()
	fmt.Fprint(b.Above(&out), "as it is")
	b.Show(outcome(false, engine.Task{Name: "web"}), nil)
	if out.String() != "as it is" {
		t.Errorf("written was %q", &out)
	}
}

func TestState(t *testing.T) {
	begun := now.Add(-90 * time.Second)
	for want, task := range map[string]engine.Task{
		"waits":                    {},
		"runs 90s of about 2m":     {Result: engine.Running, Start: begun},
		"waits 90s: no such image": {Result: engine.Running, Start: begun, Message: "no such\nimage"},
		"succeeded 30s":            {Result: engine.Succeeded, Start: begun, End: begun.Add(30 * time.Second), Message: "All Steps have completed"},
		"failed 30s: exit code 1":  {Result: engine.Failed, Start: begun, End: begun.Add(30 * time.Second), Message: "exit code 1"},
		"skipped":                  {Result: engine.Skipped},
	} {
		if got := state(task, 120, now); got != want {
			t.Errorf("of %+v it says %q, want %q", task, got, want)
		}
	}
}

func TestManyTasks(t *testing.T) {
	b, s := newBoard()
	b.Show(outcome(false, make([]engine.Task, 150)...), nil)
	if got := s.shows(); !strings.HasSuffix(got, "\n  and 139 more") || strings.Count(got, "\n") != maxTasks {
		t.Errorf("150 tasks are shown as\n%s", got)
	}
}

// A rollback is on the board once something calls for it.
func TestRollbacks(t *testing.T) {
	b, s := newBoard()
	b.Show(outcome(false, engine.Task{Name: "web", Result: engine.Failed}, engine.Task{Name: "sentry-rollback-web", RollbackOf: "web", Result: engine.Running},
		engine.Task{Name: "sentry-rollback-api", RollbackOf: "api", Result: engine.Skipped}, engine.Task{Name: "sentry-rollback-db", RollbackOf: "db"}), nil)
	if got := s.shows(); got != "shop-1\n  web                  failed\n  sentry-rollback-web  runs" {
		t.Errorf("it shows\n%s", got)
	}
}

func TestUsual(t *testing.T) {
	var past []result.Result
	for i := range 12 { // the two oldest took longest
		past = append(past, result.Result{Unit: "shop", Created: now.Add(-time.Duration(i) * time.Hour), Members: []result.Member{{Task: "web", Verdict: result.Succeeded, Seconds: 100 * i}}})
	}
	past = append(past,
		result.Result{Unit: "shop", Created: now, Members: []result.Member{{Task: "web", Verdict: result.Failed, Seconds: 1}, {Task: "db", Verdict: result.Succeeded, Seconds: 5}}},
		result.Result{Unit: "other", Created: now, Members: []result.Member{{Task: "db", Verdict: result.Succeeded, Seconds: 7}}})
	if diff := cmp.Diff(map[string]int{"web": 400, "db": 5}, Usual("shop", past)); diff != "" {
		t.Errorf("what tasks take (-want +got):\n%s", diff)
	}
}
