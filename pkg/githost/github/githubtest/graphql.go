package githubtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/vektah/gqlparser/v2/ast"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql/graphqltest"
)

// query answers a GraphQL query: https://docs.github.com/graphql. Errors come with a 200.
func query(a *githosttest.Asked) githosttest.Reply {
	if !a.HasToken() {
		return reply(http.StatusForbidden, map[string]string{"message": "API rate limit exceeded"})
	}
	q, err := schema().Parse(a.Request)
	if err != nil {
		return reply(http.StatusOK, map[string]any{"errors": []any{map[string]any{
			"message": err.Error(), "extensions": map[string]string{"code": "undefinedField"}}}})
	}
	cost := cost(q)
	a.Spend(cost)
	data, problems := q.Answer(func(f *ast.Field, args map[string]any) (any, *graphqltest.Problem) {
		switch f.Name {
		case "rateLimit":
			return graphqltest.Object{"cost": cost, "limit": 5000, "remaining": max(0, 5000-a.Points), "resetAt": a.Reset.UTC().Format(time.RFC3339)}, nil
		case "repository":
			return repository(a, graphqltest.Text(args, "owner")+"/"+graphqltest.Text(args, "name"))
		case "repositoryOwner":
			return owner(a, graphqltest.Text(args, "login"))
		}
		return nil, &graphqltest.Problem{Type: "INTERNAL", Message: "not served here: " + f.Name}
	})
	body := map[string]any{"data": data}
	if problems != nil {
		body["errors"] = problems
	}
	return reply(http.StatusOK, body, "X-RateLimit-Resource", "graphql")
}

// cost is the number of requests that the connections are, in hundreds, and at least one: one for the connection, and one more of a
// connection within it for each of its nodes:
// https://docs.github.com/graphql/overview/rate-limits-and-query-limits-for-the-graphql-api.
func cost(q *graphqltest.Question) int {
	connections := 0
	for _, f := range q.Fields {
		connections += requests(f.SelectionSet, 1)
	}
	return max(1, (connections+50)/100)
}

func requests(set ast.SelectionSet, times int) int {
	total := 0
	for _, f := range graphqltest.Flatten(set) {
		within := times
		if first := f.Arguments.ForName("first"); first != nil {
			total += times
			n, _ := strconv.Atoi(first.Value.Raw)
			within *= max(n, 1)
		}
		total += requests(f.SelectionSet, within)
	}
	return total
}

func repository(a *githosttest.Asked, path string) (any, *graphqltest.Problem) {
	if to, ok := a.Moved[path]; ok {
		path = to
	}
	r, status := a.Find(path)
	switch status {
	case http.StatusNotFound:
		return nil, &graphqltest.Problem{Type: "NOT_FOUND", Message: "Could not resolve to a Repository with the name '" + path + "'."}
	case http.StatusForbidden:
		return nil, &graphqltest.Problem{Type: "FORBIDDEN", Message: "Resource not accessible by personal access token"}
	}
	return node(r), nil
}

func node(r *githosttest.Repository) graphqltest.Object {
	node := func(branch string) graphqltest.Object {
		return graphqltest.Object{"prefix": "refs/heads/", "name": branch, "target": graphqltest.Object{"oid": r.Branches[branch]}}
	}
	tagNode := func(tag string) graphqltest.Object {
		t := r.Tags[tag]
		target := graphqltest.Object{"__typename": "Commit", "oid": t.Commit}
		if t.Object != t.Commit {
			target = graphqltest.Object{"__typename": "Tag", "oid": t.Object, "target": target}
		}
		return graphqltest.Object{"prefix": "refs/tags/", "name": tag, "target": target}
	}
	o := graphqltest.Object{
		"nameWithOwner": r.Path,
		"refs": func(args map[string]any) any {
			var all []graphqltest.Object
			if graphqltest.Text(args, "refPrefix") == "refs/tags/" {
				for _, tag := range slices.Sorted(maps.Keys(r.Tags)) {
					all = append(all, tagNode(tag))
				}
			}
			for _, b := range r.Matching(func(string) bool { return graphqltest.Text(args, "refPrefix") == "refs/heads/" }) {
				all = append(all, node(b))
			}
			return graphqltest.PageOf(all, args)
		},
		"ref": func(args map[string]any) any {
			tag, ok := strings.CutPrefix(graphqltest.Text(args, "qualifiedName"), "refs/tags/")
			if _, known := r.Tags[tag]; ok && known {
				return tagNode(tag)
			}
			for _, prefix := range []string{"", "refs/heads/"} {
				branch, ok := strings.CutPrefix(prefix+graphqltest.Text(args, "qualifiedName"), "refs/heads/")
				if _, known := r.Branches[branch]; ok && known {
					return node(branch)
				}
			}
			return nil
		},
	}
	o["pullRequests"] = func(args map[string]any) any {
		if states, _ := args["states"].([]any); len(states) != 1 || states[0] != "OPEN" {
			if args["states"] != "OPEN" { // a list of one may stand without brackets
				return nil
			}
		}
		return graphqltest.PageOfMany(len(r.Requests), args, func(i int) graphqltest.Object { return pull(r, r.Open()[i]) })
	}
	if !r.Pushed.IsZero() {
		o["pushedAt"] = r.Pushed.UTC().Format(time.RFC3339)
	}
	return o
}

