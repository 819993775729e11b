package page_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

// spent returns the CPU that this process has used.
func spent(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// perMinute is how often in a minute a tab looks at most: at a view that is live.
const perMinute = 12

// tabs are open for a minute of a clock that the test sets: each has its view brought up to date as the script does, by the tag of the one that it has.
type tabs struct {
	page  *page.Page
	known *facts.Known // that changes
	now   time.Time
	tags  []string
	views []string
}

// Known implements page.Source.
func (t *tabs) Known(context.Context) (*facts.Known, error) { return t.known, nil }

// Outcome implements page.Source.
func (t *tabs) Outcome(context.Context, string) (engine.Outcome, error) { return engine.Outcome{}, nil }

// minute has a minute pass, with so many changes in it.
func (t *tabs) minute(b *testing.B, changes int) {
	for look := range perMinute {
		t.now = t.now.Add(time.Minute / perMinute)
		if look < changes {
			next := *t.known
			t.known = &next
		}
		for i, view := range t.views {
			r := httptest.NewRequest(http.MethodGet, view, nil)
			r.Host = "localhost"
			r.Header.Set("Accept-Encoding", "gzip")
			r.Header.Set("If-None-Match", t.tags[i])
			w := httptest.NewRecorder()
			if t.page.ServeHTTP(w, r); w.Code != http.StatusOK && w.Code != http.StatusNotModified {
				b.Fatal(view, w.Code)
			}
			t.tags[i] = w.Header().Get("ETag")
		}
	}
}

// BenchmarkTabs is what the tabs cost that are open for a minute, with 10,000 repositories and 50,000 results, in CPU for each tab: one tab and 200
// on each view, while nothing changes and as something does once and twelve times in the minute.
func BenchmarkTabs(b *testing.B) {
	k := pagetest.Large(b, now, manyRepositories, manyResults)
	for name, view := range map[string]string{
		"units": "/", "unit": "/unit/group-0007", "repository": "/repository/service-00071", "runs": "/runs", "run": "/run/" + k.Past[7].Name,
		"repositories": "/repositories", "problems": "/problems", "configuration": "/configuration?page=7",
		"hosts": "/hosts", "replicas": "/replicas",
	} {
		for _, open := range []int{1, page.MaxStreams} {
			for _, changes := range []int{0, 1, perMinute} {
				b.Run(fmt.Sprintf("%s/open=%d/changes=%d", name, open, changes), func(b *testing.B) {
					t := &tabs{known: k, now: now, tags: make([]string, open)}
					for range open {
						t.views = append(t.views, view)
					}
					t.page = pagetest.New(b, t, func() time.Time { return t.now })
					t.minute(b, 1)
					before := spent(b)
					for b.Loop() {
						t.minute(b, changes)
					}
					b.ReportMetric(float64((spent(b)-before).Microseconds())/1000/float64(b.N*open), "ms/tab-minute")
				})
			}
		}
	}
}
