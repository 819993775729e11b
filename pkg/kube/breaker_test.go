package kube

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"
)

// scripted is an API server that answers as it is told.
type scripted struct {
	clock  *time.Time
	next   answer
	asked  int
	header http.Header // of the last answer
}

type answer struct {
	code    int // 0: no answer
	elapsed time.Duration
	after   string // Retry-After
}

func (s *scripted) RoundTrip(*http.Request) (*http.Response, error) {
	s.asked++
	*s.clock = s.clock.Add(s.next.elapsed)
	if s.next.code == 0 {
		return nil, errors.New("connection refused")
	}
	s.header = http.Header{}
	if s.next.after != "" {
		s.header.Set("Retry-After", s.next.after)
	}
	return &http.Response{StatusCode: s.next.code, Status: http.StatusText(s.next.code), Header: s.header, Body: http.NoBody}, nil
}

// ask sends one request through r and reports whether the server got it.
func ask(ctx context.Context, t *testing.T, r *breaker, s *scripted, url string) bool {
	t.Helper()
	before := s.asked
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := r.RoundTrip(req)
	if err == nil {
		_ = resp.Body.Close()
	}
	if _, busy := errors.AsType[*BusyError](err); busy == (s.asked > before) {
		t.Errorf("the request gave %v, and the server was asked %d times", err, s.asked-before)
	}
	return s.asked > before
}

func newBreaker() (*breaker, *scripted) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := &scripted{clock: &now}
	return &breaker{next: s, now: func() time.Time { return *s.clock }}, s
}

func TestReliefLeavesATroubledServerAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		answer answer
		sent   int           // of ten requests
		rest   time.Duration // how long it is left alone
	}{
		"good":                      {answer{code: 200}, 10, 0},
		"not found":                 {answer{code: 404}, 10, 0},
		"conflict":                  {answer{code: 409}, 10, 0},
		"500, of one webhook maybe": {answer{code: 500}, 10, 0},
		"a little slow":             {answer{code: 200, elapsed: slow - time.Millisecond}, 10, 0},
		"slow":                      {answer{code: 201, elapsed: slow}, patience, openFor},
		"no answer":                 {answer{}, patience, openFor},
		"502":                       {answer{code: 502}, patience, openFor},
		"503":                       {answer{code: 503}, patience, openFor},
		"429":                       {answer{code: 429}, patience, openFor},
		"429 for a moment":          {answer{code: 429, after: "2"}, patience, openFor},
		"429 for a while":           {answer{code: 429, after: "30"}, 1, 30 * time.Second},
		"429 for a day":             {answer{code: 429, after: "86400"}, 1, openAtMost},
		"429 with nonsense":         {answer{code: 429, after: "-5"}, patience, openFor},
		"429 until a date":          {answer{code: 429, after: "Thu, 01 Jan 2026 00:00:05 GMT"}, patience, openFor},
	} {
		t.Run(name, func(t *testing.T) {
			r, s := newBreaker()
			s.next = tt.answer
			for range 10 {
				ask(t.Context(), t, r, s, "http://api/x")
			}
			if s.asked != tt.sent {
				t.Fatalf("%d of ten requests were sent, want %d", s.asked, tt.sent)
			}
			if tt.rest == 0 {
				return
			}
			s.next = answer{code: 200}
			*s.clock = s.clock.Add(tt.rest - time.Millisecond)
			if ask(t.Context(), t, r, s, "http://api/x") {
				t.Errorf("asked again before %s were over", tt.rest)
			}
			*s.clock = s.clock.Add(time.Millisecond)
			for i := range 3 {
				if !ask(t.Context(), t, r, s, "http://api/x") {
					t.Errorf("request %d after the rest was not sent", i+1)
				}
			}
		})
	}
}

// After the rest one request finds out: a server that is still in trouble is left alone again at once.
func TestReliefTriesOne(t *testing.T) {
	r, s := newBreaker()
	for range 5 {
		ask(t.Context(), t, r, s, "http://api/x")
	}
	*s.clock = s.clock.Add(openFor)
	s.asked = 0
	for range 5 {
		ask(t.Context(), t, r, s, "http://api/x")
	}
	if s.asked != 1 {
		t.Errorf("%d requests were sent after the rest, want one", s.asked)
	}
}

// Client-go would wait as long as Retry-After says, while other units wait for their turn.
func TestReliefHandsLongWaitsOver(t *testing.T) {
	for after, want := range map[string]string{"1": "1", "2": "2", "3": "", "3600": ""} {
		r, s := newBreaker()
		s.next = answer{code: 429, after: after}
		ask(t.Context(), t, r, s, "http://api/x")
		if got := s.header.Get("Retry-After"); got != want {
			t.Errorf("Retry-After: %s reaches client-go as %q, want %q", after, got, want)
		}
	}
}

func TestReliefOneGoodAnswerForgivesTwo(t *testing.T) {
	r, s := newBreaker()
	for i, a := range []answer{{code: 503}, {}, {code: 200}, {code: 503}, {}, {code: 200}} {
		s.next = a
		if !ask(t.Context(), t, r, s, "http://api/x") {
			t.Errorf("request %d was not sent", i)
		}
	}
}

func TestReliefDoesNotCount(t *testing.T) {
	r, s := newBreaker()
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for range 5 { // a caller who gave up, and watches, which are meant to take long
		if !ask(gone, t, r, s, "http://api/x") || !ask(t.Context(), t, r, s, "http://api/x?watch=true") {
			t.Fatal("a request was not sent")
		}
	}
	if !ask(t.Context(), t, r, s, "http://api/x") {
		t.Error("the server is left alone for what was not its fault")
	}
}
