// Package gitlabtest is a GitLab in memory, for tests.
package gitlabtest

import (
	_ "embed"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql/graphqltest"
)

const maxPage = 100

//go:embed gitlab.graphql
var written string

var schema = sync.OnceValue(func() *graphqltest.Schema { return graphqltest.MustLoad("gitlab.graphql", written) })

// API is a GitLab.
type API struct {
	*githosttest.API
	gitalyDown bool
	pipelines  map[string]int // how many a commit has
	activity   map[*githosttest.Repository]activity
}

// New returns a GitLab without repositories.
func New() *API {
	a := &API{pipelines: make(map[string]int), activity: make(map[*githosttest.Repository]activity)}
	a.API = githosttest.NewAPI(githosttest.Dialect{Answer: a.answer, Refuse: refuse, Limited: limited, Header: header, ETag: `W/"%x"`, Changed: a.touch})
	return a
}

// SetGitalyDown has GraphQL answer as it does when the server that holds the repositories is out of reach: with no
// commits, and no error.
func (l *API) SetGitalyDown(down bool) { l.Set(func() { l.gitalyDown = down }) }

func (l *API) answer(a *githosttest.Asked) githosttest.Reply {
	if a.AsksGraphQL("api/graphql") {
		return l.query(a)
	}
	if len(a.Parts) >= 5 && strings.Join(a.Parts[:3], "/") == "api/v4/projects" && a.Parts[4] == "hooks" {
		return hooks(a)
	}
	switch {
	case asksStatuses(a):
		return l.statuses(a)
	case asksOwned(a):
		return l.owned(a)
	case asksRaw(a):
		return l.raw(a)
	}
	what := a.Parts[min(4, len(a.Parts)):]
	asksRefs := len(what) == 2 && what[0] == "repository" && (what[1] == "branches" || what[1] == "tags")
	asksRequests := len(what) == 1 && what[0] == "merge_requests"
	if !asksRefs && !asksRequests || strings.Join(a.Parts[:3], "/") != "api/v4/projects" {
		return githosttest.NewReply(http.StatusNotFound, asJSON(), map[string]string{"error": "404 Not Found"})
	}
	path := githosttest.Unescape(a.Parts[3])
	if id, err := strconv.Atoi(path); err == nil {
		for _, r := range a.Repos {
			if r.ID == id {
				path = r.Path
			}
		}
	}
	if to, ok := a.Moved[path]; ok && a.Repos[to] != nil {
		at := fmt.Sprintf("%s/api/v4/projects/%d/%s%s", a.Here(), a.Repos[to].ID, strings.Join(what, "/"), a.Query())
		return githosttest.NewReply(http.StatusMovedPermanently, map[string]string{"Content-Type": "text/plain", "Location": at},
			"This resource has been moved permanently to "+at+".")
	}
	r, status := a.Find(path)
	if status != http.StatusOK {
		return refuse(a, status)
	}
	switch {
	case asksRequests:
		return requests(a, r)
	case what[1] == "tags":
		return tags(a, r)
	}
	return branches(a, r)
}

// hooks answers what is asked about webhooks. The token of one is never shown.
func hooks(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]))
	if status == http.StatusOK && !a.HasToken() {
		status = http.StatusUnauthorized
	}
	if status != http.StatusOK {
		return refuse(a, status)
	}
	status, body, more := a.AnswerHooks(r, a.Parts[5:], func(h githosttest.Hook) any {
		shown := maps.Clone(h.Body)
		delete(shown, "token")
		shown["id"] = h.ID
		return shown
	})
	if body == nil {
		return refuse(a, status)
	}
	header := asJSON()
	header["X-Next-Page"] = ""
	if more {
		header["X-Next-Page"] = strconv.Itoa(number(a.URL.Query(), "page", 1, 1<<30) + 1)
	}
	return githosttest.NewReply(status, header, body)
}

