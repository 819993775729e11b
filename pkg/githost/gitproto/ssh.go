package gitproto

import (
	"context"
	"errors"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/sshauth"
)

// login returns what the server of an endpoint is logged in to with.
func login(e githost.Endpoint) (*sshgit.Login, error) {
	server, err := giturl.ParseSSH(e.Origin + "/-") // any path
	if err != nil {
		return nil, err
	}
	server.Path = ""
	key, err := sshauth.ParseKey(e.Auth.SSHKey.Reveal(), e.Auth.SSHCertificate.Reveal())
	if err != nil {
		return nil, errors.New("auth.ssh_key " + err.Error())
	}
	known, err := sshauth.ParseKnownHosts(e.Auth.KnownHosts.Reveal())
	if err != nil {
		return nil, errors.New("auth.known_hosts " + err.Error())
	}
	return &sshgit.Login{Server: server, Key: key, Known: known, Secrets: e.Secrets()}, nil
}

// readSSH asks for one repository in one session. A server begins each with what it advertises, whatever it was sent: one of
// version 2 says what it can do and answers the question after that, one of version 0 lists all its refs, which are an answer too.
func (h *host) readSSH(ctx context.Context, w githost.Wanted) repo.Observation {
	at, err := giturl.ParseSSH(w.URL)
	if err != nil {
		return githost.Failed(githost.NewError(githost.Invalid, h.name, "repo_url %w", addressError{err}))
	}
	r, _ := h.recall(w.URL)
	answer, now := h.session(ctx, r, at.Path, w)
	if errors.Is(answer.Err, errOtherQuestion) {
		answer, now = h.session(ctx, now, at.Path, w)
	}
	h.learn(w.URL, now, answer)
	return answer
}

// addressError is what is wrong with the address of a repository.
type addressError struct{ error }

func (addressError) Is(target error) bool { return target == githost.ErrAddress }

// session asks by a route, and returns the route that should be taken next time.
func (h *host) session(ctx context.Context, r route, path string, w githost.Wanted) (repo.Observation, route) {
	question := []byte("0000") // which is the end, in each version
	if r.dialect != v0 {
		question = append(lsRefsRequest(r.format, prefixesOf(w.Patterns), len(w.Patterns.Tags()) > 0), question...)
	}
	req, err := sshgit.NewRequest(transport.ReadOnly(ctx), h.login, path, question)
	if err != nil {
		return h.failed(err), r
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return h.failed(err), r
	}
	defer resp.Body.Close()
	packets := newPktReader(resp.Body)
	defer packets.release()
	now := route{base: w.URL, dialect: v0}
	answer := h.collect(w, func(yield func(ref, name string) bool) error {
		a, err := readAdvert(packets, yield)
		if err != nil || !a.v2 {
			return err
		}
		now.dialect = v2
		if a.format != "sha1" { // which is what is meant by none
			now.format = a.format
		}
		if r.dialect == v0 || now.format != r.format {
			return errOtherQuestion
		}
		return readLsRefs(packets, yield)
	})
	return answer, now
}

// errOtherQuestion says that a server turned out to want another question than it was asked: in another version, or for names of
// another kind.
const errOtherQuestion = protocolError("the server changes the version of the protocol, or the kind of object names, from session to session")
