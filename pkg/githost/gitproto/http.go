package gitproto

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	uploadPack   = "/git-upload-pack"
	infoRefs     = "/info/refs"
	typeRequest  = "application/x-git-upload-pack-request"
	typeResult   = "application/x-git-upload-pack-result"
	typeAdvert   = "application/x-git-upload-pack-advertisement"
	protocolName = "version=2"
	// peeledEnd ends what stands for the commit of an annotated tag, after the tag, where all refs are listed.
	peeledEnd = "^{}"
)

// lsRefs asks for the branches by protocol version 2, without asking first whether the server speaks it.
func (h *host) lsRefs(ctx context.Context, r route, w githost.Wanted) repo.Observation {
	body := lsRefsRequest(r.format, prefixesOf(w.Patterns), len(w.Patterns.Tags()) > 0)
	req, err := http.NewRequestWithContext(transport.ReadOnly(ctx), http.MethodPost, r.base+uploadPack, bytes.NewReader(body))
	if err != nil {
		return h.failed(err)
	}
	req.Header = h.posts
	resp, err := h.do(req, typeResult)
	if err != nil {
		return h.failed(err)
	}
	defer resp.Body.Close()
	packets := newPktReader(resp.Body)
	defer packets.release()
	return h.collect(w, func(yield func(ref, name string) bool) error {
		return readLsRefs(packets, yield)
	})
}

// advertised asks for the advertisement, which holds all refs of a version 0 server. A version 2 server
// says what it can do, and is asked again by what was learnt.
func (h *host) advertised(ctx context.Context, r route, w githost.Wanted) (repo.Observation, route) {
	resp, err := h.advert(ctx, r.base)
	if err != nil {
		return h.failed(err), r
	}
	defer resp.Body.Close()
	moved := *resp.Request.URL
	moved.RawQuery = ""
	if base, ok := strings.CutSuffix(moved.String(), infoRefs); ok && base != r.base {
		if base != r.base+".git" { // which is the same repository
			r.from = r.base
		}
		r.base = base
	}
	packets := newPktReader(resp.Body)
	defer packets.release()
	var a advert
	answer := h.collect(w, func(yield func(ref, name string) bool) error {
		var err error
		a, err = readAdvert(packets, yield)
		return err
	})
	if !a.v2 {
		r.dialect = v0
		return answer, r
	}
	packets.end()
	_ = resp.Body.Close()
	r.dialect, r.format = v2, a.format
	return h.lsRefs(ctx, r, w), r
}

// advert asks for what a server says of itself and a repository.
func (h *host) advert(ctx context.Context, base string) (*http.Response, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+infoRefs+"?service=git-upload-pack", nil)
	if err != nil {
		return nil, err
	}
	req.Header = h.gets
	return h.do(req, typeAdvert)
}

// capabilities asks what the server of a repository says of itself, of whose refs it reads none.
func (h *host) capabilities(ctx context.Context, base string) (advert, error) {
	resp, err := h.advert(ctx, base)
	if err != nil {
		return advert{}, err
	}
	defer resp.Body.Close()
	packets := newPktReader(resp.Body)
	defer packets.release()
	return readAdvert(packets, func(string, string) bool { return false })
}

// headers returns what every request has that asks for such an answer, with the credential.
func headers(want, user, password string) http.Header {
	req := http.Request{Header: http.Header{"Git-Protocol": {protocolName}, "Accept": {want}}}
	if user != "" {
		req.SetBasicAuth(user, password)
	}
	return req.Header
}

// leads reports whether what a route leaves still redirects to where it leads: once a repository was renamed, its old
// name may become that of another one, which is the one that is wanted then.
func (h *host) leads(ctx context.Context, r route) bool {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.from+infoRefs+"?service=git-upload-pack", nil)
	if err != nil {
		return false
	}
	req.Header = h.gets
	stays := *h.client
	stays.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	resp, err := stays.Do(req)
	if err != nil {
		return false
	}
	_ = resp.Body.Close()
	to, err := resp.Location()
	if err != nil {
		return false
	}
	to.RawQuery = ""
	return to.String() == r.base+infoRefs
}

