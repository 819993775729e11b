package page

import (
	"fmt"
	"net/http"
	"sync"
	"time"
)

const (
	// MaxStreams bounds the tabs that are told of changes. The server takes 256 connections, and views need some.
	MaxStreams = 200
	// beat is how often a stream says that it is there, so that who is gone is noticed.
	beat = 15 * time.Second
	// writeTimeout is how long a tab may take to read an event. It is dropped then, and asks again.
	writeTimeout = 5 * time.Second
)

// streams counts those that are open.
type streams struct {
	sync.Mutex
	open int
}

func (s *streams) enter() bool {
	s.Lock()
	defer s.Unlock()
	if s.open >= MaxStreams {
		return false
	}
	s.open++
	return true
}

func (s *streams) leave() {
	s.Lock()
	defer s.Unlock()
	s.open--
}

// events tells a tab, until it or the page ends, that there is something new: a number that differs from the one before. The tab asks for
// its view then.
func (p *Page) events(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodHead {
		return
	}
	if !p.streams.enter() {
		w.Header().Set("Retry-After", "60")
		refuse(w, r, http.StatusServiceUnavailable, "Too many tabs are open. What is shown is brought up to date when it is loaded again.")
		return
	}
	defer p.streams.leave()
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of proxies such as nginx
	c := http.NewResponseController(w)
	_ = c.SetReadDeadline(time.Time{}) // the server's is for requests that end
	send := func(format string, a ...any) bool {
		if err := c.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil {
			return false
		}
		if _, err := fmt.Fprintf(w, format, a...); err != nil {
			return false
		}
		return c.Flush() == nil
	}
	if !send("retry: 5000\n\n") {
		return
	}
	tick := time.NewTicker(fresh)
	defer tick.Stop()
	told, said := -1, time.Now()
	for {
		s, err := p.look(r.Context())
		switch {
		case err == nil && s.number != told:
			told, said = s.number, time.Now()
			if !send("event: changed\ndata: %d\n\n", told) {
				return
			}
		case time.Since(said) >= beat:
			said = time.Now()
			if !send(":\n\n") {
				return
			}
		}
		select {
		case <-tick.C:
		case <-r.Context().Done():
			return
		case <-p.done:
			return
		}
	}
}
