// Package shape makes JSON Schemas of Go types, as package json writes their values, with the comments of their fields as
// descriptions. It reads our own source: it is for what is generated, and no program links it.
package shape

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"strings"
	"time"
)

const module = "github.com/tekton-sentry/sentry/"

// Shapes makes the schemas of types, which refer to each other.
type Shapes struct {
	Root   string // the folder of the module
	At     string // where Defs will be, such as #/$defs/
	Closed bool   // whether an object has no other properties
	// Defs are the schemas of all structs so far, by the names of their types below pkg, such as cli.overview.Unit.
	Defs map[string]any

	docs map[string]map[string]string // comments of fields, by package and type
}

// Of returns the schema of a type, or an error of one for which there is none.
func (s *Shapes) Of(t reflect.Type) (map[string]any, error) {
	switch t.Kind() {
	case reflect.Pointer:
		return s.Of(t.Elem())
	case reflect.Slice:
		items, err := s.Of(t.Elem())
		return map[string]any{"type": "array", "items": items}, err
	case reflect.Map:
		values, err := s.Of(t.Elem())
		return map[string]any{"type": "object", "additionalProperties": values}, err
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int32:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Struct:
		if t == reflect.TypeFor[time.Time]() {
			return map[string]any{"type": "string", "format": "date-time"}, nil
		}
		return s.object(t)
	}
	return nil, fmt.Errorf("no schema for %s", t)
}

func (s *Shapes) object(t reflect.Type) (map[string]any, error) {
	name := strings.TrimPrefix(t.PkgPath(), module+"pkg/") + "." + t.Name()
	name = strings.ReplaceAll(name, "/", ".")
	if s.Defs == nil {
		s.Defs, s.docs = map[string]any{}, map[string]map[string]string{}
	}
	if _, ok := s.Defs[name]; !ok {
		s.Defs[name] = nil // for types that hold themselves
		properties, required := map[string]any{}, []string{}
		if err := s.fields(t, properties, &required); err != nil {
			return nil, err
		}
		object := map[string]any{"type": "object", "properties": properties, "required": required}
		if s.Closed {
			object["additionalProperties"] = false
		}
		s.Defs[name] = object
	}
	return map[string]any{"$ref": s.At + name}, nil
}

// fields adds the fields of a struct, those of embedded ones too.
func (s *Shapes) fields(t reflect.Type, properties map[string]any, required *[]string) error {
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous && name == "":
			if f.Type.Kind() == reflect.Struct && f.Type.NumField() > 0 {
				if err := s.fields(f.Type, properties, required); err != nil {
					return err
				}
			}
			continue
		case !f.IsExported() || name == "-":
			continue
		}
		schema, err := s.Of(f.Type)
		if err != nil {
			return fmt.Errorf("%s of %s: %w", f.Name, t, err)
		}
		text, err := s.doc(t, f.Name)
		if err != nil {
			return err
		}
		if text != "" {
			schema["description"] = text
		}
		properties[name] = schema
		if options == "" {
			*required = append(*required, name)
		}
	}
	return nil
}

// doc returns the comment of a field.
func (s *Shapes) doc(t reflect.Type, field string) (string, error) {
	key := t.PkgPath() + "." + t.Name()
	if s.docs[key] == nil {
		if err := s.parse(t.PkgPath()); err != nil {
			return "", err
		}
	}
	return s.docs[key][field], nil
}

// parse reads the comments of the fields of a package's structs.
func (s *Shapes) parse(path string) error {
	files, err := filepath.Glob(filepath.Join(s.Root, strings.TrimPrefix(path, module), "*.go"))
	if err != nil || len(files) == 0 {
		return fmt.Errorf("no source of %s: %v", path, err) //nolint:errorlint // it may be none
	}
	for _, file := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return err
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
	return nil
}
