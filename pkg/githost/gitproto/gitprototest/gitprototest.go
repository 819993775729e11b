// Package gitprototest is a server in memory that speaks the Git protocol alone, for tests.
package gitprototest

import (
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// New returns a server without repositories.
func New() *githosttest.API {
	return githosttest.NewAPI(githosttest.Dialect{
		Answer:  func(a *githosttest.Asked) githosttest.Reply { return Answer(a, Refuse) },
		Refuse:  Refuse,
		Limited: limited,
		Header:  func(*githosttest.Asked) map[string]string { return map[string]string{"Cache-Control": "no-cache"} },
	})
}

// Answer answers with what a repository has, at OWNER/NAME or OWNER/NAME.git, or with what refuse says.
func Answer(a *githosttest.Asked, refuse func(*githosttest.Asked, int) githosttest.Reply) githosttest.Reply {
	if len(a.Parts) < 3 {
		return refuse(a, http.StatusNotFound)
	}
	path := githosttest.Unescape(a.Parts[0]) + "/" + strings.TrimSuffix(githosttest.Unescape(a.Parts[1]), ".git")
	rest := strings.Join(a.Parts[2:], "/")
	if to, ok := a.Moved[path]; ok {
		return githosttest.NewReply(http.StatusMovedPermanently, map[string]string{"Location": "/" + to + "/" + rest + a.Query()}, "")
	}
	r, status := a.Find(path)
	switch {
	case status == http.StatusNotFound && a.Token() == "":
		return refuse(a, http.StatusUnauthorized) // whether it exists is not for everybody
	case status != http.StatusOK:
		return refuse(a, status)
	case rest == "git-upload-pack" && a.Method == http.MethodPost:
		return lsRefs(a, r)
	case rest == "info/refs":
		return advertisement(a)
	}
	return refuse(a, http.StatusNotFound)
}

// Refuse refuses in plain words.
func Refuse(_ *githosttest.Asked, status int) githosttest.Reply {
	said := map[int]string{http.StatusUnauthorized: "Unauthorized\n", http.StatusForbidden: "Forbidden\n", http.StatusNotFound: "Repository not found"}
	header := map[string]string{"Content-Type": "text/plain;charset=utf-8"}
	if status == http.StatusUnauthorized {
		header["WWW-Authenticate"] = `Basic realm="Git"`
	}
	return githosttest.NewReply(status, header, said[status])
}

func limited(*githosttest.Asked) githosttest.Reply {
	return githosttest.NewReply(http.StatusTooManyRequests, map[string]string{"Content-Type": "text/plain", "Retry-After": "60"}, "slow down\n")
}

// lsRefs answers the ls-refs command of Git's protocol version 2 from memory. Of its options ref-prefix
// means something, and peel for tags.
func lsRefs(a *githosttest.Asked, r *githosttest.Repository) githosttest.Reply {
	lines, err := packets(a.Body)
	if err != nil || !speaksV2(a) || len(lines) == 0 || lines[0] != "command=ls-refs" {
		return githosttest.NewReply(http.StatusInternalServerError, map[string]string{"Content-Type": "text/plain"}, "git upload-pack failed\n")
	}
	var prefixes []string
	for _, line := range lines {
		if prefix, ok := strings.CutPrefix(line, "ref-prefix "); ok {
			prefixes = append(prefixes, prefix)
		}
	}
	var answer strings.Builder
	for _, b := range r.Matching(func(b string) bool { return wantedRef("refs/heads/"+b, prefixes) }) {
		answer.WriteString(packet(r.Branches[b] + " refs/heads/" + b + "\n"))
	}
	for _, tag := range slices.Sorted(maps.Keys(r.Tags)) {
		t, peeled := r.Tags[tag], ""
		if !wantedRef(repo.Tags+tag, prefixes) {
			continue
		}
		if slices.Contains(lines, "peel") && t.Object != t.Commit {
			peeled = " peeled:" + t.Commit
		}
		answer.WriteString(packet(t.Object + " " + repo.Tags + tag + peeled + "\n"))
	}
	return githosttest.NewReply(http.StatusOK, map[string]string{"Content-Type": "application/x-git-upload-pack-result"}, answer.String()+"0000")
}

func wantedRef(ref string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(ref, p) {
			return true
		}
	}
	return len(prefixes) == 0
}

// advertisement says what a server can do, in version 2 only.
func advertisement(a *githosttest.Asked) githosttest.Reply {
	if !speaksV2(a) || a.URL.Query().Get("service") != "git-upload-pack" {
		return githosttest.NewReply(http.StatusForbidden, map[string]string{"Content-Type": "text/plain"}, "only git-upload-pack in version 2\n")
	}
	return githosttest.NewReply(http.StatusOK, map[string]string{"Content-Type": "application/x-git-upload-pack-advertisement"},
		packet("# service=git-upload-pack\n")+"0000"+packet("version 2\n")+packet("ls-refs=unborn\n")+packet("object-format=sha1\n")+"0000")
}

func speaksV2(a *githosttest.Asked) bool {
	return strings.Contains(a.Request.Header.Get("Git-Protocol"), "version=2")
}

// packet makes a pkt-line of gitprotocol-common(5).
func packet(line string) string { return fmt.Sprintf("%04x%s", len(line)+4, line) }

// packets reads pkt-lines up to the flush packet, without the delimiters between them.
func packets(r io.Reader) ([]string, error) {
	var lines []string
	for {
		size := make([]byte, 4)
		if _, err := io.ReadFull(r, size); err != nil {
			return nil, err
		}
		n, err := strconv.ParseUint(string(size), 16, 16)
		switch {
		case err != nil:
			return nil, err
		case n == 0:
			return lines, nil
		case n <= 4:
			continue
		}
		line := make([]byte, n-4)
		if _, err := io.ReadFull(r, line); err != nil {
			return nil, err
		}
		lines = append(lines, strings.TrimSuffix(string(line), "\n"))
	}
}
