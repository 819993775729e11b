package gitea_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "good-token-xyzzy"

// server is a Gitea in memory, and a host that asks it without a network, so that time is a bubble's.
type server struct {
	*giteatest.API
	t     *testing.T
	host  githost.Host
	ahead time.Duration                        // of the server's clock
	list  func(url string, page []byte) []byte // what becomes of a page of the list; nil = nothing
	date  func(time.Time) string               // what becomes of the Date; nil = nothing
}

const origin = "http://gitea.example"

// RoundTrip implements http.RoundTripper.
func (s *server) RoundTrip(req *http.Request) (*http.Response, error) {
	resp := githosttest.Answer(s.API, req)
	if s.date != nil {
		resp.Header["Date"] = []string{s.date(time.Now().Add(s.ahead))}
	}
	if s.list != nil && strings.HasSuffix(req.URL.Path, "/repos/search") {
		page, err := io.ReadAll(resp.Body)
		if err != nil {
			return nil, err
		}
		resp.Body = io.NopCloser(bytes.NewReader(s.list(req.URL.String(), page)))
	}
	return resp, nil
}

// warmed returns a server with repositories app0, app1, … that were read in so many cycles.
func warmed(t *testing.T, repositories, cycles int) (*server, []githost.Wanted) {
	t.Helper()
	s := newServer(t, "", token)
	for i := range repositories {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(i))
	}
	want := s.wanted(repositories, "main")
	for range cycles {
		time.Sleep(time.Minute)
		s.read(want, s.changed(want))
	}
	return s, want
}

func newServer(t *testing.T, user, password string) *server {
	t.Helper()
	s := &server{API: giteatest.New(), t: t}
	s.SetClock(func() time.Time { return time.Now().Add(s.ahead) })
	s.SetToken(token)
	host, err := gitea.Open(githost.Endpoint{Account: githost.Account{Type: config.Gitea, Origin: origin}, Auth: config.Auth{
		Username: secret.New("${U}", user), Token: secret.New("${T}", password)}}, transport.NewClient(s, "test", 0))
	if err != nil {
		t.Fatal(err)
	}
	s.host = githosttest.Keep(host)
	return s
}

// wanted is n repositories, team/app0 and so on, with the branches that the patterns match.
func (s *server) wanted(n int, patterns ...string) []githost.Wanted {
	s.t.Helper()
	ps := repotest.Patterns(s.t, patterns...)
	want := make([]githost.Wanted, n)
	for i := range want {
		want[i] = githost.Wanted{URL: fmt.Sprintf("%s/team/app%d.git", origin, i), Patterns: ps}
	}
	return want
}

func sha(n int) string { return fmt.Sprintf("%040x", n+1) }

// changed returns the indexes of the repositories that may have changed.
func (s *server) changed(want []githost.Wanted) []int {
	s.t.Helper()
	got, err := s.host.(githost.Prefilter).Changed(s.t.Context(), want)
	if err != nil || len(got) != len(want) {
		s.t.Fatalf("%d answers for %d repositories, error %v", len(got), len(want), err)
	}
	var indexes []int
	for i, c := range got {
		if c {
			indexes = append(indexes, i)
		}
	}
	return indexes
}

// read reads some of want, and fails the test when one cannot be read.
func (s *server) read(want []githost.Wanted, some []int) map[int]map[string]repo.SHA {
	s.t.Helper()
	var asked []githost.Wanted
	for _, i := range some {
		asked = append(asked, want[i])
	}
	heads := make(map[int]map[string]repo.SHA)
	for j, o := range s.host.Heads(s.t.Context(), asked) {
		if o.Err != nil {
			s.t.Fatalf("%s: %v", asked[j].URL, o.Err)
		}
		heads[some[j]] = o.Heads
	}
	return heads
}

