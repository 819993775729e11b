package pipelinerun

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// largeServer serves a repository, and what it has in Git LFS.
type largeServer struct {
	url, dir string // of the repository
	lfs      string // where LFS is: URL/info/lfs

	mu         sync.Mutex
	authorized int               // requests for LFS with a credential
	store      string            // where objects are said to be; "" = here
	objects    map[string]string // by their SHA-256
	trouble    int               // batches that are answered by a 503
}

// newLargeServer returns a server that asks for USER:PASSWORD where that is not "".
func newLargeServer(t *testing.T, password string) *largeServer {
	t.Helper()
	root := t.TempDir()
	s := &largeServer{dir: filepath.Join(root, "qa", "pipelines.git"), objects: map[string]string{}}
	git(t, root, "init", "-q", "-b", "main", s.dir)
	mux := http.NewServeMux()
	mux.Handle("/", guarded(password, gitBackend(t, root)))
	mux.Handle("POST /qa/pipelines.git/info/lfs/objects/batch", s.counted(guarded(password, http.HandlerFunc(s.batch))))
	mux.Handle("GET /objects/{oid}", s.counted(http.HandlerFunc(s.object)))
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	s.url = server.URL + "/qa/pipelines.git"
	s.lfs, s.store = s.url+"/info/lfs", server.URL
	return s
}

func (s *largeServer) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" {
			s.mu.Lock()
			s.authorized++
			s.mu.Unlock()
		}
		next.ServeHTTP(w, r)
	})
}

// batch says where objects are.
func (s *largeServer) batch(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trouble--; s.trouble >= 0 {
		http.Error(w, "no", http.StatusServiceUnavailable)
		return
	}
	type object map[string]any
	var asked struct{ Objects []object }
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	for _, o := range asked.Objects {
		if _, ok := s.objects[o["oid"].(string)]; ok {
			o["actions"] = object{"download": object{"href": s.store + "/objects/" + o["oid"].(string)}}
		} else {
			o["error"] = object{"code": 404, "message": "no such object"}
		}
	}
	w.Header().Set("Content-Type", "application/vnd.git-lfs+json")
	_ = json.NewEncoder(w).Encode(object{"transfer": "basic", "objects": asked.Objects})
}

func (s *largeServer) object(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, _ = io.WriteString(w, s.objects[r.PathValue("oid")])
}

// commit commits a pointer to the text, which these servers hold.
func (s *largeServer) commit(t *testing.T, text string, servers ...*largeServer) repo.SHA {
	t.Helper()
	oid := fmt.Sprintf("%x", sha256.Sum256([]byte(text)))
	for _, at := range servers {
		at.objects[oid] = text
	}
	for name, content := range map[string]string{
		".gitattributes": "*.bin filter=lfs diff=lfs merge=lfs -text\n",
		"large.bin":      fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(text)),
	} {
		if err := os.WriteFile(filepath.Join(s.dir, name), []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
		git(t, s.dir, "-c", "filter.lfs.process=", "-c", "filter.lfs.required=false", "add", name)
	}
	return commit(t, s.dir, text)
}

// configure writes where the objects of the repository are, as everybody may who can write to it.
func (s *largeServer) configure(t *testing.T, url string) {
	t.Helper()
	git(t, s.dir, "config", "-f", ".lfsconfig", "lfs.url", url)
	git(t, s.dir, "add", ".lfsconfig")
}

// cloneLarge runs the clone step with Git LFS, with a token for the server of the repository.
func cloneLarge(t *testing.T, sh []string, program []string, url string, sha repo.SHA, set func(*config.Deploy)) (result, string) {
	t.Helper()
	m := testMember("rag")
	m.Repository.Deploy.URL, m.QASHA, m.Repository.Deploy.LFS = url, sha, true
	m.Repository.Deploy.Auth = config.Auth{Username: secret.New("bob", "bob"), Token: secret.New("${T}", "s3cret")}
	set(m.Repository.Deploy)
	step, _ := stepsOf(t, m)
	step.Script = strings.Replace(step.Script, `sleep $pause`, ":", 1)
	dir := t.TempDir()
	return run(t, process(t, sh, step, dir, append(program, "SENTRY_GIT_TOKEN=s3cret", "GIT_CONFIG_NOSYSTEM=1")...)), dir
}

