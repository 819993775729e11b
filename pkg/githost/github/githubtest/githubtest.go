// Package githubtest is a GitHub in memory, for tests.
package githubtest

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"encoding/base64"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql/graphqltest"
)

// published is schema.graphql of @octokit/graphql-schema 15.26.1 (npm, MIT, © GitHub), as published.
//
//go:embed github.graphql.gz
var published []byte

var schema = sync.OnceValue(func() *graphqltest.Schema {
	unpacked, err := gzip.NewReader(bytes.NewReader(published))
	if err != nil {
		panic(err)
	}
	text, err := io.ReadAll(unpacked)
	if err != nil {
		panic(err)
	}
	return graphqltest.MustLoad("github.graphql", string(text))
})

// New returns a GitHub without repositories.
func New() *githosttest.API {
	return githosttest.NewAPI(githosttest.Dialect{Answer: answer, Refuse: refuse, Limited: limited, Header: header,
		ETag: `W/"%x"`, UnchangedIsFree: true})
}

// endpoints are where GraphQL is at api.github.com, and at an Enterprise server.
var endpoints = []string{"graphql", "api/graphql"}

// answer serves api.github.com, and the same below /api/v3 as an Enterprise server does.
func answer(a *githosttest.Asked) githosttest.Reply {
	if a.AsksGraphQL(endpoints...) {
		return query(a)
	}
	base, parts := a.Here(), a.Parts
	if len(parts) > 2 && parts[0] == "api" && parts[1] == "v3" {
		base, parts = base+"/api/v3", parts[2:]
	}
	var path string
	var rest []string
	switch {
	case len(parts) > 3 && parts[0] == "repos":
		path, rest = githosttest.Unescape(parts[1])+"/"+githosttest.Unescape(parts[2]), parts[3:]
	case len(parts) > 2 && parts[0] == "repositories":
		for _, r := range a.Repos {
			if strconv.Itoa(r.ID) == parts[1] {
				path, rest = r.Path, parts[2:]
			}
		}
	}
	if to, ok := a.Moved[path]; ok && a.Repos[to] != nil {
		at := fmt.Sprintf("%s/repositories/%d/%s%s", base, a.Repos[to].ID, strings.Join(rest, "/"), a.Query())
		status := http.StatusMovedPermanently
		if a.Method != http.MethodGet {
			status = http.StatusTemporaryRedirect
		}
		return reply(status, map[string]string{"message": http.StatusText(status), "url": at,
			"documentation_url": "https://docs.github.com/v3/#http-redirects"}, "Location", at)
	}
	r, status := a.Find(path)
	if status != http.StatusOK {
		return refuse(a, status)
	}
	if rest[0] == "hooks" {
		return hooks(a, r, rest[1:])
	}
	switch {
	case len(rest) == 3 && rest[0] == "commits" && rest[2] == "statuses":
		return statuses(a, r, rest[1])
	case len(rest) == 2 && rest[0] == "statuses" && a.Method == http.MethodPost:
		return newStatus(a, r, rest[1])
	}
	if len(rest) == 1 && rest[0] == "tags" {
		return tags(a, r, base)
	}
	if len(rest) == 1 && rest[0] == "pulls" {
		return pulls(a, r)
	}
	if len(rest) < 3 || rest[0] != "git" || rest[1] != "matching-refs" || rest[2] != "heads" {
		return refuse(a, http.StatusNotFound)
	}
	return refs(r, base, githosttest.Unescape(strings.Join(rest[3:], "/")))
}

// hooks answers what is asked about webhooks. The secret of one is never shown.
func hooks(a *githosttest.Asked, r *githosttest.Repository, rest []string) githosttest.Reply {
	if !a.HasToken() {
		return refuse(a, http.StatusNotFound)
	}
	status, body, more := a.AnswerHooks(r, rest, func(h githosttest.Hook) any {
		shown := maps.Clone(h.Body)
		shown["id"], shown["type"] = h.ID, "Repository"
		config, _ := shown["config"].(map[string]any)
		config = maps.Clone(config)
		if config["secret"] != nil {
			config["secret"] = "********"
		}
		shown["config"] = config
		return shown
	})
	if body == nil {
		return refuse(a, status)
	}
	answer := reply(status, body)
	if more {
		page, _ := strconv.Atoi(a.URL.Query().Get("page"))
		answer.Header["Link"] = fmt.Sprintf(`<%s%s?per_page=100&page=%d>; rel="next"`, a.Here(), a.URL.EscapedPath(), max(page, 1)+1)
	}
	return answer
}

// refs answers with all refs that begin with prefix: there are no pages.
func refs(r *githosttest.Repository, base, prefix string) githosttest.Reply {
	if len(r.Branches) == 0 {
		return reply(http.StatusConflict, map[string]string{"message": "Git Repository is empty.",
			"documentation_url": "https://docs.github.com/rest/git/refs#list-matching-references"})
	}
	type object struct {
		SHA  string `json:"sha"`
		Type string `json:"type"`
		URL  string `json:"url"`
	}
	type ref struct {
		Ref    string `json:"ref"`
		NodeID string `json:"node_id"`
		URL    string `json:"url"`
		Object object `json:"object"`
	}
	refs := []ref{}
	for _, b := range r.Matching(func(b string) bool { return strings.HasPrefix(b, prefix) }) {
		sha, in := r.Branches[b], base+"/repos/"+r.Path+"/git/"
		refs = append(refs, ref{"refs/heads/" + b, base64.StdEncoding.EncodeToString([]byte(b)),
			in + "refs/heads/" + (&url.URL{Path: b}).EscapedPath(), object{sha, "commit", in + "commits/" + sha}})
	}
	return reply(http.StatusOK, refs)
}

