// Package giteatest is a Gitea in memory, for tests.
package giteatest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto/gitprototest"
)

// API is a Gitea.
type API struct {
	*githosttest.API
	listed map[*githosttest.Repository]*listed
	lag    time.Duration // after which the list shows a change
	ties   bool          // the list orders changes of the same second on each page anew
	most   int           // repositories on a page: MAX_RESPONSE_ITEMS
}

// New returns a Gitea without repositories.
func New() *API {
	g := &API{listed: make(map[*githosttest.Repository]*listed), most: 50}
	g.API = githosttest.NewAPI(githosttest.Dialect{Answer: g.answer, Refuse: refuse, Limited: limited, Header: header, Changed: g.touch})
	return g
}

// listed is what a Gitea's list tells of a repository, beside what all hosts know.
type listed struct {
	updated  []change // as they came
	mirror   bool
	archived bool
}

// change is a change with its time by the host's clock, which tests may set back, and when the list begins to
// show it, by the real one.
type change struct{ at, due time.Time }

// SetLag is how long after a change the list shows it.
func (g *API) SetLag(d time.Duration) { g.Set(func() { g.lag = d }) }

// SetMirror makes a repository a pull mirror, whose time in the list stays what it is.
func (g *API) SetMirror(path string) {
	g.Change(path, func(r *githosttest.Repository) { g.of(r).mirror = true })
}

// SetArchived archives a repository.
func (g *API) SetArchived(path string) {
	g.Change(path, func(r *githosttest.Repository) { g.of(r).archived = true })
}

// SetTies has the list order repositories of the same second on each page anew: Gitea leaves that to its database.
func (g *API) SetTies(anew bool) { g.Set(func() { g.ties = anew }) }

// SetMaxResponseItems is how many repositories a page has at most, 50 at first.
func (g *API) SetMaxResponseItems(n int) { g.Set(func() { g.most = n }) }

func (g *API) of(r *githosttest.Repository) *listed {
	if g.listed[r] == nil {
		g.listed[r] = new(listed)
	}
	return g.listed[r]
}

// touch notes a change.
func (g *API) touch(r *githosttest.Repository, now time.Time) {
	l := g.of(r)
	if l.mirror && len(l.updated) > 0 {
		return
	}
	l.updated = append(l.updated, change{now.Add(g.lag), time.Now().Add(g.lag)})
	if n := len(l.updated); n > 10 {
		l.updated = l.updated[n-10:]
	}
}

// time returns the time that the list shows.
func (l *listed) time() time.Time {
	now, last := time.Now(), l.updated[0]
	for _, c := range l.updated {
		if !c.due.After(now) {
			last = c
		}
	}
	return last.at.UTC().Truncate(time.Second)
}

func (g *API) answer(a *githosttest.Asked) githosttest.Reply {
	if strings.Join(a.Parts, "/") == "api/v1/repos/search" {
		return g.search(a)
	}
	if len(a.Parts) >= 6 && strings.Join(a.Parts[:3], "/") == "api/v1/repos" && a.Parts[5] == "hooks" {
		return hooks(a)
	}
	if len(a.Parts) == 6 && strings.Join(a.Parts[:3], "/") == "api/v1/repos" && a.Parts[5] == "pulls" {
		return pulls(a)
	}
	if asksStatuses(a) {
		return statuses(a)
	}
	if len(a.Parts) == 4 && strings.Join(a.Parts[:3], "/") == "api/v1/users" {
		return user(a)
	}
	if len(a.Parts) > 6 && strings.Join(a.Parts[:3], "/") == "api/v1/repos" && a.Parts[5] == "raw" {
		return raw(a)
	}
	if a.Parts[0] == "api" {
		return refuse(a, http.StatusNotFound)
	}
	return gitprototest.Answer(a, refuse)
}

// listing is a repository in the list, with the fields that say what and where it is.
type listing struct {
	ID            int       `json:"id"`
	Name          string    `json:"name"`
	FullName      string    `json:"full_name"`
	Empty         bool      `json:"empty"`
	Private       bool      `json:"private"`
	Mirror        bool      `json:"mirror"`
	Archived      bool      `json:"archived"`
	Fork          bool      `json:"fork"`
	Topics        []string  `json:"topics"`
	DefaultBranch string    `json:"default_branch"`
	CloneURL      string    `json:"clone_url"`
	SSHURL        string    `json:"ssh_url"`
	Updated       time.Time `json:"updated_at"`
}