func TestCredentials(t *testing.T) {
	for _, test := range []struct {
		user, secret, path string
		want               githost.Kind // "" = heads
	}{
		{"", "", "team/open", ""},
		{"", token, "team/private", ""},
		{"somebody", token, "team/private", ""},
		{"somebody", "stale-xyzzy", "team/open", githost.Denied},
		{"", "", "team/private", githost.Denied},
		{"", token, "team/none", githost.NotFound},
		{"", token, "team/denied", githost.Denied},
		{"", token, "team/old", ""},
		{"", token, "app", githost.Invalid},
		{"", token, "team/..", githost.Invalid},
	} {
		s := newServer(t, test.user, test.secret)
		for _, path := range []string{"team/open", "team/private", "team/denied", "team/old"} {
			s.Push(path, "main", sha(1))
		}
		s.SetPrivate("team/private")
		s.SetDenied("team/denied")
		s.Rename("team/old", "team/new")
		want := s.wanted(1, "main")
		want[0].URL = origin + "/" + test.path
		o := s.host.Heads(t.Context(), want)[0]
		var got githost.Kind
		if e, ok := errors.AsType[*githost.Error](o.Err); ok {
			got = e.Kind
		}
		if got != test.want || test.want == "" && string(o.Heads["main"]) != sha(1) || o.Err != nil && strings.Contains(o.Err.Error(), "xyzzy") {
			t.Errorf("%s as %q with %q: %v, error %v, want kind %q", test.path, test.user, test.secret, o.Heads, o.Err, test.want)
		}
	}
}

// An idle cycle of a thousand repositories is one small request, and of a change the one that changed is read.
func TestIdleIsOneRequest(t *testing.T) { synctest.Test(t, idleIsOneRequest) }

func idleIsOneRequest(t *testing.T) {
	const n = 1000
	s := newServer(t, "", token)
	for i := range n {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(i))
	}
	want := s.wanted(n, "main")
	time.Sleep(time.Minute)
	s.Push("team/other", "main", sha(0)) // or all that was changed within ten seconds of the last change is listed again
	time.Sleep(time.Minute)
	if got := s.changed(want); len(got) != n {
		t.Fatalf("%d of %d repositories changed before any was read", len(got), n)
	}
	s.read(want, s.changed(want))
	s.Requests()
	for cycle := range 3 {
		time.Sleep(time.Minute)
		if got := s.changed(want); len(got) != 0 {
			t.Errorf("idle cycle %d: %d repositories changed", cycle, len(got))
		}
		if asked := s.Requests(); len(asked) != 1 || asked[0].Bytes > 5000 {
			t.Errorf("idle cycle %d: requests %+v, want one of at most 5000 bytes", cycle, asked)
		}
	}
	var pushed []int
	for i := range 10 {
		s.Push(fmt.Sprintf("team/app%d", i*50), "main", sha(n+i))
		pushed = append(pushed, i*50)
	}
	time.Sleep(time.Minute)
	if diff := cmp.Diff(pushed, s.changed(want)); diff != "" {
		t.Errorf("changed (-want +got):\n%s", diff)
	}
	if asked := s.Requests(); len(asked) > 3 {
		t.Errorf("ten of a thousand changed: %d requests, want at most 3", len(asked))
	}
}

// What the list does not tell of is read always.
func TestNotTold(t *testing.T) { synctest.Test(t, notTold) }

func notTold(t *testing.T) {
	s := newServer(t, "", "")
	for i := range 8 {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(i))
	}
	s.SetMirror("team/app1")
	s.SetArchived("team/app2")
	s.Rename("team/app3", "team/new")
	want := s.wanted(8, "main")
	for range 3 {
		time.Sleep(time.Minute)
		s.read(want, s.changed(want))
	}
	time.Sleep(time.Minute)
	if diff := cmp.Diff([]int{1, 2, 3}, s.changed(want)); diff != "" {
		t.Errorf("a mirror, an archived and a renamed repository (-want +got):\n%s", diff)
	}
	s.Remove("team/app5")
	s.Push("team/app5", "main", sha(50)) // another repository of that name
	s.Rename("team/app6", "team/app66")
	s.Push("team/app66", "main", sha(66))
	if diff := cmp.Diff([]int{1, 2, 3, 5, 6}, s.changed(want)); diff != "" {
		t.Errorf("one replaced, one renamed and pushed to (-want +got):\n%s", diff)
	}
}

