package config

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/instance"
)

// JSONSchema returns the JSON Schema of a configuration file, from the tables by which it is read. It accepts every file that
// Parse accepts. It cannot say all that Parse says: what one key means for another, what variables hold, what YAML
// itself forbids.
func JSONSchema(known []Host) schema.Shape {
	t := newTables(known)
	root := schema.JSONSchema("", t.file(&Config{}), t.inner)
	root["$schema"] = "http://json-schema.org/draft-07/schema#"
	root["title"] = "sentry.yaml"
	root["definitions"] = schema.Shape{
		"variable": schema.Variable(),
		"pod":      schema.JSONSchema("pod", podFields(Pod{}), t.inner),
		"task":     t.reference(),
		"object":   schema.JSONSchema("object", objectFields(&Object{}), t.inner),
	}
	return root
}

// inner is the shape of what stands below a key of a path, and of the texts that this package has rules for.
func (t *tables) inner(path string, f schema.Field) schema.Shape {
	switch {
	case path == "groups":
		group := schema.JSONSchema("groups.NAME", groupFields(&Group{}), t.inner)
		return schema.Shape{"type": "object", "propertyNames": schema.Pattern(dnsLabel, maxName),
			"additionalProperties": schema.Shape{"anyOf": []schema.Shape{group, {"type": "null"}}}}
	case path == "repositories":
		return schema.Shape{"type": "array", "minItems": 1, "items": schema.JSONSchema("repositories[]", t.repository(&Repository{}), t.inner)}
	case path == "repositories[].deploy":
		return oneRuns(schema.JSONSchema(path, f.Fields, t.inner))
	case path == "repositories[].deploy.task" || path == "repositories[].deploy.pipeline":
		return schema.Shape{"$ref": "#/definitions/task"}
	case f.Want == wantObjects:
		item := schema.OrVariable(schema.Pattern(dnsName, 253), schema.Shape{"$ref": "#/definitions/object"})
		return schema.Shape{"type": "array", "minItems": 1, "maxItems": maxObjects, "items": item}
	case f.Want == wantEnv:
		return environmentShape()
	case f.Key == "pod":
		return schema.Shape{"$ref": "#/definitions/pod"}
	case path == "repositories[].deploy.auth.token":
		return schema.Shape{"type": "string", "pattern": `^\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}$`}
	case path == "repositories[].deploy.auth.username":
		return schema.Shape{"type": schema.Scalar()["type"], "anyOf": []schema.Shape{
			{"pattern": `^\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}$`},
			{"pattern": `^([^$\x00-\x1f\x7f]|\$+[^${\x00-\x1f\x7f]|\$\$\{)+\$*$`},
		}}
	case path == "repositories[].monitor.auth" || path == "repositories[].deploy.auth":
		if f.Fields != nil {
			auth := schema.JSONSchema(path, f.Fields, t.inner)
			auth["dependencies"] = schema.Shape{"username": []string{"token"}}
			return auth
		}
	}
	shape, ok := shapes[f.Want]
	if !ok {
		return nil
	}
	return maps.Clone(shape) // the description goes into it
}

