package gitlabtest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql/graphqltest"
)

const (
	// maxComplexity is what an authenticated user's query may have.
	maxComplexity = 250
	// maxPaths is how many fullPaths projects() takes.
	maxPaths = 50
)

// query answers a GraphQL query: https://docs.gitlab.com/api/graphql/. Errors come with a 200, and
// what the credential may not see is left out.
func (l *API) query(a *githosttest.Asked) githosttest.Reply {
	failed := func(message string) githosttest.Reply {
		return githosttest.NewReply(http.StatusOK, asJSON(), map[string]any{"errors": []graphqltest.Problem{{Message: message}}})
	}
	q, err := schema().Parse(a.Request)
	if err != nil {
		return failed(err.Error())
	}
	if n := complexity(q); n > maxComplexity {
		return failed("Query has complexity of " + strconv.Itoa(n) + ", which exceeds max complexity of " + strconv.Itoa(maxComplexity))
	}
	data, problems := q.Answer(func(f *ast.Field, args map[string]any) (any, *graphqltest.Problem) {
		switch f.Name {
		case "__type":
			return describe(schema().Types[graphqltest.Text(args, "name")]), nil
		case "projects":
			paths, _ := args["fullPaths"].([]any)
			if len(paths) > maxPaths {
				return nil, &graphqltest.Problem{Message: "You cannot provide more than 50 full_paths"}
			}
			if ids, ok := args["ids"].([]any); ok {
				return graphqltest.PageOf(l.projectsByID(a, ids), args), nil
			}
			return graphqltest.PageOf(l.projects(a, paths), args), nil
		}
		return nil, nil
	})
	body := map[string]any{"data": data}
	if problems != nil {
		body["errors"] = problems
	}
	return githosttest.NewReply(http.StatusOK, asJSON(), body)
}

// describe answers the introspection of a type.
func describe(d *ast.Definition) any {
	if d == nil {
		return nil
	}
	var fields []graphqltest.Object
	for _, f := range d.Fields {
		var args []graphqltest.Object
		for _, arg := range f.Arguments {
			args = append(args, graphqltest.Object{"name": arg.Name})
		}
		fields = append(fields, graphqltest.Object{"name": f.Name, "args": args})
	}
	return graphqltest.Object{"name": d.Name, "fields": fields}
}

// projects returns the projects with one of paths, whose case does not matter. A renamed one is not
// found by its old path here.
func (l *API) projects(a *githosttest.Asked, paths []any) []graphqltest.Object {
	wanted := make(map[string]bool)
	for _, p := range paths {
		s, _ := p.(string)
		wanted[strings.ToLower(s)] = true
	}
	var there []string
	for path := range a.Repos {
		if wanted[strings.ToLower(path)] {
			there = append(there, path)
		}
	}
	slices.Sort(there)
	var found []graphqltest.Object
	for _, path := range there {
		r, status := a.Find(path)
		if status == http.StatusNotFound {
			continue
		}
		project := graphqltest.Object{"id": "gid://gitlab/Project/" + strconv.Itoa(a.Repos[path].ID), "fullPath": path, "repository": nil}
		if status == http.StatusOK {
			project["repository"] = repository(r, l.gitalyDown)
		}
		found = append(found, project)
	}
	return found
}

func repository(r *githosttest.Repository, down bool) graphqltest.Object {
	return graphqltest.Object{"exists": true, "empty": len(r.Branches) == 0, "blobs": blobs(r, down), "commit": func(args map[string]any) any {
		ref := graphqltest.Text(args, "ref")
		branch, ok := strings.CutPrefix(ref, "refs/heads/")
		sha := r.Branches[branch]
		if tag, isTag := strings.CutPrefix(ref, "refs/tags/"); isTag {
			sha, ok = r.Tags[tag].Commit, true
		}
		if !ok || sha == "" || down {
			return nil
		}
		return graphqltest.Object{"id": "gid://gitlab/Commit/" + sha, "sha": sha}
	}}
}

// complexity counts as GitLab does: one for a field, one more for a resolver and for a call to
// Gitaly, and one in a hundred more for each item that a connection may have.
func complexity(q *graphqltest.Question) int {
	total := 0
	for _, f := range q.Fields {
		n := 1 + fieldComplexity(f.SelectionSet)
		if f.Name == "projects" {
			n += n * graphqltest.Integer(f.ArgumentMap(q.Variables)["first"], 100) / 100
		}
		total += n
	}
	return total
}

func fieldComplexity(set ast.SelectionSet) int {
	total := 0
	for _, f := range graphqltest.Flatten(set) {
		total += 1 + fieldComplexity(f.SelectionSet)
		if f.Name == "commit" {
			total++
		}
	}
	return total
}
