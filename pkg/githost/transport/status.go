package transport

import (
	"cmp"
	"encoding/json"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// maxUntil bounds how long a server's word can keep us from asking again. GitHub's limits reset within
// an hour, the longest of the hosts.
const maxUntil = time.Hour

// StatusError makes an *Error of an answer with a status that is not success. body is the start of the
// answer, as far as the caller has read it, or nil; what it says is quoted when it is a message for
// people. 401 is Denied; 403 too, unless headers or body say that it is a rate limit, which is of one resource when
// the headers name it and do not tell of a secondary limit; a page to sign in, as Azure DevOps answers with status 203, is a 401; 404 and 410 are NotFound;
// 5xx, 408 and 425 are Temporary; everything else is Invalid.
func StatusError(host string, resp *http.Response, body []byte) *githost.Error {
	kind, hint := githost.Invalid, "is this the right type of host, and the right URL?"
	var until time.Time
	resource, status := "", resp.StatusCode
	switch s := resp.StatusCode; {
	case signIn(resp):
		kind, hint, status = githost.Denied, "it answers with a page to sign in: check auth, and whether the token has expired", http.StatusUnauthorized
	case s == http.StatusTooManyRequests, s == http.StatusForbidden && (saysLimit(resp.Header) || LimitText(string(body))):
		kind, hint = githost.RateLimited, "asked too often"
		until = namedUntil(resp.Header, time.Now(), "Retry-After", "X-RateLimit-Reset", "RateLimit-Reset")
		// GitHub sends Retry-After for secondary limits, which are of all resources.
		if resp.Request != nil && marksOf(resp.Request).Apart {
			resource = marksOf(resp.Request).Resource
		} else if resp.Header.Get("Retry-After") == "" && !SecondaryLimit(string(body)) {
			resource = usedUp(resp)
		}
	case s == http.StatusUnauthorized && sentCredential(resp):
		kind, hint = githost.Denied, "the credential was refused: check auth, and whether the token has expired"
	case s == http.StatusUnauthorized:
		kind, hint = githost.Denied, "no credential was given: set auth.token (hosts answer this, too, for a repository that does not exist)"
	case s == http.StatusForbidden && sentCredential(resp):
		kind, hint = githost.Denied, "the credential lacks the right to read this"
	case s == http.StatusForbidden:
		kind, hint = githost.Denied, "not open to everybody: set auth.token"
	case s == http.StatusProxyAuthRequired:
		kind, hint = githost.Denied, "the proxy "+proxyCredential
	case s == http.StatusNotFound, s == http.StatusGone:
		kind, hint = githost.NotFound, "no such repository, or this credential may not see it"
	case s >= 500, s == http.StatusRequestTimeout, s == http.StatusTooEarly:
		kind, hint = githost.Temporary, "the server has a problem"
		until = namedUntil(resp.Header, time.Now(), "Retry-After")
	}
	e := githost.NewError(kind, host, "HTTP %d: %s%s", resp.StatusCode, hint, quote(resp, body))
	e.Status, e.Until, e.Resource = status, until, resource
	return e
}

// signIn reports whether an answer is a page for people to sign in at, with a status that is no failure.
func signIn(resp *http.Response) bool {
	if resp.StatusCode != http.StatusNonAuthoritativeInfo {
		return false
	}
	t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	return t == "text/html"
}

// quote returns what the server says for people, in brackets, or "".
func quote(resp *http.Response, body []byte) string {
	const most = 120 + len("…")
	var said struct {
		Message     any    `json:"message"` // GitLab sometimes sends an object
		Error       any    `json:"error"`
		Description string `json:"error_description"`
	}
	text := ""
	switch t, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type")); t {
	case "application/json":
		if json.Unmarshal(body, &said) == nil {
			for _, v := range []any{said.Message, said.Description, said.Error} {
				if s, ok := v.(string); ok && text == "" {
					text = s
				}
			}
		}
	case "text/plain":
		text = string(body)
	}
	if text = oneline.Of(secret.Redact(text, secretsOf(resp)...), most); text == "" {
		return ""
	}
	return " (it says: " + text + ")"
}

// credentialHeaders are the request headers in which the hosts take a token.
var credentialHeaders = []string{"Authorization", "Private-Token", "Job-Token"}

func sentCredential(resp *http.Response) bool { return len(secretsOf(resp)) > 0 }

// secretsOf returns what a server could echo of the credential that it was sent.
func secretsOf(resp *http.Response) []string {
	if resp.Request == nil {
		return nil
	}
	var secrets []string
	for _, name := range credentialHeaders {
		if value := resp.Request.Header.Get(name); value != "" {
			secrets = append(secrets, value[strings.Index(value, " ")+1:])
		}
	}
	if user, password, ok := resp.Request.BasicAuth(); ok {
		secrets = append(secrets, cmp.Or(password, user)) // a token may be the user name, with no password
	}
	return secrets
}

// saysLimit reports whether a 403 is a rate limit. GitHub sends X-RateLimit-* with every answer, so only
// the last request used up counts.
func saysLimit(h http.Header) bool {
	return h.Get("Retry-After") != "" || h.Get("X-RateLimit-Remaining") == "0" || h.Get("RateLimit-Remaining") == "0"
}

// LimitText reports whether what a server says is of a limit. GitHub's secondary limits may come without any header
// that says so, as a 403 or inside of a 200:
// https://docs.github.com/rest/using-the-rest-api/rate-limits-for-the-rest-api#exceeding-the-rate-limit.
// GitLab says that an endpoint has been requested too many times.
func LimitText(text string) bool {
	return SecondaryLimit(text) || says(text, "rate limit exceeded", "too many times")
}

// SecondaryLimit reports whether what a server says is of a secondary limit: one on how fast it is asked, whatever for.
func SecondaryLimit(text string) bool { return says(text, "secondary rate limit", "abuse detection") }

func says(text string, phrases ...string) bool {
	text = strings.ToLower(text)
	return slices.ContainsFunc(phrases, func(said string) bool { return strings.Contains(text, said) })
}

// namedUntil returns when a server wants to be asked again, by the first of these headers that says so, at most maxUntil
// from now; zero when none does, or the time is over: Retry-After as seconds or a date (RFC 9110, 10.2.3), or
// X-RateLimit-Reset and RateLimit-Reset of the hosts.
func namedUntil(h http.Header, now time.Time, names ...string) time.Time {
	for _, name := range names {
		if at, ok := parseWait(h.Get(name), now); ok {
			return soon(at, now)
		}
	}
	return time.Time{}
}

func parseWait(value string, now time.Time) (time.Time, bool) {
	if value == "" {
		return time.Time{}, false
	}
	if n, err := strconv.ParseInt(value, 10, 64); err == nil && n >= 0 {
		// A count of seconds, or a Unix time: the two are told apart by size, as no wait lasts three years.
		if n < 1e8 {
			return now.Add(time.Duration(n) * time.Second), true
		}
		return time.Unix(min(n, 1<<40), 0), true
	}
	t, err := http.ParseTime(value)
	return t, err == nil
}