// pull is an open request. Of a fork that was deleted nothing is left but the commits.
func pull(r *githosttest.Repository, number int) graphqltest.Object {
	q := r.Requests[number]
	o := graphqltest.Object{"number": number, "title": "$(a stranger's text)", "headRefOid": q.Head, "baseRefName": q.Target, "baseRefOid": baseOf(r, q),
		"isCrossRepository": q.From != r.Path, "headRepository": nil, "baseRepository": graphqltest.Object{"nameWithOwner": r.Path}}
	if q.From != "" {
		o["headRepository"] = graphqltest.Object{"nameWithOwner": q.From}
	}
	return o
}

// baseOf returns the commit of a request's target; zeros where it is gone.
func baseOf(r *githosttest.Repository, q githosttest.OpenRequest) string {
	if sha := r.Branches[q.Target]; sha != "" {
		return sha
	}
	return strings.Repeat("0", 40)
}

// owner lists an owner's repositories. In the order of pushes those that were never pushed to come last.
func owner(a *githosttest.Asked, login string) (any, *graphqltest.Problem) {
	if _, ok := a.Owner(login); !ok || strings.Contains(login, "/") {
		return nil, nil // no such owner is no error
	}
	return graphqltest.Object{"login": login, "repositories": func(args map[string]any) any {
		owned := a.Owned(login)
		by, _ := args["orderBy"].(map[string]any)
		switch by["field"] {
		case "PUSHED_AT":
			githosttest.NewestFirst(owned, func(r *githosttest.Repository) time.Time { return r.Pushed })
		case "UPDATED_AT":
			githosttest.NewestFirst(owned, updated)
		}
		return graphqltest.PageOfMany(len(owned), args, func(i int) graphqltest.Object { return listed(a, owned[i]) })
	}}, nil
}

// updated returns when a repository was last set.
func updated(r *githosttest.Repository) time.Time {
	if r.Labelled.After(r.Updated) {
		return r.Labelled.UTC().Truncate(time.Second)
	}
	return r.Updated.UTC().Truncate(time.Second)
}

// listed is a repository with what only a list shows.
func listed(a *githosttest.Asked, r *githosttest.Repository) graphqltest.Object {
	o := node(r)
	topics := make([]graphqltest.Object, len(r.Topics))
	for i, topic := range r.Topics {
		topics[i] = graphqltest.Object{"topic": graphqltest.Object{"name": topic}}
	}
	maps.Copy(o, graphqltest.Object{"databaseId": r.ID, "url": a.Here() + "/" + r.Path, "sshUrl": "git@" + a.Host + ":" + r.Path + ".git",
		"isArchived": r.Archived, "isFork": r.Fork, "isEmpty": len(r.Branches) == 0, "updatedAt": updated(r).Format(time.RFC3339),
		"repositoryTopics": func(args map[string]any) any { return graphqltest.PageOf(topics, args) },
		"object": func(args map[string]any) any {
			path, _ := strings.CutPrefix(graphqltest.Text(args, "expression"), "HEAD:")
			text, ok := r.Files[path]
			switch {
			case !ok:
				return nil
			case strings.Contains(text, "\x00"):
				return graphqltest.Object{"__typename": "Blob", "isBinary": true}
			}
			return graphqltest.Object{"__typename": "Blob", "isBinary": false, "text": text}
		}})
	if len(r.Branches) > 0 {
		o["defaultBranchRef"] = graphqltest.Object{"name": "main"}
	}
	return o
}

// queryLimited is how the primary limit of GraphQL shows.
func queryLimited() githosttest.Reply {
	return reply(http.StatusOK, map[string]any{"errors": []graphqltest.Problem{{Type: "RATE_LIMITED",
		Message: "API rate limit already exceeded for user ID 1."}}}, "X-RateLimit-Remaining", "0", "X-RateLimit-Resource", "graphql")
}
