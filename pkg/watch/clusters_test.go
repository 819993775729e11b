package watch

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/engine/clusters"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton"
	"github.com/tekton-sentry/sentry/pkg/engine/tekton/keys"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state/configmap"
)

const twoClusters = "clusters: {prod: {context: prod, namespace: deploy}}\ngroups: {shop: {clusters: [prod]}}\nrepositories:"

// between has a world work on two API servers, the second of which is the cluster prod.
func (w *world) between(home, prod *kube.Cluster) {
	of := instance.Instance{}
	in := tekton.New(home, "", of)
	both := clusters.New(in)
	both.Now, both.Try = w.watcher.Now, func(f func()) { f() }
	both.Set(map[string]*tekton.Engine{"prod": in.Beside(prod, "test", "prod")}, nil)
	w.watcher.Engine, w.watcher.Store, w.watcher.Key = both, configmap.New(home, of), keys.Of(home, of)
}

// TestEndsElsewhere reads only for so long how runs ended in another cluster that is slow to tell.
func TestEndsElsewhere(t *testing.T) {
	here, home := kubetest.New(t)
	there, prod := kubetest.New(t)
	secret(here, "")
	w := newWorld(t, twoClusters+entry("b", "group: shop"))
	w.between(home, prod)
	looks := 0
	w.watcher.Result = func(context.Context, engine.Run) (result.Result, error) {
		for range 6 { // seconds
			w.watcher.Now()
		}
		looks++
		return result.Result{}, errors.New("not yet")
	}
	for _, digit := range []string{"1", "2", "3", "4", "5", "6"} {
		w.set("b", "main", digit)
		looks = 0
		w.cycle()
		finishRuns(there, "")
	}
	if n := len(runsIn(t, there)); looks != 2 || n != 5 {
		t.Errorf("%d runs were looked at before the last of %d, want as many as take ten seconds", looks, n)
	}
}

// together are Heads that answer all at once.
type together struct{ Heads }

func (h together) Each(ctx context.Context, want []config.Monitor, answered func(map[int]repo.Observation)) {
	all := map[int]repo.Observation{}
	var mu sync.Mutex
	h.Heads.Each(ctx, want, func(some map[int]repo.Observation) {
		mu.Lock()
		defer mu.Unlock()
		maps.Copy(all, some)
	})
	answered(all)
}

// TestClustersAtOnce asks clusters in which something is due at once: none of them waits for another one that hangs.
func TestClustersAtOnce(t *testing.T) {
	here, home := kubetest.New(t)
	there, prod := kubetest.New(t)
	asked := make(chan bool)
	there.Fault = func(_ http.ResponseWriter, r *http.Request) bool { // each list is answered beside another one
		if r.Method == http.MethodGet && strings.Contains(r.URL.Query().Get("labelSelector"), " in (") {
			select {
			case asked <- true:
			case <-asked:
			case <-r.Context().Done():
			}
		}
		return false
	}
	secret(here, "")
	w := newWorld(t, "clusters: {prod: {context: prod, namespace: deploy}, test: {context: test, namespace: deploy}}\n"+
		"groups: {shop: {clusters: [prod]}, try: {clusters: [test]}}\nrepositories:"+entry("a", "group: shop")+entry("b", "group: try"))
	w.watcher.Heads = together{w}
	of := instance.Instance{}
	in := tekton.New(home, "", of)
	both := clusters.New(in)
	both.Set(map[string]*tekton.Engine{"prod": in.Beside(prod, "test", "prod"), "test": in.Beside(prod, "test", "test")}, nil)
	w.watcher.Engine, w.watcher.Store, w.watcher.Key = both, configmap.New(home, of), keys.Of(home, of)
	for _, digit := range []string{"1", "2"} {
		w.set("a", "main", digit)
		w.set("b", "main", digit)
		w.cycle()
	}
	if got := runsIn(t, there); !slices.Equal(got, []string{" 2", " 2"}) {
		t.Errorf("runs are %q, want one in each\n%s", got, &w.log)
	}
}

