package page

import (
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/serve/page/act"
	"github.com/tekton-sentry/sentry/pkg/serve/page/api"
)

// policy is what a browser may do with what is served: nothing but to show it, with our own script and style.
const policy = "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"

// apiPath is where what programs ask begins.
const apiPath = "/api/"

// maxURL bounds the path and the query, in bytes.
const maxURL = 2 << 10

var headers = map[string]string{
	"Content-Security-Policy":      policy,
	"X-Content-Type-Options":       "nosniff",
	"X-Frame-Options":              "DENY",
	"Referrer-Policy":              "no-referrer",
	"Cross-Origin-Opener-Policy":   "same-origin",
	"Cross-Origin-Embedder-Policy": "require-corp",
	"Cross-Origin-Resource-Policy": "same-origin",
	"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
	"Cache-Control":                "private, no-cache",
	"Vary":                         "Accept-Encoding",
}

// guard lets through what a person's browser asks of its own accord, and says to it what it may do with the answer.
func (p *Page) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name, value := range headers {
			w.Header().Set(name, value)
		}
		form := p.gate != nil && r.Method == http.MethodPost && act.Takes(r.URL.Path)
		if p.gate != nil {
			w.Header().Set("Vary", "Accept-Encoding, Authorization, Cookie")
		}
		switch {
		case !form && r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			refuse(w, r, http.StatusMethodNotAllowed, "This page is only read: GET and HEAD.")
		case !form && (r.ContentLength != 0 || len(r.TransferEncoding) > 0):
			refuse(w, r, http.StatusBadRequest, "Nothing is taken here: ask without a body.")
		case len(r.RequestURI) > maxURL:
			refuse(w, r, http.StatusRequestURITooLong, "That address is too long.")
		case !p.isOurs(r.Host):
			// A name that somebody points at this address would make their page ours: DNS rebinding.
			refuse(w, r, http.StatusMisdirectedRequest, "This page is not served under that name; sentry's --page-host gives it one.")
		case form && p.gate.Refuses(r) != nil, act.Takes(r.URL.Path) && isFromElsewhere(r.Header):
			refuse(w, r, http.StatusForbidden, "Another site asks for this. Nothing was done.")
		case isForeign(r.Header):
			refuse(w, r, http.StatusForbidden, "Another site asks for this, and may only link to it.")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// refuse says why nothing is answered, to programs as the API does.
func refuse(w http.ResponseWriter, r *http.Request, status int, text string) {
	w.Header().Set("Connection", "close") // what else comes on it is not read
	w.Header().Set("Cache-Control", "no-store")
	if strings.HasPrefix(r.URL.Path, apiPath) {
		api.Refuse(w, status, text)
		return
	}
	http.Error(w, text, status)
}

// isOurs reports whether a request's Host is a name that only its own user, or who set the page up, can have given it.
func (p *Page) isOurs(host string) bool {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(name, "["), "]"), "."))
	if _, err := netip.ParseAddr(name); err == nil {
		return true
	}
	// Browsers look for what ends so on their own machine, whatever anybody says of it.
	return name == "localhost" || strings.HasSuffix(name, ".localhost") || slices.ContainsFunc(p.Names, func(n string) bool { return strings.EqualFold(n, name) })
}

// isForeign reports whether a browser says that another site asks, and not as somebody follows a link there. Who is no browser
// says nothing of that.
func isForeign(h http.Header) bool {
	switch h.Get("Sec-Fetch-Site") {
	case "", "none", "same-origin":
		return false
	}
	return h.Get("Sec-Fetch-Mode") != "navigate" || h.Get("Sec-Fetch-Dest") != "document"
}

// isFromElsewhere reports whether a browser says that anybody but ourselves, or its own person, has it ask.
func isFromElsewhere(h http.Header) bool {
	site := h.Get("Sec-Fetch-Site")
	return site != "" && site != "none" && site != "same-origin"
}
