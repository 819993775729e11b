// Package live shows how runs go on a terminal: a line for each deployment, redrawn in place below all else that is written.
package live

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const (
	every    = time.Second // the times go on
	maxTasks = 12          // lines of one run
	maxWhy   = 300         // bytes
)

// Board is the lines. A nil Board shows nothing, so that whoever writes to what is no terminal needs no other way.
type Board struct {
	out   io.Writer
	width func() int
	now   func() time.Time

	mu    sync.Mutex
	runs  []shown // in the order in which they began
	drawn []int   // columns of each line that is on the screen
	over  bool
}

// shown is a run on the board.
type shown struct {
	engine.Outcome
	usual map[string]int // seconds that each task takes, where that is known
}

// New returns the board of a terminal; nil where out is none, or its owner wants nothing redrawn.
func New(out io.Writer, off bool) *Board {
	if off || os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" || !term.IsTerminal(out) {
		return nil
	}
	return &Board{out: out, width: func() int { return term.Width(out, 80) }, now: time.Now}
}

// Above returns a writer whose lines stand above the board. It writes whole lines only.
func (b *Board) Above(w io.Writer) io.Writer {
	if b == nil {
		return w
	}
	return &above{board: b, w: w}
}

type above struct {
	board *Board
	w     io.Writer
	part  []byte // of a line that has not ended
}

// Write implements io.Writer.
func (a *above) Write(text []byte) (int, error) {
	a.board.mu.Lock()
	defer a.board.mu.Unlock()
	a.part = append(a.part, text...)
	end := bytes.LastIndexByte(a.part, '\n') + 1
	if end == 0 {
		return len(text), nil
	}
	a.board.erase()
	_, err := a.w.Write(a.part[:end])
	a.part = append(a.part[:0], a.part[end:]...)
	a.board.draw()
	if err != nil {
		return 0, err
	}
	return len(text), nil
}

// Start lets the times go on until stop is called, which also takes the board off the screen.
func (b *Board) Start(ctx context.Context) (stop func()) {
	if b == nil {
		return func() {}
	}
	ctx, cancel := context.WithCancel(ctx)
	var ticking sync.WaitGroup
	ticking.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-time.After(every):
				b.redraw()
			}
		}
	})
	return func() {
		cancel()
		ticking.Wait()
		b.mu.Lock()
		defer b.mu.Unlock()
		b.runs, b.over = nil, true
		b.erase()
	}
}

func (b *Board) redraw() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.erase()
	b.draw()
}

// Show puts how a run goes on the board. One that has ended leaves it.
func (b *Board) Show(out engine.Outcome, usual map[string]int) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return
	}
	b.erase()
	i := slices.IndexFunc(b.runs, func(s shown) bool { return s.Name == out.Name })
	switch {
	case out.Done && i >= 0:
		b.runs = slices.Delete(b.runs, i, i+1)
	case out.Done:
	case i >= 0:
		b.runs[i].Outcome = out
	default:
		b.runs = append(b.runs, shown{out, usual})
	}
	b.draw()
}

// erase takes the lines off the screen, which may be narrower by now than when they were drawn: then a line is several rows.
func (b *Board) erase() {
	if len(b.drawn) == 0 {
		return
	}
	rows, width := 0, max(1, b.width())
	for _, columns := range b.drawn {
		rows += max(1, (columns+width-1)/width)
	}
	b.drawn = nil
	fmt.Fprintf(b.out, "\x1b[%dA\r\x1b[J", rows)
}

// draw writes the lines, none of which is wider than the screen.
func (b *Board) draw() {
	var text strings.Builder
	for _, line := range b.lines() {
		line = cut(line, b.width()-1)
		b.drawn = append(b.drawn, len([]rune(line)))
		text.WriteString(line + "\n")
	}
	_, _ = io.WriteString(b.out, text.String())
}

func (b *Board) lines() []string {
	var lines []string
	for _, r := range b.runs {
		name := 0
		tasks := slices.DeleteFunc(slices.Clone(r.Tasks), engine.Task.Idle)
		for _, t := range tasks {
			name = max(name, len(t.Name))
		}
		lines = append(lines, r.Name)
		for i, t := range tasks {
			if more := len(tasks) - i; i >= maxTasks-1 && more > 1 {
				lines = append(lines, fmt.Sprintf("  and %d more", more))
				break
			}
			lines = append(lines, fmt.Sprintf("  %-*s  %s", name, t.Name, state(t, r.usual[t.Name], b.now())))
		}
	}
	return lines
}

// state says how a task goes.
func state(t engine.Task, usual int, now time.Time) string {
	why := oneline.Of(t.Message, maxWhy)
	took := func(end time.Time) string {
		if t.Start.IsZero() {
			return ""
		}
		return " " + term.Age(end, t.Start)
	}
	switch {
	case t.Result == "" && len(t.After) > 0:
		return "waits for " + strings.Join(t.After, ", ")
	case t.Result == "":
		return "waits"
	case t.Result == engine.Running && why != "":
		return "waits" + took(now) + ": " + why
	case t.Result == engine.Running && usual > 0:
		return "runs" + took(now) + " of about " + term.Age(time.Unix(int64(usual), 0), time.Unix(0, 0))
	case t.Result == engine.Running:
		return "runs" + took(now)
	case t.Result == engine.Succeeded:
		return "succeeded" + took(t.End)
	}
	return strings.ToLower(string(t.Result)) + took(t.End) + strings.TrimSuffix(": "+why, ": ")
}

// cut returns what fits into so many columns. What is beyond ASCII counts as two, which some of it takes.
func cut(line string, columns int) string {
	used := 0
	for i, r := range line {
		size := 1
		if r > '~' {
			size = 2
		}
		if used += size; used > max(1, columns) {
			return line[:i]
		}
	}
	return line
}

// Usual returns the seconds that each task of a unit takes by its latest successes, at most ten of each: the median. The
// results are in any order.
func Usual(unit string, past []result.Result) map[string]int {
	const latest = 10
	past = slices.Clone(past)
	slices.SortStableFunc(past, func(a, b result.Result) int { return b.Created.Compare(a.Created) })
	took := map[string][]int{}
	for _, p := range past {
		for _, m := range p.Members {
			if p.Unit == unit && m.Verdict == result.Succeeded && len(took[m.Task]) < latest {
				took[m.Task] = append(took[m.Task], m.Seconds)
			}
		}
	}
	usual := map[string]int{}
	for task, seconds := range took {
		slices.SortFunc(seconds, cmp.Compare[int])
		usual[task] = seconds[(len(seconds)-1)/2]
	}
	return usual
}
