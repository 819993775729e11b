package githosttest

import (
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
)

const gitLabMaxPage = 100

func gitLabRoute(a *API, req *http.Request, parts []string) reply {
	if a.asksGraphQL(req, "api/graphql") {
		return gitLabQuery(a, req)
	}
	if len(parts) != 6 || strings.Join(parts[:3], "/") != "api/v4/projects" || strings.Join(parts[4:], "/") != "repository/branches" {
		return reply{http.StatusNotFound, gitLabJSON(), map[string]string{"error": "404 Not Found"}}
	}
	path := unescape(parts[3])
	if id, err := strconv.Atoi(path); err == nil {
		for _, r := range a.repos {
			if r.id == id {
				path = r.path
			}
		}
	}
	if to, ok := a.moved[path]; ok && a.repos[to] != nil {
		at := fmt.Sprintf("%s/api/v4/projects/%d/repository/branches", here(req), a.repos[to].id)
		if req.URL.RawQuery != "" {
			at += "?" + req.URL.RawQuery
		}
		return reply{http.StatusMovedPermanently, map[string]string{"Content-Type": "text/plain", "Location": at},
			"This resource has been moved permanently to " + at + "."}
	}
	r, status := a.find(req, path)
	if status != http.StatusOK {
		return gitLabDenied(a, req, status)
	}
	return gitLabBranches(r, req)
}

func gitLabBranches(r *apiRepo, req *http.Request) reply {
	q := req.URL.Query()
	re, err := regexp.Compile(q.Get("regex"))
	if err != nil {
		return reply{http.StatusBadRequest, gitLabJSON(), map[string]string{"error": "regex is invalid"}}
	}
	names := r.matching(re.MatchString)
	size := number(q, "per_page", 20, gitLabMaxPage)
	last := max(1, (len(names)+size-1)/size)
	page := number(q, "page", 1, 1<<30)
	from := min((page-1)*size, len(names))
	branches := []gitLabBranch{}
	for _, name := range names[from:min(from+size, len(names))] {
		branches = append(branches, newGitLabBranch(r, name, here(req)))
	}
	return reply{http.StatusOK, gitLabPages(r, req, page, size, len(names), last), branches}
}

// gitLabPages returns the headers of offset-based pages.
func gitLabPages(r *apiRepo, req *http.Request, page, size, total, last int) map[string]string {
	h := gitLabJSON()
	h["X-Page"], h["X-Per-Page"] = strconv.Itoa(page), strconv.Itoa(size)
	h["X-Total"], h["X-Total-Pages"] = strconv.Itoa(total), strconv.Itoa(last)
	h["X-Next-Page"], h["X-Prev-Page"] = "", ""
	var links []string
	link := func(rel string, to int) {
		q := req.URL.Query()
		q.Set("id", r.path)
		q.Set("page", strconv.Itoa(to))
		q.Set("per_page", strconv.Itoa(size))
		links = append(links, fmt.Sprintf("<%s%s?%s>; rel=%q", here(req), req.URL.EscapedPath(), q.Encode(), rel))
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

type gitLabCommit struct {
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

type gitLabBranch struct {
	Name               string       `json:"name"`
	Commit             gitLabCommit `json:"commit"`
	Merged             bool         `json:"merged"`
	Protected          bool         `json:"protected"`
	DevelopersCanPush  bool         `json:"developers_can_push"`
	DevelopersCanMerge bool         `json:"developers_can_merge"`
	CanPush            bool         `json:"can_push"`
	Default            bool         `json:"default"`
	WebURL             string       `json:"web_url"`
}

func newGitLabBranch(r *apiRepo, name, base string) gitLabBranch {
	const who, mail, when = "John Smith", "john@example.com", "2012-06-27T05:51:39.000+00:00"
	sha := r.branches[name]
	return gitLabBranch{
		Name:    name,
		Default: name == "main",
		WebURL:  base + "/" + r.path + "/-/tree/" + (&url.URL{Path: name}).EscapedPath(),
		Commit: gitLabCommit{ID: sha, ShortID: sha[:min(8, len(sha))], ParentIDs: []string{}, Title: "add projects API",
			Message: "add projects API", AuthorName: who, AuthorEmail: mail, AuthoredDate: when,
			CommitterName: who, CommitterEmail: mail, CommittedDate: when},
	}
}

func number(q url.Values, name string, fallback, most int) int {
	n, err := strconv.Atoi(q.Get(name))
	if err != nil || n < 1 {
		return fallback
	}
	return min(n, most)
}

func gitLabJSON() map[string]string { return map[string]string{"Content-Type": "application/json"} }

func gitLabDenied(_ *API, _ *http.Request, status int) reply {
	said := map[int]string{
		http.StatusUnauthorized: "401 Unauthorized",
		http.StatusForbidden:    "403 Forbidden",
		http.StatusNotFound:     "404 Project Not Found",
	}[status]
	return reply{status, gitLabJSON(), map[string]string{"message": said}}
}

func gitLabLimited(a *API) reply {
	h := map[string]string{"Content-Type": "text/plain", "Retry-After": "60", "RateLimit-Name": "throttle_authenticated_api"}
	if a.limit == Exhausted {
		delete(h, "Retry-After")
		h["RateLimit-Remaining"] = "0"
	}
	return reply{http.StatusTooManyRequests, h, "Retry later\n"}
}

func gitLabHeader(a *API, _ *http.Request) map[string]string {
	return map[string]string{
		"Cache-Control":       "max-age=0, private, must-revalidate",
		"Vary":                "Origin",
		"RateLimit-Limit":     "2000",
		"RateLimit-Observed":  strconv.Itoa(a.counted),
		"RateLimit-Remaining": strconv.Itoa(max(0, 2000-a.counted)),
		"RateLimit-Reset":     strconv.FormatInt(a.reset.Unix(), 10),
		"X-Request-Id":        "01HEXAMPLE",
	}
}
