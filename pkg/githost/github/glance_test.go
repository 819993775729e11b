package github_test

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// spread are so many repositories of each of so many owners, and a Reader that has read them.
func spread(t *testing.T, owners, each int) (api *testhost.Wire, points func() int, r *poller.Reader, want []config.Monitor) {
	server := githubtest.New()
	server.SetToken(testhost.Token)
	for o := range owners {
		for i := range each {
			path := fmt.Sprintf("o%d/r%d", o, i)
			server.Push(path, "main", testhost.SHA1)
			want = append(want, config.Monitor{Branches: repotest.Patterns(t, "main"), Source: config.Source{URL: "https://github.com/" + path, Type: config.GitHub,
				Auth: config.Auth{Token: secret.New("${T}", testhost.Token)}}})
		}
	}
	time.Sleep(time.Minute)
	api = &testhost.Wire{Handler: server}
	r = &poller.Reader{Hosts: githost.Drivers{github.Driver}, Base: api, Sweep: 15 * time.Minute}
	for i, o := range r.Heads(t.Context(), want) {
		if o.Err != nil {
			t.Fatalf("repository %d: %v", i, o.Err)
		}
	}
	return api, server.Points, r, want
}

// Glances every five seconds take at most a quarter of what an hour grants, however many owners there are.
func TestGlancesLeaveMostOfTheBudget(t *testing.T) {
	for _, owners := range []int{1, 120} {
		t.Run(fmt.Sprint(owners, " owners"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				_, points, r, want := spread(t, owners, 600/owners)
				before := points()
				for range 20 * 12 {
					time.Sleep(5 * time.Second)
					r.Glance(t.Context(), want)
				}
				if took := points() - before; took > 5000/4/3 || took < 200 {
					t.Errorf("in 20 minutes glances took %d of the hour's 5,000 points, want a third of a quarter at most, and not much less", took)
				}
			})
		})
	}
}

// So do they with the looks at what they name, where everything is pushed to all the time.
func TestGlancesAndTheirLooksLeaveMostOfTheBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, points, r, want := spread(t, 50, 20)
		before, pushed, shas := points(), 0, []string{testhost.SHA1, testhost.SHA2}
		for second := range 20 * 60 {
			time.Sleep(time.Second)
			if second%20 == 0 {
				pushed++
				for _, m := range want {
					api.Handler.(*githosttest.API).Push(strings.TrimPrefix(m.URL, "https://github.com/"), "main", shas[pushed%2])
				}
			}
			if second%5 != 0 {
				continue
			}
			var some []config.Monitor
			for _, i := range r.Glance(t.Context(), want) {
				some = append(some, want[i])
			}
			r.Heads(t.Context(), some)
		}
		if took := points() - before; took > 5000/4/3+30 || took < 200 {
			t.Errorf("in 20 minutes glances and their looks took %d of the hour's 5,000 points, want a third of a quarter at most, and not much less", took)
		}
	})
}

// Where there are about as many owners as repositories, looking at the lists costs more than reading, and is left alone.
func TestGlancesThatCostMoreThanReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		api, _, r, want := spread(t, 120, 1)
		api.Take()
		for range 100 {
			time.Sleep(5 * time.Second)
			if named := r.Glance(t.Context(), want); len(named) > 0 {
				t.Errorf("%v named", named)
			}
		}
		if asked := api.Take(); asked > 0 {
			t.Errorf("%d requests, want none", asked)
		}
	})
}
