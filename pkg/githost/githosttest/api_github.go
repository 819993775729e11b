package githosttest

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// gitHubEndpoints are where GraphQL is at api.github.com, and at an Enterprise server.
var gitHubEndpoints = []string{"graphql", "api/graphql"}

// gitHubRoute serves api.github.com, and the same below /api/v3 as an Enterprise server does.
func gitHubRoute(a *API, req *http.Request, parts []string) reply {
	if a.asksGraphQL(req, gitHubEndpoints...) {
		return gitHubQuery(a, req)
	}
	base := here(req)
	if len(parts) > 2 && parts[0] == "api" && parts[1] == "v3" {
		base, parts = base+"/api/v3", parts[2:]
	}
	var path string
	var rest []string
	switch {
	case len(parts) > 3 && parts[0] == "repos":
		path, rest = unescape(parts[1])+"/"+unescape(parts[2]), parts[3:]
	case len(parts) > 2 && parts[0] == "repositories":
		for _, r := range a.repos {
			if strconv.Itoa(r.id) == parts[1] {
				path, rest = r.path, parts[2:]
			}
		}
	}
	if to, ok := a.moved[path]; ok && a.repos[to] != nil {
		at := fmt.Sprintf("%s/repositories/%d/%s", base, a.repos[to].id, strings.Join(rest, "/"))
		if req.URL.RawQuery != "" {
			at += "?" + req.URL.RawQuery
		}
		return gitHubReply(http.StatusMovedPermanently, map[string]string{"message": "Moved Permanently", "url": at,
			"documentation_url": "https://docs.github.com/v3/#http-redirects"}, "Location", at)
	}
	r, status := a.find(req, path)
	if status != http.StatusOK {
		return gitHubDenied(a, req, status)
	}
	if len(rest) < 3 || rest[0] != "git" || rest[1] != "matching-refs" || rest[2] != "heads" {
		return gitHubDenied(a, req, http.StatusNotFound)
	}
	return gitHubRefs(r, base, unescape(strings.Join(rest[3:], "/")))
}

// gitHubRefs answers with all refs that begin with prefix: there are no pages.
func gitHubRefs(r *apiRepo, base, prefix string) reply {
	if len(r.branches) == 0 {
		return gitHubReply(http.StatusConflict, map[string]string{"message": "Git Repository is empty.",
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
	for _, b := range r.matching(func(b string) bool { return strings.HasPrefix(b, prefix) }) {
		sha, in := r.branches[b], base+"/repos/"+r.path+"/git/"
		refs = append(refs, ref{"refs/heads/" + b, base64.StdEncoding.EncodeToString([]byte(b)),
			in + "refs/heads/" + (&url.URL{Path: b}).EscapedPath(), object{sha, "commit", in + "commits/" + sha}})
	}
	return gitHubReply(http.StatusOK, refs)
}

func gitHubReply(status int, body any, header ...string) reply {
	h := map[string]string{"Content-Type": "application/json; charset=utf-8"}
	for i := 0; i+1 < len(header); i += 2 {
		h[header[i]] = header[i+1]
	}
	return reply{status, h, body}
}

func gitHubDenied(_ *API, _ *http.Request, status int) reply {
	said := map[int]string{
		http.StatusUnauthorized: "Bad credentials",
		http.StatusForbidden:    "Resource not accessible by personal access token",
		http.StatusNotFound:     "Not Found",
	}[status]
	return gitHubReply(status, map[string]string{"message": said, "documentation_url": "https://docs.github.com/rest"})
}

func gitHubLimited(a *API) reply {
	switch a.limit {
	case Abused:
		return gitHubReply(http.StatusForbidden, map[string]string{
			"message":           "You have exceeded a secondary rate limit. Please wait a few minutes before you try again.",
			"documentation_url": "https://docs.github.com/free-pro-team@latest/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits",
		}, "Retry-After", "60")
	case TooMany:
		return gitHubReply(http.StatusTooManyRequests, map[string]string{"message": "Too many requests"}, "Retry-After", "60")
	}
	return gitHubReply(http.StatusForbidden, map[string]string{"message": "API rate limit exceeded for user ID 1.",
		"documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api"}, "X-RateLimit-Remaining", "0")
}

func gitHubHeader(a *API, req *http.Request) map[string]string {
	most := 60
	if a.hasToken(req) {
		most = 5000
	}
	return map[string]string{
		"Cache-Control":         "private, max-age=60, s-maxage=60",
		"Vary":                  "Accept, Authorization, Cookie, X-GitHub-OTP, Accept-Encoding, Accept, X-Requested-With",
		"X-GitHub-Media-Type":   "github.v3; format=json",
		"X-GitHub-Request-Id":   "0000:00000:0000000:0000000:00000000",
		"X-RateLimit-Limit":     strconv.Itoa(most),
		"X-RateLimit-Remaining": strconv.Itoa(max(0, most-a.counted)),
		"X-RateLimit-Reset":     strconv.FormatInt(a.reset.Unix(), 10),
		"X-RateLimit-Resource":  "core",
		"X-RateLimit-Used":      strconv.Itoa(a.counted),
	}
}

func unescape(s string) string {
	if u, err := url.PathUnescape(s); err == nil {
		return u
	}
	return s
}
