package conformance

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// A broken answer for one repository is an error of the right kind, and the repository beside it is read.
func faults(t *testing.T, h testhost.Host) {
	for fault, want := range map[githosttest.FaultKind]githost.Kind{
		githosttest.ShortBody:                              githost.Temporary,
		githosttest.Truncated:                              githost.Temporary,
		githosttest.Garbage:                                githost.Invalid,
		githosttest.WrongJSON:                              githost.Invalid,
		githosttest.ServerError:                            githost.Temporary,
		githosttest.Unauthorized:                           githost.Denied,
		githosttest.TooManyRequests:                        githost.RateLimited,
		githosttest.RedirectTo("http://elsewhere.example"): githost.Invalid,
	} {
		t.Run(string(fault), func(t *testing.T) {
			t.Parallel()
			api := oneRepository(h)
			api.Push("team/broken", "main", testhost.SHA1)
			broken := githosttest.Fault(fault, api)
			origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				if strings.Contains(req.URL.Path, "broken") {
					broken.ServeHTTP(w, req)
					return
				}
				api.ServeHTTP(w, req)
			}))
			got := testhost.Open(t, h.Driver.Open, origin, "", testhost.Token).Heads(t.Context(), []githost.Wanted{
				testhost.Wanted(t, origin, "team/app", "main"), testhost.Wanted(t, origin, "team/broken", "main")})
			if fault != githosttest.TooManyRequests && got[0].Heads["main"] != testhost.SHA1 {
				t.Errorf("the healthy repository: %v, want main at %s", got[0], testhost.SHA1)
			}
			if e := testhost.ErrorOf(t, got[1]); e.Kind != want {
				t.Errorf("error %v, want kind %q", e, want)
			}
		})
	}
}

// The time that there is ends a request over a real connection.
func hanging(t *testing.T, h testhost.Host) {
	origin := testhost.Serve(t, githosttest.Fault(githosttest.Hang, nil))
	ctx, cancel := githost.WithTimeout(t.Context(), "example.com", 50*time.Millisecond)
	defer cancel()
	got := testhost.Open(t, h.Driver.Open, origin, "", testhost.Token).Heads(ctx, []githost.Wanted{testhost.Wanted(t, origin, "team/app", "main")})
	if e := testhost.ErrorOf(t, got[0]); e.Kind != githost.Temporary || !strings.Contains(e.Error(), "no answer within ") {
		t.Errorf("%v, want a temporary error that tells how long there was no answer", e)
	}
}

// The deadline of the caller ends a request, in the caller's words: all of its time, or the half of it that one
// repository has.
func deadline(t *testing.T, h testhost.Host) {
	synctest.Test(t, func(t *testing.T) {
		const origin = "http://h.example"
		host := testhost.OpenOver(t, h.Driver.Open, githosttest.Delayed{Handler: oneRepository(h), Latency: time.Hour}, origin, "", "")
		ctx, cancel := githost.WithTimeout(t.Context(), "example.com", 50*time.Millisecond)
		defer cancel()
		want := "no answer within 50ms: context deadline exceeded"
		if h.OneByOne {
			want = "no answer within 25ms: context deadline exceeded"
		}
		o := host.Heads(ctx, []githost.Wanted{testhost.Wanted(t, origin, "team/app", "main")})[0]
		if e := testhost.ErrorOf(t, o); e.Kind != githost.Temporary || !strings.HasSuffix(e.Error(), want) {
			t.Errorf("a server that takes an hour: %v, want %q", e, want)
		}
	})
}

func lies(t *testing.T, h testhost.Host) {
	for _, l := range h.Lies {
		t.Run(l.Name, func(t *testing.T) {
			t.Parallel()
			o := ask(t, h, testhost.WithoutGraphQL(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				for k, v := range l.Header {
					w.Header().Set(k, v)
				}
				w.WriteHeader(l.Status)
				_, _ = io.WriteString(w, l.Body)
			})), testhost.Token, "team/app", "main")
			if e := testhost.ErrorOf(t, o); e.Kind != l.Want || !strings.Contains(e.Error(), l.Text) {
				t.Errorf("%d %s: %v, want kind %q and %q", l.Status, l.Body, e, l.Want, l.Text)
			}
		})
	}
}

// Pages that never end, and pages at another host, which never sees the token.
func endlessPages(t *testing.T, h testhost.Host) {
	if h.OneByOne {
		return // there are no pages
	}
	elsewhere := testhost.Serve(t, http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		t.Errorf("the other host was asked %s with %q", req.URL, req.Header.Get("Authorization"))
	}))
	for _, c := range []struct {
		perPage, requests int
		kind              githost.Kind
		want              string
	}{
		{0, 1000, githost.Invalid, "do not end after 1000 pages"},
		{5000, 21, githost.TooLarge, "more than 100000 branches"},
	} {
		requests := 0
		o := ask(t, h, testhost.WithoutGraphQL(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			requests++
			w.Header().Set("Link", fmt.Sprintf(`<%s/next?page=%d>; rel="next"`, elsewhere, requests+1))
			w.Header().Set("X-Next-Page", fmt.Sprint(requests+1))
			item := `{"ref":"refs/heads/b%[1]d","object":{"sha":"` + testhost.SHA1 + `"},"name":"b%[1]d","commit":{"id":"` + testhost.SHA1 + `"}}`
			items := make([]string, c.perPage)
			for i := range items {
				items[i] = fmt.Sprintf(item, requests*c.perPage+i)
			}
			_, _ = fmt.Fprintf(w, "[%s]", strings.Join(items, ","))
		})), testhost.Token, "team/app", "main")
		if e := testhost.ErrorOf(t, o); e.Kind != c.kind || !strings.Contains(e.Error(), c.want) || requests != c.requests {
			t.Errorf("%d branches a page without an end: %v after %d requests, want %q after %d", c.perPage, e, requests, c.want, c.requests)
		}
	}
}

