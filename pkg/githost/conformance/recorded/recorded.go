// Package recorded is what real hosts answered, for tests that replay it and compare the servers for tests with it.
package recorded

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// Answer is an answer that a real host gave. Where they come from is in the README.md beside each.
type Answer struct {
	Path       string            `json:"path"`
	Status     int               `json:"status"`
	Response   any               `json:"response"`
	Headers    map[string]string `json:"headers"`
	Credential string            `json:"credential"`
}

// Read reads a file of them.
func Read(t *testing.T, file string, into any) {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}

// Replay answers a path with what was recorded for it.
func Replay(answers map[string]Answer, origin string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r, ok := answers[req.URL.Path]
		if !ok {
			http.Error(w, "nothing recorded for "+req.URL.Path, http.StatusTeapot)
			return
		}
		for k, v := range r.Headers {
			w.Header().Set(k, strings.ReplaceAll(v, origin, "http://"+req.Host))
		}
		w.WriteHeader(r.Status)
		if text, ok := r.Response.(string); ok {
			_, _ = w.Write([]byte(text))
			return
		}
		_ = json.NewEncoder(w).Encode(r.Response)
	})
}

// shapeMissing returns what a real answer has and ours has not, or has of another JSON type. Of lists the
// first elements are compared.
func shapeMissing(at string, real, ours any) []string {
	switch r := real.(type) {
	case map[string]any:
		o, ok := ours.(map[string]any)
		if !ok {
			return []string{fmt.Sprintf("%s is %T, want an object", at, ours)}
		}
		var missing []string
		for k, v := range r {
			if _, ok := o[k]; !ok {
				missing = append(missing, at+"."+k+" is missing")
				continue
			}
			missing = append(missing, shapeMissing(at+"."+k, v, o[k])...)
		}
		return missing
	case []any:
		o, ok := ours.([]any)
		if !ok || len(r) > 0 && len(o) == 0 && !strings.HasSuffix(at, "parent_ids") {
			return []string{fmt.Sprintf("%s is %T of %d, want a list of more", at, ours, len(o))}
		}
		if len(r) > 0 && len(o) > 0 {
			return shapeMissing(at+"[]", r[0], o[0])
		}
	default:
		if fmt.Sprintf("%T", real) != fmt.Sprintf("%T", ours) {
			return []string{fmt.Sprintf("%s is %T, want %T", at, ours, real)}
		}
	}
	return nil
}

// CheckShape fails the test unless a server answers a path in the shape of a real one: status, every key and type, and
// the headers.
func CheckShape(t *testing.T, api *githosttest.API, path string, real Answer) {
	t.Helper()
	api.SetToken(testhost.Token)
	for _, repository := range []string{"octo/app", "octo/old", "octo/priv", "octo/denied"} {
		for _, branch := range []string{"a'b", "dev-x", "main"} {
			api.Push(repository, branch, testhost.SHA1)
		}
	}
	api.Create("octo/empty")
	api.SetPrivate("octo/priv")
	api.SetDenied("octo/denied")
	api.Rename("octo/old", "octo/renamed")
	req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	req.Header.Set("Authorization", "token "+testhost.Token)
	w := httptest.NewRecorder()
	api.ServeHTTP(w, req)
	if w.Code != real.Status {
		t.Errorf("%s: status %d, the real host answered %d", path, w.Code, real.Status)
		return
	}
	for name := range real.Headers {
		switch name {
		case "x-oauth-scopes", "x-accepted-oauth-scopes", "x-poll-interval", "last-modified":
			continue // of the token and of other endpoints
		case "content-type":
			if got, want := w.Header().Get(name), real.Headers[name]; got != want {
				t.Errorf("%s: %s %q, the real host sent %q", path, name, got, want)
			}
		}
		if w.Header().Get(name) == "" {
			t.Errorf("%s: no header %s, which the real host sent", path, name)
		}
	}
	var ours any
	if err := json.Unmarshal(w.Body.Bytes(), &ours); err != nil {
		ours = w.Body.String()
	}
	for _, missing := range shapeMissing("", real.Response, ours) {
		t.Errorf("%s: %s, by what the real host answered", path, missing)
	}
}
