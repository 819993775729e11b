package conformance

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// noUse are the ways in which a whole host can be no use.
var noUse = map[string]Fault{
	"502":      Says(502, "text/html", "<html>bad gateway"),
	"500":      Says(500, "text/plain", "oops"),
	"503":      Says(503, "text/plain", "down"),
	"504":      Says(504, "text/html", ""),
	"garbage":  Says(200, "text/html", "<html>down for maintenance"),
	"nonsense": Says(200, "application/json", `{"hello":[1]}`),
	"nothing":  Says(200, "application/json", ""),
	"not git":  Says(200, "application/x-git-upload-pack-result", "\x00\xff"),
	"refuses": func(*http.Request) (*http.Response, error) {
		return nil, fmt.Errorf("dial tcp: %w", syscall.ECONNREFUSED)
	},
	"resets": func(*http.Request) (*http.Response, error) { return nil, fmt.Errorf("read: %w", syscall.ECONNRESET) },
	"closes": func(*http.Request) (*http.Response, error) { return nil, io.EOF },
	"hangs":  hang,
	"drips": func(req *http.Request) (*http.Response, error) {
		resp, err := Says(200, "application/json", "")(req)
		resp.Body = io.NopCloser(drip{req.Context()})
		return resp, err
	},
}

// drip is a body that sends a space a second, without an end.
type drip struct{ ctx context.Context }

func (d drip) Read(p []byte) (int, error) {
	select {
	case <-time.After(time.Second):
		p[0] = ' '
		return 1, nil
	case <-d.ctx.Done():
		return 0, context.Cause(d.ctx)
	}
}

// A host that is no use, whatever it does instead, is asked at most 12 times in an hour for 500 repositories or few,
// from the start of the program or after it was well; and is read again within eleven minutes when it is back.
func outages(t *testing.T, h Host) {
	for name, fault := range noUse {
		n, most := 40, 12
		switch name {
		case "502", "garbage", "hangs":
			n = 500
		case "drips":
			n, most = 500, most+16 // that begin to answer, in the first cycle
		}
		for _, wasWell := range []bool{false, true} {
			t.Run(fmt.Sprint(name, "/well before: ", wasWell), func(t *testing.T) {
				t.Parallel()
				synctest.Test(t, func(t *testing.T) { outage(t, h, fault, n, wasWell, most) })
			})
		}
	}
}

func outage(t *testing.T, h Host, fault Fault, n int, wasWell bool, most int) {
	w := &Wire{Handler: h.filled(n)}
	r := h.reader(w, 15*time.Minute)
	want := Monitors(t, h.Driver.Type, n)
	ticker := time.NewTicker(time.Minute)
	defer ticker.Stop()
	if wasWell {
		for range 3 {
			for i, o := range r.Heads(t.Context(), want) {
				if o.Err != nil {
					t.Fatalf("while it is well: %s: %v", want[i].URL, o.Err)
				}
			}
			<-ticker.C
		}
	}
	w.Breaks(fault)
	w.Take()
	silent := 0
	for minute := range 60 {
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err == nil && !o.Cached {
				t.Fatalf("minute %d, %s: heads %v of a host that is no use", minute, want[i].URL, o.Heads)
			}
			e, ok := errors.AsType[*githost.Error](o.Err)
			if o.Err != nil && (!ok || e.Kind == githost.NotFound || e.Kind == githost.NoBranch) {
				t.Fatalf("minute %d, %s: error %v, want one of the host", minute, want[i].URL, o.Err)
			}
		}
		if !r.Stats()[0].Until.IsZero() {
			silent++
		}
		<-ticker.C
	}
	if silent < 45 {
		t.Errorf("Stats() told in %d of 60 minutes until when the host is left alone", silent)
	}
	if asked := w.Take(); asked > most {
		t.Errorf("%d requests in the hour, want at most %d", asked, most)
	}
	w.Breaks(nil)
	for minute := 0; failed(r.Heads(t.Context(), want)) > 0; minute++ {
		if minute > 11 {
			t.Fatalf("%d minutes after it is back, repositories still have an error", minute)
		}
		<-ticker.C
	}
}

