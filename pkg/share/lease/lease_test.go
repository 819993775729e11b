package lease

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
)

const leases = "/apis/coordination.k8s.io/v1/namespaces/test/leases"

// replicas are some keepers with one clock, which looks in turn.
type replicas struct {
	t       *testing.T
	now     time.Time
	cluster *kube.Cluster
	log     bytes.Buffer
}

func newReplicas(t *testing.T) (*replicas, *kubetest.Server) {
	s, c := kubetest.New(t)
	return &replicas{t: t, now: time.Date(2026, 11, 27, 3, 0, 0, 0, time.UTC), cluster: c}, s
}

func (r *replicas) keeper(of, name string) *Keeper {
	return &Keeper{
		Cluster: r.cluster, Of: instance.Instance{Name: of}, Name: name, Log: slog.New(slog.NewTextHandler(&r.log, nil)),
		Now: func() time.Time { return r.now }, since: r.now, seen: map[string]sighting{},
	}
}

// look has them look as often as they do, for so long.
func (r *replicas) look(during time.Duration, of ...*Keeper) {
	r.t.Helper()
	for end := r.now.Add(during); r.now.Before(end); r.now = r.now.Add(renewEvery) {
		for _, k := range of {
			if err := k.look(r.t.Context()); err != nil {
				r.t.Fatal(err)
			}
		}
	}
}

func (r *replicas) expect(k *Keeper, want ...string) {
	r.t.Helper()
	if got := k.Members(); !slices.Equal(got, want) {
		r.t.Errorf("%s sees %q alive, want %q", k.Name, got, want)
	}
}

// The members are those who renew, the oldest first, and of one Sentry alone.
func TestMembers(t *testing.T) {
	r, _ := newReplicas(t)
	b := r.keeper("", "b")
	r.look(renewEvery, b)
	a, other := r.keeper("", "a"), r.keeper("blue", "c")
	r.look(renewEvery, b, a, other)
	r.look(renewEvery, b)
	r.expect(a, "b", "a")
	r.expect(b, "b", "a")
	r.expect(other, "c")
}

// Who stops is taken over from in less than 20 seconds, and knows by itself that it is not to be counted on.
func TestStandstill(t *testing.T) {
	r, _ := newReplicas(t)
	a, b := r.keeper("", "a"), r.keeper("", "b")
	r.look(2*renewEvery, a, b)
	stopped := r.now
	r.look(duration-renewEvery, b)
	r.expect(b, "a", "b")
	for len(b.Members()) > 1 {
		r.look(renewEvery, b)
	}
	if took := r.now.Sub(stopped); took > 20*time.Second {
		t.Errorf("the takeover took %s, want at most 20s", took)
	}
	r.expect(a)
	r.look(renewEvery, a, b)
	r.look(renewEvery, b)
	r.expect(a, "a", "b")
	r.expect(b, "a", "b")
}

// While the API server is gone, no replica believes itself one for longer than the others do.
func TestWithoutAPIServer(t *testing.T) {
	r, s := newReplicas(t)
	a := r.keeper("", "a")
	r.look(renewEvery, a)
	s.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	if err := a.look(t.Context()); err == nil || !strings.Contains(err.Error(), "list the Leases in test") {
		t.Errorf("look() = %v, want what it lacks", err)
	}
	r.expect(a, "a")
	r.now = r.now.Add(duration)
	r.expect(a)
	s.Fault = nil
	r.look(renewEvery, a)
	r.expect(a, "a")
}

// A replica that cannot see the others works on nothing, and so it does not keep them from its share.
func TestWithoutTheList(t *testing.T) {
	r, s := newReplicas(t)
	a, b := r.keeper("", "a"), r.keeper("", "b")
	r.look(2*renewEvery, a, b)
	s.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method == http.MethodGet {
			w.WriteHeader(http.StatusForbidden)
			return true
		}
		return false
	}
	deaf := r.now
	for range 2 * duration / renewEvery {
		if err := a.look(t.Context()); err == nil {
			t.Fatal("the list was not refused")
		}
		fault := s.Fault
		s.Fault = nil
		r.look(renewEvery, b)
		s.Fault = fault
	}
	r.expect(a)
	r.expect(b, "b")
	if took := r.now.Sub(deaf); took > 30*time.Second {
		t.Errorf("that took %s", took)
	}
}