// Reading what changed gives what reading all gives, once the list has caught up: pushes, forced or not,
// deletions and creations at random, several within a second, at cycles of all lengths.
func TestMissesNothing(t *testing.T) { synctest.Test(t, missesNothing) }

func missesNothing(t *testing.T) {
	const n = 70
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 1))
		s := newServer(t, "", token)
		state := make(map[int]map[string]repo.SHA) // what is so
		seen := make(map[int]map[string]repo.SHA)  // what was read
		push := func(i int) {
			s.SetLag(time.Duration(random.IntN(1600)) * time.Millisecond)
			branch, path := []string{"main", "dev-1", "dev-2"}[random.IntN(3)], fmt.Sprintf("team/app%d", i)
			if state[i] == nil {
				state[i], branch = make(map[string]repo.SHA), "main"
			}
			if state[i][branch] != "" && branch != "main" && random.IntN(2) == 0 {
				s.Delete(path, branch)
				delete(state[i], branch)
				return
			}
			state[i][branch] = repo.SHA(sha(random.IntN(1000)))
			s.Push(path, branch, string(state[i][branch]))
		}
		for i := range n {
			push(i)
		}
		want := s.wanted(n, "main", "dev-.*")
		for cycle := range 60 {
			changes := random.IntN(4)
			if random.IntN(10) == 0 {
				changes = 3 * n
			}
			for range changes {
				push(random.IntN(n))
				time.Sleep(time.Duration(random.IntN(400)) * time.Millisecond)
			}
			for i, heads := range s.read(want, s.changed(want)) {
				seen[i] = heads
			}
			if random.IntN(3) > 0 {
				continue
			}
			time.Sleep(2 * time.Second)
			for i, heads := range s.read(want, s.changed(want)) {
				seen[i] = heads
			}
			if diff := cmp.Diff(state, seen); diff != "" {
				t.Fatalf("seed %d, cycle %d (-what is so +what was read):\n%s", seed, cycle, diff)
			}
			time.Sleep(time.Duration(random.IntN(60)) * time.Second)
		}
	}
}

// When more changed than is worth listing, every repository is read again, and one whose reading failed then
// still counts as changed.
func TestMoreChangedThanIsListed(t *testing.T) { synctest.Test(t, moreChangedThanIsListed) }

func moreChangedThanIsListed(t *testing.T) {
	const n, wanted = 200, 10
	s := newServer(t, "", token)
	for i := range n {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(i))
	}
	want := s.wanted(wanted, "main")
	for range 2 {
		time.Sleep(time.Minute)
		s.read(want, s.changed(want))
	}
	for i := range n {
		s.Push(fmt.Sprintf("team/app%d", i), "main", sha(n+i))
	}
	time.Sleep(time.Minute)
	for range 2 {
		if got := s.changed(want); len(got) != wanted {
			t.Errorf("%d of %d repositories count as changed before they were read", len(got), wanted)
		}
		time.Sleep(time.Minute)
	}
}

// What is not wanted any more is forgotten, and what happened to it meanwhile is told when it is wanted again.
func TestForgets(t *testing.T) { synctest.Test(t, forgets) }

func forgets(t *testing.T) {
	s, want := warmed(t, 100, 2)
	for _, n := range []int{50, 49} {
		if got := s.changed(want[:n]); len(got) != 0 {
			t.Errorf("%d of %d repositories that are still wanted changed", len(got), n)
		}
	}
	s.Push("team/app70", "main", sha(70))
	time.Sleep(time.Minute)
	if got := s.changed(want); !slices.Equal(got, []int{70}) {
		t.Errorf("wanted again: %v changed, want the one that was pushed to", got)
	}
}