// tags answers with a page of tags, each with its commit, the last by name first.
func tags(a *githosttest.Asked, r *githosttest.Repository, base string) githosttest.Reply {
	type commit struct {
		SHA string `json:"sha"`
		URL string `json:"url"`
	}
	type tag struct {
		Name       string `json:"name"`
		ZipballURL string `json:"zipball_url"`
		TarballURL string `json:"tarball_url"`
		Commit     commit `json:"commit"`
		NodeID     string `json:"node_id"`
	}
	size, _ := strconv.Atoi(a.URL.Query().Get("per_page"))
	page, _ := strconv.Atoi(a.URL.Query().Get("page"))
	size, page = min(max(size, 30), 100), max(page, 1)
	names := slices.Sorted(maps.Keys(r.Tags))
	slices.Reverse(names)
	from := min((page-1)*size, len(names))
	to := min(from+size, len(names))
	listed, in := []tag{}, base+"/repos/"+r.Path
	for _, name := range names[from:to] {
		at := (&url.URL{Path: name}).EscapedPath()
		listed = append(listed, tag{name, in + "/zipball/refs/tags/" + at, in + "/tarball/refs/tags/" + at,
			commit{r.Tags[name].Commit, in + "/commits/" + r.Tags[name].Commit}, base64.StdEncoding.EncodeToString([]byte(name))})
	}
	if to == len(names) {
		return reply(http.StatusOK, listed)
	}
	return reply(http.StatusOK, listed, "Link", fmt.Sprintf(`<%s%s?per_page=%d&page=%d>; rel="next"`, a.Here(), a.URL.EscapedPath(), size, page+1))
}

// pulls answers with a page of open requests, the newest first.
func pulls(a *githosttest.Asked, r *githosttest.Repository) githosttest.Reply {
	size, _ := strconv.Atoi(a.URL.Query().Get("per_page"))
	page, _ := strconv.Atoi(a.URL.Query().Get("page"))
	size, page = min(max(size, 30), 100), max(page, 1)
	numbers := r.Open()
	slices.Reverse(numbers)
	from := min((page-1)*size, len(numbers))
	to := min(from+size, len(numbers))
	listed := []any{}
	for _, number := range numbers[from:to] {
		q := r.Requests[number]
		owner, _, _ := strings.Cut(r.Path, "/")
		head := map[string]any{"label": "somebody:work", "ref": "work", "sha": q.Head, "repo": nil}
		if from := a.Repos[q.From]; from != nil {
			head["repo"] = map[string]any{"id": from.ID, "full_name": from.Path}
		} else if q.From != "" {
			head["repo"] = map[string]any{"id": 1, "full_name": q.From}
		}
		listed = append(listed, map[string]any{"number": number, "state": "open", "title": "$(a stranger's text)", "head": head,
			"base": map[string]any{"label": owner + ":" + q.Target, "ref": q.Target, "sha": baseOf(r, q), "repo": map[string]any{"id": r.ID, "full_name": r.Path}}})
	}
	if to == len(numbers) {
		return reply(http.StatusOK, listed)
	}
	return reply(http.StatusOK, listed, "Link", fmt.Sprintf(`<%s%s?per_page=%d&page=%d>; rel="next"`, a.Here(), a.URL.EscapedPath(), size, page+1))
}

func reply(status int, body any, header ...string) githosttest.Reply {
	h := map[string]string{"Content-Type": "application/json; charset=utf-8"}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return githosttest.NewReply(status, h, body)
}

func refuse(_ *githosttest.Asked, status int) githosttest.Reply {
	said := map[int]string{
		http.StatusUnauthorized: "Bad credentials",
		http.StatusForbidden:    "Resource not accessible by personal access token",
		http.StatusNotFound:     "Not Found",
	}[status]
	return reply(status, map[string]string{"message": said, "documentation_url": "https://docs.github.com/rest"})
}

func limited(a *githosttest.Asked) githosttest.Reply {
	if a.Limit == githosttest.Exhausted && a.AsksGraphQL(endpoints...) {
		return queryLimited()
	}
	switch a.Limit {
	case githosttest.Abused:
		return reply(http.StatusForbidden, map[string]string{
			"message":           "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			"documentation_url": "https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		}, "Retry-After", "60")
	case githosttest.TooMany:
		return reply(http.StatusTooManyRequests, map[string]string{"message": "Too many requests"}, "Retry-After", "60")
	}
	return reply(http.StatusForbidden, map[string]string{"message": "API rate limit exceeded for user ID 1.",
		"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}, "X-RateLimit-Remaining", "0")
}

func header(a *githosttest.Asked) map[string]string {
	most := 60
	if a.HasToken() {
		most = 5000
	}
	return map[string]string{
		"Cache-Control":         "private, max-age=60, s-maxage=60",
		"Vary":                  "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With",
		"X-GitHub-Media-Type":   "github.v3; format=json",
		"X-GitHub-Request-Id":   "0000:00000:0000000:0000000:00000000",
		"X-RateLimit-Limit":     strconv.Itoa(most),
		"X-RateLimit-Remaining": strconv.Itoa(max(0, most-a.Counted)),
		"X-RateLimit-Reset":     strconv.FormatInt(a.Reset.Unix(), 10),
		"X-RateLimit-Resource":  "core",
		"X-RateLimit-Used":      strconv.Itoa(a.Counted),
	}
}
