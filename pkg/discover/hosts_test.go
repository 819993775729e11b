package discover_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	wanted "github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/discover"
	"github.com/tekton-sentry/sentry/pkg/discover/file"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const (
	server = "http://h.example"
	token  = "good-token-xyzzy"
	owner  = "company"
	every  = 10 * time.Minute
	many   = 5_000
)

// switching answers as a host does, or as one in trouble.
type switching struct {
	good    http.Handler
	trouble http.Handler // nil = none
}

func (s *switching) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if s.trouble != nil {
		s.trouble.ServeHTTP(w, r)
		return
	}
	s.good.ServeHTTP(w, r)
}

// Five thousand repositories of an owner take sixty requests, on every kind of host, and five afterwards. Whatever
// the host does in between, none that is there is lost, and what comes and goes for good is taken up.
func TestFiveThousandOfEachHost(t *testing.T) {
	gitea := func() *githosttest.API {
		api := giteatest.New()
		api.SetMaxResponseItems(100)
		return api.API
	}
	for kind, newAPI := range map[config.HostType]func() *githosttest.API{
		config.GitHub: githubtest.New, config.GitLab: func() *githosttest.API { return gitlabtest.New().API }, config.Gitea: gitea,
	} {
		t.Run(string(kind), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { fiveThousand(t, kind, newAPI()) })
		})
	}
}

func fiveThousand(t *testing.T, kind config.HostType, api *githosttest.API) {
	api.SetToken(token)
	for i := range many {
		api.Push(fmt.Sprintf("%s/r%d", owner, i), "main", strings.Repeat("a", 40))
	}
	time.Sleep(3 * time.Hour)
	front := &switching{good: api}
	reader := &poller.Reader{Hosts: hosts.All, Version: "test", Log: slog.New(slog.DiscardHandler), Base: githosttest.Delayed{Handler: front, Latency: 10 * time.Millisecond}}
	defer reader.Close()
	var log bytes.Buffer
	f := &discover.Finder{Ask: reader.Owned, Store: file.New(filepath.Join(t.TempDir(), "state")), Used: func() {}, Log: slog.New(slog.NewTextHandler(&log, nil))}
	f.Begin(&wanted.Found{})
	source := config.Source{URL: server, Type: kind}
	if kind == config.GitHub {
		source.APIURL = server
	}
	apply := func(token string) {
		source.Auth.Token = secret.New("${T}", token)
		f.Apply(&config.Config{Discover: []config.Discovery{{Source: source, Wanted: wanted.Wanted{Owner: owner}}}}, every)
	}
	apply(token)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		f.Run(ctx)
		close(ended)
	}()
	defer func() {
		stop()
		<-ended
	}()
	var number int64
	expect := func(when string, want, most int, failing bool) {
		t.Helper()
		synctest.Wait()
		found := f.Found()
		n := 0
		for _, l := range found.Lists {
			n += len(l.Repositories)
		}
		asked := len(api.Requests())
		t.Logf("%s: %d requests", when, asked)
		if n != want || asked > most || len(found.Failing) > 0 != failing {
			t.Fatalf("%s: %d repositories, want %d, by %d requests, want %d at most, and failing %+v; the log:\n%s", when, n, want, asked, most, found.Failing, &log)
		}
	}
	time.Sleep(every - time.Minute)
	expect("at first", many, 60, false)
	number = f.Found().Number
	for range 3 {
		time.Sleep(every)
		expect("when nothing changed", many, 5, false)
	}
	// What is asked for goes wrong in each way. Once an hour that is the whole list.
	for _, fault := range []githosttest.FaultKind{githosttest.ShortBody, githosttest.Truncated, githosttest.Garbage, githosttest.ServerError, githosttest.Unauthorized, githosttest.TooManyRequests} {
		front.trouble = githosttest.Fault(fault, api)
		time.Sleep(3 * every)
		expect(string(fault), many, 20, true)
		front.trouble = nil
		time.Sleep(7 * every)
		expect("after "+string(fault), many, 200, false)
	}
	if got := f.Found().Number; got != number {
		t.Errorf("what follows of the lists changed, from %d to %d", number, got)
	}
	// A token that sees fewer is told of a whole list without most of them, for half a day.
	hide := func(n int, hidden bool) {
		for i := range n {
			api.Hide(fmt.Sprintf("%s/r%d", owner, i), hidden)
		}
	}
	hide(many-10, true)
	time.Sleep(12 * time.Hour)
	expect("a token that sees ten of them", many, 200, false)
	hide(many-10, false)
	time.Sleep(2 * time.Hour)
	expect("and all again", many, 200, false)
	apply("another-xyzzy")
	time.Sleep(time.Hour)
	expect("a token that is refused", many, 10, true)
	apply(token)
	time.Sleep(time.Hour)
	expect("a mended one", many, 120, false)
	// One list that lacks some is not believed.
	hide(5, true)
	time.Sleep(every)
	hide(5, false)
	time.Sleep(2 * every)
	expect("some are lacked for once", many, 200, false)
	for i := range 5 {
		api.Remove(fmt.Sprintf("%s/r%d", owner, 10+i))
	}
	api.Push(owner+"/new", "main", strings.Repeat("b", 40))
	time.Sleep(2 * time.Hour)
	expect("five go and one comes", many-4, 200, false)
}
