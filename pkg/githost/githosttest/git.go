package githosttest

import (
	"compress/gzip"
	"crypto/subtle"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// GitHandler serves the Git repositories below root, bare or not, over smart HTTP, by running the program
// git: `git clone http://127.0.0.1:…/team/app.git` clones root/team/app.git. It is read only, knows protocol
// versions 0 to 2, and serves nothing outside of root, through symbolic links neither.
func GitHandler(root string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(w http.ResponseWriter, req *http.Request) {
		path, ok := strings.CutSuffix(req.URL.Path, "/info/refs")
		if !ok || req.URL.Query().Get("service") != "git-upload-pack" {
			http.NotFound(w, req)
			return
		}
		serveGit(w, req, root, path, true)
	})
	mux.HandleFunc("POST /", func(w http.ResponseWriter, req *http.Request) {
		path, ok := strings.CutSuffix(req.URL.Path, "/git-upload-pack")
		if !ok {
			http.NotFound(w, req)
			return
		}
		serveGit(w, req, root, path, false)
	})
	return mux
}

// gitProtocol is what may reach git's environment of a request's Git-Protocol header.
var gitProtocol = regexp.MustCompile(`^[a-z0-9=:.]{1,100}$`)

// serveGit runs git upload-pack on the repository at path, for its advertisement or for one request.
func serveGit(w http.ResponseWriter, req *http.Request, root, path string, advertise bool) {
	dir, err := repositoryDir(root, path)
	if err != nil {
		http.Error(w, "repository not found", http.StatusNotFound)
		return
	}
	args := []string{"-c", "safe.directory=*", "upload-pack", "--stateless-rpc"}
	kind := "application/x-git-upload-pack-result"
	if advertise {
		args = append(args, "--http-backend-info-refs")
		kind = "application/x-git-upload-pack-advertisement"
	}
	cmd := exec.CommandContext(req.Context(), "git", append(args, dir)...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull)
	if asked := req.Header.Get("Git-Protocol"); gitProtocol.MatchString(asked) {
		cmd.Env = append(cmd.Env, "GIT_PROTOCOL="+asked)
	}
	out := &written{w: w}
	cmd.Stdout = out
	if !advertise {
		if cmd.Stdin, err = requestBody(w, req); err != nil {
			http.Error(w, "malformed gzip", http.StatusBadRequest)
			return
		}
	}
	w.Header().Set("Content-Type", kind)
	w.Header().Set("Cache-Control", "no-cache")
	if advertise && !strings.Contains(req.Header.Get("Git-Protocol"), "version=2") {
		out.start = "001e# service=git-upload-pack\n0000"
	}
	err = cmd.Run()
	switch {
	case err != nil && !out.some:
		http.Error(w, "git upload-pack failed", http.StatusInternalServerError)
	case err != nil && out.refused:
	case err != nil:
		// The status is already sent; an answer without its end is how a client sees the failure.
		panic(http.ErrAbortHandler)
	}
}

// written writes start before anything else, and remembers whether anything was written, and whether that says why git fails.
type written struct {
	w             io.Writer
	start         string
	some, refused bool
}

func (o *written) Write(p []byte) (int, error) {
	if !o.some {
		o.some = true
		if _, err := io.WriteString(o.w, o.start); err != nil {
			return 0, err
		}
	}
	o.refused = o.refused || len(p) > 8 && string(p[4:8]) == "ERR "
	return o.w.Write(p)
}

// requestBody returns a request's body; git compresses a long one.
func requestBody(w http.ResponseWriter, req *http.Request) (io.Reader, error) {
	body := http.MaxBytesReader(w, req.Body, 64<<20)
	if req.Header.Get("Content-Encoding") == "gzip" {
		return gzip.NewReader(body)
	}
	return body, nil
}

// repositoryDir returns the directory of the repository at a URL's path.
func repositoryDir(root, path string) (string, error) {
	inside, err := os.OpenRoot(root)
	if err != nil {
		return "", err
	}
	defer inside.Close()
	name := filepath.FromSlash(strings.TrimPrefix(path, "/"))
	for _, dir := range []string{name, filepath.Join(name, ".git")} {
		// Root refuses names and links that lead outside.
		if _, err = inside.Stat(filepath.Join(dir, "HEAD")); err == nil {
			return filepath.Join(root, dir), nil
		}
	}
	return "", fmt.Errorf("no repository at %q: %w", path, err)
}

// BasicAuth asks for this user name and password before next sees a request.
func BasicAuth(username, password string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, pass, _ := req.BasicAuth()
		if subtle.ConstantTimeCompare([]byte(user+":"+pass), []byte(username+":"+password)) != 1 {
			w.Header().Set("WWW-Authenticate", `Basic realm="git"`)
			http.Error(w, "authentication required", http.StatusUnauthorized)
			return
		}
		next.ServeHTTP(w, req)
	})
}
