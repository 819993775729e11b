package wire

import (
	"fmt"
	"net/http"
	"time"
)

const (
	// Slow is how long a browser may take to read what there is, until it is dropped.
	Slow = 5 * time.Second
	// Beat is how often a stream says that it is there, so that who is gone is noticed.
	Beat = 15 * time.Second
)

// Stream is an answer of events, which goes on until its handler ends. One goroutine at a time may send.
type Stream struct {
	w http.ResponseWriter
	c *http.ResponseController
}

// Begin begins one.
func Begin(w http.ResponseWriter) *Stream {
	h := w.Header()
	h.Set("Content-Type", "text/event-stream; charset=utf-8")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // of proxies such as nginx
	s := &Stream{w, http.NewResponseController(w)}
	_ = s.c.SetReadDeadline(time.Time{}) // the server's is for requests that end
	return s
}

// Send has a browser read something at once; false: it does not, or is gone.
func (s *Stream) Send(format string, a ...any) bool {
	if err := s.c.SetWriteDeadline(time.Now().Add(Slow)); err != nil {
		return false
	}
	if _, err := fmt.Fprintf(s.w, format, a...); err != nil {
		return false
	}
	return s.c.Flush() == nil
}
