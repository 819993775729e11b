package pipelinerun

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// What deploy.task and deploy.pipeline make of a run. Their params are no place for text from outside: what Tekton
// substitutes in them it substitutes again in the Task, the kubelet expands it in variables, and neither knows an escape. So a
// fact with a $ in it, as a branch may have, is refused.

// variables are the facts of a deployment as its commands see them, by the name of the variable. Where no tags and no requests are
// watched they are as they were before there were such.
func variables(run plan.Run, m plan.Member) [][2]string {
	facts := facts(run, m)
	_, tag := repo.Tag(m.Branch)
	_, request := repo.RequestNumber(m.Branch)
	tag = tag || len(m.Repository.Monitor.Branches.Tags()) > 0
	return slices.DeleteFunc(facts, func(f [2]string) bool {
		switch f[0] {
		case "SENTRY_REF":
			return !tag && !request
		case "SENTRY_TAG":
			return !tag
		}
		return slices.Contains(ofRequests, f[0]) && !request
	})
}

// ofRequests are the variables that requests alone have.
var ofRequests = []string{"SENTRY_REQUEST", "SENTRY_TARGET_BRANCH", "SENTRY_TARGET_SHA", "SENTRY_FORK"}

// facts are all variables.
func facts(run plan.Run, m plan.Member) [][2]string {
	branch, fork := m.Branch, ""
	tag, isTag := repo.Tag(m.Branch)
	number, isRequest := repo.RequestNumber(m.Branch)
	if !isTag {
		tag = ""
	}
	if isTag || isRequest {
		branch = ""
	}
	if isRequest {
		fork = strconv.FormatBool(!m.Request.Own)
	} else {
		number = ""
	}
	return [][2]string{
		{"SENTRY_REPO", m.Repository.Name},
		{"SENTRY_PROJECT_NAME", m.Repository.Project},
		{"SENTRY_GROUP", run.Group.Name},
		{"SENTRY_REPO_URL", m.Repository.Monitor.URL},
		{"SENTRY_BRANCH", branch},
		{"SENTRY_TAG", tag},
		{"SENTRY_REF", repo.Full(m.Branch)},
		{"SENTRY_REQUEST", number},
		{"SENTRY_TARGET_BRANCH", m.Request.Target},
		{"SENTRY_TARGET_SHA", string(m.Request.TargetSHA)},
		{"SENTRY_FORK", fork},
		{"SENTRY_SHA", string(m.SHA)},
		{"SENTRY_PREVIOUS_SHA", string(m.Previous)},
		{"SENTRY_SUCCEEDED_SHA", string(m.Succeeded)},
		{"SENTRY_QA_SHA", string(m.QASHA)},
		{"SENTRY_RUN", run.Name},
	}
}

// placeholders are the same facts by the name that a placeholder has for them.
func placeholders(run plan.Run, m plan.Member) map[string]string {
	named := make(map[string]string)
	for _, v := range facts(run, m) {
		named[strings.ToLower(strings.TrimPrefix(v[0], "SENTRY_"))] = v[1]
	}
	return named
}

// expandable is a fact that no param can hold.
type expandable struct{ fact, value string }

func (u expandable) Error() string {
	return fmt.Sprintf("the %s %.100q has a $ in it, which Tekton and the kubelet may take for a variable in a param: rename it, or use commands in place of the Task or Pipeline", u.fact, u.value)
}

// fillIn returns the text with the facts in place of its placeholders.
func fillIn(text string, facts map[string]string) (string, error) {
	var err error
	filled := section.Placeholder.ReplaceAllStringFunc(text, func(found string) string {
		name := strings.Trim(found, "{} ")
		if strings.Contains(facts[name], "$") && err == nil {
			err = expandable{name, facts[name]}
		}
		return facts[name]
	})
	return filled, err
}

// params returns Tekton's params, sorted by name: texts, lists of texts, and maps of texts.
func params(at string, values map[string]any, facts map[string]string) (v1.Params, error) {
	var all v1.Params
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		value, err := param(values[name], facts)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s.%s: %w", at, name, err))
			continue
		}
		all = append(all, v1.Param{Name: name, Value: value})
	}
	return all, errors.Join(errs...)
}

