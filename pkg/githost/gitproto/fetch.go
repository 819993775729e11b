package gitproto

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/pack"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxObjects and maxUnpacked bound the commits and trees of one question. A hundred thousand files take some ten thousand
	// trees of a kilobyte each, and only those that differ are asked for.
	maxObjects  = 20_000
	maxUnpacked = 32 << 20
	// maxSkipped bounds the files that are passed over, in bytes, where a server sends them as well.
	maxSkipped = 512 << 20
	// maxMessage is how much of a commit's message is given: more than anybody writes.
	maxMessage = 16 << 10
	// wholeFor is how long a repository is not asked for a filter whose server said that it has none: somebody may set it meanwhile.
	wholeFor = time.Hour
)

// errOld is of a server that has no fetch of protocol version 2.
const errOld = protocolError("it speaks no version 2 of the Git protocol, by which commits are read")

// Messages implements githost.Commits by a fetch of the commits alone, without their trees.
func (h *host) Messages(ctx context.Context, repoURL string, commits []repo.SHA) ([]string, error) {
	messages := make([]string, len(commits))
	err := h.fetching(ctx, repoURL, func(ctx context.Context, r route) error {
		f, ctx := h.newFetch(ctx, r, commits[0])
		defer func() { f.leave() }() // which is another one by then
		if err := f.get(ctx, "tree:0", commits); err != nil {
			return ended(ctx, err)
		}
		for i, c := range commits {
			message, _, err := f.objects[c].Message()
			if err != nil {
				return notGit("commit %s: %v", c.Short(), err)
			}
			messages[i] = message[:min(len(message), maxMessage)]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return messages, nil
}

// fetching calls ask with the way to a repository, which is found by a look at its refs where it is not known. Every error is
// an *githost.Error.
func (h *host) fetching(ctx context.Context, repoURL string, ask func(context.Context, route) error) error {
	ctx = transport.Mark(ctx, transport.Marks{Aside: true})
	r, ok := h.recall(repoURL)
	if !ok || r.from != "" {
		// Any name will do: what is learnt is where the repository is, and what its server speaks.
		answer := h.read(ctx, githost.Wanted{URL: repoURL, Patterns: repo.Patterns{repo.ExactPattern("main")}})
		if kind := kindOf(answer); kind != "" && kind != githost.NoBranch {
			return answer.Err
		}
		if r, ok = h.recall(repoURL); !ok {
			return answer.Err
		}
	}
	if r.dialect == v0 {
		return h.failed(errOld).Err
	}
	if err := ask(ctx, r); err != nil {
		return h.failed(err).Err
	}
	return nil
}

// fetch reads objects of one repository.
type fetch struct {
	*host
	route   route
	wide    bool // names are of SHA-256
	deep    bool // folders are wanted beside what is asked for, where a server filters nothing
	objects pack.Objects
	limits  pack.Limits
	leave   func() // is called when nothing of it is kept any more
	session advert // what the server said of itself in the last session, over SSH
}

// newFetch returns a fetch that keeps little by itself, and as much as is ever kept once no other one does. The context is that of
// its requests.
func (h *host) newFetch(ctx context.Context, r route, like repo.SHA) (*fetch, context.Context) {
	ctx, end := context.WithCancelCause(ctx)
	f := &fetch{host: h, route: r, wide: len(like) == 64, objects: pack.Objects{}, leave: func() { end(nil) }}
	f.limits = pack.Limits{Objects: maxObjects, Bytes: githost.SmallSpace, Skipped: maxSkipped, More: func() (int, error) {
		leave, err := h.space.Enter(ctx, h.name, end)
		if err != nil {
			return 0, err
		}
		f.leave = func() { leave(); end(nil) }
		return maxUnpacked - githost.SmallSpace, nil
	}}
	return f, ctx
}

// ended returns why a context ended, where that is what failed: HTTP/2 only says that it did.
func ended(ctx context.Context, err error) error {
	if err == nil || ctx.Err() == nil || errors.As(err, new(*githost.Error)) {
		return err
	}
	return context.Cause(ctx)
}

// get asks for objects that are not there yet, and fails unless all of them come. What is asked for beside is what the filter
// leaves of that.
//
// A server that filters nothing, as Git's own does where uploadpack.allowFilter is not set, is asked without. It sends all files
// of the commits then, after the commits themselves. They are passed over.
func (f *fetch) get(ctx context.Context, filter string, want []repo.SHA) error {
	want = slices.DeleteFunc(slices.Clone(want), f.has)
	if len(want) == 0 {
		return nil
	}
	if f.unfiltered() {
		filter = ""
	}
	err := f.send(ctx, filter, want)
	if filter != "" && err != nil && f.refusesFilter(ctx, err) {
		f.filtersNothing()
		err = f.send(ctx, "", want)
	}
	if err != nil {
		return err
	}
	if i := slices.IndexFunc(want, func(name repo.SHA) bool { return !f.has(name) }); i >= 0 {
		return notGit("object %s is not in the pack", want[i].Short())
	}
	return nil
}

func (f *fetch) has(name repo.SHA) bool {
	_, ok := f.objects[name]
	return ok
}

// refusesFilter reports whether a fetch failed since the server knows no filters, or not this one. Git says of the first that the
// line is unexpected and ends, by which its answer may be anything that a server in trouble answers too. So what counts is what the
// server says that it can do.
func (f *fetch) refusesFilter(ctx context.Context, err error) bool {
	refused := errors.As(err, new(remoteError)) || errors.As(err, new(sshgit.Refusal))
	switch {
	case refused && strings.Contains(err.Error(), "filter '"): // as Git says it of one that uploadpackfilter forbids
		return true
	case refused && strings.Contains(err.Error(), "not our ref"), !refused && !isOldServer(err):
		return false
	}
	a := f.session
	if f.login == nil {
		if a, err = f.capabilities(ctx, f.route.base); err != nil {
			return false // it is in trouble indeed
		}
	}
	return a.v2 && !a.filter
}

func (f *fetch) unfiltered() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return time.Now().Before(f.whole[f.route.base])
}

func (f *fetch) filtersNothing() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.whole) >= maxRoutes {
		clear(f.whole) // each is found out again by two requests
	}
	f.whole[f.route.base] = time.Now().Add(wholeFor)
}

