package gitproto_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitproto"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// git runs the program in a repository and returns what it prints.
func git(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", append([]string{"-C", dir, "-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"}, args...)...)
	cmd.Env = append(cmd.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
	return strings.TrimSpace(string(out))
}

// commit makes an empty commit with a message.
func commit(t *testing.T, dir, message string) repo.SHA {
	t.Helper()
	git(t, dir, "commit", "-q", "--allow-empty", "--cleanup=verbatim", "-m", message)
	return repo.SHA(git(t, dir, "rev-parse", "HEAD"))
}

// TestMessages reads messages from real Git: one that filters and one that does not, with names of either size.
func TestMessages(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		for _, filters := range []string{"true", "false"} {
			t.Run(format+" filters "+filters, func(t *testing.T) {
				root := t.TempDir()
				git(t, root, "init", "-q", "-b", "main", "--object-format="+format, "app")
				dir := filepath.Join(root, "app")
				git(t, dir, "config", "uploadpack.allowFilter", filters)
				writeFiles(t, dir, map[string]string{"a.txt": "a", "d/b.txt": strings.Repeat("b", 100_000)})
				git(t, dir, "add", "-A")
				first, second := commit(t, dir, "first"), commit(t, dir, "second [skip ci]\n\nand a body\n")
				commit(t, dir, "third")
				server := serve(t, githosttest.GitHandler(root))
				commits := open(t, server, "", "").(githost.Commits)
				for range 2 {
					got, err := commits.Messages(t.Context(), server.URL+"/app", []repo.SHA{second, first})
					want := []string{"second [skip ci]\n\nand a body\n", "first"}
					if err != nil || !slices.Equal(trimmed(got), trimmed(want)) {
						t.Fatalf("Messages = %q, %v, want %q", got, err, want)
					}
				}
				_, err := commits.Messages(t.Context(), server.URL+"/app", []repo.SHA{repo.SHA(strings.Repeat("1", len(first)))})
				if err == nil || !strings.Contains(err.Error(), "not our ref") {
					t.Errorf("Messages of a commit that is gone: %v, want what the server says", err)
				}
				t.Log(server.asked())
			})
		}
	}
}

func trimmed(texts []string) []string {
	all := make([]string, len(texts))
	for i, text := range texts {
		all[i] = strings.TrimRight(text, "\n")
	}
	return all
}

func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o777); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
	}
}

// TestMessagesOverSSH reads them in sessions, from Git that filters and that does not.
func TestMessagesOverSSH(t *testing.T) {
	s, key, sha := inMemory(t, nil)
	url := "ssh://git@" + s.Address + "/app.git"
	r := newOver(t)
	m := watched(t, url, key, s.KnownHosts())
	want := git(t, filepath.Join(s.Root, "app.git"), "log", "-1", "--format=%B", string(sha))
	for _, filters := range []string{"false", "true"} {
		git(t, filepath.Join(s.Root, "app.git"), "config", "uploadpack.allowFilter", filters)
		got, err := r.Messages(t.Context(), m.Source, []repo.SHA{sha})
		if err != nil || !slices.Equal(trimmed(got), []string{want}) {
			t.Errorf("filters %s: Messages = %q, %v, want %q", filters, got, err, want)
		}
	}
}

// inside is a server without a network: under a clock of the test, nothing waits for that.
type inside struct {
	handler http.Handler
	fetches []string // the path of each, and whether it asked for a filter
	hiccups []int    // the statuses of the next fetches that fail; 0 = an answer that is empty
}

// RoundTrip implements http.RoundTripper.
func (s *inside) RoundTrip(req *http.Request) (*http.Response, error) {
	var body []byte
	if req.Body != nil {
		body, _ = io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
	}
	w := httptest.NewRecorder()
	if bytes.Contains(body, []byte("command=fetch")) {
		how := "whole"
		if bytes.Contains(body, []byte("filter ")) {
			how = "filtered"
		}
		s.fetches = append(s.fetches, strings.TrimSuffix(req.URL.Path, "/git-upload-pack")+" "+how)
		if len(s.hiccups) > 0 {
			status := s.hiccups[0]
			s.hiccups = s.hiccups[1:]
			w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
			if status != 0 {
				w.WriteHeader(status)
			}
			resp := w.Result()
			resp.Request = req
			return resp, nil
		}
	}
	s.handler.ServeHTTP(w, req)
	resp := w.Result()
	resp.Request = req
	return resp, nil
}

// TestFilters has whom fetches ask for a filter: every repository whose server says that it filters, whatever becomes of a single
// request, and the others once an hour.
func TestFilters(t *testing.T) {
	root := t.TempDir()
	commits := map[string]repo.SHA{}
	for name, settings := range map[string][]string{
		"filters": {"uploadpack.allowFilter"},
		"without": nil,
		"picky":   {"uploadpack.allowFilter", "uploadpackfilter.allow=false"},
	} {
		git(t, root, "init", "-q", "-b", "main", name)
		dir := filepath.Join(root, name)
		for _, s := range settings {
			key, value, given := strings.Cut(s, "=")
			if !given {
				value = "true"
			}
			git(t, dir, "config", key, value)
		}
		commits[name] = commit(t, dir, "of "+name)
	}
	synctest.Test(t, func(t *testing.T) {
		s := &inside{handler: githosttest.GitHandler(root)}
		h, err := gitproto.Open(githost.Endpoint{Account: githost.Account{Type: config.Git, Origin: "http://git.example"}}, &http.Client{Transport: s})
		if err != nil {
			t.Fatal(err)
		}
		for _, step := range []struct {
			after   time.Duration
			hiccups []int
			name    string
			fails   bool
			want    []string
		}{
			{name: "filters", want: []string{"/filters filtered"}},
			{name: "filters", hiccups: []int{500}, fails: true, want: []string{"/filters filtered"}},
			{name: "filters", hiccups: []int{0}, fails: true, want: []string{"/filters filtered"}},
			{name: "filters", want: []string{"/filters filtered"}},
			{name: "without", want: []string{"/without filtered", "/without whole"}},
			{name: "without", want: []string{"/without whole"}},
			{name: "filters", want: []string{"/filters filtered"}},
			{name: "picky", want: []string{"/picky filtered", "/picky whole"}},
			{name: "picky", want: []string{"/picky whole"}},
			{after: 59 * time.Minute, name: "without", want: []string{"/without whole"}},
			{after: 2 * time.Minute, name: "without", want: []string{"/without filtered", "/without whole"}},
		} {
			time.Sleep(step.after)
			s.fetches, s.hiccups = nil, step.hiccups
			_, err := h.(githost.Commits).Messages(t.Context(), "http://git.example/"+step.name, []repo.SHA{commits[step.name]})
			if (err != nil) != step.fails || !slices.Equal(s.fetches, step.want) {
				t.Errorf("%s, hiccups %v, after %s: fetches %q, error %v, want %q", step.name, step.hiccups, step.after, s.fetches, err, step.want)
			}
		}
	})
}
