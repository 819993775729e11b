package watch

import (
	"fmt"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// forge puts the n-th run of a unit into the engine, for this commit, as somebody can who may create PipelineRuns, knows
// the epoch and sees all other runs, but has no key. The unit is the group, or the repository's branch main.
func (s *story) forge(group, repository string, n int, commit string) {
	s.t.Helper()
	var made file
	if made.set(repository, nil); group != "" {
		made.groups = []string{mapping(group, nil)}
		made.set(repository, []string{"group=" + group})
	}
	cfg, err := config.Parse([]byte(made.yaml()), hosts.Options(nil))
	if err != nil {
		s.t.Fatal(err)
	}
	snapshot, err := state.Decode(s.store.text)
	if err != nil {
		s.t.Fatal(err)
	}
	old := state.Branch{SHA: repo.SHA(strings.Repeat("e", 40)), N: n - 1}
	snapshot.Repositories = map[string]state.Repository{repository: {Branches: state.NewBranches(map[string]state.Branch{"main": old})}}
	heads := map[string]repo.SHA{"main": repo.SHA(strings.Repeat(commit, 40))}
	run := plan.Make(plan.Input{Config: cfg, Snapshot: snapshot, Observed: []repo.Observation{{Heads: heads}}, Now: time.Now()}).Runs[0]
	pr, err := pipelinerun.Generate(cfg, run)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, other := range s.engine.PipelineRuns {
		if signature := other.Annotations[pipelinerun.AnnotationSignature]; signature != "" {
			metav1.SetMetaDataAnnotation(&pr.ObjectMeta, pipelinerun.AnnotationSignature, signature)
		}
	}
	pr.CreationTimestamp = metav1.NewTime(time.Now())
	s.engine.Add(pr)
	s.names[pr.Name] = fmt.Sprintf("forged-%s#%d", run.Unit.Label, n)
}

// named returns the run that is printed as this.
func (s *story) named(shown string) *v1.PipelineRun {
	s.t.Helper()
	for name, as := range s.names {
		if pr := s.engine.Find(name); as == shown && pr != nil {
			return pr
		}
	}
	s.t.Fatalf("there is no run %s", shown)
	return nil
}

func (s *story) end(well bool, shown []string) {
	var names []string
	for _, text := range shown {
		names = append(names, s.named(text).Name)
	}
	s.engine.End(well, names...)
}
