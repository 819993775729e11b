package cli

import (
	"bytes"
	"encoding/json"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tekton-sentry/sentry/pkg/cli/answers"
	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/webhooks"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
)

// shapes are what commands print with -o json, by the name of the schema below docs/json that describes it.
var shapes = map[string]any{
	"status":     overview.Status{},
	"history":    answers.Runs{},
	"statistics": statistics.Statistics{},
	"explain":    answers.Explanations{},
	"webhooks":   []webhooks.Row{},
	// What programs are told of the end of a run, by no command.
	"notification": report.Message{},
}

const shapesDir = "../../docs/json"

// TestShapes writes the schemas with -update, and else checks that they are of today's types. What is in the file is a
// promise to programs: a field may come, and none may go or change its type.
func TestShapes(t *testing.T) {
	for name, value := range shapes {
		s := newShape(t)
		root := s.of(reflect.TypeOf(value))
		root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		root["title"] = "sentry " + name + " -o json"
		switch name {
		case "statistics":
			root["title"] = "sentry history --stats -o json"
		case "webhooks":
			root["title"] = "sentry webhooks ensure -o json"
		case "notification":
			root["title"] = "report.webhook"
		}
		root["$defs"] = s.defs
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(root); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(shapesDir, name+".schema.json")
		if *update {
			if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, text.Bytes()) {
			t.Errorf("%s is not what the types say: go test ./pkg/cli -run TestShapes -update (%v)", file, err)
		}
	}
}

// Without the hosts there is no output of webhooks to try: what its own tests read is such rows.
func TestShapeOfWebhooks(t *testing.T) {
	text, err := json.Marshal([]webhooks.Row{{Names: []string{"web"}, URL: "https://git.example/a", Action: webhooks.Created}, {Names: []string{"api"}, Detail: "why"}})
	if err == nil {
		err = fits("webhooks", string(text))
	}
	if err != nil {
		t.Error(err)
	}
	if err := fits("webhooks", `[{"names": ["web"], "url": "https://git.example/a", "action": "created", "other": 1}]`); err == nil {
		t.Error("what the schema does not have fits it")
	}
}

// fits checks that text is as the schema says.
func fits(name, text string) error {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(shapesDir, name+".schema.json"))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}

// shape makes the schema of types as package json writes them.
type shape struct {
	t    *testing.T
	defs map[string]any
	docs map[string]map[string]string // of the fields, by package and type
}

func newShape(t *testing.T) *shape {
	return &shape{t, map[string]any{}, map[string]map[string]string{}}
}

func (s *shape) of(t reflect.Type) map[string]any {
	switch {
	case t == reflect.TypeFor[time.Time]():
		return map[string]any{"type": "string", "format": "date-time"}
	case t.Kind() == reflect.Pointer:
		return s.of(t.Elem())
	case t.Kind() == reflect.Slice:
		return map[string]any{"type": "array", "items": s.of(t.Elem())}
	case t.Kind() == reflect.Map:
		return map[string]any{"type": "object", "additionalProperties": s.of(t.Elem())}
	case t.Kind() == reflect.Bool:
		return map[string]any{"type": "boolean"}
	case t.Kind() == reflect.Int, t.Kind() == reflect.Int32:
		return map[string]any{"type": "integer"}
	case t.Kind() == reflect.Float64:
		return map[string]any{"type": "number"}
	case t.Kind() == reflect.String:
		return map[string]any{"type": "string"}
	case t.Kind() == reflect.Struct:
		name := strings.TrimPrefix(t.PkgPath(), "github.com/tekton-sentry/sentry/pkg/") + "." + t.Name()
		name = strings.ReplaceAll(name, "/", ".")
		if _, ok := s.defs[name]; !ok {
			s.defs[name] = nil // for types that hold themselves
			properties, required := map[string]any{}, []string{}
			s.fields(t, properties, &required)
			s.defs[name] = map[string]any{"type": "object", "properties": properties, "required": required, "additionalProperties": false}
		}
		return map[string]any{"$ref": "#/$defs/" + name}
	}
	s.t.Fatalf("no schema for %s", t)
	return nil
}

// fields adds the fields of a struct, those of embedded ones too.
func (s *shape) fields(t reflect.Type, properties map[string]any, required *[]string) {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			if f.Type.Kind() == reflect.Struct && f.Type.NumField() > 0 {
				s.fields(f.Type, properties, required)
			}
			continue
		case !f.IsExported() || name == "-":
			continue
		}
		schema := s.of(f.Type)
		if text := s.doc(t, f.Name); text != "" {
			schema["description"] = text
		}
		properties[name] = schema
		if options == "" {
			*required = append(*required, name)
		}
	}
}

// doc returns the comment of a field.
func (s *shape) doc(t reflect.Type, field string) string {
	key := t.PkgPath() + "." + t.Name()
	if s.docs[key] == nil {
		s.parse(t.PkgPath())
	}
	return s.docs[key][field]
}

func (s *shape) parse(path string) {
	dir := filepath.Join("../..", strings.TrimPrefix(path, "github.com/tekton-sentry/sentry/"))
	files, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil || len(files) == 0 {
		s.t.Fatalf("no source of %s: %v", path, err)
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			s.t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			spec, ok := n.(*ast.TypeSpec)
			if !ok {
				return true
			}
			of, ok := spec.Type.(*ast.StructType)
			if !ok {
				return false
			}
			docs := map[string]string{}
			for _, f := range of.Fields.List {
				text := strings.TrimSpace(f.Doc.Text() + f.Comment.Text())
				for _, name := range f.Names {
					docs[name.Name] = strings.Join(strings.Fields(text), " ")
				}
			}
			s.docs[path+"."+spec.Name.Name] = docs
			return false
		})
	}
}
