package hours

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
)

const sha3 = "cccccccccccccccccccccccccccccccccccccccc"

// glancing is a Reader of a host that was read, and what was pushed long before.
type glancing struct {
	*testing.T
	wire *testhost.Wire
	r    *poller.Reader
	want []config.Monitor
}

// Glances asserts what a host tells between the cycles: in a request or two what was pushed to, each push of a repository, and nothing
// else. One that does not tell, or is in trouble, is left alone, and what the cycles read is what it was.
func Glances(t *testing.T, h testhost.Host) {
	if _, ok := testhost.Open(t, h.Driver.Open, "http://a.example", "", testhost.Token).(githost.Glancer); !ok {
		return
	}
	const n = 60
	synctest.Test(t, func(t *testing.T) {
		api := h.Filled(n)
		<-time.After(time.Hour)
		api.Push("o/last", "main", testhost.SHA1) // what is listed as of this second
		<-time.After(time.Minute)
		w := &testhost.Wire{Handler: api}
		g := glancing{t, w, h.Reader(w, 15*time.Minute), testhost.Monitors(t, h.Driver.Type, n)}
		if named := g.r.Glance(t.Context(), g.want); len(named) > 0 || w.Take() > 0 {
			t.Errorf("before anything was read: %v named, want none and no request", named)
		}
		g.read()
		<-time.After(20 * time.Second)
		g.settle()
		g.none("idle", 60)

		api.Push("o/r7", "main", sha3)
		g.named("the first push", 7)
		if got := g.r.Heads(t.Context(), g.want[7:8])[0]; got.Heads["main"] != sha3 {
			t.Errorf("after the first push it is read as %+v", got)
		}
		<-time.After(25 * time.Second)
		g.settle()
		api.Push("o/r7", "dev", sha3)
		api.Push("o/r9", "main", sha3)
		g.named("the second", 7, 9)
		g.read()
		g.settle()

		<-time.After(time.Minute)
		g.settle()
		w.Breaks(testhost.Says(http.StatusBadGateway, "text/plain", ""))
		w.Take()
		for range 12 {
			g.glance()
		}
		if asked := w.Take(); asked > 4 {
			t.Errorf("a minute in which it is down: %d requests, want it left alone", asked)
		}
		w.Breaks(nil)
		<-time.After(10 * time.Minute)
		g.read()
		g.settle()
		api.Push("o/r3", "main", sha3)
		g.named("a push once it is well", 3)
	})
}

// glance returns what is named, after five seconds.
func (g glancing) glance() []int {
	<-time.After(5 * time.Second)
	return g.r.Glance(g.Context(), g.want)
}

// settle glances, and reads what is named, until nothing is.
func (g glancing) settle() {
	g.Helper()
	for range 20 {
		named := g.glance()
		if len(named) == 0 {
			g.wire.Take()
			return
		}
		var some []config.Monitor
		for _, i := range named {
			some = append(some, g.want[i])
		}
		g.r.Heads(g.Context(), some)
	}
	g.Error("glances name repositories for ever to which nothing is pushed")
}

// none asserts that so many glances name nothing, by a request each.
func (g glancing) none(what string, glances int) {
	g.Helper()
	for range glances {
		if named := g.glance(); len(named) > 0 {
			g.Errorf("%s: %v named, want none", what, named)
		}
	}
	if asked := g.wire.Take(); asked != glances {
		g.Errorf("%s: %d requests for %d glances", what, asked, glances)
	}
}

// named asserts that the next glance that names anything, within ten seconds, names these.
func (g glancing) named(what string, indexes ...int) {
	g.Helper()
	g.wire.Take()
	got := g.glance()
	if len(got) == 0 {
		got = g.glance()
	}
	if asked := g.wire.Take(); !slices.Equal(got, indexes) || asked > 3 {
		g.Errorf("%s: %v named by %d requests, want %v by a few", what, got, asked, indexes)
	}
}

// read is a cycle.
func (g glancing) read() {
	g.Helper()
	for i, o := range g.r.Heads(g.Context(), g.want) {
		if o.Err != nil {
			g.Fatal(fmt.Sprint("repository ", i, ": ", o.Err))
		}
	}
}
