package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// objects checks that the Secrets and ConfigMaps that commands need are there, with their keys. No value leaves it.
func (c *Check) objects(ctx context.Context) []Finding {
	var found []Finding
	told := map[string]bool{}
	look := func(kind, resource string, o config.Object) {
		check := fmt.Sprintf("%s %s/%s", kind, c.runsIn(), o.Name)
		wanted := fmt.Sprint(check, o.Keys)
		if o.Optional || told[wanted] {
			return
		}
		told[wanted] = true
		var object struct {
			Data       map[string]json.RawMessage `json:"data"`
			BinaryData map[string]json.RawMessage `json:"binaryData"`
		}
		f, ok := c.find(ctx, check, c.path(c.runsIn(), resource, o.Name), &object, "is not there, and commands need it: make it in "+c.runsIn()+", or say optional: true")
		var lacks []string
		for _, key := range o.Keys {
			if object.Data[key] == nil && object.BinaryData[key] == nil {
				lacks = append(lacks, key)
			}
		}
		if ok && len(lacks) > 0 {
			f = Finding{Fail, check, "lacks " + strings.Join(lacks, ", ") + ", which commands need: add what is missing, or say optional: true"}
		}
		found = append(found, f)
	}
	for _, r := range c.Config.Repositories {
		for _, o := range r.Deploy.Secrets {
			look("Secret", "secrets", o)
		}
		for _, o := range r.Deploy.ConfigMaps {
			look("ConfigMap", "configmaps", o)
		}
	}
	return found
}

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
		f, _ := c.find(ctx, check, "/apis/tekton.dev/v1/namespaces/"+c.runsIn()+"/"+resource+"/"+r.Name, &struct{}{},
			"is not there, and a deployment runs it: apply it in "+c.runsIn()+", or name a resolver that gets it from elsewhere")
		found = append(found, f)
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