func TestCloneOfLargeFiles(t *testing.T) {
	private, public, guarded := newLargeServer(t, "bob:s3cret"), newLargeServer(t, ""), newLargeServer(t, "bob:s3cret")
	here := private.commit(t, "large text", private)
	none := private.commit(t, "lost text")
	private.configure(t, public.lfs)
	elsewhere := private.commit(t, "text elsewhere", public)
	private.configure(t, guarded.lfs) // on another host, which would take the token
	refused := private.commit(t, "guarded text", guarded)
	stored := newLargeServer(t, "bob:s3cret")
	stored.store = public.store
	there := stored.commit(t, "stored text", stored, public)

	tests := []struct {
		name string
		from *largeServer
		sha  repo.SHA
		text string // in the file; "" = the clone fails
		said string
	}{
		{name: "with its own credential", from: private, sha: here, text: "large text"},
		{name: "a public server elsewhere", from: private, sha: elsewhere, text: "text elsewhere"},
		{name: "a private server elsewhere", from: private, sha: refused, said: "redentials"},
		{name: "objects in a store elsewhere", from: stored, sha: there, text: "stored text"},
		{name: "an object that is lost", from: private, sha: none, said: "no such object"},
	}
	for _, sh := range shells(t) {
		for program, env := range lfsPrograms(t) {
			for _, tt := range tests {
				name := fmt.Sprintf("%v, %s, %s", sh, program, tt.name)
				got, dir := cloneLarge(t, sh, env, tt.from.url, tt.sha, func(*config.Deploy) {})
				text, err := os.ReadFile(dir + "/repo/large.bin")
				if tt.text != "" && (got.code != 0 || string(text) != tt.text || got.stderr != "") {
					t.Errorf("%s: the file holds %q, %v; want %q; %+v", name, text, err, tt.text, got)
				}
				if tt.text == "" && (got.code == 0 || !strings.Contains(got.stderr, tt.said)) {
					t.Errorf("%s: %+v, want a failure that says %q", name, got, tt.said)
				}
				if out, err := exec.Command("grep", "-rl", "s3cret", dir).CombinedOutput(); err == nil || strings.Contains(got.stdout+got.stderr, "s3cret") {
					t.Errorf("%s: the token is in %s, or in %+v", name, out, got)
				}
			}
		}
	}
	if private.authorized == 0 || public.authorized+guarded.authorized > 0 {
		t.Errorf("the server of the repository got the token %d times, and others %d and %d times; want it there alone",
			private.authorized, public.authorized, guarded.authorized)
	}
}

func TestCloneWithoutGitLFS(t *testing.T) {
	s := newLargeServer(t, "")
	sha := s.commit(t, "text", s)
	bin := t.TempDir()
	if err := os.WriteFile(bin+"/git-lfs", []byte("#!/bin/sh\nexit 127\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, sh := range shells(t) {
		got, _ := cloneLarge(t, sh, []string{"PATH=" + bin + ":" + os.Getenv("PATH")}, s.url, sha, func(*config.Deploy) {})
		if got.code != 1 || !strings.Contains(got.stderr, "the image of global.git_image has no git-lfs, which deploy.lfs needs") {
			t.Errorf("%v: %+v, want that git-lfs is missing", sh, got)
		}
	}
}

// git-lfs gives up at once, and the clone does not.
func TestCloneOfLargeFilesTriesAgain(t *testing.T) {
	for program, env := range lfsPrograms(t) {
		s := newLargeServer(t, "")
		sha := s.commit(t, "text", s)
		s.trouble = 1
		got, dir := cloneLarge(t, []string{"sh"}, env, s.url, sha, func(d *config.Deploy) { d.Auth = config.Auth{} })
		text, err := os.ReadFile(dir + "/repo/large.bin")
		if string(text) != "text" || got.code != 0 || strings.Count(got.stdout, "trying again") != 1 {
			t.Errorf("%s: the file holds %q, %v; %+v; want one more try", program, text, err, got)
		}
	}
}

// The filter fetches the files of submodules, which the stand-in is not: TestLFS in test/e2e has git-lfs always.
func TestCloneOfLargeFilesInSubmodules(t *testing.T) {
	if _, err := exec.LookPath("git-lfs"); err != nil {
		t.Skip("no git-lfs on this machine")
	}
	s := newLargeServer(t, "bob:s3cret")
	pinned := s.commit(t, "large text", s)
	outer := filepath.Join(filepath.Dir(s.dir), "outer.git")
	git(t, filepath.Dir(outer), "init", "-q", "-b", "main", outer)
	submodule(t, outer, "lib", "../pipelines.git", pinned)
	sha := commit(t, outer, "outer")
	url := strings.Replace(s.url, "pipelines.git", "outer.git", 1)
	got, dir := cloneLarge(t, []string{"sh"}, nil, url, sha, func(d *config.Deploy) { d.Submodules = true })
	if text, err := os.ReadFile(dir + "/repo/lib/large.bin"); string(text) != "large text" || got.code != 0 {
		t.Errorf("with both keys the file holds %q, %v; %+v", text, err, got)
	}
	got, dir = cloneLarge(t, []string{"sh"}, nil, url, sha, func(d *config.Deploy) { d.Submodules, d.LFS = true, false })
	if text, err := os.ReadFile(dir + "/repo/lib/large.bin"); !strings.HasPrefix(string(text), "version https://git-lfs") || got.code != 0 || !strings.Contains(got.stderr, "WARNING: files in Git LFS of submodules are not fetched (deploy.lfs)") {
		t.Errorf("without lfs the file holds %q, %v; %+v; want a pointer and a warning", text, err, got)
	}
}