// failed counts the errors.
func failed(answers []repo.Observation) int {
	n := 0
	for _, o := range answers {
		if o.Err != nil {
			n++
		}
	}
	return n
}

// A host that failed as a whole is tried with one repository at a time: never the same one, lest the others stay
// unread when only that one is still broken.
func probesTakeTurns(t *testing.T, h Host) {
	for _, name := range []string{"500", "garbage"} {
		for _, n := range []int{2, 5} {
			synctest.Test(t, func(t *testing.T) {
				start, well := time.Now(), fmt.Sprintf("r%d", n-1)
				api := h.filled(n)
				r := h.reader(&Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
					body := bodyOf(req)
					if time.Since(start) > 10*time.Minute && strings.Contains(req.URL.Path+body, well) && !strings.Contains(body, `"r0"`) {
						api.ServeHTTP(rw, req)
						return
					}
					resp, _ := noUse[name](req)
					rw.WriteHeader(resp.StatusCode)
					_, _ = io.Copy(rw, resp.Body)
				})}, 0)
				want, minute := Monitors(t, h.Driver.Type, n), 0
				ticker := time.NewTicker(time.Minute)
				defer ticker.Stop()
				for ; r.Heads(t.Context(), want)[n-1].Err != nil && minute < 100; minute++ {
					<-ticker.C
				}
				if minute >= 100 {
					t.Errorf("%s, %d repositories: the one that is well again was not read in an hour and a half", name, n)
				}
			})
		}
	}
}

// A repository that makes no sense costs the others of its host nothing, whether the host tells what changed or not.
func oddRepository(t *testing.T, h Host) {
	for _, token := range []string{Token, ""} {
		synctest.Test(t, func(t *testing.T) {
			const n = 20
			api := h.filled(n)
			r := h.reader(&Wire{Handler: http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
				if strings.Contains(req.URL.Path+"/", "r0/") {
					rw.WriteHeader(http.StatusTeapot)
					return
				}
				api.ServeHTTP(rw, req)
			})}, 15*time.Minute)
			want := Monitors(t, h.Driver.Type, n)
			for i := range want {
				want[i].Auth.Token = secret.New("${T}", token)
				want[i].Branches = Patterns(t, "main", "de.*")
			}
			for minute := range 30 {
				for i, o := range r.Heads(t.Context(), want) {
					e, ok := errors.AsType[*githost.Error](o.Err) // GitHub gives 60 requests without a token
					if i > 0 && o.Err != nil && (!ok || e.Kind != githost.RateLimited) {
						t.Fatalf("token %q, minute %d, %s: %v", token, minute, want[i].URL, o.Err)
					}
				}
				pause(time.Minute)
			}
		})
	}
}

// A token that is refused is sent three times in all, from the start or after it was good, however many repositories
// have it; and the next token is used at once.
func refusedToken(t *testing.T, h Host) {
	for _, wasGood := range []bool{false, true} {
		t.Run(fmt.Sprint("good before: ", wasGood), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const n = 300
				api := h.filled(n)
				w := &Wire{Handler: api}
				r := h.reader(w, 15*time.Minute)
				want := Monitors(t, h.Driver.Type, n)
				cycle := func(kind githost.Kind) {
					t.Helper()
					for i, o := range r.Heads(t.Context(), want) {
						if kind == "" && o.Err != nil || kind != "" && (o.Err == nil && !o.Cached || o.Err != nil && ErrorOf(t, o).Kind != kind) {
							t.Fatalf("repository %d: %+v, want error %q", i, o, kind)
						}
					}
					pause(time.Minute)
				}
				if wasGood {
					cycle("")
					cycle("")
				}
				api.SetToken("the next one")
				w.Take()
				for range 30 {
					cycle(githost.Denied)
				}
				if asked := w.Take(); asked != 3 {
					t.Errorf("the token was sent %d times, want 3", asked)
				}
				for i, o := range r.Heads(t.Context(), want) {
					if e := ErrorOf(t, o); e.Status != http.StatusUnauthorized {
						t.Fatalf("repository %d: %v, want it to show that the token was refused", i, e)
					}
				}
				for i := range want {
					want[i].Auth.Token = secret.New("${T}", "the next one")
				}
				cycle("")
			})
		})
	}
}

