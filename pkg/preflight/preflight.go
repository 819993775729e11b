// Package preflight checks whether a cluster is ready for Sentry: Tekton, rights, Secrets, Pod Security, and whether it
// would take the PipelineRuns. It changes nothing.
package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

// Level says how a check ended.
type Level string

// The levels. Warn is what works in some clusters, or cannot be told.
const (
	OK   Level = "ok"
	Warn Level = "warn"
	Fail Level = "fail"
)

// Finding is what one check found.
type Finding struct {
	Level  Level
	Check  string
	Detail string // what was found, and what to do
}

// callTimeout bounds one request.
const callTimeout = 15 * time.Second

// mostRuns bounds the PipelineRuns that are tried.
const mostRuns = 20

// Check is what is checked, and where.
type Check struct {
	Cluster *kube.Cluster  // connected to the namespace of the state
	Config  *config.Config // Global.RunsIn is the namespace of the runs
	Account string         // ServiceAccount of Sentry itself
	Tekton  string         // namespace of Tekton's controller
	Beside  bool           // it is another cluster than the one that Sentry runs in, and is asked as Sentry asks it
	Runs    []*v1.PipelineRun
}

// Run does all checks, one after the other.
func (c *Check) Run(ctx context.Context) []Finding {
	version, err := c.serverVersion(ctx)
	if err != nil {
		return []Finding{{Fail, "API server", err.Error()}}
	}
	found := []Finding{{OK, "API server", "Kubernetes " + version}}
	found = append(found, c.tekton(ctx)...)
	found = append(found, c.namespaces(ctx)...)
	found = append(found, c.accounts(ctx)...)
	found = append(found, c.secrets(ctx)...)
	found = append(found, c.objects(ctx)...)
	found = append(found, c.references(ctx)...)
	return append(found, c.dryRun(ctx)...)
}

func (c *Check) runsIn() string {
	if in := c.Config.Global.RunsIn(); in != "" {
		return in
	}
	return c.Cluster.Namespace
}

func (c *Check) of() instance.Instance { return instance.Instance{Name: c.Config.Global.Instance} }

// get reads what is at a path of the API.
func (c *Check) get(ctx context.Context, path string, into any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	result := c.Cluster.Core.Get().AbsPath(path).Do(ctx)
	if err := result.Error(); err != nil { // that of Raw lacks what the server says
		return kube.Explain(err)
	}
	body, _ := result.Raw()
	return json.Unmarshal(body, into)
}

// find reads what is at a path. It says whether that is there, and what to do where it is not.
func (c *Check) find(ctx context.Context, check, path string, into any, missing string) (found Finding, ok bool) {
	switch err := c.get(ctx, path, into); {
	case apierrors.IsNotFound(err):
		return Finding{Fail, check, missing}, false
	case err != nil:
		return Finding{Warn, check, "cannot be read by you: " + err.Error()}, false
	}
	return Finding{OK, check, "is there"}, true
}

// post asks a question that the API answers as an object.
func (c *Check) post(ctx context.Context, path string, question, answer any) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	body, err := json.Marshal(question)
	if err != nil {
		return err
	}
	result := c.Cluster.Core.Post().AbsPath(path).SetHeader("Content-Type", "application/json").Body(body).Do(ctx)
	if err := result.Error(); err != nil {
		return kube.Explain(err)
	}
	body, _ = result.Raw()
	return json.Unmarshal(body, answer)
}

func (c *Check) serverVersion(ctx context.Context) (string, error) {
	var version struct{ GitVersion string }
	if err := c.get(ctx, "/version", &version); err != nil {
		return "", err
	}
	return version.GitVersion, nil
}

// tekton checks that Tekton serves what Sentry creates, and how it is set up.
func (c *Check) tekton(ctx context.Context) []Finding {
	const check = "Tekton Pipelines"
	var served struct {
		Resources []struct{ Name string }
	}
	if err := c.get(ctx, "/apis/tekton.dev/v1", &served); apierrors.IsNotFound(err) {
		return []Finding{{Fail, check, "the cluster does not serve tekton.dev/v1: install Tekton Pipelines, https://tekton.dev/docs/installation/pipelines/"}}
	} else if err != nil {
		return []Finding{{Fail, check, err.Error()}}
	}
	version, flags := corev1.ConfigMap{}, corev1.ConfigMap{}
	found := []Finding{}
	if err := c.get(ctx, c.path(c.Tekton, "configmaps", "pipelines-info"), &version); err != nil {
		found = append(found, Finding{Warn, check, "its version cannot be told: " + err.Error() + elsewhere(err)})
	} else {
		found = append(found, tektonVersion(version.Data["version"]))
	}
	if err := c.get(ctx, c.path(c.Tekton, "configmaps", "feature-flags"), &flags); err != nil {
		return append(found, Finding{Warn, "Tekton's flags", "cannot be read: " + err.Error() + elsewhere(err)})
	}
	enforced, err := c.enforced(ctx)
	return append(found, tektonFlags(flags.Data, c.Tekton, enforced, err == nil, c.Config)...)
}