func param(value any, facts map[string]string) (v1.ParamValue, error) {
	var errs []error
	text := func(value any) string {
		s, ok := value.(string)
		if !ok {
			errs = append(errs, errors.New("is nested too deep; want a text, a list of texts, or a section of texts"))
		}
		s, err := fillIn(s, facts)
		errs = append(errs, err)
		return s
	}
	p := v1.ParamValue{Type: v1.ParamTypeString}
	switch value := value.(type) {
	case []any:
		p.Type = v1.ParamTypeArray
		for _, item := range value {
			p.ArrayVal = append(p.ArrayVal, text(item))
		}
	case map[string]any:
		p.Type, p.ObjectVal = v1.ParamTypeObject, make(map[string]string)
		for _, key := range slices.Sorted(maps.Keys(value)) {
			p.ObjectVal[key] = text(value[key])
		}
	default:
		p.StringVal = text(value)
	}
	return p, errors.Join(errs...)
}

// given is what a Task or a Pipeline is run with.
type given struct {
	resolver   v1.ResolverRef
	params     v1.Params
	workspaces []v1.WorkspaceBinding // by the names that the Task or Pipeline has for them
}

func give(key string, run plan.Run, m plan.Member) (g given, err error) {
	r, facts := m.Repository.Deploy.Reference(), placeholders(run, m)
	var errs [3]error
	g.resolver.Resolver = v1.ResolverName(r.Resolver)
	g.resolver.Params, errs[0] = params("deploy."+key+".resolver_params", r.ResolverParams, facts)
	g.params, errs[1] = params("deploy."+key+".params", r.Params, facts)
	g.workspaces, errs[2] = workspaces("deploy."+key+".workspaces", r.Workspaces)
	return g, errors.Join(errs[:]...)
}

// workspaces reads what a PipelineRun would have in a list, sorted by name.
func workspaces(at string, values map[string]any) ([]v1.WorkspaceBinding, error) {
	var all []v1.WorkspaceBinding
	var errs []error
	for _, name := range slices.Sorted(maps.Keys(values)) {
		var w v1.WorkspaceBinding
		errs = append(errs, pod.Decode(values[name], &w, at+"."+name))
		w.Name = name
		all = append(all, w)
	}
	return all, errors.Join(errs...)
}

// referTo makes the task of a member one that refers to a Task, and gives the run its workspaces.
func referTo(pr *v1.PipelineRun, run plan.Run, m plan.Member, task *v1.PipelineTask) error {
	g, err := give("task", run, m)
	if err != nil {
		return err
	}
	task.TaskRef = &v1.TaskRef{Name: m.Repository.Deploy.Task.Name, ResolverRef: g.resolver}
	task.Params = g.params
	for _, w := range g.workspaces {
		// Those of a run have names of their own: two members may have the same for different ones.
		name := m.Task + "." + w.Name
		task.Workspaces = append(task.Workspaces, v1.WorkspacePipelineTaskBinding{Name: w.Name, Workspace: name})
		pr.Spec.PipelineSpec.Workspaces = append(pr.Spec.PipelineSpec.Workspaces, v1.PipelineWorkspaceDeclaration{Name: name})
		w.Name = name
		pr.Spec.Workspaces = append(pr.Spec.Workspaces, w)
	}
	return nil
}

// pipeline makes the run one of a Pipeline, which is all that it does.
func pipeline(pr *v1.PipelineRun, run plan.Run) error {
	m := run.Members[0]
	d := m.Repository.Deploy
	own, err := pod.Read(d.Pod)
	if err != nil {
		return err
	}
	g, err := give("pipeline", run, m)
	if err != nil {
		return err
	}
	pr.Spec.PipelineSpec = nil
	pr.Spec.PipelineRef = &v1.PipelineRef{Name: d.Pipeline.Name, ResolverRef: g.resolver}
	pr.Spec.Params, pr.Spec.Workspaces = g.params, g.workspaces
	pr.Spec.TaskRunTemplate = v1.PipelineTaskRunTemplate{ServiceAccountName: d.ServiceAccount, PodTemplate: own.Template()}
	pr.Spec.Timeouts = &v1.TimeoutFields{Pipeline: &metav1.Duration{Duration: d.Timeout}}
	// Tekton gives them to the TaskRuns, and to their pods.
	meta := own.Metadata(pr.Labels)
	pr.Labels = meta.Labels
	maps.Copy(pr.Annotations, own.Annotations)
	return nil
}

// refused returns the members of which a param would have to hold what it cannot.
func refused(run plan.Run) map[repo.Ref]bool {
	var refs map[repo.Ref]bool
	for _, m := range run.Members {
		if m.Repository.Deploy.Reference() == nil {
			continue
		}
		if _, err := give("", run, m); errors.As(err, new(expandable)) {
			if refs == nil {
				refs = make(map[repo.Ref]bool)
			}
			refs[m.Ref()] = true
		}
	}
	return refs
}
