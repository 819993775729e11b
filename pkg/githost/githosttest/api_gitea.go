package githosttest

import (
	"cmp"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// giteaRepo is what a Gitea's list tells of a repository, beside what all hosts know.
type giteaRepo struct {
	updated  []giteaChange // as they came
	mirror   bool
	archived bool
}

// giteaChange is a change with its time by the host's clock, which tests may set back, and when the list begins to
// show it, by the real one.
type giteaChange struct{ at, due time.Time }

// SetLag is how long after a change a Gitea's list shows it.
func (a *API) SetLag(d time.Duration) { a.set(func() { a.lag = d }) }

// SetMirror makes a repository a pull mirror, whose time in a Gitea's list stays what it is.
func (a *API) SetMirror(path string) { a.change(path, func(r *apiRepo) { r.gitea.mirror = true }) }

// SetArchived archives a repository of a Gitea.
func (a *API) SetArchived(path string) { a.change(path, func(r *apiRepo) { r.gitea.archived = true }) }

// SetTies has a Gitea's list order repositories of the same second on each page anew: Gitea leaves that to its database.
func (a *API) SetTies(anew bool) { a.set(func() { a.ties = anew }) }

// touch notes a change.
func (a *API) touch(r *apiRepo) {
	if r.gitea.mirror && len(r.gitea.updated) > 0 {
		return
	}
	r.gitea.updated = append(r.gitea.updated, giteaChange{a.now().Add(a.lag), time.Now().Add(a.lag)})
	if n := len(r.gitea.updated); n > 10 {
		r.gitea.updated = r.gitea.updated[n-10:]
	}
}

// listed returns the time that the list shows of a repository.
func (a *API) listed(r *apiRepo) time.Time {
	now, last := time.Now(), r.gitea.updated[0]
	for _, c := range r.gitea.updated {
		if !c.due.After(now) {
			last = c
		}
	}
	return last.at.UTC().Truncate(time.Second)
}

func giteaRoute(a *API, req *http.Request, parts []string) reply {
	if strings.Join(parts, "/") == "api/v1/repos/search" {
		return giteaSearch(a, req)
	}
	if len(parts) < 3 || parts[0] == "api" {
		return giteaDenied(a, req, http.StatusNotFound)
	}
	path, rest := unescape(parts[0])+"/"+strings.TrimSuffix(unescape(parts[1]), ".git"), strings.Join(parts[2:], "/")
	if to, ok := a.moved[path]; ok {
		return reply{http.StatusMovedPermanently, map[string]string{"Location": "/" + to + "/" + rest + query(req)}, ""}
	}
	r, status := a.find(req, path)
	switch {
	case status == http.StatusNotFound && sentToken(req) == "":
		return giteaDenied(a, req, http.StatusUnauthorized) // whether it exists is not for everybody
	case status != http.StatusOK:
		return giteaDenied(a, req, status)
	case rest == "git-upload-pack" && req.Method == http.MethodPost:
		return lsRefs(req, r)
	case rest == "info/refs":
		return advertisement(req)
	}
	return giteaDenied(a, req, http.StatusNotFound)
}

func query(req *http.Request) string {
	if req.URL.RawQuery == "" {
		return ""
	}
	return "?" + req.URL.RawQuery
}

// giteaListed is a repository in the list, with the fields that say what and where it is.
type giteaListed struct {
	ID            int       `json:"id"`
	Name          string    `json:"name"`
	FullName      string    `json:"full_name"`
	Empty         bool      `json:"empty"`
	Private       bool      `json:"private"`
	Mirror        bool      `json:"mirror"`
	Archived      bool      `json:"archived"`
	DefaultBranch string    `json:"default_branch"`
	CloneURL      string    `json:"clone_url"`
	Updated       time.Time `json:"updated_at"`
}

// giteaSearch answers with the repositories that a request may see, newest change first: that is the only
// order it knows, whatever is asked.
func giteaSearch(a *API, req *http.Request) reply {
	type updated struct {
		*apiRepo
		at time.Time
	}
	var all []updated
	for _, r := range a.repos {
		if r.denied || r.private && !a.hasToken(req) {
			continue
		}
		all = append(all, updated{r, a.listed(r)})
	}
	values := req.URL.Query()
	limit, _ := strconv.Atoi(values.Get("limit"))
	page, _ := strconv.Atoi(values.Get("page"))
	limit, page = min(cmp.Or(limit, 30), 50), max(page, 1)
	tie := 1
	if a.ties && page%2 == 0 {
		tie = -1
	}
	slices.SortFunc(all, func(x, y updated) int { return cmp.Or(y.at.Compare(x.at), tie*cmp.Compare(y.id, x.id)) })
	total := len(all)
	from, to := min((page-1)*limit, total), min(page*limit, total)
	listed := []giteaListed{}
	for _, r := range all[from:to] {
		_, name, _ := strings.Cut(r.path, "/")
		listed = append(listed, giteaListed{r.id, name, r.path, len(r.branches) == 0, r.private, r.gitea.mirror, r.gitea.archived,
			"main", here(req) + "/" + r.path + ".git", r.at})
	}
	header := giteaJSON()
	header["X-Total-Count"] = strconv.Itoa(total)
	header["Access-Control-Expose-Headers"] = "Link, X-Total-Count"
	var links []string
	link := func(page int, rel string) {
		links = append(links, fmt.Sprintf(`<%s/api/v1/repos/search?limit=%d&page=%d>; rel="%s"`, here(req), limit, page, rel))
	}
	if to < total {
		link(page+1, "next")
		link((total+limit-1)/limit, "last")
	}
	if page > 1 {
		link(1, "first")
		link(page-1, "prev")
	}
	header["Link"] = strings.Join(links, ",")
	return reply{http.StatusOK, header, struct {
		OK   bool          `json:"ok"`
		Data []giteaListed `json:"data"`
	}{true, listed}}
}

func giteaJSON() map[string]string {
	return map[string]string{"Content-Type": "application/json;charset=utf-8"}
}

// giteaDenied refuses: the API in JSON, and the Git protocol in plain words.
func giteaDenied(_ *API, req *http.Request, status int) reply {
	if !strings.HasPrefix(req.URL.Path, "/api/") {
		text := map[int]string{http.StatusUnauthorized: "Unauthorized\n", http.StatusForbidden: "Forbidden\n", http.StatusNotFound: "Repository not found"}
		header := map[string]string{"Content-Type": "text/plain;charset=utf-8"}
		if status == http.StatusUnauthorized {
			header["WWW-Authenticate"] = `Basic realm="Gitea"`
		}
		return reply{status, header, text[status]}
	}
	body := map[string]any{"url": here(req) + "/api/swagger"}
	switch status {
	case http.StatusUnauthorized:
		body["message"] = "invalid username, password or token"
	case http.StatusForbidden:
		body["message"] = "token does not have at least one of required scope(s), required=[read:repository], token scope=read:user"
	default:
		body["message"], body["errors"] = "not found", nil
	}
	return reply{status, giteaJSON(), body}
}

// giteaLimited is what a proxy before Gitea answers: Gitea itself has no limits.
func giteaLimited(*API) reply {
	return reply{http.StatusTooManyRequests, map[string]string{"Content-Type": "text/html", "Retry-After": "60"},
		"<html><body><h1>429 Too Many Requests</h1></body></html>\n"}
}

func giteaHeader(*API, *http.Request) map[string]string {
	return map[string]string{"Cache-Control": "max-age=0, private, must-revalidate, no-transform"}
}
