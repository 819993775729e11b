package plan

import (
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

// TestRunsOfAnotherCluster believes a run in the cluster for which it was signed alone, and gives no two clusters a name.
func TestRunsOfAnotherCluster(t *testing.T) {
	for name, key := range map[string]naming.Key{
		"with a key":    {Secret: strings.Repeat("k", 32), Since: noon.Add(-time.Hour)},
		"with a name":   {Secret: strings.Repeat("k", 32), Since: noon.Add(-time.Hour), Instance: "prod"},
		"without a key": {},
	} {
		names := map[string]string{}
		for _, in := range []string{"", "prod", "staging"} {
			r := made(key.In(in), 2)
			if r.Cluster = in; !r.Ours(key, "e1") {
				t.Errorf("%s: a run in %q is not ours", name, in)
			}
			if other, taken := names[r.Name]; taken {
				t.Errorf("%s: %q and %q have the same name", name, in, other)
			}
			names[r.Name] = in
			for _, elsewhere := range []string{"", "prod", "staging"} {
				if r.Cluster = elsewhere; elsewhere != in && r.Ours(key, "e1") {
					t.Errorf("%s: a run of %q is believed in %q", name, in, elsewhere)
				}
			}
		}
	}
	r := newRun(Input{Config: &config.Config{Groups: map[string]config.Group{"shop": {Name: "shop", Cluster: "prod"}}}}, naming.Unit{Label: "shop", Prefix: "shop"},
		Trigger{Refs: []Change{{N: 1, New: sha("b")}}}, []Member{{Repository: &config.Repository{Name: "web", Group: "shop", Deploy: &config.Deploy{}}}}, nil)
	if r.At() != "prod/shop" || r.Existing().At() != "prod/"+r.Name {
		t.Errorf("the run is at %q, as %q", r.At(), r.Existing().At())
	}
}