// What was seen of Leases that are gone is forgotten, and the deletion of one that is refused is tried now and then.
func TestLeasesThatAreGone(t *testing.T) {
	r, s := newReplicas(t)
	a := r.keeper("", "a")
	for i := range 10 { // as pods come and go
		pod := r.keeper("", fmt.Sprintf("pod-%d", i))
		r.look(renewEvery, a, pod)
		r.look(renewEvery, a)
		pod.leave(t.Context())
	}
	r.look(renewEvery, a, r.keeper("", "killed"))
	r.look(renewEvery, a)
	if n := len(a.seen); n != 1 {
		t.Errorf("%d Leases of others are kept in mind, want that of the one which was killed", n)
	}
	deletes := 0
	s.Fault = func(w http.ResponseWriter, req *http.Request) bool {
		if req.Method != http.MethodDelete {
			return false
		}
		deletes++
		w.WriteHeader(http.StatusForbidden)
		return true
	}
	for range 24 {
		r.now = r.now.Add(150 * time.Second)
		r.look(renewEvery, a)
	}
	if deletes < 2 || deletes > 6 {
		t.Errorf("in an hour it was tried %d times to delete it, want some five", deletes)
	}
}

// A replica that ends leaves at once, and the Lease of one that was killed is deleted some time later.
func TestLeave(t *testing.T) {
	r, s := newReplicas(t)
	a, b, killed := r.keeper("", "a"), r.keeper("", "b"), r.keeper("", "killed")
	r.look(renewEvery, a, b, killed)
	ctx, end := context.WithCancel(t.Context())
	var saw [][]string
	a.Keep(ctx, func(members []string) {
		saw = append(saw, members)
		end()
	})
	if len(saw) != 1 || len(saw[0]) != 3 {
		t.Errorf("it saw %q, want all three once", saw)
	}
	r.look(renewEvery, b)
	r.expect(b, "b", "killed")
	r.look(forgetAfter+renewEvery, b)
	r.expect(b, "b")
	if names := s.Names(leases); !slices.Equal(names, []string{"sentry-replica-b"}) {
		t.Errorf("the Leases %q are left, want that of b", names)
	}
}

// What each replica is known by is told of all, also of one that is gone, whose Lease is there still.
func TestSeen(t *testing.T) {
	r, _ := newReplicas(t)
	began := r.now
	a := r.keeper("", "a")
	r.look(renewEvery, a)
	b := r.keeper("", "b")
	r.look(2*renewEvery, a, b)
	gone := r.now
	r.look(duration+renewEvery, a)
	want := []Member{{"a", began, r.now.Add(-renewEvery), true}, {"b", began.Add(renewEvery), gone, false}}
	got := a.Seen()
	for i := range got {
		got[i].Since, got[i].Seen = got[i].Since.UTC(), got[i].Seen.UTC()
	}
	if !slices.Equal(got, want) {
		t.Errorf("a sees\n%v\nwant\n%v", got, want)
	}
	r.now = r.now.Add(duration)
	for _, m := range a.Seen() {
		if m.Alive {
			t.Errorf("%s is alive for one that stood still", m.Name)
		}
	}
}

// A Lease with a holder that was never renewed, which others may write, is that of no replica.
func TestNeverRenewed(t *testing.T) {
	r, _ := newReplicas(t)
	a, b := r.keeper("", "a"), r.keeper("", "b")
	never := b.lease(r.now)
	never.Spec.RenewTime = nil
	if err := b.renew(t.Context(), never); err != nil {
		t.Fatal(err)
	}
	r.look(2*renewEvery, a)
	if seen := a.Seen(); len(seen) != 1 || seen[0].Name != "a" {
		t.Errorf("a sees %v, want itself alone", seen)
	}
}
