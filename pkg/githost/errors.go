package githost

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Kind says what a caller can do about an error.
type Kind string

// The kinds of errors. Everything that may go away by itself is Temporary.
const (
	NotFound    Kind = "not found"    // no such repository, or not visible to this credential
	Denied      Kind = "denied"       // the credential is missing, wrong or lacks a right
	RateLimited Kind = "rate limited" // not before Until
	NoBranch    Kind = "no branch"    // the repository answers, and no branch matches
	TooLarge    Kind = "too large"    // the repository answers, and more than Sentry keeps of one
	Invalid     Kind = "invalid"      // the server's answer makes no sense: not this kind of server?
	Temporary   Kind = "temporary"    // down, slow, cut short, 5xx
)

// ErrAddress is in the chain of an *Error about a repository whose URL cannot be one of its host: nothing was asked.
var ErrAddress = errors.New("not the address of a repository")

// ErrNoStatuses is in the chain of an *Error about a kind of host that is no Statuses.
var ErrNoStatuses = errors.New("hosts of this type have no statuses of commits that Sentry can set")

// ErrNoOwners is in the chain of an *Error about a kind of host that is no Owners.
var ErrNoOwners = errors.New("hosts of this type do not tell which repositories an owner has: name each, or discover them " +
	"on a host of the type github, gitlab or gitea")

// NotAsked returns err for a request that was not sent because of it. Its repository comes first in the next cycle.
func NotAsked(err *Error) *Error {
	unsent := *err
	unsent.Unsent = true
	return &unsent
}

// Failed returns the observation that an error makes.
func Failed(err error) repo.Observation {
	if e, ok := errors.AsType[*Error](err); ok && e.Unsent {
		return repo.Observation{Err: err, Status: repo.NotAsked}
	}
	return repo.Observation{Err: err}
}

// Unhealthy reports whether an answer speaks against the health of its host, such as a login page in place of one, so
// that other repositories of the host would get the same.
func Unhealthy(o repo.Observation) bool {
	e, ok := errors.AsType[*Error](o.Err)
	return ok && o.Status == repo.Fresh && (e.Kind == Invalid || e.Kind == Temporary) && !errors.Is(e, ErrAddress)
}

// Error is why a repository's heads could not be read. Its text is one line of at most a few hundred
// printable bytes and holds no secret.
type Error struct {
	Kind   Kind
	Host   string    // host[:port] that was asked
	Until  time.Time // for RateLimited and Temporary: when to ask again; zero when the server did not say
	Status int       // HTTP status, 0 when there was none
	Unsent bool      // the request was not sent
	Err    error     // what happened, and what would mend it
	// Resource is, for RateLimited, what is used up, as in transport.Marks. "" = all that the host grants.
	Resource string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.Host, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// Is has errors.Is find repo.ErrUnsent.
func (e *Error) Is(target error) bool { return e.Unsent && target == repo.ErrUnsent }

// ProblemKind returns the kind as package plan remembers it.
func (e *Error) ProblemKind() string { return string(e.Kind) }

// maxText bounds the text of an error's cause in bytes.
const maxText = 300

// told is a cause in words of our own: its text is printed, what it wraps is only for errors.Is and As.
type told struct {
	text  string
	cause error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.cause }

// NewError returns an *Error whose text is one line of at most 300 printable bytes, whatever a server
// put into the arguments.
func NewError(kind Kind, host, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Host: host, Err: &told{text: oneline.Of(err.Error(), maxText), cause: errors.Unwrap(err)}}
}

// WithTimeout is context.WithTimeout with a cause that says which host gave no answer, and within what
// time. WrapError finds that cause again.
func WithTimeout(ctx context.Context, host string, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, d, &Error{Kind: Temporary, Host: host, Err: slow(d)})
}

// slow is the cause of a request that took longer. Its text is made when it is needed, since every request
// has one, and next to none needs it.
type slow time.Duration

func (s slow) Error() string {
	return fmt.Sprintf("no answer within %s: %s", time.Duration(s), context.DeadlineExceeded)
}

// Unwrap lets errors.Is find what a context ends with.
func (slow) Unwrap() error { return context.DeadlineExceeded }

// TimedOut reports whether err is that the time of WithTimeout was up, and was as long as d.
func TimedOut(err error, d time.Duration) bool { return errors.Is(err, slow(d)) }

// Redactor makes errors of one host safe: they have one line, and none of these secrets in it. A host that is down has the
// same text for each repository, so the last one is remembered.
type Redactor struct {
	Host    string
	Secrets []string

	mu          sync.Mutex
	minted      [2]string // the newest of the credentials that were made of another one
	text, clean string    // the last one, before and after
}

// Mint has a credential hidden too that was made of another one, beside the one before it.
func (r *Redactor) Mint(credential string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.minted = [2]string{credential, r.minted[0]}
	r.text, r.clean = "", ""
}

// Redact makes an *Error of err.
func (r *Redactor) Redact(err error) *Error {
	e := *WrapError(r.Host, err)
	text := e.Err.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	if text != r.text {
		r.text, r.clean = text, oneline.Of(secret.Redact(text, slices.Concat(r.Secrets, r.minted[:])...), maxText)
	}
	if text != r.clean {
		e.Err = &told{text: r.clean, cause: e.Err}
	}
	return &e
}

// WrapError makes an *Error of what an HTTP request, or reading its answer, failed with. Of an *Error
// anywhere in err's chain it returns a copy that names the host, so wrapping twice does no harm. Anything unknown is
// Temporary. The text never holds the URL of the request.
func WrapError(host string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		named := *e
		named.Host = cmp.Or(e.Host, host)
		return &named
	}
	// A url.Error's text is the method and the whole URL; the client and proxies may nest them.
	for u, ok := errors.AsType[*url.Error](err); ok && u.Err != nil; u, ok = errors.AsType[*url.Error](err) {
		err = u.Err
	}
	kind, text := explain(err)
	return &Error{Kind: kind, Host: host, Err: &told{text: oneline.Of(text, maxText), cause: err}}
}

func explain(err error) (Kind, string) {
	var (
		timeout   net.Error
		dns       *net.DNSError
		unknownCA x509.UnknownAuthorityError
		cert      *tls.CertificateVerificationError
		record    tls.RecordHeaderError
		syntax    *json.SyntaxError
		shape     *json.UnmarshalTypeError
	)
	switch {
	case errors.Is(err, context.Canceled):
		return Temporary, "interrupted before it answered"
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return Temporary, "no answer in time"
	case errors.As(err, &unknownCA):
		return Invalid, "its certificate is signed by an authority that is not trusted here: " +
			"put the authority's certificate into global.ca"
	case errors.As(err, &cert):
		return Invalid, "its certificate is not accepted: " + cert.Err.Error()
	case errors.Is(err, http.ErrSchemeMismatch), errors.As(err, &record):
		return Invalid, "it does not speak TLS at this port: is the URL an http:// one?"
	case errors.As(err, &dns) && dns.IsNotFound:
		return Temporary, "no such host: check the URL's host name, and DNS"
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return Temporary, "the answer was cut short"
	case errors.As(err, &syntax), errors.Is(err, jsonstream.ErrSyntax):
		return Invalid, "the answer is not JSON: is this the right type of host?"
	case errors.As(err, &shape), errors.Is(err, jsonstream.ErrShape):
		return Invalid, "the answer is JSON of another shape than expected: is this the right type of host?"
	}
	return Temporary, err.Error()
}