// malicious is a server that answers a question with malice from some time on, and who asks it.
type malicious struct {
	testhost.Malice
	host githost.Host
	want []githost.Wanted
	evil func(http.ResponseWriter, *http.Request) // nil = healthy
}

func newMalicious(t *testing.T, h testhost.Host, m testhost.Malice) *malicious {
	t.Helper()
	s := &malicious{Malice: m}
	healthy := h.Filled(300)
	origin := testhost.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if s.evil == nil || !m.Asked(req) {
			healthy.ServeHTTP(w, req)
			return
		}
		w.Header().Set("Content-Type", m.ContentType)
		s.evil(w, req)
	}))
	branch := m.Branch
	if branch == "" {
		branch = "main.*"
	}
	s.want = make([]githost.Wanted, 300)
	for i := range s.want {
		s.want[i] = testhost.Wanted(t, origin, fmt.Sprintf("o/r%d", i), branch)
	}
	s.host = testhost.Open(t, h.Driver.Open, origin, "", m.Token)
	if m.List {
		s.host.Heads(t.Context(), s.want)
	}
	return s
}

// cost asks for what is answered with malice, fails the test when that is taken for news, and returns how many bytes
// were allocated.
func (s *malicious) cost(t *testing.T) uint64 {
	t.Helper()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	if s.List {
		if changed, err := s.host.(githost.Prefilter).Changed(t.Context(), s.want); err == nil && slices.Contains(changed, false) {
			t.Errorf("%s: nonsense says that nothing changed", s.Name)
		}
	} else if o := s.host.Heads(t.Context(), s.want[:1])[0]; o.Err == nil && !s.Elsewhere {
		t.Errorf("%s: heads %v of nonsense", s.Name, o.Heads)
	}
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

// packed is a text in gzip. Such streams one after the other unpack as one.
func packed(text []byte) []byte {
	var b bytes.Buffer
	w, _ := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

// Whatever a server answers, in whatever place: endless small things, one endless text, nesting without an end, all of
// it packed. It costs no more than a few buffers, ends by itself, and is an error or no news, never a change.
func endlessAnswers(t *testing.T, h testhost.Host) {
	for _, m := range h.Malice {
		most := max(m.Most, 16<<20)
		for _, unit := range []string{"{},", "0,", "[", `"x":1,`, "x", "003d1111111111111111111111111111111111111111 refs/heads/fill\n"} {
			for k, start := range append(slices.Clone(m.Starts), m.Starts[0]) {
				inGzip := k == len(m.Starts)
				name := fmt.Sprintf("%s, %s%s…, packed: %t", m.Name, start, unit, inGzip)
				first, chunk := []byte(start), bytes.Repeat([]byte(unit), 1+(1<<16)/len(unit))
				if inGzip {
					first, chunk = packed(first), packed(chunk)
				}
				s := newMalicious(t, h, m)
				s.evil = func(w http.ResponseWriter, _ *http.Request) {
					if inGzip {
						w.Header().Set("Content-Encoding", "gzip")
					}
					_, err := w.Write(first)
					for n := 0; err == nil && n < 1<<30; n += 1 << 16 {
						_, err = w.Write(chunk)
					}
				}
				if got := s.cost(t); got > most {
					t.Errorf("%s: %d MiB allocated, want at most %d", name, got>>20, most>>20)
				}
			}
		}
	}
}

// A server that sends a byte now and then, for ever, is given up when the time is over.
func drippingAnswers(t *testing.T, h testhost.Host) {
	for _, m := range h.Malice {
		m.Branch = "main"
		s := newMalicious(t, h, m)
		s.evil = func(w http.ResponseWriter, req *http.Request) {
			_, err := io.WriteString(w, m.Starts[0])
			for err == nil && req.Context().Err() == nil {
				_, err = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				<-time.After(time.Millisecond) // its pace
			}
		}
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		if m.List {
			if changed, err := s.host.(githost.Prefilter).Changed(ctx, s.want); err == nil && !m.Some {
				t.Errorf("%s: %v, want an error", m.Name, changed)
			}
		} else if o := s.host.Heads(ctx, s.want[:1])[0]; o.Err == nil {
			t.Errorf("%s: %v, want an error", m.Name, o)
		}
		cancel()
	}
}

// An answer that is right in its form, and as large as answers may be, of things that take far more memory to keep than
// to send; or much larger, which is not read to its end.
func wideAnswers(t *testing.T, h testhost.Host) {
	const most = 16 << 20 // allocated in all
	for name, c := range h.Wide {
		t.Run(name, func(t *testing.T) {
			at := slices.IndexFunc(h.Malice, func(m testhost.Malice) bool { return m.Name == c.Malice })
			body := []byte(c.Start + strings.Repeat(c.Unit, c.Size<<20/len(c.Unit)) + c.Last)
			s := newMalicious(t, h, h.Malice[at])
			s.evil = func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(body) }
			if got := s.cost(t); got > most {
				t.Errorf("%d MiB allocated for an answer of %d MiB, want at most %d", got>>20, c.Size, most>>20)
			}
		})
	}
}
