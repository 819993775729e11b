package bitbucket_test

import (
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucket"
	"github.com/tekton-sentry/sentry/pkg/githost/bitbucket/bitbuckettest"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const sha3 = "cccccccccccccccccccccccccccccccccccccccc"

// watched is a Bitbucket Cloud of n repositories of one workspace, whose list is known, and a Reader of it.
type watched struct {
	*testing.T
	api   *bitbuckettest.API
	r     *poller.Reader
	want  []config.Monitor
	bytes int // of answers, since cycle was called
}

func watch(t *testing.T, n int) *watched { return watchAhead(t, n, 0) }

// watchAhead is watch of a server whose clock is ahead of ours.
func watchAhead(t *testing.T, n int, ahead time.Duration) *watched {
	w := &watched{T: t, api: bitbuckettest.New()}
	w.api.Advance(ahead)
	testhost.Filled(w.api.API, n)
	w.want = testhost.Monitors(t, bitbucket.Driver.Type, n)
	w.r = &poller.Reader{Hosts: githost.Drivers{bitbucket.Driver}, Base: &testhost.Wire{Handler: w.api}, Sweep: 1e6 * time.Hour}
	<-time.After(time.Hour)
	for range 3 {
		w.cycle()
	}
	return w
}

// cycle reads all, a minute after the last one, and returns how many requests were sent to the API and to Git.
func (w *watched) cycle() (lists, reads int) {
	w.Helper()
	<-time.After(time.Minute)
	w.api.Requests()
	for i, o := range w.r.Heads(w.Context(), w.want) {
		if o.Err != nil {
			w.Fatalf("%s: %v", w.want[i].URL, o.Err)
		}
	}
	w.bytes = 0
	for _, asked := range w.api.Requests() {
		w.bytes += asked.Bytes
		if strings.HasPrefix(asked.URL, "/2.0/") {
			lists++
		} else {
			reads++
		}
	}
	return lists, reads
}

// head is what is told of main of a repository.
func (w *watched) head(i int) repo.SHA {
	return w.r.Heads(w.Context(), w.want)[i].Heads["main"]
}

// An idle cycle of a thousand repositories is one request; one that is pushed to is read, and no other.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 1000)
		for range 5 {
			if lists, reads := w.cycle(); lists != 1 || reads != 0 || w.bytes > 100 {
				t.Errorf("an idle cycle: %d lists, %d reads, %d bytes; want one list of next to nothing", lists, reads, w.bytes)
			}
		}
		w.api.Push("o/r77", "main", sha3)
		if lists, reads := w.cycle(); lists != 1 || reads != 1 {
			t.Errorf("after a push: %d lists, %d reads, want one each", lists, reads)
		}
		if got := w.head(77); got != sha3 {
			t.Errorf("the head is %s, want what was pushed", got)
		}
	})
}

// A change that the list shows after newer ones is not missed, nor is one that it shows before Git does.
func TestListsThatAreNotInStep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 30)
		w.api.SetLag(20 * time.Second)
		w.api.Push("o/r3", "main", sha3)
		w.api.SetLag(0)
		<-time.After(5 * time.Second)
		w.api.Push("o/r4", "main", sha3)
		if got := w.head(4); got != sha3 {
			t.Errorf("the head that is listed is %s, want what was pushed", got)
		}
		w.cycle()
		if got := w.head(3); got != sha3 {
			t.Errorf("the head that was listed late is %s, want what was pushed", got)
		}

		var r *githosttest.Repository
		w.api.Change("o/r9", func(at *githosttest.Repository) { r = at })
		w.head(9)
		w.api.Set(func() { r.Branches["main"] = sha3 })
		w.cycle()
		if got := w.head(9); got != sha3 {
			t.Errorf("the head that was listed early is %s, want what was pushed", got)
		}
	})
}

// What the list does not tell of is read in every cycle: hidden repositories, renamed ones, and those of a workspace that does not let
// itself be listed.
func TestWhatTheListDoesNotTell(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 30)
		w.api.Rename("o/r3", "o/other")
		w.api.Push("o/other", "dev", sha3)
		w.cycle()
		w.cycle()
		w.api.Push("o/other", "main", sha3)
		if _, reads := w.cycle(); reads == 0 || w.head(3) != sha3 {
			t.Errorf("a renamed repository: %d reads, head %s, want it read", reads, w.head(3))
		}
		w.api.Close(http.StatusForbidden)
		for range 3 {
			if _, reads := w.cycle(); reads < 30 {
				t.Errorf("without the right to list: %d reads, want all", reads)
			}
		}
	})
}