// A repository of a host that works waits alone when it is told to, for as long as it is told.
func repositoryThatIsToWait(t *testing.T, h Host) {
	if !h.OneByOne {
		return
	}
	synctest.Test(t, func(t *testing.T) {
		const n = 20
		api := h.filled(n)
		var asked atomic.Int64
		r := h.reader(&Wire{Handler: http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			if strings.Contains(req.URL.Path, "/r7/") {
				asked.Add(1)
				w.Header().Set("Retry-After", "1200")
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			api.ServeHTTP(w, req)
		})}, 0)
		want := Monitors(t, h.Driver.Type, n)
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for minute := range 59 {
			for i, o := range r.Heads(t.Context(), want) {
				if broken := i == 7; broken != (o.Err != nil) || !broken && o.Cached {
					t.Fatalf("minute %d, repository %d: %+v, want all read but 7", minute, i, o)
				}
			}
			if until := r.Stats()[0].Until; !until.IsZero() {
				t.Errorf("minute %d: the host is left alone until %s", minute, until)
			}
			<-ticker.C
		}
		if asked := asked.Load(); asked != 3 {
			t.Errorf("the repository was asked for %d times in an hour, want once in 20 minutes", asked)
		}
	})
}

// A maintenance that begins in the middle of a cycle ends it soon, and the next ones send nothing until it is to be over.
func maintenance(t *testing.T, h Host) {
	synctest.Test(t, func(t *testing.T) {
		const n, minutes = 500, 7
		good := int64(2) // requests before it
		if h.OneByOne {
			good = 100
		}
		api, w := h.filled(n), &Wire{}
		var served atomic.Int64
		w.Handler = http.HandlerFunc(func(rw http.ResponseWriter, req *http.Request) {
			if served.Add(1) == good {
				w.Breaks(func(*http.Request) (*http.Response, error) {
					return &http.Response{StatusCode: http.StatusServiceUnavailable, Body: http.NoBody,
						Header: http.Header{"Retry-After": {fmt.Sprint((minutes*time.Minute - 30*time.Second).Seconds())}}}, nil
				})
			}
			api.ServeHTTP(rw, req)
		})
		r := h.reader(w, 0)
		want := Monitors(t, h.Driver.Type, n)
		ticker := time.NewTicker(time.Minute)
		defer ticker.Stop()
		for minute := range minutes {
			got := r.Heads(t.Context(), want)
			if asked := int64(w.Take()); minute == 0 && (asked <= good || asked > good+10+2*8) || minute > 0 && asked > 0 {
				t.Errorf("minute %d: %d requests, want little more than the %d that were answered, and then none", minute, asked, good)
			}
			if got[n-1].Err == nil || r.Stats()[0].Until.IsZero() {
				t.Errorf("minute %d: %+v, and %+v, want an error and a time", minute, got[n-1], r.Stats()[0])
			}
			<-ticker.C
		}
		w.Breaks(nil)
		for i, o := range r.Heads(t.Context(), want) {
			if o.Err != nil {
				t.Fatalf("after it: repository %d: %v", i, o.Err)
			}
		}
	})
}