// search answers with the repositories that a request may see, of one owner where it asks for these: newest change first, or by their
// numbers.
func (g *API) search(a *githosttest.Asked) githosttest.Reply {
	type updated struct {
		*githosttest.Repository
		at time.Time
	}
	var all []updated
	values := a.URL.Query()
	archived := func(r *githosttest.Repository) bool { return r.Archived || g.of(r).archived }
	for _, r := range a.Repos {
		owner, _, _ := strings.Cut(r.Path, "/")
		if r.Denied() || !a.Sees(r) || values.Get("archived") == "true" && !archived(r) {
			continue
		}
		if uid := values.Get("uid"); uid != "" && uid != "0" && uid != ownerOf(a, owner) {
			continue
		}
		all = append(all, updated{r, g.of(r).time()})
	}
	limit, _ := strconv.Atoi(values.Get("limit"))
	page, _ := strconv.Atoi(values.Get("page"))
	limit, page = min(cmp.Or(limit, 30), g.most), max(page, 1)
	tie := 1
	if g.ties && page%2 == 0 {
		tie = -1
	}
	slices.SortFunc(all, func(x, y updated) int {
		if values.Get("sort") == "id" {
			return cmp.Compare(x.ID, y.ID)
		}
		return cmp.Or(y.at.Compare(x.at), tie*cmp.Compare(y.ID, x.ID))
	})
	total := len(all)
	from, to := min((page-1)*limit, total), min(page*limit, total)
	listed := []listing{}
	for _, r := range all[from:to] {
		_, name, _ := strings.Cut(r.Path, "/")
		listed = append(listed, listing{r.ID, name, r.Path, len(r.Branches) == 0, r.Private(), g.of(r.Repository).mirror, archived(r.Repository),
			r.Fork, append([]string{}, r.Topics...), "main", a.Here() + "/" + r.Path + ".git", "git@" + a.Host + ":" + r.Path + ".git", r.at})
	}
	header := asJSON()
	header["X-Total-Count"] = strconv.Itoa(total)
	header["Access-Control-Expose-Headers"] = "Link, X-Total-Count"
	var links []string
	link := func(page int, rel string) {
		links = append(links, fmt.Sprintf(`<%s/api/v1/repos/search?limit=%d&page=%d>; rel="%s"`, a.Here(), limit, page, rel))
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
	return githosttest.NewReply(http.StatusOK, header, struct {
		OK   bool      `json:"ok"`
		Data []listing `json:"data"`
	}{true, listed})
}

// hooks answers what is asked about webhooks. The secret of one is never shown, and never changed.
func hooks(a *githosttest.Asked) githosttest.Reply {
	r, status := a.Find(githosttest.Unescape(a.Parts[3]) + "/" + githosttest.Unescape(a.Parts[4]))
	if status == http.StatusOK && !a.HasToken() {
		status = http.StatusUnauthorized
	}
	if status != http.StatusOK {
		return refuse(a, status)
	}
	status, body, more := a.AnswerHooks(r, a.Parts[6:], func(h githosttest.Hook) any {
		shown := maps.Clone(h.Body)
		config, _ := shown["config"].(map[string]any)
		config = maps.Clone(config)
		delete(config, "secret")
		shown["config"], shown["id"] = config, h.ID
		return shown
	})
	if body == nil {
		return refuse(a, status)
	}
	header := asJSON()
	if more {
		header["Link"] = fmt.Sprintf(`<%s%s?page=2>; rel="next"`, a.Here(), a.URL.EscapedPath())
	}
	return githosttest.NewReply(status, header, body)
}

func asJSON() map[string]string {
	return map[string]string{"Content-Type": "application/json;charset=utf-8"}
}

// refuse refuses: the API in JSON, and the Git protocol in plain words.
func refuse(a *githosttest.Asked, status int) githosttest.Reply {
	if !strings.HasPrefix(a.URL.Path, "/api/") {
		return gitprototest.Refuse(a, status)
	}
	body := map[string]any{"url": a.Here() + "/api/swagger"}
	switch status {
	case http.StatusUnauthorized:
		body["message"] = "invalid username, password or token"
	case http.StatusForbidden:
		body["message"] = "token does not have at least one of required scope(s), required=[read:repository], token scope=read:user"
	default:
		body["message"], body["errors"] = "not found", nil
	}
	return githosttest.NewReply(status, asJSON(), body)
}

// limited is what a proxy before Gitea answers: Gitea itself has no limits.
func limited(*githosttest.Asked) githosttest.Reply {
	return githosttest.NewReply(http.StatusTooManyRequests, map[string]string{"Content-Type": "text/html", "Retry-After": "60"},
		"<html><body><h1>429 Too Many Requests</h1></body></html>\n")
}

func header(*githosttest.Asked) map[string]string {
	return map[string]string{"Cache-Control": "max-age=0, private, must-revalidate, no-transform"}
}
