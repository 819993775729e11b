package githubtest

import (
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// statuses answers with the statuses of a commit, newest first.
func statuses(a *githosttest.Asked, r *githosttest.Repository, sha string) githosttest.Reply {
	if !r.HasCommit(sha) {
		return noCommit(sha)
	}
	all := r.Statuses(sha, func(*githosttest.Status) bool { return true })
	slices.Reverse(all)
	from, to, next := a.Page(len(all), 100)
	listed := []any{}
	for _, s := range all[from:to] {
		listed = append(listed, shown(s))
	}
	answer := reply(http.StatusOK, listed)
	if next > 0 {
		answer.Header["Link"] = fmt.Sprintf(`<%s%s?per_page=%d&page=%d>; rel="next"`, a.Here(), a.URL.EscapedPath(), to-from, next)
	}
	return answer
}

// newStatus makes a status. Who may not is told that there is no such thing.
func newStatus(a *githosttest.Asked, r *githosttest.Repository, sha string) githosttest.Reply {
	if !a.HasToken() || r.ReadOnly() {
		return refuse(a, http.StatusNotFound)
	}
	if !r.HasCommit(sha) {
		return noCommit(sha)
	}
	body := a.Sent()
	text := func(name string) string {
		s, _ := body[name].(string)
		return s
	}
	described := func(name, wrong string) githosttest.Reply {
		return reply(http.StatusUnprocessableEntity, map[string]any{"message": "Validation Failed",
			"errors": []any{map[string]string{"resource": "Status", "code": "custom", "field": name, "message": name + wrong}}})
	}
	target, _ := url.Parse(text("target_url"))
	same := func(s *githosttest.Status) bool {
		context, _ := s.Body["context"].(string)
		return strings.EqualFold(context, text("context"))
	}
	switch {
	case !slices.Contains([]string{"pending", "success", "failure", "error"}, text("state")):
		return described("state", " is not included in the list")
	case len([]rune(text("description"))) > 140:
		return described("description", " is too long (maximum is 140 characters)")
	case strings.ContainsFunc(text("description")+text("context"), func(c rune) bool { return c > 0xffff }):
		return described("description", " doesn't accept 4-byte Unicode")
	case len([]rune(text("context"))) > 255:
		return described("context", " is too long (maximum is 255 characters)")
	case text("target_url") != "" && (target == nil || target.Scheme != "http" && target.Scheme != "https"):
		return described("target_url", " must use http(s) scheme")
	case len(r.Statuses(sha, same)) >= 1_000:
		return described("base", "This SHA and context has reached the maximum number of statuses.")
	}
	return reply(http.StatusCreated, shown(r.AddStatus(sha, a.Now(), body)))
}

func shown(s *githosttest.Status) map[string]any {
	shown := maps.Clone(s.Body)
	shown["id"], shown["created_at"], shown["creator"] = s.ID, s.At.Format(time.RFC3339), map[string]any{"login": "octocat", "id": 1}
	return shown
}

func noCommit(sha string) githosttest.Reply {
	return reply(http.StatusUnprocessableEntity, map[string]string{"message": "No commit found for SHA: " + sha,
		"documentation_url": "https://docs.github.com/rest/commits/statuses#create-a-commit-status"})
}