// do sends a request, whose header nobody changes, and returns an answer of status 200 and the wanted type.
func (h *host) do(req *http.Request, want string) (*http.Response, error) {
	resp, err := h.client.Do(req)
	if err != nil {
		return nil, err
	}
	got, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if resp.StatusCode == http.StatusOK && got == want {
		return resp, nil
	}
	defer resp.Body.Close()
	start := make([]byte, 4096)
	n, _ := io.ReadFull(resp.Body, start)
	start = start[:n]
	switch {
	case resp.StatusCode != http.StatusOK:
		return nil, transport.StatusError(h.name, resp, start)
	case want == typeAdvert && isDumb(start):
		return nil, errDumb
	}
	return nil, notGit("its type is %.60q: is repo_url the URL of a repository?", got)
}

// isDumb reports whether text starts like the file info/refs of a server that only offers files.
func isDumb(text []byte) bool {
	name, ref, ok := bytes.Cut(text, []byte("\t"))
	return ok && (len(name) == 40 || len(name) == 64) && bytes.HasPrefix(ref, []byte("refs/"))
}

// collect makes an observation of the refs that read yields. An error of read is the repository's: an
// incomplete answer is never a partial result.
func (h *host) collect(w githost.Wanted, read func(yield func(ref, name string) bool) error) repo.Observation {
	heads := githost.NewHeads(h.name, w)
	var tag, object string // one of which the commit may follow
	add := func() bool {
		called := tag
		tag = ""
		return called == "" || heads.Add(called, object)
	}
	err := read(func(ref, name string) bool {
		if of, peeled := strings.CutSuffix(ref, peeledEnd); peeled && of == tag {
			object = name
			return add()
		}
		if !add() {
			return false
		}
		called, ok := repo.Called(ref)
		if _, isTag := repo.Tag(called); isTag {
			tag, object = called, name
			return true
		}
		return !ok || heads.Add(called, name)
	})
	add()
	if err != nil {
		heads.Drop()
		return h.failed(err)
	}
	return heads.Observation()
}

// failed makes an observation of anything that went wrong on the way to the heads.
func (h *host) failed(err error) repo.Observation {
	if said, ok := errors.AsType[sshgit.Refusal](err); ok {
		err = remoteError(said)
	}
	if said, ok := errors.AsType[remoteError](err); ok {
		return githost.Failed(githost.NewError(said.kind(), h.name, "%w", err))
	}
	if _, ok := errors.AsType[protocolError](err); ok {
		return githost.Failed(githost.NewError(githost.Invalid, h.name, "%w", err))
	}
	return githost.Failed(githost.WrapError(h.name, err))
}

// kind guesses what an ERR packet is about: the protocol has no codes. A server that means something else
// is asked again.
func (e remoteError) kind() githost.Kind {
	text := strings.ToLower(string(e))
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(text, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("not found", "does not exist", "not exported", "no such", "does not appear to be a git repository", "could not be found",
		"cannot find repository"):
		return githost.NotFound
	case has("denied", "permission", "authentication", "authorized", "not allowed", "forbidden", "no access", "not have access", "access rights"):
		return githost.Denied
	}
	return githost.Temporary
}

// isOldServer reports whether a server failed in a way in which old servers fail at what they do not know.
func isOldServer(err error) bool {
	if e, ok := errors.AsType[*githost.Error](err); ok && (e.Status == http.StatusInternalServerError || e.Status == http.StatusNotImplemented) {
		return true
	}
	_, said := errors.AsType[remoteError](err)
	return said || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// kindOf returns the kind of an observation's error, "" where there is none.
func kindOf(o repo.Observation) githost.Kind {
	if e, ok := errors.AsType[*githost.Error](o.Err); ok {
		return e.Kind
	}
	return ""
}