func branches(a *githosttest.Asked, r *githosttest.Repository) githosttest.Reply {
	q := a.URL.Query()
	re, err := regexp.Compile(q.Get("regex"))
	if err != nil {
		return githosttest.NewReply(http.StatusBadRequest, asJSON(), map[string]string{"error": "regex is invalid"})
	}
	names := r.Matching(re.MatchString)
	var listed []branch
	names, header := pageOf(a, r, names)
	for _, name := range names {
		listed = append(listed, newBranch(r, name, a.Here()))
	}
	return list(header, listed)
}

// tags answers with a page of tags. search is a part of the name, its beginning after ^, or its end before $.
func tags(a *githosttest.Asked, r *githosttest.Repository) githosttest.Reply {
	search := a.URL.Query().Get("search")
	start, begins := strings.CutPrefix(search, "^")
	start, ends := strings.CutSuffix(start, "$")
	names := slices.DeleteFunc(slices.Sorted(maps.Keys(r.Tags)), func(name string) bool {
		switch {
		case begins && ends:
			return name != start
		case begins:
			return !strings.HasPrefix(name, start)
		case ends:
			return !strings.HasSuffix(name, start)
		}
		return !strings.Contains(name, start)
	})
	var listed []tag
	names, header := pageOf(a, r, names)
	for _, name := range names {
		listed = append(listed, newTag(r.Tags[name], name))
	}
	return list(header, listed)
}

// requests answers with a page of open requests, the newest first. Of a project that was deleted there is no number.
func requests(a *githosttest.Asked, r *githosttest.Repository) githosttest.Reply {
	if a.URL.Query().Get("state") != "opened" {
		return githosttest.NewReply(http.StatusBadRequest, asJSON(), map[string]string{"error": "only what is open is served here"})
	}
	var numbers []string
	for _, number := range r.Open() {
		numbers = append(numbers, strconv.Itoa(number))
	}
	slices.Reverse(numbers)
	numbers, header := pageOf(a, r, numbers)
	var listed []any
	for _, text := range numbers {
		number, _ := strconv.Atoi(text)
		q := r.Requests[number]
		var source any
		if from := a.Repos[q.From]; from != nil {
			source = from.ID
		} else if q.From != "" {
			source = 1
		}
		listed = append(listed, map[string]any{"id": 10_000 + number, "iid": number, "project_id": r.ID, "state": "opened", "title": "$(a stranger's text)",
			"sha": q.Head, "source_branch": "work", "target_branch": q.Target, "source_project_id": source, "target_project_id": r.ID})
	}
	return list(header, listed)
}

func list[T any](header map[string]string, listed []T) githosttest.Reply {
	return githosttest.NewReply(http.StatusOK, header, append([]T{}, listed...))
}

// pageOf returns the names on the page that is asked for, and the headers that tell of others.
func pageOf(a *githosttest.Asked, r *githosttest.Repository, names []string) ([]string, map[string]string) {
	q := a.URL.Query()
	size := number(q, "per_page", 20, maxPage)
	last := max(1, (len(names)+size-1)/size)
	page := number(q, "page", 1, 1<<30)
	from := min((page-1)*size, len(names))
	return names[from:min(from+size, len(names))], pages(a, r, page, size, len(names), last)
}

// pages returns the headers of offset-based pages.
func pages(a *githosttest.Asked, r *githosttest.Repository, page, size, total, last int) map[string]string {
	h := asJSON()
	h["X-Page"], h["X-Per-Page"] = strconv.Itoa(page), strconv.Itoa(size)
	h["X-Total"], h["X-Total-Pages"] = strconv.Itoa(total), strconv.Itoa(last)
	h["X-Next-Page"], h["X-Prev-Page"] = "", ""
	var links []string
	link := func(rel string, to int) {
		q := a.URL.Query()
		q.Set("id", r.Path)
		q.Set("page", strconv.Itoa(to))
		q.Set("per_page", strconv.Itoa(size))
		links = append(links, fmt.Sprintf("<%s%s?%s>; rel=%q", a.Here(), a.URL.EscapedPath(), q.Encode(), rel))
	}
	if page > 1 {
		h["X-Prev-Page"] = strconv.Itoa(page - 1)
		link("prev", page-1)
	}
	if page < last {
		h["X-Next-Page"] = strconv.Itoa(page + 1)
		link("next", page+1)
	}
	link("first", 1)
	link("last", last)
	h["Link"] = strings.Join(links, ", ")
	return h
}