// elsewhere tells of the flag where Tekton is not in its usual namespace.
func elsewhere(err error) string {
	if apierrors.IsNotFound(err) {
		return "; where Tekton is in another namespace, give --tekton-namespace"
	}
	return ""
}

// path is that of an object.
func (c *Check) path(namespace, resource, name string) string {
	return "/api/v1/namespaces/" + namespace + "/" + resource + "/" + name
}

// enforced returns the Pod Security Standard of the namespace of the runs; "" for none.
func (c *Check) enforced(ctx context.Context) (string, error) {
	var namespace corev1.Namespace
	if err := c.get(ctx, "/api/v1/namespaces/"+c.runsIn(), &namespace); err != nil {
		return "", err
	}
	return namespace.Labels["pod-security.kubernetes.io/enforce"], nil
}

// namespaces checks that the namespaces are there.
func (c *Check) namespaces(ctx context.Context) []Finding {
	var found []Finding
	home := c.Cluster.Namespace
	for _, name := range distinct(home, c.runsIn()) {
		var namespace corev1.Namespace
		check := "namespace " + name
		f, ok := c.find(ctx, check, "/api/v1/namespaces/"+name, &namespace, "is not there: kubectl apply -k manifests, or name another with --namespace and --run-namespace")
		if ok {
			f = podSecurity(check, namespace.Labels["pod-security.kubernetes.io/enforce"])
		}
		found = append(found, f)
	}
	if home == c.runsIn() && !c.Beside {
		found = append(found, Finding{Warn, "two namespaces", "Sentry and its runs share " + home +
			": whoever may write to a QA repository can read Sentry's credentials and act as it; set global.run_namespace where these are not the same people"})
	}
	return found
}

// distinct returns the texts without repetitions.
func distinct(texts ...string) []string {
	var out []string
	for _, s := range texts {
		if !slices.Contains(out, s) {
			out = append(out, s)
		}
	}
	return out
}

// secrets checks that what the runs and Sentry take from Secrets is there. No value leaves this function.
func (c *Check) secrets(ctx context.Context) []Finding {
	var found []Finding
	if !c.Beside {
		found = append(found, c.key(ctx))
	}
	name, wanted := c.Config.Global.CredentialsSecret, deployVariables(c.Config)
	if len(wanted) == 0 {
		return found
	}
	check := fmt.Sprintf("Secret %s/%s", c.runsIn(), name)
	var secret corev1.Secret
	f, ok := c.find(ctx, check, c.path(c.runsIn(), "secrets", name), &secret, fmt.Sprintf("is not there, and the clone takes %s from it: kubectl -n %s create secret generic %s --from-literal=…",
		strings.Join(wanted, ", "), c.runsIn(), name))
	if ok {
		f = keysOf(check, secret.Data, wanted)
	}
	return append(found, f)
}

// key checks the Secret with the key behind the names of runs.
func (c *Check) key(ctx context.Context) Finding {
	name := c.of().Key()
	check := fmt.Sprintf("Secret %s/%s", c.Cluster.Namespace, name)
	f, _ := c.find(ctx, check, c.path(c.Cluster.Namespace, "secrets", name), &corev1.Secret{}, fmt.Sprintf("is not there, and Sentry may not create it: kubectl -n %s create secret generic %s; Sentry fills it", c.Cluster.Namespace, name))
	return f
}

// dryRun asks the API server whether it would take the PipelineRuns.
func (c *Check) dryRun(ctx context.Context) []Finding {
	const check = "PipelineRuns"
	runs := c.Runs[:min(len(c.Runs), mostRuns)]
	taken := 0
	var found []Finding
	for _, pr := range runs {
		err := c.create(ctx, pr)
		switch {
		case err == nil:
			taken++
		case apierrors.IsForbidden(err) && strings.Contains(err.Error(), " cannot "):
			return append(found, Finding{Warn, check, "cannot be tried by you: " + err.Error()})
		default:
			found = append(found, Finding{Fail, "PipelineRun " + pr.Name, kube.Explain(err).Error()})
		}
	}
	if taken > 0 {
		detail := fmt.Sprintf("%d of %d would be taken", taken, len(runs))
		if more := len(c.Runs) - len(runs); more > 0 {
			detail += fmt.Sprintf(" (%d more were not tried)", more)
		}
		found = append([]Finding{{OK, check, detail}}, found...)
	}
	return found
}

func (c *Check) create(ctx context.Context, pr *v1.PipelineRun) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	pr = pr.DeepCopy()
	pr.Namespace = c.runsIn()
	return c.Cluster.Tekton.Post().Namespace(pr.Namespace).Resource("pipelineruns").Param("dryRun", "All").Body(pr).Do(ctx).Error()
}
