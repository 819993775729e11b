package section

import (
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// OneReference is a pattern of texts that are one ${NAME}.
const OneReference = `^\$\{[A-Za-z_][A-Za-z0-9_]*(:-)?\}$`

// Shapes are what JSON Schema can say of the texts and lists that a message of these sections asks for.
var Shapes = map[string]schema.Shape{
	WantUsername:       {"type": schema.Scalar()["type"], "pattern": `^[^\x00-\x1f\x7f]+$`},
	WantToken:          {"type": schema.Scalar()["type"], "minLength": 1},
	WantSSHKey:         {"type": "string", "pattern": OneReference},
	WantSSHCertificate: {"type": "string", "pattern": OneReference},
	WantApp:            schema.OrVariable(schema.Shape{"type": []string{"string", "integer"}, "pattern": `^([1-9][0-9]{0,18}|Iv[A-Za-z0-9.]{1,60})$`}),
	WantInstallation:   schema.OrVariable(schema.Shape{"type": []string{"string", "integer"}, "pattern": `^[1-9][0-9]{0,18}$`}),
	WantAppKey:         {"type": "string", "pattern": OneReference},
	WantKnownHosts:     {"type": "string", "anyOf": []schema.Shape{{"pattern": OneReference}, {"pattern": `^([^$]|\$+[^${]|\$\$\{)*\$*$`, "minLength": 1}}},
	rule.WantDir:       schema.OrVariable(mountable()),
	WantReference:      schema.OrVariable(schema.Pattern(rule.DNSName, 253)),
	wantResolver:       schema.OrVariable(schema.Pattern(rule.DNSLabel, 63)),
	wantMount:          schema.OrVariable(mountable("/tmp", "/var")),
	wantKeys:           {"type": "array", "minItems": 1, "maxItems": maxKeys, "items": schema.OrVariable(keyShape())},
	wantReceiver:       schema.OrVariable(schema.Shape{"enum": []string{""}}, schema.Shape{"type": "string", "pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^/?# ]`}),
	wantOccasions:      {"type": "array", "minItems": 1, "items": schema.OrVariable(schema.Shape{"enum": occasions})},
	wantTarget:         schema.OrVariable(schema.Shape{"type": "string", "maxLength": maxTarget, "pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^/?# {]+([/?#]|$)`}),
	wantEndpoint:       schema.OrVariable(schema.Shape{"enum": []string{""}}, schema.Shape{"type": "string", "pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^/?#@ ]+(/[^?#]*)?$`}),
	wantHeaders:        {"type": "string", "pattern": `\$\{[A-Za-z_]`},
	wantCA:             {"type": "string", "pattern": `-----BEGIN CERTIFICATE-----\r?\n[^-]*-----END CERTIFICATE-----`},
	wantProxy:          {"type": "string", "pattern": `^(\$\{[A-Za-z_][A-Za-z0-9_]*\}|[Hh][Tt][Tt][Pp][Ss]?://([A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:.]+\])(:0*[1-9][0-9]{0,4})?/?)$`},
	wantNoProxy:        schema.OrVariable(schema.Shape{"type": schema.Scalar()["type"], "maxLength": maxNoProxy, "pattern": `^\s*[A-Za-z0-9._:/*-]+(\s*,\s*[A-Za-z0-9._:/*-]+)*\s*$`}),
}

// ReferenceShape is the shape of a Task or Pipeline: by name, or by a resolver.
func ReferenceShape(inner func(path string, f schema.Field) schema.Shape) schema.Shape {
	shape := schema.JSONSchema("task", ReferenceFields(&Reference{}), inner)
	shape["oneOf"] = []schema.Shape{schema.Given("name"), schema.Given("resolver")}
	shape["if"], shape["then"] = schema.Given("resolver_params"), schema.Given("resolver")
	return shape
}

// EnvShape is the shape of an env section. Its texts refer to no variable.
func EnvShape() schema.Shape {
	name := schema.Pattern(variable, 128)
	name["not"] = schema.Shape{"pattern": `^([Ss][Ee][Nn][Tt][Rr][Yy]_|(` + strings.Join(shellVariables, "|") + `)$)`}
	text := schema.Item(schema.Shape{"pattern": `^([^$\x00]|\$+[^${\x00]|\$\$\{)*\$*$`})
	return schema.Shape{"type": "object", "propertyNames": name, "additionalProperties": schema.Shape{"anyOf": []schema.Shape{text, {"type": "null"}}}}
}

// mountable is a directory that rule.IsMountable takes, and none of these.
func mountable(but ...string) schema.Shape {
	reserved := strings.Join(slices.Sorted(slices.Values(rule.ReservedDirs)), "|")
	not := `(^|/)\.\.?(/|$)|^(` + reserved + `)(/|$)`
	if len(but) > 0 {
		not += `|^(` + strings.Join(but, "|") + `)/*$`
	}
	shape := schema.Pattern(rule.Directory, 100)
	shape["not"] = schema.Shape{"pattern": not}
	return shape
}

func keyShape() schema.Shape {
	shape := schema.Pattern(objectKey, 253)
	shape["not"] = schema.Shape{"type": "string", "pattern": `^(\.$|\.\.)`}
	return shape
}
