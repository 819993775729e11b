package gitlabtest

import (
	"fmt"
	"maps"
	"net/http"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// AddPipeline gives a commit a pipeline, as a push does or a merge request. The statuses that are made without the number of
// one are its jobs from then on.
func (l *API) AddPipeline(sha string) { l.Set(func() { l.pipelines[sha]++ }) }

// asksStatuses reports whether a request lists the statuses of a commit, or makes one.
func asksStatuses(a *githosttest.Asked) bool {
	if len(a.Parts) < 6 || strings.Join(a.Parts[:3], "/") != "api/v4/projects" {
		return false
	}
	rest := a.Parts[4:]
	return a.Method == http.MethodGet && len(rest) == 4 && rest[0] == "repository" && rest[1] == "commits" && rest[3] == "statuses" ||
		a.Method == http.MethodPost && len(rest) == 2 && rest[0] == "statuses"
}

// statuses lists the oldest first, which was the only order before GitLab 17.8.
func (l *API) statuses(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]))
	if status == http.StatusOK && !a.HasToken() {
		status = http.StatusUnauthorized
	}
	if status != http.StatusOK {
		return refuse(a, status)
	}
	sha := a.Parts[len(a.Parts)-1]
	if a.Method == http.MethodGet {
		sha = a.Parts[6]
	}
	if !r.HasCommit(sha) {
		return said(http.StatusNotFound, "404 Commit Not Found")
	}
	if a.Method == http.MethodPost {
		return l.newStatus(a, r, sha)
	}
	q := a.URL.Query()
	all := r.Statuses(sha, func(s *githosttest.Status) bool {
		return (q.Get("name") == "" || s.Body["name"] == q.Get("name")) && (q.Get("all") == "true" || s.Body["retried"] == nil)
	})
	from, to, next := a.Page(len(all), maxPage)
	listed := []any{}
	for _, s := range all[from:to] {
		listed = append(listed, shown(s))
	}
	header := asJSON()
	header["X-Next-Page"] = ""
	if next > 0 {
		header["X-Next-Page"] = strconv.Itoa(next)
	}
	return githosttest.NewReply(http.StatusOK, header, listed)
}

// newStatus does as Ci::CreateCommitStatusService of GitLab 17: a job of that name which has not ended changes its state, where
// that is a change, and else there is a new one.
func (l *API) newStatus(a *githosttest.Asked, r *githosttest.Repository, sha string) githosttest.Reply {
	if r.ReadOnly() {
		return refuse(a, http.StatusForbidden)
	}
	body := a.Sent()
	state, _ := body["state"].(string)
	event, ok := map[string]string{"pending": "enqueue", "running": "run", "success": "success", "failed": "drop", "canceled": "cancel"}[state]
	if !ok {
		return githosttest.NewReply(http.StatusBadRequest, asJSON(), map[string]string{"error": "state does not have a valid value"})
	}
	for _, name := range []string{"target_url", "description"} {
		if text, _ := body[name].(string); len([]rune(text)) > 255 {
			return githosttest.NewReply(http.StatusBadRequest, asJSON(),
				map[string]any{"message": map[string]any{name: []string{"is too long (maximum is 255 characters)"}}})
		}
	}
	delete(body, "state")
	pipeline := max(l.pipelines[sha], 1)
	if id, ok := body["pipeline_id"].(float64); ok {
		pipeline = int(id)
	}
	l.pipelines[sha] = max(l.pipelines[sha], pipeline)
	body["pipeline_id"] = pipeline
	for _, s := range r.Statuses(sha, func(s *githosttest.Status) bool {
		return s.Body["name"] == body["name"] && s.Body["pipeline_id"] == pipeline
	}) {
		if now, _ := s.Body["status"].(string); now == "pending" || now == "running" {
			if event == "enqueue" || now == state {
				return said(http.StatusBadRequest, fmt.Sprintf(
					"Cannot transition status via :%[1]s from :%[2]s (Reason(s): Status cannot transition via \"%[1]s\")", event, now))
			}
			maps.Copy(s.Body, body)
			s.Body["status"] = state
			return githosttest.NewReply(http.StatusCreated, asJSON(), shown(s))
		}
		s.Body["retried"] = true
	}
	body["status"] = state
	return githosttest.NewReply(http.StatusCreated, asJSON(), shown(r.AddStatus(sha, a.Now(), body)))
}

func shown(s *githosttest.Status) map[string]any {
	shown := maps.Clone(s.Body)
	delete(shown, "retried")
	shown["id"], shown["sha"], shown["ref"], shown["author"] = s.ID, s.SHA, "main", map[string]any{"id": 1, "username": "somebody"}
	return shown
}

func said(status int, message string) githosttest.Reply {
	return githosttest.NewReply(status, asJSON(), map[string]string{"message": message})
}
