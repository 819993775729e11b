package gitproto_test

import (
	"bytes"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

// TestSizeOfAnIdleRequest: what exact names cost, in bytes of the request's and the answer's body.
func TestSizeOfAnIdleRequest(t *testing.T) {
	root := t.TempDir()
	r := newRepository(t, filepath.Join(root, "app.git"))
	sha := r.commit("one")
	r.pack(map[string]string{"refs/heads/main": sha, "refs/heads/develop": sha, "refs/heads/release": sha, "refs/heads/topic": sha})
	for _, test := range []struct {
		branches     []string
		sent, answer int
	}{
		{[]string{"main"}, 59, 65},
		{[]string{"main", "develop", "release"}, 127, 193},
	} {
		var sent int
		var answer bytes.Buffer
		git := githosttest.GitHandler(root)
		s := serve(t, http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			body, _ := io.ReadAll(req.Body)
			sent = len(body)
			req.Body = io.NopCloser(bytes.NewReader(body))
			git.ServeHTTP(recorder{w, &answer}, req)
		}))
		heads(t, open(t, s, "", ""), wanted(t, s.URL+"/app.git", test.branches...))
		if sent != test.sent || answer.Len() != test.answer {
			t.Errorf("%s: %d bytes sent and %d answered, want %d and %d", strings.Join(test.branches, ", "),
				sent, answer.Len(), test.sent, test.answer)
		}
	}
}

type recorder struct {
	http.ResponseWriter
	body *bytes.Buffer
}

func (r recorder) Write(p []byte) (int, error) {
	r.body.Write(p)
	return r.ResponseWriter.Write(p)
}
