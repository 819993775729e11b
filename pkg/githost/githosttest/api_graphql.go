package githosttest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"

	"github.com/vektah/gqlparser/v2"
	"github.com/vektah/gqlparser/v2/ast"
	"github.com/vektah/gqlparser/v2/gqlerror"
	"github.com/vektah/gqlparser/v2/parser"
	"github.com/vektah/gqlparser/v2/validator"
)

// gitHubSchema is schema.graphql of @octokit/graphql-schema 15.26.1 (npm, MIT, © GitHub), as published.
//
//go:embed github.graphql.gz
var gitHubSchema []byte

//go:embed gitlab.graphql
var gitLabSchema []byte

var (
	loadGitHub = sync.OnceValue(func() *ast.Schema {
		unpacked, err := gzip.NewReader(bytes.NewReader(gitHubSchema))
		if err != nil {
			panic(err)
		}
		text, err := io.ReadAll(unpacked)
		if err != nil {
			panic(err)
		}
		return loadPublished(&ast.Source{Name: "github.graphql", Input: string(text)})
	})
	loadGitLab = sync.OnceValue(func() *ast.Schema {
		return gqlparser.MustLoadSchema(&ast.Source{Name: "gitlab.graphql", Input: string(gitLabSchema)})
	})
)

// loadPublished reads a schema in which types may have a field twice, as GitHub's has at times.
func loadPublished(source *ast.Source) *ast.Schema {
	document, err := parser.ParseSchemas(validator.Prelude, source)
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
	return schema
}

// question is a GraphQL query that follows the host's schema.
type question struct {
	document  *ast.QueryDocument
	variables map[string]any
	fields    []*ast.Field // the outermost
}

// object is what a field of an object type answers. A value may be a function of the field's arguments.
type object map[string]any

// problem is an entry of "errors".
type problem struct {
	Type    string `json:"type,omitempty"`
	Path    []any  `json:"path,omitempty"`
	Message string `json:"message"`
}

// parseQuestion reads a request, and validates it by schema. A query that was valid before still is.
func (a *API) parseQuestion(schema *ast.Schema, req *http.Request) (*question, error) {
	var sent struct {
		Query     string         `json:"query"`
		Variables map[string]any `json:"variables"`
	}
	if err := json.NewDecoder(req.Body).Decode(&sent); err != nil {
		return nil, fmt.Errorf("the body is no query: %w", err)
	}
	document := a.queries[sent.Query]
	if document == nil {
		var errs gqlerror.List
		if document, errs = gqlparser.LoadQueryWithRules(schema, sent.Query, nil); len(errs) > 0 {
			return nil, errs
		}
		a.queries[sent.Query] = document
	}
	if len(document.Operations) != 1 {
		return nil, fmt.Errorf("%d operations in a query, want one", len(document.Operations))
	}
	variables, err := validator.VariableValues(schema, document.Operations[0], sent.Variables)
	if err != nil {
		return nil, err
	}
	q := &question{document: document, variables: variables}
	q.fields = flatten(document.Operations[0].SelectionSet)
	return q, nil
}

func flatten(set ast.SelectionSet) []*ast.Field {
	var fields []*ast.Field
	for _, s := range set {
		switch s := s.(type) {
		case *ast.Field:
			fields = append(fields, s)
		case *ast.FragmentSpread:
			fields = append(fields, flatten(s.Definition.SelectionSet)...)
		case *ast.InlineFragment:
			fields = append(fields, flatten(s.SelectionSet)...)
		}
	}
	return fields
}

// answer returns what a query asks for of root, and the problems that the outermost fields have.
func (q *question) answer(root func(field *ast.Field, args map[string]any) (any, *problem)) (map[string]any, []problem) {
	data, problems := make(map[string]any), []problem(nil)
	for _, f := range q.fields {
		value, p := root(f, f.ArgumentMap(q.variables))
		if p != nil {
			p.Path = []any{f.Alias}
			problems = append(problems, *p)
		}
		data[f.Alias] = q.project(value, f.SelectionSet)
	}
	return data, problems
}

// project leaves of a value what was selected.
func (q *question) project(value any, set ast.SelectionSet) any {
	switch v := value.(type) {
	case object:
		if v == nil {
			return nil
		}
		chosen := make(map[string]any)
		for _, f := range flatten(set) {
			member := v[f.Name]
			if compute, ok := member.(func(map[string]any) any); ok {
				member = compute(f.ArgumentMap(q.variables))
			}
			chosen[f.Alias] = q.project(member, f.SelectionSet)
		}
		return chosen
	case []object:
		all := make([]any, len(v))
		for i := range v {
			all[i] = q.project(v[i], set)
		}
		return all
	}
	return value
}

// pageOf returns a page of a connection. Cursors are "c" and the number of the items before.
func pageOf(all []object, args map[string]any) object {
	from := 0
	if after, ok := args["after"].(string); ok {
		_, _ = fmt.Sscanf(after, "c%d", &from)
	}
	from = min(max(from, 0), len(all))
	to := min(from+integer(args["first"], 100), len(all))
	return object{"nodes": all[from:to], "pageInfo": object{"hasNextPage": to < len(all), "endCursor": fmt.Sprintf("c%d", to)}}
}

func integer(v any, fallback int) int {
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

func text(args map[string]any, name string) string {
	s, _ := args[name].(string)
	return s
}

// asksGraphQL reports whether a request is a query for the endpoint at one of paths.
func (a *API) asksGraphQL(req *http.Request, paths ...string) bool {
	for _, p := range paths {
		if a.graphQL && req.Method == http.MethodPost && strings.Trim(req.URL.Path, "/") == p {
			return true
		}
	}
	return false
}
