package config

import (
	"maps"
	"regexp"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/commits"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/config/kind"
	"github.com/tekton-sentry/sentry/pkg/config/order"
	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/refs"
	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/config/timing"
	"github.com/tekton-sentry/sentry/pkg/instance"
)

// JSONSchema returns the JSON Schema of a configuration file, from the tables by which it is read. It accepts every file that
// Parse accepts. It cannot say all that Parse says: what one key means for another, what variables hold, what YAML
// itself forbids.
func JSONSchema(known []Host) schema.Shape {
	t := newTables(known)
	root := schema.JSONSchema("", t.file(&Config{}), t.inner)
	root["anyOf"] = []schema.Shape{schema.Given("repositories"), schema.Given("discover")}
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "sentry.yaml"
	root["definitions"] = schema.Shape{
		"variable": schema.Variable(),
		"pod":      schema.JSONSchema("pod", section.PodFields(section.Pod{}), t.inner),
		"task":     section.ReferenceShape(t.inner),
		"report":   schema.JSONSchema("report", section.ReportField(&section.Report{}).Fields, t.inner),
		"object":   schema.JSONSchema("object", section.ObjectFields(&section.Object{}), t.inner),
	}
	return root
}

// inner is the shape of what stands below a key of a path, and of the texts that this package has rules for.
func (t *tables) inner(path string, f schema.Field) schema.Shape {
	switch {
	case path == "groups":
		group := schema.JSONSchema("groups.NAME", groupFields(&Group{}), t.inner)
		return schema.Shape{"type": "object", "propertyNames": schema.Pattern(rule.DNSLabel, rule.MaxName),
			"additionalProperties": schema.Shape{"anyOf": []schema.Shape{group, {"type": "null"}}}}
	case path == "clusters":
		return place.Shape(schema.JSONSchema("clusters.NAME", place.Fields(&Cluster{}), t.inner))
	case path == "repositories":
		return schema.Shape{"type": "array", "minItems": 1, "items": schema.JSONSchema("repositories[]", t.repository(newRepository()), t.inner)}
	case path == "discover":
		return schema.Shape{"type": "array", "minItems": 1, "items": schema.JSONSchema("discover[]", t.discovery(&Discovery{}, nil), t.inner)}
	case path == "discover[].template":
		return schema.JSONSchema("template", t.template(newRepository()), func(path string, f schema.Field) schema.Shape {
			if path == "template.monitor" {
				return nil
			}
			return t.inner(strings.Replace(path, "template.", "repositories[].", 1), f)
		})
	case path == "repositories[].monitor":
		monitor := schema.JSONSchema(path, f.Fields, t.inner)
		monitor["anyOf"] = []schema.Shape{schema.Given("branches"), schema.Given("tags"), schema.Given("pull_requests")}
		return monitor
	case path == "repositories[].deploy":
		return oneRuns(schema.JSONSchema(path, f.Fields, t.inner))
	case path == "repositories[].deploy.task" || path == "repositories[].deploy.pipeline":
		return schema.Shape{"$ref": "#/definitions/task"}
	case f.Want == section.WantObjects:
		item := schema.OrVariable(schema.Pattern(rule.DNSName, 253), schema.Shape{"$ref": "#/definitions/object"})
		return schema.Shape{"type": "array", "minItems": 1, "maxItems": section.MaxObjects, "items": item}
	case f.Want == section.WantEnv:
		return section.EnvShape()
	case f.Key == "report":
		return schema.Shape{"$ref": "#/definitions/report"}
	case f.Key == "pod":
		return schema.Shape{"$ref": "#/definitions/pod"}
	case path == "repositories[].deploy.auth.token" || path == "webhooks.secret":
		return schema.Shape{"type": "string", "pattern": section.OneReference}
	case path == "repositories[].deploy.auth.username":
		return schema.Shape{"type": schema.Scalar()["type"], "anyOf": []schema.Shape{
			{"pattern": section.OneReference},
			{"pattern": `^([^$\x00-\x1f\x7f]|\$+[^${\x00-\x1f\x7f]|\$\$\{)+\$*$`},
		}}
	case path == "repositories[].monitor.auth" || path == "repositories[].deploy.auth":
		if f.Fields != nil {
			auth := schema.JSONSchema(path, f.Fields, t.inner)
			auth["dependencies"] = schema.Shape{"username": []string{"token"}}
			return auth
		}
	}
	for _, known := range []map[string]schema.Shape{shapes, section.Shapes, commits.Shapes, order.Shapes, discover.Shapes, place.Shapes} {
		if shape, ok := known[f.Want]; ok {
			return maps.Clone(shape) // the description goes into it
		}
	}
	return nil
}

// shapes are what JSON Schema can say of the texts and lists that a message asks for.
var shapes = map[string]schema.Shape{
	wantName:              schema.OrVariable(schema.Pattern(rule.DNSLabel, rule.MaxName)),
	"the name of a group": schema.OrVariable(schema.Pattern(rule.DNSLabel, rule.MaxName)),
	wantInstance:          schema.OrVariable(schema.Pattern(rule.DNSLabel, instance.MaxName)),
	wantLabel:             schema.OrVariable(schema.Pattern(rule.DNSLabel, 63)),
	rule.WantDNS:          schema.OrVariable(schema.Pattern(rule.DNSName, 253)),
	wantImage:             schema.OrVariable(schema.Pattern(rule.Image, 512)),
	wantRegistry:          schema.OrVariable(schema.Item(schema.Pattern(rule.Registry, 200))),
	wantShell:             schema.OrVariable(schema.Pattern(regexp.MustCompile(`^(/[A-Za-z0-9._-]+)*/(sh|ash|bash|dash)/?$`), 100)),
	rule.WantRepo:         schema.OrVariable(kind.AddressShape(`/[^?#]*[^/?#]/*$`), schema.Shape{"type": "string", "pattern": kind.OverSSH}),
	rule.WantAPI:          schema.OrVariable(kind.AddressShape(`(/[^?#]*)?$`)),
	section.WantWebhook:   schema.OrVariable(schema.Shape{"enum": []string{""}}, schema.Shape{"type": "string", "pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^/?# ]`}),
	timing.WantWindows:    timing.Shape(),
	"a branch name":       schema.OrVariable(schema.Item(refs.NameShape())),
	section.WantCommands:  {"type": "array", "minItems": 1, "items": schema.Item(schema.Shape{"pattern": `^[^\x00]*[^\s\x00][^\x00]*$`})},
	refs.Want: {"type": "array", "minItems": 1, "maxItems": refs.Max,
		"items": schema.Item(schema.Shape{"if": schema.Shape{"pattern": `[\\+*?()|\[\]{}^$]`}, "else": refs.NameShape()})},
}

// oneRuns says of a `deploy` section that one thing runs, and that commands need a QA repository and no Pipeline beside them.
func oneRuns(deploy schema.Shape) schema.Shape {
	deploy["oneOf"] = []schema.Shape{schema.Given("commands"), schema.Given("task"), schema.Given("pipeline")}
	deploy["if"], deploy["then"] = schema.Shape{"anyOf": []schema.Shape{schema.Given("commands"), schema.Given("rollback_commands")}}, schema.Given("qa_repo_url")
	deploy["not"] = schema.Shape{"allOf": []schema.Shape{schema.Given("pipeline"), schema.Given("rollback_commands")}}
	return deploy
}
