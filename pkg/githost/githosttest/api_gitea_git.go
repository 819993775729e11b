package githosttest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

// lsRefs answers the ls-refs command of Git's protocol version 2 from memory. Of its options only ref-prefix
// means something for branches.
func lsRefs(req *http.Request, r *apiRepo) reply {
	lines, err := packets(req.Body)
	if err != nil || !speaksV2(req) || len(lines) == 0 || lines[0] != "command=ls-refs" {
		return reply{http.StatusInternalServerError, map[string]string{"Content-Type": "text/plain"}, "git upload-pack failed\n"}
	}
	var prefixes []string
	for _, line := range lines {
		if prefix, ok := strings.CutPrefix(line, "ref-prefix "); ok {
			prefixes = append(prefixes, prefix)
		}
	}
	var answer strings.Builder
	for _, b := range r.matching(func(b string) bool { return wantedRef("refs/heads/"+b, prefixes) }) {
		answer.WriteString(packet(r.branches[b] + " refs/heads/" + b + "\n"))
	}
	return reply{http.StatusOK, map[string]string{"Content-Type": "application/x-git-upload-pack-result"}, answer.String() + "0000"}
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
func advertisement(req *http.Request) reply {
	if !speaksV2(req) || req.URL.Query().Get("service") != "git-upload-pack" {
		return reply{http.StatusForbidden, map[string]string{"Content-Type": "text/plain"}, "only git-upload-pack in version 2\n"}
	}
	return reply{http.StatusOK, map[string]string{"Content-Type": "application/x-git-upload-pack-advertisement"},
		packet("# service=git-upload-pack\n") + "0000" + packet("version 2\n") + packet("ls-refs=unborn\n") + packet("object-format=sha1\n") + "0000"}
}

// readAhead reads a request's body. Until it is read, a server does not notice that the client went away.
func readAhead(req *http.Request) {
	body, _ := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	req.Body = io.NopCloser(bytes.NewReader(body))
}

func speaksV2(req *http.Request) bool {
	return strings.Contains(req.Header.Get("Git-Protocol"), "version=2")
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
