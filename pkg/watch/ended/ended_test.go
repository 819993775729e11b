package ended

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// TestTheirs leaves out what a run says of repositories that run in another cluster.
func TestTheirs(t *testing.T) {
	cfg := &config.Config{
		Clusters: map[string]config.Cluster{"prod": {}}, Groups: map[string]config.Group{"shop": {Cluster: "prod"}},
		Repositories: []config.Repository{{Name: "web", Group: "shop", Deploy: &config.Deploy{}}, {Name: "lib", Deploy: &config.Deploy{}}},
	}
	member := func(name string) result.Member {
		return result.Member{Ref: result.Ref{Ref: repo.Ref{Repository: name}}, Verdict: result.Succeeded}
	}
	members := func() []result.Member { return []result.Member{member("web"), member("lib"), member("gone")} }
	of := []result.Result{{Cluster: "prod", Members: members()}, {Members: members()}, {Cluster: "staging", Members: members()}}
	theirs := Theirs(cfg, naming.NewIndex(cfg.Repositories), of)
	for i, want := range []string{"web gone ", "lib gone ", "gone "} {
		got := ""
		for _, m := range theirs[i].Members {
			got += m.Repository + " "
		}
		if got != want || len(of[i].Members) != 3 {
			t.Errorf("of %q: %q is left of %d, want %q", of[i].Cluster, got, len(of[i].Members), want)
		}
	}
}
