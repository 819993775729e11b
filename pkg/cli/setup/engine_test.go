package setup

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const runsIn = "/apis/tekton.dev/v1/namespaces/test/pipelineruns/"

func put(s *kubetest.Server, name, unit string) {
	s.Put(runsIn+name, kubetest.Object{"metadata": kubetest.Object{"name": name, "namespace": "test", "uid": "u-" + name, "creationTimestamp": "2026-01-01T00:00:00Z", "labels": kubetest.Object{
		"app.kubernetes.io/managed-by": "sentry", "tekton-sentry.dev/unit": unit,
	}}})
}

// TestAnotherOfThatName leaves each run of this cluster to itself, whatever somebody in another cluster calls theirs.
func TestAnotherOfThatName(t *testing.T) {
	here, home := kubetest.New(t)
	there, _ := kubetest.New(t)
	server := httptest.NewServer(there)
	defer server.Close()
	put(here, "shop-1", "shop")
	put(there, "shop-1", "pay")
	put(there, "pay-1", "pay")
	o := &Options{}
	e := o.EngineOn(home, "test", instance.Instance{}, map[string]config.Cluster{"prod": {Name: "prod", Namespace: "test", Kubeconfig: secret.New("${K}", fmt.Sprintf(
		`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: %q}}], contexts: [{name: c, context: {cluster: c}}]}`, server.URL))}})
	for _, units := range [][]string{nil, {"prod/pay"}, {"shop", "prod/pay"}} {
		if _, err := e.Runs(t.Context(), units); err != nil {
			t.Fatal(err)
		}
		for name, want := range map[string]string{"shop-1": "", "pay-1": "prod", "prod/shop-1": "prod"} {
			if in, _, err := e.Find(name); err != nil || in.In != want {
				t.Errorf("after the runs of %q: %s is looked for in %q, %v, want %q", units, name, in.In, err, want)
			}
		}
	}
	if err := e.Annotate(t.Context(), "shop-1", "note", "yes"); err != nil || !strings.Contains(fmt.Sprint(here.Get(runsIn+"shop-1")), "note:yes") || strings.Contains(fmt.Sprint(there.Get(runsIn+"shop-1")), "note") {
		t.Errorf("annotated: %v, %v here and %v there", err, here.Get(runsIn+"shop-1"), there.Get(runsIn+"shop-1"))
	}
	there.Fault = func(w http.ResponseWriter, _ *http.Request) bool {
		kubetest.Refuse(w, http.StatusInternalServerError, "InternalError", "etcd is away")
		return true
	}
	ended := engine.Run{Existing: plan.Existing{Cluster: "prod", Name: "pay-1", Unit: "pay"}}
	if _, err := e.Result(t.Context(), ended); err == nil || e.Down("prod") == nil {
		t.Errorf("how a run ended in a cluster that is away: %v, and it is %v", err, e.Down("prod"))
	}
}
