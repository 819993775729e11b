// Package graphqltest answers GraphQL queries from memory, by the schema of a host.
package graphqltest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// Schema is that of one host, with the queries that it was asked.
type Schema struct {
	*ast.Schema
	mu      sync.Mutex
	queries map[string]*ast.QueryDocument // that were valid, by their text
}

// MustLoad reads a schema in which types may have a field twice, as GitHub's has at times.
func MustLoad(name, text string) *Schema {
	document, err := parser.ParseSchemas(validator.Prelude, &ast.Source{Name: name, Input: text})
	if err != nil {
		panic(err)
	}
	for _, d := range document.Definitions {
		known := make(map[string]bool)
		d.Fields = slices.DeleteFunc(d.Fields, func(f *ast.FieldDefinition) bool {
			twice := known[f.Name]
			known[f.Name] = true
			return twice
		})
	}
	schema, err := validator.ValidateSchemaDocument(document)
	if err != nil {
		panic(err)
	}
	return &Schema{Schema: schema, queries: make(map[string]*ast.QueryDocument)}
}

// Question is a GraphQL query that follows the host's schema.
type Question struct {
	document  *ast.QueryDocument
	Variables map[string]any
	Fields    []*ast.Field // the outermost
}

// Object is what a field of an object type answers. A value may be a function of the field's arguments.
type Object map[string]any

// Problem is an entry of "errors".
type Problem struct {
	Type    string `json:"type,omitempty"`
	Path    []any  `json:"path,omitempty"`
	Message string `json:"message"`
}

// Parse reads a request, and validates it. A query that was valid before still is.
func (s *Schema) Parse(req *http.Request) (*Question, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var sent struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(req.Body).Decode(&sent); err != nil {
		return nil, fmt.Errorf("the body is no query: %w", err)
	}
	document := s.queries[sent.Query]
	if document == nil {
		var errs gqlerror.List
		if document, errs = gqlparser.LoadQueryWithRules(s.Schema, sent.Query, nil); len(errs) > 0 {
			return nil, errs
		}
		if len(s.queries) == 1000 {
			clear(s.queries)
		}
		s.queries[sent.Query] = document
	}
	if len(document.Operations) != 1 {
		return nil, fmt.Errorf("%d operations in a query, want one", len(document.Operations))
	}
	variables, err := validator.VariableValues(s.Schema, document.Operations[0], sent.Variables)
	if err != nil {
		return nil, err
	}
	q := &Question{document: document, Variables: variables}
	q.Fields = Flatten(document.Operations[0].SelectionSet)
	return q, nil
}

// Flatten returns the fields of a selection, through its fragments.
func Flatten(set ast.SelectionSet) []*ast.Field {
	var fields []*ast.Field
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			fields = append(fields, s)
		case *ast.FragmentSpread:
			fields = append(fields, Flatten(s.Definition.SelectionSet)...)
		case *ast.InlineFragment:
			fields = append(fields, Flatten(s.SelectionSet)...)
		}
	}
	return fields
}

// Answer returns what a query asks for of root, and the problems that the outermost fields have.
func (q *Question) Answer(root func(field *ast.Field, args map[string]any) (any, *Problem)) (map[string]any, []Problem) {
	data, problems := make(map[string]any), []Problem(nil)
	for _, f := range q.Fields {
		value, p := root(f, f.ArgumentMap(q.Variables))
		if p != nil {
			p.Path = []any{f.Alias}
			problems = append(problems, *p)
		}
		data[f.Alias] = q.project(value, f.SelectionSet)
	}
	return data, problems
}

// project leaves of a value what was selected.
func (q *Question) project(value any, set ast.SelectionSet) any {
	switch v := value.(type) {
	case Object:
		if v == nil {
			return nil
		}
		chosen := make(map[string]any)
		for _, f := range Flatten(set) {
			member := v[f.Name]
			if compute, ok := member.(func(map[string]any) any); ok {
				member = compute(f.ArgumentMap(q.Variables))
			}
			chosen[f.Alias] = q.project(member, f.SelectionSet)
		}
		return chosen
	case []Object:
		all := make([]any, len(v))
		for i := range v {
			all[i] = q.project(v[i], set)
		}
		return all
	}
	return value
}

// PageOf returns a page of a connection. Cursors are "c" and the number of the items before.
func PageOf(all []Object, args map[string]any) Object {
	return PageOfMany(len(all), args, func(i int) Object { return all[i] })
}

// PageOfMany is PageOf for so many objects, each of which is made when it is shown.
func PageOfMany(n int, args map[string]any, object func(int) Object) Object {
	from := 0
	if after, ok := args["after"].(string); ok {
		_, _ = fmt.Sscanf(after, "c%d", &from)
	}
	from = min(max(from, 0), n)
	to := min(from+Integer(args["first"], 100), n)
	nodes := make([]Object, to-from)
	for i := range nodes {
		nodes[i] = object(from + i)
	}
	return Object{"totalCount": n, "nodes": nodes, "pageInfo": Object{"hasNextPage": to < n, "endCursor": fmt.Sprintf("c%d", to)}}
}

// Integer returns an argument that is a number, or fallback.
func Integer(v any, fallback int) int {
	switch n := v.(type) {
	case int64:
		return int(n)
	case int:
		return n
	case json.Number:
		if i, err := n.Int64(); err == nil {
			return int(i)
		}
	case float64:
		return int(n)
	}
	return fallback
}

// Text returns an argument that is a text.
func Text(args map[string]any, name string) string {
	s, _ := args[name].(string)
	return s
}