var dnsName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$`)

// shapes are what JSON Schema can say of the texts and lists that a message asks for.
var shapes = map[string]schema.Shape{
	wantName:              schema.OrVariable(schema.Pattern(dnsLabel, maxName)),
	"the name of a group": schema.OrVariable(schema.Pattern(dnsLabel, maxName)),
	wantInstance:          schema.OrVariable(schema.Pattern(dnsLabel, instance.MaxName)),
	wantLabel:             schema.OrVariable(schema.Pattern(dnsLabel, 63)),
	wantDNS:               schema.OrVariable(schema.Pattern(dnsName, 253)),
	wantReference:         schema.OrVariable(schema.Pattern(dnsName, 253)),
	wantResolver:          schema.OrVariable(schema.Pattern(dnsLabel, 63)),
	wantImage:             schema.OrVariable(schema.Pattern(image, 512)),
	wantShell:             schema.OrVariable(schema.Pattern(regexp.MustCompile(`^(/[A-Za-z0-9._-]+)*/(sh|ash|bash|dash)/?$`), 100)),
	wantDir:               schema.OrVariable(mountable()),
	wantMount:             schema.OrVariable(mountable("/tmp", "/var")),
	wantKeys:              {"type": "array", "minItems": 1, "maxItems": maxKeys, "items": schema.OrVariable(keyShape())},
	wantRepo:              schema.OrVariable(address(`/[^?#]*[^/?#]/*$`)),
	wantAPI:               schema.OrVariable(address(`(/[^?#]*)?$`)),
	wantWebhook:           schema.OrVariable(schema.Shape{"enum": []string{""}}, schema.Shape{"type": "string", "pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^/?# ]`}),
	wantCA:                {"type": "string", "pattern": `-----BEGIN CERTIFICATE-----\r?\n[^-]*-----END CERTIFICATE-----`},
	wantProxy:             {"type": "string", "pattern": `^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:0*[1-9][0-9]{0,4})?/?)$`},
	wantNoProxy:           schema.OrVariable(schema.Shape{"type": schema.Scalar()["type"], "maxLength": maxNoProxy, "pattern": `^\s*[A-Za-z0-9._:/*-]+(\s*,\s*[A-Za-z0-9._:/*-]+)*\s*$`}),
	"a branch name":       schema.OrVariable(item(branchName())),
	wantUsername:          {"type": schema.Scalar()["type"], "pattern": `^[^\x00-\x1f\x7f]+$`},
	wantToken:             {"type": schema.Scalar()["type"], "minLength": 1},
	wantCommands:          {"type": "array", "minItems": 1, "items": item(schema.Shape{"pattern": `^[^\x00]*[^\s\x00][^\x00]*$`})},
	wantBranches: {"type": "array", "minItems": 1, "maxItems": maxBranches,
		"items": item(schema.Shape{"if": schema.Shape{"pattern": `[\\+*?()|\[\]{}^$]`}, "else": branchName()})},
}

// reference is the shape of a Task or Pipeline: by name, or by a resolver.
func (t *tables) reference() schema.Shape {
	shape := schema.JSONSchema("task", referenceFields(&Reference{}), t.inner)
	shape["oneOf"] = []schema.Shape{given("name"), given("resolver")}
	shape["if"], shape["then"] = given("resolver_params"), given("resolver")
	return shape
}

// oneRuns says of a `deploy` section that one thing runs, and that commands need a QA repository.
func oneRuns(deploy schema.Shape) schema.Shape {
	deploy["oneOf"] = []schema.Shape{given("commands"), given("task"), given("pipeline")}
	deploy["if"], deploy["then"] = given("commands"), given("qa_repo_url")
	return deploy
}

// given is the shape of a section that has a value at the key.
func given(key string) schema.Shape {
	return schema.Shape{"required": []string{key}, "properties": schema.Shape{key: schema.Shape{"not": schema.Shape{"type": "null"}}}}
}

// environmentShape is the shape of an env section. Its texts refer to no variable.
func environmentShape() schema.Shape {
	name := schema.Pattern(variable, 128)
	name["not"] = schema.Shape{"pattern": `^([Ss][Ee][Nn][Tt][Rr][Yy]_|(` + strings.Join(shellVariables, "|") + `)$)`}
	text := item(schema.Shape{"pattern": `^([^$\x00]|\$+[^${\x00]|\$\$\{)*\$*$`})
	return schema.Shape{"type": "object", "propertyNames": name, "additionalProperties": schema.Shape{"anyOf": []schema.Shape{text, {"type": "null"}}}}
}

// item is the shape of a text with these rules, which may be written as any single value.
func item(rules schema.Shape) schema.Shape {
	rules["type"] = schema.Scalar()["type"]
	return rules
}

// mountable is a directory that isMountable takes, and none of these.
func mountable(but ...string) schema.Shape {
	reserved := strings.Join(slices.Sorted(slices.Values(reservedDirs)), "|")
	not := `(^|/)\.\.?(/|$)|^(` + reserved + `)(/|$)`
	if len(but) > 0 {
		not += `|^(` + strings.Join(but, "|") + `)/*$`
	}
	shape := schema.Pattern(directory, 100)
	shape["not"] = schema.Shape{"pattern": not}
	return shape
}

func keyShape() schema.Shape {
	shape := schema.Pattern(objectKey, 253)
	shape["not"] = schema.Shape{"type": "string", "pattern": `^(\.$|\.\.)`}
	return shape
}

// branchName says what Git forbids, as far as one regular expression can.
func branchName() schema.Shape {
	const forbidden = `[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-|^@$|^HEAD$|\.$|(^|/)(\.|/|$)|\.lock(/|$)`
	return schema.Shape{"minLength": 1, "maxLength": 255, "not": schema.Shape{"type": "string", "pattern": forbidden}}
}

// server is the start of a URL.
const server = `^[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:0*[1-9][0-9]{0,4})?(/|$)`

// address is a URL whose path matches the regular expression.
func address(path string) schema.Shape {
	return schema.Shape{"type": "string", "allOf": []schema.Shape{
		{"pattern": server},
		{"pattern": `^[^:]*://[^/]*` + path},
		{"pattern": `^[^:]*://[^/]*[A-Za-z0-9._~/%+@:,=&;!-]*$`},
	}, "not": schema.Shape{"pattern": `://[^/]*/.*//+[^/]|/\.\.?(/|$)`}}
}
