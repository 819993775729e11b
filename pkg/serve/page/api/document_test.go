package api

import (
	"bytes"
	"encoding/json"
	"flag"
	"os"
	"reflect"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/shape"
)

var update = flag.Bool("update", false, "write openapi.json")

type object = map[string]any

// documentOf returns the OpenAPI document of the endpoints.
func documentOf(t *testing.T) object {
	s := shape.Shapes{Root: "../../../..", At: "#/components/schemas/"}
	schema := func(value any) object {
		of, err := s.Of(reflect.TypeOf(value))
		if err != nil {
			t.Fatal(err)
		}
		return of
	}
	body := func(kind string, value any) object { return object{kind: object{"schema": schema(value)}} }
	text := object{"type": "string"}
	headers := object{
		"ETag":        object{"schema": text, "description": "What If-None-Match has, to be told that nothing has changed."},
		troubleHeader: object{"schema": text, "description": "Why what is known could not be read again; absent where it could. It is quoted."},
		gapHeader:     object{"schema": text, "description": "Why the history cannot be read, so that what is left of the runs is all that is known of their ends; absent where it can be read. It is quoted."},
	}
	problem := func(about string) object {
		return object{"description": about, "content": body(problemType, Problem{})}
	}
	responses := object{
		"NotModified": object{"description": "The client has the answer, by its If-None-Match."},
		"Bad":         problem("What is asked for cannot be understood, or is too much at once."),
		"Missing":     problem("Nothing is known of what is asked for."),
		"Unread":      problem("What is known, or the history, cannot be read now."),
		"Refused":     problem("Refused: another method than GET and HEAD, a body, another site's request, a host name that was not given, or an address that is too long."),
	}
	refer := func(name string) object { return object{"$ref": "#/components/responses/" + name} }
	paths := object{}
	for _, e := range endpoints {
		answers := object{
			"200": object{"description": e.about, "headers": headers, "content": body(jsonType, e.value)},
			"304": refer("NotModified"), "503": refer("Unread"), "default": refer("Refused"),
		}
		if len(e.params) > 0 {
			answers["400"] = refer("Bad")
		}
		if e.missing {
			answers["404"] = refer("Missing")
		}
		params := []object{}
		for _, p := range e.params {
			of := object{"type": "string", "minLength": 1, "maxLength": maxName}
			switch {
			case p.most > 0:
				of = object{"type": "integer", "minimum": p.least, "maximum": p.most, "default": p.usual}
			case p.many:
				of = object{"type": "array", "items": of, "maxItems": maxNames}
			case p.name == fromParam.name:
				of = text
			}
			one := object{"name": p.name, "in": p.place, "description": p.about, "schema": of}
			if p.required {
				one["required"] = true
			}
			params = append(params, one)
		}
		operation := object{"operationId": e.id, "summary": e.about, "responses": answers}
		if len(params) > 0 {
			operation["parameters"] = params
		}
		paths[Root+e.path] = object{"get": operation}
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "Sentry", "version": "1", "license": object{"name": "Apache-2.0", "identifier": "Apache-2.0"},
			"description": "What Sentry's page shows, as JSON. It only reads. A field may come, and none goes or changes its type.",
		},
		"servers":    []object{{"url": "/"}},
		"paths":      paths,
		"components": object{"responses": responses, "schemas": s.Defs},
	}
}

// TestDocument writes the document with -update, and else checks that it is of today's table and types.
func TestDocument(t *testing.T) {
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(documentOf(t)); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile("openapi.json", text.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if got, err := os.ReadFile("openapi.json"); err != nil || !bytes.Equal(got, text.Bytes()) {
		t.Errorf("openapi.json is not what the table and the types say: go test ./pkg/serve/page/api -update (%v)", err)
	}
}
