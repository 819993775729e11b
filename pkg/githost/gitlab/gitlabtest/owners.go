package gitlabtest

import (
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql/graphqltest"
)

// activity is when a project was active last, as far as GitLab tells.
type activity struct{ at, pushed time.Time }

// touch notes a push. Of those within an hour the first alone is told:
// https://gitlab.com/gitlab-org/gitlab/-/blob/v18.0.0-ee/app/models/event.rb (RESET_PROJECT_ACTIVITY_INTERVAL).
func (l *API) touch(r *githosttest.Repository, now time.Time) {
	was, known := l.activity[r]
	switch {
	case !known:
		was.at = now
	case !r.Pushed.Equal(was.pushed) && now.Sub(was.at) >= time.Hour:
		was.at = now
	}
	was.pushed = r.Pushed
	l.activity[r] = was
}

// asksOwned reports whether a request lists the projects of a group or a user.
func asksOwned(a *githosttest.Asked) bool {
	return len(a.Parts) == 5 && a.Parts[4] == "projects" &&
		(strings.Join(a.Parts[:3], "/") == "api/v4/groups" || strings.Join(a.Parts[:3], "/") == "api/v4/users")
}

// owned lists projects. A group's list has those of its subgroups only where they are asked for, and no total beyond 10,000.
func (l *API) owned(a *githosttest.Asked) githosttest.Reply {
	path := githosttest.Unescape(a.Parts[3])
	o, ok := a.Owner(path)
	if !ok || o.User != (a.Parts[2] == "users") {
		return githosttest.NewReply(http.StatusNotFound, asJSON(), map[string]string{"message": "404 Group Not Found"})
	}
	q := a.URL.Query()
	all := a.Owned(path)
	if q.Get("include_subgroups") != "true" && !o.User {
		all = slices.DeleteFunc(all, func(r *githosttest.Repository) bool {
			return strings.Count(r.Path, "/") > strings.Count(path, "/")+1
		})
	}
	switch q.Get("order_by") {
	case "updated_at":
		githosttest.NewestFirst(all, func(r *githosttest.Repository) time.Time { return r.Updated })
	case "last_activity_at":
		githosttest.NewestFirst(all, func(r *githosttest.Repository) time.Time { return l.activity[r].at })
	}
	size, page := number(q, "per_page", 20, maxPage), number(q, "page", 1, 1<<30)
	from := min((page-1)*size, len(all))
	header := pages(a, &githosttest.Repository{Path: path}, page, size, len(all), max(1, (len(all)+size-1)/size))
	if len(all) > 10_000 {
		delete(header, "X-Total")
		delete(header, "X-Total-Pages")
	}
	listed := []map[string]any{}
	for _, r := range all[from:min(from+size, len(all))] {
		listed = append(listed, l.project(a, r))
	}
	return githosttest.NewReply(http.StatusOK, header, listed)
}

func (l *API) project(a *githosttest.Asked, r *githosttest.Repository) map[string]any {
	at := func(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
	shown := map[string]any{"id": r.ID, "path_with_namespace": r.Path, "http_url_to_repo": a.Here() + "/" + r.Path + ".git",
		"ssh_url_to_repo": "git@" + a.Host + ":" + r.Path + ".git", "default_branch": nil, "archived": r.Archived,
		"empty_repo": len(r.Branches) == 0, "topics": append([]string{}, r.Topics...), "updated_at": at(r.Updated),
		"last_activity_at": at(l.activity[r].at), "namespace": map[string]any{"id": 1, "kind": "group"}}
	if len(r.Branches) > 0 {
		shown["default_branch"] = "main"
	}
	if r.Fork {
		shown["forked_from_project"] = map[string]any{"id": 1, "path_with_namespace": "other/" + r.Path}
	}
	return shown
}

// asksRaw reports whether a request is for a file.
func asksRaw(a *githosttest.Asked) bool {
	return len(a.Parts) == 8 && strings.Join(a.Parts[:3], "/") == "api/v4/projects" && strings.Join(a.Parts[4:6], "/") == "repository/files"
}

// raw answers with a file of the default branch.
func (l *API) raw(a *githosttest.Asked) githosttest.Reply {
	for _, r := range a.Repos {
		if strconv.Itoa(r.ID) != a.Parts[3] || !a.Sees(r) || r.Denied() {
			continue
		}
		if l.gitalyDown {
			return githosttest.NewReply(http.StatusServiceUnavailable, asJSON(), map[string]string{"message": "503 Service Unavailable"})
		}
		if text, ok := r.Files[githosttest.Unescape(a.Parts[6])]; ok {
			return githosttest.NewReply(http.StatusOK, map[string]string{"Content-Type": "text/plain"}, text)
		}
		return githosttest.NewReply(http.StatusNotFound, asJSON(), map[string]string{"message": "404 File Not Found"})
	}
	return refuse(a, http.StatusNotFound)
}

// projectsByID returns the projects with one of ids.
func (l *API) projectsByID(a *githosttest.Asked, ids []any) []graphqltest.Object {
	wanted := make(map[any]bool)
	for _, id := range ids {
		wanted[id] = true
	}
	var found []graphqltest.Object
	for _, path := range slices.Sorted(maps.Keys(a.Repos)) {
		r := a.Repos[path]
		if id := "gid://gitlab/Project/" + strconv.Itoa(r.ID); wanted[id] && a.Sees(r) && !r.Denied() {
			found = append(found, graphqltest.Object{"id": id, "fullPath": path, "repository": repository(r, l.gitalyDown)})
		}
	}
	return found
}

// blobs returns the files of a project at paths.
func blobs(r *githosttest.Repository, down bool) func(map[string]any) any {
	return func(args map[string]any) any {
		var all []graphqltest.Object
		paths, _ := args["paths"].([]any)
		for _, p := range paths {
			path, _ := p.(string)
			text, ok := r.Files[path]
			if !ok || down {
				continue
			}
			blob := graphqltest.Object{"path": path, "rawTextBlob": text}
			if strings.Contains(text, "\x00") {
				blob["rawTextBlob"] = nil
			}
			all = append(all, blob)
		}
		return graphqltest.PageOf(all, args)
	}
}
