package preflight

import (
	"context"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// references checks that the Tasks and Pipelines that deployments name are there. What a resolver gets is not looked for.
func (c *Check) references(ctx context.Context) []Finding {
	var found []Finding
	told := map[string]bool{}
	look := func(kind, resource string, r *config.Reference) {
		check := fmt.Sprintf("%s %s/%s", kind, c.runsIn(), r.Name)
		if r.Name == "" || told[check] {
			return
		}
		told[check] = true
		var object struct{}
		switch err := c.get(ctx, "/apis/tekton.dev/v1/namespaces/"+c.runsIn()+"/"+resource+"/"+r.Name, &object); {
		case apierrors.IsNotFound(err):
			found = append(found, Finding{Fail, check, "is not there, and a deployment runs it: apply it in " + c.runsIn() + ", or name a resolver that gets it from elsewhere"})
		case err != nil:
			found = append(found, Finding{Warn, check, "cannot be read: " + err.Error()})
		default:
			found = append(found, Finding{OK, check, "is there"})
		}
	}
	for _, r := range c.Config.Repositories {
		if r.Deploy.Task != nil {
			look("Task", "tasks", r.Deploy.Task)
		} else if r.Deploy.Pipeline != nil {
			look("Pipeline", "pipelines", r.Deploy.Pipeline)
		}
	}
	return found
}
