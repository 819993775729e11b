package githosttest

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"
)

// gitHubQuery answers a GraphQL query: https://docs.github.com/graphql. Errors come with a 200.
func gitHubQuery(a *API, req *http.Request) reply {
	if !a.hasToken(req) {
		return gitHubReply(http.StatusForbidden, map[string]string{"message": "API rate limit exceeded"})
	}
	q, err := a.parseQuestion(loadGitHub(), req)
	if err != nil {
		return gitHubReply(http.StatusOK, map[string]any{"errors": []any{map[string]any{
			"message": err.Error(), "extensions": map[string]string{"code": "undefinedField"}}}})
	}
	cost := gitHubCost(q)
	a.points += cost
	data, problems := q.answer(func(f *ast.Field, args map[string]any) (any, *problem) {
		switch f.Name {
		case "rateLimit":
			return object{"cost": cost, "limit": 5000, "remaining": max(0, 5000-a.points), "resetAt": a.reset.UTC().Format(time.RFC3339)}, nil
		case "repository":
			return gitHubRepository(a, req, text(args, "owner")+"/"+text(args, "name"))
		case "repositoryOwner":
			return gitHubOwner(a, text(args, "login"))
		}
		return nil, &problem{Type: "INTERNAL", Message: "not served here: " + f.Name}
	})
	body := map[string]any{"data": data}
	if problems != nil {
		body["errors"] = problems
	}
	return gitHubReply(http.StatusOK, body, "X-RateLimit-Resource", "graphql")
}

// gitHubCost is the number of requests that the connections are, in hundreds, and at least one:
// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api.
func gitHubCost(q *question) int {
	connections := 0
	for _, f := range q.fields {
		for _, inner := range flatten(f.SelectionSet) {
			if inner.Arguments.ForName("first") != nil {
				connections++
			}
		}
	}
	return max(1, (connections+50)/100)
}

func gitHubRepository(a *API, req *http.Request, path string) (any, *problem) {
	if to, ok := a.moved[path]; ok {
		path = to
	}
	r, status := a.find(req, path)
	switch status {
	case http.StatusNotFound:
		return nil, &problem{Type: "NOT_FOUND", Message: "Could not resolve to a Repository with the name '" + path + "'."}
	case http.StatusForbidden:
		return nil, &problem{Type: "FORBIDDEN", Message: "Resource not accessible by personal access token"}
	}
	return gitHubNode(r), nil
}

func gitHubNode(r *apiRepo) object {
	node := func(branch string) object {
		return object{"prefix": "refs/heads/", "name": branch, "target": object{"oid": r.branches[branch]}}
	}
	o := object{
		"nameWithOwner": r.path,
		"refs": func(args map[string]any) any {
			var all []object
			for _, b := range r.matching(func(string) bool { return text(args, "refPrefix") == "refs/heads/" }) {
				all = append(all, node(b))
			}
			return pageOf(all, args)
		},
		"ref": func(args map[string]any) any {
			for _, prefix := range []string{"", "refs/heads/"} {
				branch, ok := strings.CutPrefix(prefix+text(args, "qualifiedName"), "refs/heads/")
				if _, known := r.branches[branch]; ok && known {
					return node(branch)
				}
			}
			return nil
		},
	}
	if !r.pushed.IsZero() {
		o["pushedAt"] = r.pushed.UTC().Format(time.RFC3339)
	}
	return o
}

// gitHubOwner lists an owner's repositories, the one pushed to last first.
func gitHubOwner(a *API, login string) (any, *problem) {
	var owned []*apiRepo
	for _, path := range slices.Sorted(maps.Keys(a.repos)) {
		if owner, _, _ := strings.Cut(path, "/"); strings.EqualFold(owner, login) {
			owned = append(owned, a.repos[path])
		}
	}
	if owned == nil {
		return nil, nil // no such owner is no error
	}
	slices.SortStableFunc(owned, func(x, y *apiRepo) int { return y.pushed.Compare(x.pushed) })
	return object{"repositories": func(args map[string]any) any {
		all := make([]object, len(owned))
		for i, r := range owned {
			all[i] = gitHubNode(r)
		}
		return pageOf(all, args)
	}}, nil
}

// gitHubQueryLimited is how the primary limit of GraphQL shows.
func gitHubQueryLimited() reply {
	return gitHubReply(http.StatusOK, map[string]any{"errors": []problem{{Type: "RATE_LIMITED",
		Message: "API rate limit already exceeded for user ID 1."}}}, "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "graphql")
}
