package kube

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"
)

const (
	// maxWait is how long client-go may wait and try again by itself, as Retry-After asks for. Longer than
	// that is the next cycle's business: other units wait meanwhile.
	maxWait = 2 * time.Second
	// slow is an answer that takes so long that a thousand of them would take hours: a webhook that hangs
	// is given up after 10 s by default.
	slow = 5 * time.Second
	// patience is how many slow or failed requests in a row it takes to leave the API server alone. One or
	// two may be the fault of what they ask for.
	patience = 3
	// openFor is how long it is left alone then, and openAtMost the most that it may ask for.
	openFor    = 15 * time.Second
	openAtMost = time.Minute
)

// breaker sends requests, until the API server is in trouble: then requests fail at once for a while, so
// that a cycle with a thousand units neither takes hours nor makes the trouble worse.
type breaker struct {
	next http.RoundTripper
	now  func() time.Time

	mu    sync.Mutex
	inRow int
	busy  *BusyError // nil: requests are sent
}

func (r *breaker) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Query().Get("watch") != "" {
		return r.next.RoundTrip(req) // is meant to take long
	}
	if err := r.refusal(); err != nil {
		return nil, err
	}
	start := r.now()
	resp, err := r.next.RoundTrip(req)
	r.note(req, resp, err, r.now().Sub(start))
	return resp, err
}

// refusal returns the error while the API server is left alone.
func (r *breaker) refusal() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.busy == nil {
		return nil
	}
	if r.now().Before(r.busy.Until) {
		return r.busy
	}
	// One request finds out how it is: the next in a row would start another rest.
	r.busy, r.inRow = nil, patience-1
	return nil
}

func (r *breaker) note(req *http.Request, resp *http.Response, err error, duration time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	why := ""
	switch {
	case errors.Is(req.Context().Err(), context.Canceled):
		return // the caller gave up, which says nothing of the server
	case err != nil:
		why = "no answer"
	case resp.StatusCode == http.StatusTooManyRequests, resp.StatusCode >= 502:
		why = resp.Status
	case duration >= slow:
		why = fmt.Sprintf("%s after %s", resp.Status, duration.Round(time.Second))
	}
	if why == "" {
		r.inRow = 0
		return
	}
	r.inRow++
	wait := openFor
	if asked := retryAfter(resp); asked > maxWait {
		// Without the header client-go hands the answer over instead of waiting.
		resp.Header.Del("Retry-After")
		wait, r.inRow = min(asked, openAtMost), patience
	}
	if r.inRow >= patience {
		r.busy = &BusyError{Until: r.now().Add(wait), Why: why}
	}
}

func retryAfter(resp *http.Response) time.Duration {
	if resp == nil {
		return 0
	}
	seconds, err := strconv.Atoi(resp.Header.Get("Retry-After"))
	if err != nil || seconds < 0 {
		return 0
	}
	return time.Duration(min(seconds, 3600)) * time.Second
}
