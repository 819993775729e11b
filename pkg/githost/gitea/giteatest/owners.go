package giteatest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// ownerOf returns the number of an owner.
func ownerOf(a *githosttest.Asked, name string) string {
	o, _ := a.Owner(name)
	return strconv.Itoa(o.ID)
}

// user answers who somebody is. An organisation is a user, too.
func user(a *githosttest.Asked) githosttest.Reply {
	name := githosttest.Unescape(a.Parts[3])
	o, ok := a.Owner(name)
	if !ok {
		return refuse(a, http.StatusNotFound)
	}
	return githosttest.NewReply(http.StatusOK, asJSON(), map[string]any{"id": o.ID, "login": name, "username": name})
}

// raw answers with a file of the default branch.
func raw(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]) + "/" + githosttest.Unescape(a.Parts[4]))
	if status != http.StatusOK {
		return refuse(a, status)
	}
	text, ok := r.Files[githosttest.Unescape(strings.Join(a.Parts[6:], "/"))]
	if !ok {
		return refuse(a, http.StatusNotFound)
	}
	return githosttest.NewReply(http.StatusOK, map[string]string{"Content-Type": "text/plain; charset=utf-8"}, text)
}

// pulls answers with a page of open requests, the oldest first:
// https://github.com/go-gitea/gitea/blob/v1.26.0/services/convert/pull.go.
func pulls(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]) + "/" + githosttest.Unescape(a.Parts[4]))
	if status != http.StatusOK {
		return refuse(a, status)
	}
	numbers := r.Open()
	from, to, next := a.Page(len(numbers), 50)
	listed := []any{}
	for _, number := range numbers[from:to] {
		q := r.Requests[number]
		head := map[string]any{"label": "work", "ref": "work", "sha": q.Head, "repo_id": -1, "repo": nil}
		of := func(id int) { head["repo_id"], head["repo"] = id, map[string]any{"id": id} }
		switch source := a.Repos[q.From]; {
		case q.AGit:
			head["label"], head["ref"] = "", fmt.Sprintf("refs/pull/%d/head", number)
			of(r.ID)
		case source != nil:
			of(source.ID)
		case q.From != "":
			of(1)
		default:
			head["ref"] = fmt.Sprintf("refs/pull/%d/head", number)
		}
		listed = append(listed, map[string]any{"id": 10_000 + number, "number": number, "state": "open", "title": "$(a stranger's text)", "head": head,
			"base": map[string]any{"label": q.Target, "ref": q.Target, "sha": r.Branches[q.Target], "repo_id": r.ID, "repo": map[string]any{"id": r.ID}}})
	}
	header := asJSON()
	header["X-Total-Count"] = strconv.Itoa(len(numbers))
	if next > 0 {
		header["Link"] = fmt.Sprintf(`<%s%s?limit=%d&page=%d>; rel="next"`, a.Here(), a.URL.EscapedPath(), to-from, next)
	}
	return githosttest.NewReply(http.StatusOK, header, listed)
}