// TestClusterOfMany begins nothing in a cluster before all of its runs are known, and holds nothing else while they are listed.
func TestClusterOfMany(t *testing.T) {
	here, home := kubetest.New(t)
	there, prod := kubetest.New(t)
	listed := make(chan bool)
	there.Fault = func(_ http.ResponseWriter, r *http.Request) bool {
		if r.Method == http.MethodGet && !strings.Contains(r.URL.Query().Get("labelSelector"), " in (") {
			<-listed
		}
		return false
	}
	secret(here, "")
	w := newWorld(t, twoClusters+entry("a", "")+entry("b", "group: shop"))
	w.between(home, prod)
	w.watcher.Engine.(*clusters.Engine[*tekton.Engine]).Patience = 1
	for _, digit := range []string{"1", "2"} {
		w.set("a", "main", digit)
		w.set("b", "main", digit)
		w.cycle()
	}
	if home, prod := runsIn(t, here), runsIn(t, there); !slices.Equal(home, []string{" 2"}) || len(prod) > 0 {
		t.Errorf("while the runs in prod are listed there are %q and %q\n%s", home, prod, &w.log)
	}
	close(listed)
	for len(runsIn(t, there)) == 0 && t.Context().Err() == nil {
		w.cycle()
	}
	if s, _ := w.watcher.Store.Load(t.Context()); s.Units["shop"].Problem != nil {
		t.Errorf("the problem stays: %+v", s.Units["shop"].Problem)
	}
}

// TestClusters has a unit run in another API server, which goes down and comes back: what is owed there runs once, and nothing else waits.
func TestClusters(t *testing.T) {
	here, home := kubetest.New(t)
	there, prod := kubetest.New(t)
	var down atomic.Bool
	there.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		if down.Load() {
			kubetest.Refuse(w, http.StatusInternalServerError, "InternalError", "etcd is away")
		}
		return down.Load()
	}
	secret(here, "")
	files := twoClusters + entry("a", "") + entry("b", "group: shop")
	w := newWorld(t, files)
	w.between(home, prod)
	check := func(what string, inHome, inProd []string) {
		t.Helper()
		if got := runsIn(t, here); !slices.Equal(got, inHome) {
			t.Errorf("%s: in the cluster of Sentry %q, want %q\n%s", what, got, inHome, &w.log)
		}
		if got := runsIn(t, there); !slices.Equal(got, inProd) {
			t.Errorf("%s: in prod %q, want %q\n%s", what, got, inProd, &w.log)
		}
	}
	push := func(digit string) {
		w.set("a", "main", digit)
		w.set("b", "main", digit)
		w.cycle()
	}
	push("1")
	push("2")
	check("a push to each", []string{" 2"}, []string{" 2"})
	finishRuns(here, "")
	finishRuns(there, "")
	down.Store(true)
	push("3")
	check("prod is down", []string{" 2", " 3"}, []string{" 2"})
	finishRuns(here, "")
	s, err := w.watcher.Store.Load(t.Context())
	if p := s.Units["shop"].Problem; err != nil || p == nil || p.Kind != "cluster" || !strings.Contains(p.Message, "the cluster prod") {
		t.Errorf("the problem of the unit is %+v, %v", p, err)
	}
	if p := s.Units["a.main"].Problem; p != nil {
		t.Errorf("the other unit has the problem %+v", p)
	}
	down.Store(false)
	w.between(home, prod)
	w.cycle()
	w.cycle()
	check("it is back", []string{" 2", " 3"}, []string{" 2", " 3"})
	finishRuns(there, "")
	if s, _ := w.watcher.Store.Load(t.Context()); s.Units["shop"].Problem != nil {
		t.Errorf("the problem stays: %+v", s.Units["shop"].Problem)
	}

	// A Sentry dies after it made a run there, and the branch is reset as prod is down: the next one does not know of the run.
	before := here.Get(core + "configmaps/sentry-state")
	push("4")
	check("before it dies", []string{" 2", " 3", " 4"}, []string{" 2", " 3", " 4"})
	finishRuns(here, "")
	finishRuns(there, "")
	here.Put(core+"configmaps/sentry-state", before)
	down.Store(true)
	w.start(files)
	w.between(home, prod)
	push("3")
	push("3")
	check("another one starts while prod is down", []string{" 2", " 3", " 3", " 4"}, []string{" 2", " 3", " 4"})
	finishRuns(here, "")
	down.Store(false)
	w.between(home, prod)
	w.cycle()
	w.cycle()
	check("prod is back, and its branch was reset", []string{" 2", " 3", " 3", " 4"}, []string{" 2", " 3", " 3", " 4"})
	finishRuns(there, "")
	w.cycle()
	check("nothing is due any more", []string{" 2", " 3", " 3", " 4"}, []string{" 2", " 3", " 3", " 4"})
}
