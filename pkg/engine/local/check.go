package local

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tektoncd/pipeline/pkg/apis/config"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/plan"
)

// honoured are the fields of spec that this engine acts upon, or that mean nothing on one machine. A list's
// elements are written []; "**" is everything below. Tasks and finally tasks have the same.
var honoured = map[string]bool{
	"taskRunTemplate.**":                              true,
	"taskRunSpecs[].pipelineTaskName":                 true,
	"taskRunSpecs[].serviceAccountName":               true,
	"taskRunSpecs[].podTemplate.**":                   true,
	"taskRunSpecs[].computeResources.**":              true,
	"taskRunSpecs[].metadata.**":                      true,
	"timeouts.**":                                     true,
	"pipelineSpec.displayName":                        true,
	"pipelineSpec.description":                        true,
	"pipelineSpec.params[].name":                      true,
	"pipelineSpec.params[].type":                      true,
	"pipelineSpec.params[].default":                   true,
	"task.name":                                       true,
	"task.displayName":                                true,
	"task.description":                                true,
	"task.runAfter[]":                                 true,
	"task.when[].input":                               true,
	"task.when[].operator":                            true,
	"task.when[].values[]":                            true,
	"task.onError":                                    true,
	"task.timeout":                                    true,
	"task.params[].name":                              true,
	"task.params[].value":                             true,
	"task.taskSpec.metadata.**":                       true,
	"task.taskSpec.displayName":                       true,
	"task.taskSpec.description":                       true,
	"task.taskSpec.params[].name":                     true,
	"task.taskSpec.params[].type":                     true,
	"task.taskSpec.params[].description":              true,
	"task.taskSpec.params[].default":                  true,
	"task.taskSpec.volumes[].name":                    true,
	"task.taskSpec.volumes[].emptyDir.**":             true,
	"task.taskSpec.volumes[].secret.**":               true,
	"task.taskSpec.volumes[].configMap.**":            true,
	"task.taskSpec.volumes[].downwardAPI.**":          true, // of the pod, which is none here
	"container.name":                                  true,
	"container.displayName":                           true,
	"container.image":                                 true,
	"container.imagePullPolicy":                       true,
	"container.script":                                true,
	"container.args[]":                                true,
	"container.computeResources.**":                   true,
	"container.securityContext.**":                    true,
	"container.volumeMounts[].name":                   true,
	"container.volumeMounts[].mountPath":              true,
	"container.volumeMounts[].readOnly":               true,
	"container.volumeMounts[].subPath":                true,
	"container.env[].name":                            true,
	"container.env[].value":                           true,
	"container.env[].valueFrom.secretKeyRef.name":     true,
	"container.env[].valueFrom.secretKeyRef.key":      true,
	"container.env[].valueFrom.secretKeyRef.optional": true,
	"container.env[].valueFrom.configMapKeyRef.**":    true,
	"container.envFrom[].secretRef.**":                true,
	"container.envFrom[].configMapRef.**":             true,
}

// foreign finds variables whose values only a cluster has, or that need results, which are not kept here.
var foreign = regexp.MustCompile(`\$\((?:(?:context|workspaces|results|steps?)\.|tasks\.[^()]*\.(?:results|reason|outputs))[^()]*\)`)

// sections shorten a field's path to the one in honoured.
var sections = []struct{ long, short string }{
	{"pipelineSpec.tasks[].", "task."},
	{"pipelineSpec.finally[].", "task."},
	{"task.taskSpec.stepTemplate.", "container."},
	{"task.taskSpec.steps[].", "container."},
}

// clusterOnly is why a run is none for this machine.
type clusterOnly struct{ repository, key string }

func (c clusterOnly) Error() string {
	return fmt.Sprintf("deploy.%s of %s is what a cluster has, and this machine has none of it: it can run in a cluster only, without --local", c.key, c.repository)
}

// ProblemKind returns the kind as the state remembers it.
func (clusterOnly) ProblemKind() string { return plan.CannotGenerate }

