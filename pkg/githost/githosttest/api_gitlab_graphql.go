package githosttest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/vektah/gqlparser/v2/ast"
)

const (
	// gitLabMaxComplexity is what an authenticated user's query may have.
	gitLabMaxComplexity = 250
	// gitLabMaxPaths is how many fullPaths projects() takes.
	gitLabMaxPaths = 50
)

// gitLabQuery answers a GraphQL query: https://docs.gitlab.com/api/graphql/. Errors come with a 200, and
// what the credential may not see is left out.
func gitLabQuery(a *API, req *http.Request) reply {
	failed := func(message string) reply {
		return reply{http.StatusOK, gitLabJSON(), map[string]any{"errors": []problem{{Message: message}}}}
	}
	schema := loadGitLab()
	q, err := a.parseQuestion(schema, req)
	if err != nil {
		return failed(err.Error())
	}
	if n := gitLabComplexity(q); n > gitLabMaxComplexity {
		return failed("Query has complexity of " + strconv.Itoa(n) + ", which exceeds max complexity of " + strconv.Itoa(gitLabMaxComplexity))
	}
	data, problems := q.answer(func(f *ast.Field, args map[string]any) (any, *problem) {
		switch f.Name {
		case "__type":
			return describe(schema.Types[text(args, "name")]), nil
		case "projects":
			paths, _ := args["fullPaths"].([]any)
			if len(paths) > gitLabMaxPaths {
				return nil, &problem{Message: "You cannot provide more than 50 full_paths"}
			}
			return pageOf(gitLabProjects(a, req, paths), args), nil
		}
		return nil, nil
	})
	body := map[string]any{"data": data}
	if problems != nil {
		body["errors"] = problems
	}
	return reply{http.StatusOK, gitLabJSON(), body}
}

// describe answers the introspection of a type.
func describe(d *ast.Definition) any {
	if d == nil {
		return nil
	}
	var fields []object
	for _, f := range d.Fields {
		var args []object
		for _, arg := range f.Arguments {
			args = append(args, object{"name": arg.Name})
		}
		fields = append(fields, object{"name": f.Name, "args": args})
	}
	return object{"name": d.Name, "fields": fields}
}

// gitLabProjects returns the projects with one of paths, whose case does not matter. A renamed one is not
// found by its old path here.
func gitLabProjects(a *API, req *http.Request, paths []any) []object {
	wanted := make(map[string]bool)
	for _, p := range paths {
		s, _ := p.(string)
		wanted[strings.ToLower(s)] = true
	}
	var there []string
	for path := range a.repos {
		if wanted[strings.ToLower(path)] {
			there = append(there, path)
		}
	}
	slices.Sort(there)
	var found []object
	for _, path := range there {
		r, status := a.find(req, path)
		if status == http.StatusNotFound {
			continue
		}
		project := object{"id": "gid://gitlab/Project/" + strconv.Itoa(a.repos[path].id), "fullPath": path, "repository": nil}
		if status == http.StatusOK {
			project["repository"] = gitLabRepository(r, a.gitalyDown)
		}
		found = append(found, project)
	}
	return found
}

func gitLabRepository(r *apiRepo, down bool) object {
	return object{"exists": true, "empty": len(r.branches) == 0, "commit": func(args map[string]any) any {
		branch, ok := strings.CutPrefix(text(args, "ref"), "refs/heads/")
		sha := r.branches[branch]
		if !ok || sha == "" || down {
			return nil
		}
		return object{"id": "gid://gitlab/Commit/" + sha, "sha": sha}
	}}
}

// gitLabComplexity counts as GitLab does: one for a field, one more for a resolver and for a call to
// Gitaly, and one in a hundred more for each item that a connection may have.
func gitLabComplexity(q *question) int {
	total := 0
	for _, f := range q.fields {
		n := 1 + fieldComplexity(f.SelectionSet)
		if f.Name == "projects" {
			n += n * integer(f.ArgumentMap(q.variables)["first"], 100) / 100
		}
		total += n
	}
	return total
}

func fieldComplexity(set ast.SelectionSet) int {
	total := 0
	for _, f := range flatten(set) {
		total += 1 + fieldComplexity(f.SelectionSet)
		if f.Name == "commit" {
			total++
		}
	}
	return total
}
