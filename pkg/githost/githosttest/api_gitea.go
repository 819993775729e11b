package githosttest

import (
	"net/http"
	"net/url"
	"strings"
)

func giteaRoute(a *API, req *http.Request, parts []string) reply {
	if len(parts) < 5 || strings.Join(parts[:3], "/") != "api/v1/repos" {
		return giteaDenied(a, req, http.StatusNotFound)
	}
	path, rest := unescape(parts[3])+"/"+unescape(parts[4]), parts[5:]
	if to, ok := a.moved[path]; ok {
		at := strings.Replace(req.URL.EscapedPath(), parts[3]+"/"+parts[4], (&url.URL{Path: to}).EscapedPath(), 1)
		return reply{http.StatusMovedPermanently, map[string]string{"Content-Type": "text/html; charset=utf-8", "Location": at},
			`<a href="` + at + `">Moved Permanently</a>.` + "\n\n"}
	}
	r, status := a.find(req, path)
	switch {
	case status != http.StatusOK:
		return giteaDenied(a, req, status)
	case len(rest) == 0:
		return reply{http.StatusOK, giteaJSON(), giteaRepository(r, here(req))}
	case len(rest) >= 3 && strings.Join(rest[:3], "/") == "git/refs/heads":
		return giteaRefs(a, req, r, unescape(strings.Join(rest[3:], "/")))
	}
	return giteaDenied(a, req, http.StatusNotFound)
}

// giteaRefs answers with all refs that begin with prefix, or 404 when none does.
func giteaRefs(a *API, req *http.Request, r *apiRepo, prefix string) reply {
	type object struct {
		Type string `json:"type"`
		SHA  string `json:"sha"`
		URL  string `json:"url"`
	}
	type ref struct {
		Ref    string `json:"ref"`
		URL    string `json:"url"`
		Object object `json:"object"`
	}
	var refs []ref
	for _, b := range r.matching(func(b string) bool { return strings.HasPrefix(b, prefix) }) {
		sha, in := r.branches[b], here(req)+"/api/v1/repos/"+r.path+"/git/"
		refs = append(refs, ref{"refs/heads/" + b, in + "refs/heads/" + (&url.URL{Path: b}).EscapedPath(),
			object{"commit", sha, in + "commits/" + sha}})
	}
	if refs == nil {
		return giteaDenied(a, req, http.StatusNotFound)
	}
	return reply{http.StatusOK, giteaJSON(), refs}
}

// giteaRepository returns the fields of a repository that say whether and where it is.
func giteaRepository(r *apiRepo, base string) any {
	_, name, _ := strings.Cut(r.path, "/")
	return struct {
		ID            int    `json:"id"`
		Name          string `json:"name"`
		FullName      string `json:"full_name"`
		Empty         bool   `json:"empty"`
		Private       bool   `json:"private"`
		DefaultBranch string `json:"default_branch"`
		CloneURL      string `json:"clone_url"`
	}{r.id, name, r.path, len(r.branches) == 0, r.private, "main", base + "/" + r.path + ".git"}
}

func giteaJSON() map[string]string {
	return map[string]string{"Content-Type": "application/json;charset=utf-8"}
}

func giteaDenied(_ *API, req *http.Request, status int) reply {
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
