package page

import (
	"net/http"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/serve/page/wire"
)

// MaxStreams bounds the tabs that are told of changes. The server takes 256 connections, and views need some.
const MaxStreams = 200

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
	stream := wire.Begin(w)
	if !stream.Send("retry: 5000\n\n") {
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
			if !stream.Send("event: changed\ndata: %d\n\n", told) {
				return
			}
		case time.Since(said) >= wire.Beat:
			said = time.Now()
			if !stream.Send(":\n\n") {
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
