package act

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/serve/page/view"
	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

const (
	// MaxLog is how much of a log is shown, in bytes: its end.
	MaxLog = 64 << 10
	// maxFollowed bounds the logs that one visitor follows, and allFollowed those of all: each is a request to the API server.
	maxFollowed = 4
	allFollowed = 40
	// logTime bounds a snapshot, and followTime what is followed: browsers begin again.
	logTime    = 15 * time.Second
	followTime = 30 * time.Minute
)

// tail keeps the end of what is written to it.
type tail struct {
	kept bytes.Buffer
	cut  bool
}

// Write implements io.Writer.
func (t *tail) Write(b []byte) (int, error) {
	t.kept.Write(b)
	if t.kept.Len() > 4*MaxLog {
		t.kept.Next(t.kept.Len() - 2*MaxLog) // where this cuts a credential the rest of it is not shown either
		t.cut = true
	}
	return len(b), nil
}

// lines returns the last ones, hidden and without what moves a cursor; of a line that is longer than all of them the end.
func (t *tail) lines(hide func(string) string) []string {
	text := strings.TrimSuffix(hide(strings.ToValidUTF8(t.kept.String(), "\uFFFD")), "\n")
	if over := len(text) - MaxLog; over > 0 {
		t.cut = true
		text = text[over:]
		if _, rest, found := strings.Cut(text, "\n"); found && rest != "" {
			text = rest
		}
		text = strings.ToValidUTF8(text, "\uFFFD")
	}
	if text == "" {
		return nil
	}
	return strings.Split(text, "\n")
}

// reader returns who may read logs; nil where it was answered.
func (g *Gate) reader(w http.ResponseWriter, r *http.Request) *Visitor {
	v, err := g.visitor(r, true)
	if err != nil {
		g.trouble(w, r, err)
		return nil
	}
	if v == nil || !v.May.Logs {
		g.nobody(w, r)
		return nil
	}
	return v
}

// log shows the end of what a run printed.
func (g *Gate) log(w http.ResponseWriter, r *http.Request) {
	v := g.reader(w, r)
	if v == nil {
		return
	}
	run := r.PathValue("run")
	give := g.turn(w, r, g.reads, v, logTime)
	if give == nil {
		return
	}
	defer give()
	ctx, cancel := context.WithTimeout(r.Context(), logTime)
	defer cancel()
	f, err := g.Look(ctx)
	if err != nil {
		g.refuse(w, r, http.StatusServiceUnavailable, err.Error(), "/run/"+url.PathEscape(run))
		return
	}
	ended, known := f.Run(run)
	if ended == nil && known == nil {
		g.nobody(w, r)
		return
	}
	var t tail
	err = v.Log(ctx, f, run, false, &t)
	shown := view.Log{Run: run, Lines: t.lines(g.hide), Cut: t.cut, Most: MaxLog >> 10}
	if known != nil && known.Active {
		shown.Events = "/log/" + url.PathEscape(run) + "/events"
	}
	if err != nil {
		shown.Trouble = g.hide(err.Error())
	}
	g.Show(w, r, http.StatusOK, view.Frame{Title: "Log of " + run, Section: "runs", Still: true, View: view.LogOf(shown)})
}

// enterLog counts a log that is followed; false: there are too many.
func (g *Gate) enterLog(id string) bool {
	g.logs.Lock()
	defer g.logs.Unlock()
	all := 0
	for _, n := range g.open {
		all += n
	}
	if g.open[id] >= maxFollowed || all >= allFollowed {
		return false
	}
	g.open[id]++
	return true
}

func (g *Gate) leaveLog(id string) {
	g.logs.Lock()
	defer g.logs.Unlock()
	if g.open[id]--; g.open[id] <= 0 {
		delete(g.open, id)
	}
}

// follow tells a browser what a run prints, as it comes: an event each of some lines. One that does not read is dropped.
func (g *Gate) follow(w http.ResponseWriter, r *http.Request) {
	v := g.reader(w, r)
	if v == nil {
		return
	}
	f, err := g.Look(r.Context())
	if err != nil {
		http.Error(w, g.hide(err.Error()), http.StatusServiceUnavailable)
		return
	}
	if !g.enterLog(v.Name) {
		w.Header().Set("Retry-After", "60")
		http.Error(w, "Too many logs are followed. What is shown is brought up to date when it is loaded again.", http.StatusServiceUnavailable)
		return
	}
	defer g.leaveLog(v.Name)
	ctx, cancel := context.WithTimeout(r.Context(), followTime)
	defer cancel()
	s := wire.Begin(w)
	if !s.Send("retry: 5000\nevent: begin\ndata:\n\n") {
		return
	}
	lines := make(chan []byte, 16)
	var ended error // is there once the lines are closed
	go func() {
		defer close(lines)
		ended = v.Log(ctx, f, r.PathValue("run"), true, toChannel{ctx, lines})
	}()
	defer func() { // whoever writes to the lines ends, and is waited for
		cancel()
		for range lines { //nolint:revive // until they are closed
		}
	}()
	tick := time.NewTicker(wire.Beat)
	defer tick.Stop()
	for {
		select {
		case b, more := <-lines:
			if !more {
				if ended == nil {
					s.Send("event: end\ndata:\n\n")
				} else if ctx.Err() == nil {
					s.Send("event: trouble\ndata: %s\n\n", view.Line(g.hide(ended.Error())))
				}
				return
			}
			text := g.hide(strings.ToValidUTF8(string(b), "\uFFFD"))
			var event strings.Builder
			for line := range strings.SplitSeq(strings.TrimSuffix(text, "\n"), "\n") {
				event.WriteString("data: " + view.Clean(line) + "\n")
			}
			if !s.Send("%s\n", event.String()) {
				return
			}
		case <-tick.C:
			if !s.Send(":\n\n") {
				return
			}
		case <-g.Done:
			return
		}
	}
}

// toChannel hands lines over, until the context ends.
type toChannel struct {
	ctx context.Context
	to  chan<- []byte
}

var errLeft = errors.New("nobody reads it any more")

// Write implements io.Writer.
func (t toChannel) Write(b []byte) (int, error) {
	select {
	case t.to <- bytes.Clone(b):
		return len(b), nil
	case <-t.ctx.Done():
		return 0, errLeft
	}
}