// send asks once.
func (f *fetch) send(ctx context.Context, filter string, want []repo.SHA) error {
	resp, err := f.post(ctx, fetchRequest(f.wide, filter, want))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	packets := newPktReader(resp.Body)
	defer packets.release()
	if f.login != nil { // a session begins with what the server can do
		if f.session, err = readAdvert(packets, func(string, string) bool { return false }); err != nil || !f.session.v2 {
			return cmp.Or(err, error(errOld))
		}
	}
	if err := toPack(packets); err != nil {
		return err
	}
	band := &sideband{packets: packets}
	missing := slices.Clone(want)
	err = f.objects.Read(band, f.wide, &f.limits, func() bool {
		if filter != "" || f.deep {
			return false
		}
		missing = slices.DeleteFunc(missing, f.has)
		return len(missing) == 0
	})
	switch {
	case band.err != nil:
		return band.err
	case errors.Is(err, repo.ErrUnsent):
		return err
	case errors.Is(err, pack.ErrTooLarge):
		return githost.NewError(githost.TooLarge, f.name, "%w", err)
	case err != nil && !errors.Is(err, io.ErrUnexpectedEOF):
		return notGit("%v", err)
	}
	return err
}

// post sends a command, over HTTP or in a session that ends with it.
func (f *fetch) post(ctx context.Context, body []byte) (*http.Response, error) {
	if f.login == nil {
		req, err := http.NewRequestWithContext(transport.ReadOnly(ctx), http.MethodPost, f.route.base+uploadPack, bytes.NewReader(body))
		if err != nil {
			return nil, err
		}
		req.Header = f.posts
		return f.do(req, typeResult)
	}
	at, err := giturl.ParseSSH(f.route.base)
	if err != nil {
		return nil, err
	}
	req, err := sshgit.NewRequest(transport.ReadOnly(ctx), f.login, at.Path, append(body, "0000"...))
	if err != nil {
		return nil, err
	}
	return f.client.Do(req)
}

// fetchRequest returns the body of a fetch (gitprotocol-v2(5)) of objects: of commits without their history. filter is
// "" for all that they hold.
func fetchRequest(wide bool, filter string, want []repo.SHA) []byte {
	b := appendPkt(nil, "command=fetch\n")
	if wide {
		b = appendPkt(b, "object-format=sha256")
	}
	b = append(b, "0001"...)
	b = appendPkt(b, "no-progress\n")
	b = appendPkt(b, "ofs-delta\n")
	b = appendPkt(b, "deepen 1\n")
	if filter != "" {
		b = appendPkt(b, "filter "+filter+"\n")
	}
	for _, name := range want {
		b = appendPkt(b, fmt.Sprintf("want %s\n", name))
	}
	b = appendPkt(b, "done\n")
	return append(b, "0000"...)
}

// toPack reads to where the pack of an answer begins.
func toPack(p *pktReader) error {
	const most = 2 * maxObjects // lines of shallow-info, one for each commit
	for range most {
		line, err := p.next()
		switch {
		case err != nil:
			return err
		case line.kind == data && line.line == "packfile":
			return nil
		case line.kind == flush:
			return notGit("it ends without a pack")
		}
	}
	return notGit("endless sections before the pack")
}

// sideband reads what the packets of a pack carry.
type sideband struct {
	packets *pktReader
	left    []byte
	ended   bool
	err     error // what the server said instead
}

// Read implements io.Reader.
func (s *sideband) Read(b []byte) (int, error) {
	for len(s.left) == 0 {
		if s.ended {
			return 0, io.EOF
		}
		kind, line, err := s.packets.raw()
		switch {
		case err != nil:
			s.err = err
			return 0, err
		case kind != data:
			s.ended = true
		case len(line) == 0:
		case line[0] == 1:
			s.left = line[1:]
		case line[0] == 3, bytes.HasPrefix(line, []byte("ERR ")):
			said := strings.TrimPrefix(string(line[1:min(len(line), maxSaid)]), "RR ")
			s.err = remoteError(oneline.Of(said, maxSaid))
			return 0, s.err
		}
	}
	n := copy(b, s.left)
	s.left = s.left[n:]
	return n, nil
}