// A look at the larger part of the repositories, as after webhooks, forgets nothing of the others.
func TestLookAtSome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 50)
		for range 3 {
			w.r.Heads(t.Context(), w.want[:30])
			if lists, reads := w.cycle(); lists != 1 || reads != 0 {
				t.Errorf("after a look at some: %d lists, %d reads, want one list", lists, reads)
			}
		}
	})
}

// A token that the API refuses is good for Git, however many workspaces there are.
func TestTokenForGitAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 5)
		for i := range 5 {
			w.more(fmt.Sprintf("p%d", i), 5)
		}
		w.api.Close(http.StatusUnauthorized)
		for range 5 {
			if lists, reads := w.cycle(); lists > 1 || reads != 30 {
				t.Errorf("%d lists, %d reads, want one list at most, and all read", lists, reads)
			}
		}
	})
}

// more has n repositories of another workspace watched too.
func (w *watched) more(workspace string, n int) {
	for i := range n {
		path := fmt.Sprintf("%s/r%d", workspace, i)
		w.api.Push(path, "main", testhost.SHA1)
		m := w.want[0]
		m.URL = "http://bitbucket.example/" + path
		w.want = append(w.want, m)
	}
}

// pushed fails the test unless a push to a repository that is watched is seen in the next cycle.
func (w *watched) pushed(path, sha string) {
	w.Helper()
	w.api.Push(path, "main", sha)
	w.cycle()
	i := slices.IndexFunc(w.want, func(m config.Monitor) bool { return strings.HasSuffix(m.URL, "/"+path) })
	if got := w.head(i); got != repo.SHA(sha) {
		w.Errorf("the head of %s is %s, want what was pushed", path, got)
	}
}

// A workspace whose list is not asked for any more has its repositories read: one that twelve others outgrew, and one of which few
// repositories are left.
func TestWorkspaceThatIsNotAskedAnyMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 5)
		for i := range 11 {
			w.more(fmt.Sprintf("p%02d", i), 5)
		}
		for range 3 {
			w.cycle()
		}
		if lists, reads := w.cycle(); lists != 12 || reads != 0 {
			t.Errorf("twelve workspaces: %d lists, %d reads, want twelve lists", lists, reads)
		}
		w.more("a", 6)
		for range 3 {
			w.cycle()
		}
		if lists, reads := w.cycle(); lists != 12 || reads != 5 {
			t.Errorf("thirteen workspaces: %d lists, %d reads, want twelve lists, and the thirteenth read", lists, reads)
		}
		w.pushed("p10/r2", sha3)

		w.want = slices.DeleteFunc(w.want, func(m config.Monitor) bool {
			return strings.HasSuffix(m.URL, "/a/r0") || strings.HasSuffix(m.URL, "/a/r1") || strings.HasSuffix(m.URL, "/a/r2")
		})
		w.cycle()
		w.pushed("a/r4", sha3)
		w.pushed("p10/r2", testhost.SHA2)
	})
}

// A change with a time in the future, of a clock that is ahead, hides no later ones, and is read once.
func TestChangeInTheFuture(t *testing.T) {
	const ahead = 3 * time.Hour
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 30)
		w.api.Advance(ahead)
		w.api.Push("o/r1", "main", sha3)
		w.api.Advance(-ahead)
		for range 3 {
			w.cycle()
		}
		for hour := range 6 {
			if lists, reads := w.cycle(); lists != 1 || reads != 0 {
				t.Errorf("hour %d, an idle cycle: %d lists, %d reads, want one list", hour, lists, reads)
			}
			w.pushed("o/r7", fmt.Sprintf("%040x", hour+1))
			<-time.After(time.Hour)
			w.cycle()
			w.cycle()
		}
		w.pushed("o/r1", testhost.SHA2)

		// So it is while the list is gone through at first.
		w.api.Advance(ahead)
		w.api.Push("o/r2", "main", sha3)
		w.api.Advance(-ahead)
		w.r = &poller.Reader{Hosts: w.r.Hosts, Base: w.r.Base, Sweep: w.r.Sweep}
		for range 3 {
			w.cycle()
		}
		w.pushed("o/r7", sha3)
		w.pushed("o/r2", testhost.SHA2)
	})
}

// Where our clock is behind, or ahead, by days, all pushes are seen in the next cycle too.
func TestClocksThatAreNotInStep(t *testing.T) {
	for _, ahead := range []time.Duration{-72 * time.Hour, -5 * time.Minute, 5 * time.Minute, 72 * time.Hour} {
		t.Run(ahead.String(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watchAhead(t, 30, ahead)
				for minute := range 30 {
					w.pushed(fmt.Sprintf("o/r%d", minute), fmt.Sprintf("%040x", minute+1))
				}
			})
		})
	}
}

