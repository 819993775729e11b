package giteatest

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// asksStatuses reports whether a request lists the statuses of a commit, or makes one.
func asksStatuses(a *githosttest.Asked) bool {
	if len(a.Parts) < 7 || strings.Join(a.Parts[:3], "/") != "api/v1/repos" {
		return false
	}
	rest := a.Parts[5:]
	return a.Method == http.MethodGet && len(rest) == 3 && rest[0] == "commits" && rest[2] == "statuses" ||
		a.Method == http.MethodPost && len(rest) == 2 && rest[0] == "statuses"
}

// statuses lists the newest second first, and leaves the order within one to its database. A commit that is not there is an
// error of the server for who makes a status: https://github.com/go-gitea/gitea/blob/v1.26.0/routers/api/v1/repo/status.go.
func statuses(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]) + "/" + githosttest.Unescape(a.Parts[4]))
	if status != http.StatusOK {
		return refuse(a, status)
	}
	if a.Method == http.MethodPost {
		return newStatus(a, r, a.Parts[6])
	}
	if !r.HasCommit(a.Parts[6]) {
		return refuse(a, http.StatusNotFound)
	}
	all := r.Statuses(a.Parts[6], func(*githosttest.Status) bool { return true })
	slices.SortStableFunc(all, func(x, y *githosttest.Status) int { return y.At.Compare(x.At) })
	from, to, next := a.Page(len(all), 50)
	listed := []any{}
	for _, s := range all[from:to] {
		listed = append(listed, shown(s))
	}
	header := asJSON()
	header["X-Total-Count"] = strconv.Itoa(len(all))
	if next > 0 {
		header["Link"] = fmt.Sprintf(`<%s%s?limit=%d&page=%d>; rel="next"`, a.Here(), a.URL.EscapedPath(), to-from, next)
	}
	return githosttest.NewReply(http.StatusOK, header, listed)
}

func newStatus(a *githosttest.Asked, r *githosttest.Repository, sha string) githosttest.Reply {
	switch {
	case !a.HasToken():
		return refuse(a, http.StatusUnauthorized)
	case r.ReadOnly():
		return refuse(a, http.StatusForbidden)
	case !r.HasCommit(sha):
		return githosttest.NewReply(http.StatusInternalServerError, asJSON(), map[string]string{"message": "", "url": a.Here() + "/api/swagger"})
	}
	body := a.Sent()
	// The state is called so by who makes one, and status by who lists it.
	body["status"] = body["state"]
	delete(body, "state")
	return githosttest.NewReply(http.StatusCreated, asJSON(), shown(r.AddStatus(sha, a.Now(), body)))
}

func shown(s *githosttest.Status) map[string]any {
	shown := maps.Clone(s.Body)
	shown["id"], shown["created_at"] = s.ID, s.At.Format(time.RFC3339)
	shown["creator"] = map[string]any{"id": 1, "login": "somebody"}
	return shown
}