// needsCluster says which member is a Task or Pipeline of a cluster.
func needsCluster(run plan.Run) error {
	for _, m := range run.Members {
		switch d := m.Repository.Deploy; {
		case m.Untrusted(): // a process of this machine can read what its user can
			return fmt.Errorf("%s is the request of a fork, whose code is that of strangers: it runs on a cluster alone, or with monitor.pull_requests.secrets: exposed-to-forks", m.Ref())
		case d.Reference() != nil:
			return clusterOnly{m.Repository.Name, map[bool]string{true: "task", false: "pipeline"}[d.Task != nil]}
		}
	}
	return nil
}

// check returns a copy of the run with Tekton's defaults filled in, after Tekton's own validation, or an
// error that names all that this engine does not do.
func check(ctx context.Context, pr *v1.PipelineRun) (*v1.PipelineRun, error) {
	run := pr.DeepCopy()
	ctx = apis.WithinCreate(config.ToContext(ctx, config.FromContextOrDefaults(ctx)))
	run.SetDefaults(ctx)
	if err := run.Validate(ctx); err != nil {
		return nil, fmt.Errorf("PipelineRun %s: %w", pr.Name, err)
	}
	if run.Spec.PipelineSpec == nil {
		return nil, fmt.Errorf("PipelineRun %s: only a run with an embedded pipelineSpec can run on this machine", pr.Name)
	}
	text, err := json.Marshal(run.Spec)
	if err != nil {
		return nil, fmt.Errorf("PipelineRun %s: %w", pr.Name, err)
	}
	var spec any
	if err := json.Unmarshal(text, &spec); err != nil {
		return nil, fmt.Errorf("PipelineRun %s: %w", pr.Name, err)
	}
	problems := map[string]bool{}
	walk(spec, "", problems)
	for _, pt := range slices.Concat(run.Spec.PipelineSpec.Tasks, run.Spec.PipelineSpec.Finally) {
		checkTask(pt, problems)
	}
	if len(problems) > 0 {
		return nil, fmt.Errorf("PipelineRun %s cannot run on this machine, only in a cluster: %s",
			pr.Name, strings.Join(slices.Sorted(maps.Keys(problems)), "; "))
	}
	return run, nil
}

// walk collects the fields that are not honoured, and the variables that are not known.
func walk(value any, path string, problems map[string]bool) {
	switch value := value.(type) {
	case map[string]any:
		for key, v := range value {
			walk(v, strings.TrimPrefix(path+"."+key, "."), problems)
		}
	case []any:
		for _, v := range value {
			walk(v, path+"[]", problems)
		}
	case nil:
	default:
		if !isHonoured(path) {
			problems[path+" is not supported"] = true
		}
		if text, ok := value.(string); ok {
			for _, variable := range foreign.FindAllString(text, -1) {
				problems[fmt.Sprintf("%s has %.80q, which is not supported", path, variable)] = true
			}
		}
	}
}

func isHonoured(path string) bool {
	for _, s := range sections {
		if rest, ok := strings.CutPrefix(path, s.long); ok {
			path = s.short + rest
		}
	}
	for i, c := range path {
		if c == '.' && honoured[path[:i]+".**"] {
			return true
		}
	}
	return honoured[path]
}

// checkTask finds what the fields alone do not tell.
func checkTask(pt v1.PipelineTask, problems map[string]bool) {
	if pt.TaskSpec == nil {
		return // taskRef and the like were found by walk
	}
	for _, s := range pt.TaskSpec.Steps {
		if s.Script == "" {
			problems[fmt.Sprintf("step %s of task %s has no script", s.Name, pt.Name)] = true
		}
	}
	for _, v := range pt.TaskSpec.Volumes {
		if _, _, files := filesOf(v); v.EmptyDir == nil && v.DownwardAPI == nil && !files {
			problems[fmt.Sprintf("volume %s of task %s is no emptyDir, Secret or ConfigMap", v.Name, pt.Name)] = true
		}
	}
}