type commit struct {
	ID             string   `json:"id"`
	ShortID        string   `json:"short_id"`
	ParentIDs      []string `json:"parent_ids"`
	Title          string   `json:"title"`
	Message        string   `json:"message"`
	AuthorName     string   `json:"author_name"`
	AuthorEmail    string   `json:"author_email"`
	AuthoredDate   string   `json:"authored_date"`
	CommitterName  string   `json:"committer_name"`
	CommitterEmail string   `json:"committer_email"`
	CommittedDate  string   `json:"committed_date"`
}

type branch struct {
	Name               string `json:"name"`
	Commit             commit `json:"commit"`
	Merged             bool   `json:"merged"`
	Protected          bool   `json:"protected"`
	DevelopersCanPush  bool   `json:"developers_can_push"`
	DevelopersCanMerge bool   `json:"developers_can_merge"`
	CanPush            bool   `json:"can_push"`
	Default            bool   `json:"default"`
	WebURL             string `json:"web_url"`
}

// tag is one as https://docs.gitlab.com/api/tags/ shows it.
type tag struct {
	Name      string  `json:"name"`
	Message   string  `json:"message"`
	Target    string  `json:"target"`
	Commit    commit  `json:"commit"`
	Release   *string `json:"release"`
	Protected bool    `json:"protected"`
	CreatedAt *string `json:"created_at"`
}

func newTag(t githosttest.Tag, name string) tag {
	return tag{Name: name, Target: t.Object, Commit: newCommit(t.Commit)}
}

func newBranch(r *githosttest.Repository, name, base string) branch {
	return branch{
		Name:    name,
		Default: name == "main",
		WebURL:  base + "/" + r.Path + "/-/tree/" + (&url.URL{Path: name}).EscapedPath(),
		Commit:  newCommit(r.Branches[name]),
	}
}

func newCommit(sha string) commit {
	const who, mail, when = "John Smith", "john@example.com", "2012-06-27T05:51:39.000+00:00"
	return commit{ID: sha, ShortID: sha[:min(8, len(sha))], ParentIDs: []string{}, Title: "add projects API",
		Message: "add projects API", AuthorName: who, AuthorEmail: mail, AuthoredDate: when,
		CommitterName: who, CommitterEmail: mail, CommittedDate: when}
}

func number(q url.Values, name string, fallback, most int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 {
		return fallback
	}
	return min(n, most)
}

func asJSON() map[string]string { return map[string]string{"Content-Type": "application/json"} }

func refuse(_ *githosttest.Asked, status int) githosttest.Reply {
	said := map[int]string{
		http.StatusUnauthorized: "401 Unauthorized",
		http.StatusForbidden:    "403 Forbidden",
		http.StatusNotFound:     "404 Project Not Found",
	}[status]
	return githosttest.NewReply(status, asJSON(), map[string]string{"message": said})
}

func limited(a *githosttest.Asked) githosttest.Reply {
	h := map[string]string{"Content-Type": "text/plain", "Retry-After": "60", "RateLimit-Name": "throttle_authenticated_api"}
	if a.Limit == githosttest.Exhausted {
		delete(h, "Retry-After")
		h["RateLimit-Remaining"] = "0"
	}
	return githosttest.NewReply(http.StatusTooManyRequests, h, "Retry later\n")
}

func header(a *githosttest.Asked) map[string]string {
	return map[string]string{
		"Cache-Control":       "max-age=0, private, must-revalidate",
		"Vary":                "Origin",
		"RateLimit-Limit":     "2000",
		"RateLimit-Observed":  strconv.Itoa(a.Counted),
		"RateLimit-Remaining": strconv.Itoa(max(0, 2000-a.Counted)),
		"RateLimit-Reset":     strconv.FormatInt(a.Reset.Unix(), 10),
		"X-Request-Id":        "01HEXAMPLE",
	}
}