// A list that is none has its own workspace read, and no other.
func TestListOfOneWorkspaceThatLies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 20)
		w.more("a", 4)
		for range 3 {
			w.cycle()
		}
		honest := w.r.Base
		w.r.Base = testhost.RoundTrip(func(req *http.Request) (*http.Response, error) {
			if req.URL.Path != "/2.0/repositories/a" {
				return honest.RoundTrip(req)
			}
			list := `{"values":[{"uuid":"{1}","full_name":"b/r1","updated_on":"2099-01-01T00:00:00Z"}]}`
			return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(list)), Request: req}, nil
		})
		w.r = &poller.Reader{Hosts: w.r.Hosts, Base: w.r.Base, Sweep: w.r.Sweep}
		for range 3 {
			w.cycle()
		}
		for range 10 {
			if lists, reads := w.cycle(); lists != 1 || reads != 4 {
				t.Errorf("%d lists, %d reads, want the list of one workspace, and the other read", lists, reads)
			}
		}
		w.pushed("a/r2", sha3)
		w.pushed("o/r2", sha3)
	})
}

// The API's limit is not Git's: all is read by Git, and the API is left alone.
func TestLimitOfTheAPI(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 30)
		w.api.Close(http.StatusTooManyRequests)
		lists := 0
		for minute := range 30 {
			w.api.Push("o/r7", "main", fmt.Sprintf("%040x", minute+1))
			n, reads := w.cycle()
			lists += n
			if reads < 30 {
				t.Fatalf("minute %d: %d reads, want all", minute, reads)
			}
			if got := w.head(7); got != repo.SHA(fmt.Sprintf("%040x", minute+1)) {
				t.Fatalf("minute %d: the head is %s, want what was pushed", minute, got)
			}
		}
		if lists > 10 {
			t.Errorf("the API was asked %d times in half an hour while it said no", lists)
		}
		w.api.Close(0)
		for range 15 {
			w.cycle()
		}
		if lists, reads := w.cycle(); lists != 1 || reads != 0 {
			t.Errorf("once it grants again: %d lists, %d reads, want one list", lists, reads)
		}
	})
}

// A token of a user is not what the API wants beside that name, and is sent to Git alone.
func TestTokenOfAUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := watch(t, 10)
		for i := range w.want {
			w.want[i].Auth.Username = secret.New("ada", "ada")
		}
		for range 3 {
			if lists, reads := w.cycle(); lists != 0 || reads != 10 {
				t.Errorf("%d lists, %d reads, want all read by Git", lists, reads)
			}
		}
	})
}

// A list that is none ends in heads that are read by Git, and in nothing that is missed.
func TestListsThatLie(t *testing.T) {
	entry := func(name, at string) string {
		return fmt.Sprintf(`{"uuid":"{%s}","full_name":"o/%s","updated_on":"%s"}`, name, name, at)
	}
	for name, list := range map[string]string{
		"no JSON":              `<html>`,
		"cut short":            `{"values":[` + entry("r1", "2099-01-01T00:00:00Z"),
		"nothing":              ``,
		"another shape":        `{"values":7}`,
		"no values":            `{}`,
		"values twice":         `{"values":[],"values":[]}`,
		"another order":        `{"values":[` + entry("r1", "2099-01-02T00:00:00Z") + "," + entry("r2", "2099-01-01T00:00:00Z") + `]}`,
		"too old":              `{"values":[` + entry("r1", "1999-01-02T00:00:00Z") + `]}`,
		"another workspace":    `{"values":[{"uuid":"{1}","full_name":"p/r1","updated_on":"2099-01-01T00:00:00Z"}]}`,
		"no time":              `{"values":[{"uuid":"{1}","full_name":"o/r1"}]}`,
		"a page over and over": `{"next":"x","values":[]}`,
		"too many":             `{"values":[` + strings.Repeat(entry("r1", "2099-01-01T00:00:00Z")+",", 200) + entry("r1", "2099-01-01T00:00:00Z") + `]}`,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := watch(t, 12)
				honest := w.r.Base
				w.r = &poller.Reader{Hosts: w.r.Hosts, Sweep: 1e6 * time.Hour, Base: testhost.RoundTrip(func(req *http.Request) (*http.Response, error) {
					if !strings.HasPrefix(req.URL.Path, "/2.0/") {
						return honest.RoundTrip(req)
					}
					return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(list)), Request: req}, nil
				})}
				for minute := range 5 {
					w.api.Push("o/r7", "main", fmt.Sprintf("%040x", minute+1))
					if _, reads := w.cycle(); reads != 12 {
						t.Errorf("minute %d: %d reads, want all", minute, reads)
					}
					if got := w.head(7); got != repo.SHA(fmt.Sprintf("%040x", minute+1)) {
						t.Errorf("minute %d: the head is %s, want what was pushed", minute, got)
					}
				}
			})
		})
	}
}
