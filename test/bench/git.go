package main

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// gitServer speaks of the Git protocol what a poller needs: ls-refs of version 2 and the advertisement of
// version 0, for repositories in memory.
type gitServer struct {
	mu    sync.Mutex
	repos map[string]map[string]string // path -> branch -> object name
}

func newGitServer() *gitServer { return &gitServer{repos: make(map[string]map[string]string)} }

func (g *gitServer) push(path, branch, sha string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.repos[path] == nil {
		g.repos[path] = make(map[string]string)
	}
	g.repos[path][branch] = sha
}

// ServeHTTP implements http.Handler.
func (g *gitServer) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	path, isList := strings.CutSuffix(strings.TrimPrefix(req.URL.Path, "/"), "/git-upload-pack")
	path, isAdvert := strings.CutSuffix(path, "/info/refs")
	g.mu.Lock()
	heads := maps.Clone(g.repos[strings.TrimSuffix(path, ".git")])
	g.mu.Unlock()
	switch {
	case heads == nil || !isList && !isAdvert:
		http.NotFound(w, req)
	case isAdvert:
		w.Header().Set("Content-Type", "application/x-git-upload-pack-advertisement")
		_, _ = io.WriteString(w, advertisement(heads))
	default:
		w.Header().Set("Content-Type", "application/x-git-upload-pack-result")
		_, _ = io.WriteString(w, list(heads, prefixes(req.Body)))
	}
}

// tags is how many refs a repository has beside its branches.
const tags = 20

// capabilities are those of git 2.47, which an advertisement of version 0 carries.
const capabilities = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not " +
	"deepen-relative no-progress include-tag multi_ack_detailed no-done symref=HEAD:refs/heads/main " +
	"object-format=sha1 agent=git/2.47.1"

// advertisement is the answer to info/refs of a version 0 server: every ref there is.
func advertisement(heads map[string]string) string {
	var b strings.Builder
	b.WriteString(packet("# service=git-upload-pack\n") + "0000")
	b.WriteString(packet(heads[branches[0]] + " HEAD\x00" + capabilities + "\n"))
	for _, branch := range slices.Sorted(maps.Keys(heads)) {
		b.WriteString(packet(heads[branch] + " refs/heads/" + branch + "\n"))
	}
	for i := range tags {
		b.WriteString(packet(fmt.Sprintf("%040x refs/tags/v1.%d.0\n", i+1, i)))
	}
	return b.String() + "0000"
}

// list is the answer to ls-refs.
func list(heads map[string]string, prefixes []string) string {
	var b strings.Builder
	for _, branch := range slices.Sorted(maps.Keys(heads)) {
		ref := "refs/heads/" + branch
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(ref, p) }) {
			b.WriteString(packet(heads[branch] + " " + ref + "\n"))
		}
	}
	return b.String() + "0000"
}

// prefixes returns the ref-prefix lines of an ls-refs request.
func prefixes(body io.Reader) []string {
	var found []string
	r := bufio.NewReader(body)
	for {
		var digits [4]byte
		if _, err := io.ReadFull(r, digits[:]); err != nil {
			return found
		}
		size, err := strconv.ParseUint(string(digits[:]), 16, 16)
		if err != nil || size < 4 {
			continue // a flush or a delimiter
		}
		line := make([]byte, size-4)
		if _, err := io.ReadFull(r, line); err != nil {
			return found
		}
		if p, ok := strings.CutPrefix(strings.TrimSuffix(string(line), "\n"), "ref-prefix "); ok {
			found = append(found, p)
		}
	}
}

func packet(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }
