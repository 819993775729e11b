package poller

import (
	"net/http"
	"testing"
	"testing/synctest"
	"time"
)

func TestRequestsAreSpread(t *testing.T) {
	for _, n := range []int{1000, 10_000} {
		synctest.Test(t, func(t *testing.T) {
			net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
			r, want := plain(t, net, "", n, "a.example")
			start := time.Now()
			for i, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					t.Fatalf("repository %d: %v", i, o.Err)
				}
			}
			if elapsed := time.Since(start); elapsed > 25*time.Second {
				t.Errorf("%d requests took %s, want about 20s", n, elapsed)
			}
			times := net.times["a.example"]
			if gap := times[1].Sub(times[0]); gap < 5*time.Millisecond {
				t.Errorf("the second request went out %s after the first, want it to wait for the answer", gap)
			}
			most := 2 * n / 20 // in a second
			for i := range times[most:] {
				if d := times[i+most].Sub(times[i]); d < time.Second {
					t.Fatalf("%d requests within %s", most, d)
				}
			}
		})
	}
}

// The others go as soon as the first request was answered.
func TestFirstAnswerLetsTheOthersGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
		r, want := plain(t, net, "", 8, "a.example")
		start := time.Now()
		r.Heads(t.Context(), want)
		if elapsed := time.Since(start); elapsed > time.Second {
			t.Errorf("8 requests took %s, want no wait but for the first answer", elapsed)
		}
	})
}