// A host that is too slow for all of its repositories in one cycle has each of them read in its turn: what a cycle had
// no time for is counted as late, and comes first in the next one.
func slowHost(t *testing.T, h Host) {
	synctest.Test(t, func(t *testing.T) {
		took, n := 10*time.Second, 1500 // an answer
		if h.OneByOne {
			took, n = 2*time.Second, 300
		}
		r := h.reader(slowly{&Wire{Handler: h.filled(n)}, took}, 0)
		want := Monitors(t, h.Driver.Type, n)
		read := make(map[int]int)
		const cycles = 20
		late := 0
		for range cycles {
			for i, o := range r.Heads(t.Context(), want) {
				switch {
				case o.Err == nil:
					read[i]++
				case githost.Unasked(o):
					late++
				}
			}
			pause(30 * time.Second)
		}
		least, most := cycles, 0
		for i := range want {
			least, most = min(least, read[i]), max(most, read[i])
		}
		if least == 0 || most > least+2 {
			t.Errorf("in %d cycles some were read %d times and some %d times, want equal turns", cycles, least, most)
		}
		if told := r.Stats()[0].Late; told != late || late == 0 {
			t.Errorf("%d answers were late, and %d were counted", late, told)
		}
	})
}

// A limit without a time, or with one that is over by a clock that is ahead, is not asked about every minute.
func limitsWithoutATime(t *testing.T, h Host) {
	for name, l := range h.Limits {
		for _, n := range []int{1, 40} {
			t.Run(fmt.Sprint(name, "/", n), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := &Wire{Handler: h.filled(n)}
					r := h.reader(w, 15*time.Minute)
					want := Monitors(t, h.Driver.Type, n)
					ticker := time.NewTicker(time.Minute)
					defer ticker.Stop()
					r.Heads(t.Context(), want)
					w.Breaks(l.Serve)
					w.Take()
					for range 60 {
						<-ticker.C
						r.Heads(t.Context(), want)
					}
					most := 24 // two for each of 12 tries
					if l.Invites {
						most = 60
					}
					if asked := w.Take(); asked > most {
						t.Errorf("%d requests in an hour, want at most %d", asked, most)
					}
					w.Breaks(nil)
					minute := 0
					for ; r.Heads(t.Context(), want)[n-1].Err != nil && minute <= 11; minute++ {
						<-ticker.C
					}
					if minute > 11 {
						t.Errorf("still limited %d minutes after the limit was lifted", minute)
					}
				})
			})
		}
	}
}

// Over real connections: a port that is closed, and one where nobody ever answers. Two cycles right after each
// other send no more than three requests, for the second falls into the first wait.
func nobodyListens(t *testing.T, h Host) {
	for _, open := range []bool{false, true} {
		t.Run(fmt.Sprint("open: ", open), func(t *testing.T) {
			t.Parallel()
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			var accepted atomic.Int64
			if open {
				accept(t, listener, &accepted)
			} else {
				_ = listener.Close()
			}
			r := &poller.Reader{Hosts: githost.Drivers{h.Driver}, Timeout: time.Second, Sweep: time.Minute}
			defer r.Close()
			want := Monitors(t, h.Driver.Type, 500)
			for i := range want {
				want[i].URL = fmt.Sprintf("http://%s/o/r%d", listener.Addr(), i)
			}
			for range 2 {
				for i, o := range r.Heads(t.Context(), want) {
					if e := ErrorOf(t, o); e.Kind != githost.Temporary {
						t.Fatalf("%s: error %v, want a temporary one", want[i].URL, e)
					}
				}
			}
			if s := r.Stats()[0]; s.Requests > 3 || accepted.Load() > 3 || s.Until.IsZero() || s.Late < 500 {
				t.Errorf("%d requests, %d connections, %+v, want at most three, and the second cycle late", s.Requests, accepted.Load(), s)
			}
		})
	}
}

// accept accepts connections, and never answers.
func accept(t *testing.T, listener net.Listener, accepted *atomic.Int64) {
	done := make(chan struct{})
	t.Cleanup(func() { _ = listener.Close(); <-done })
	go func() {
		defer close(done)
		for {
			connection, err := listener.Accept()
			if err != nil {
				return
			}
			accepted.Add(1)
			defer func() { _ = connection.Close() }()
		}
	}()
}
