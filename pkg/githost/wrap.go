package githost

import (
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
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

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
	return &Error{Kind: kind, Host: host, Err: &told{text: OneLine(err.Error()), cause: errors.Unwrap(err)}}
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

// TimeLimit returns the time of WithTimeout that was up for err.
func TimeLimit(err error) (time.Duration, bool) {
	limit, ok := errors.AsType[slow](err)
	return time.Duration(limit), ok
}

// Redactor makes errors of one host safe: they have one line, and none of these secrets in it. A host that is down has the
// same text for each repository, so the last one is remembered.
type Redactor struct {
	Host    string
	Secrets []string

	mu          sync.Mutex
	text, clean string // the last one, before and after
}

// Redact makes an *Error of err.
func (r *Redactor) Redact(err error) *Error {
	e := *WrapError(r.Host, err)
	if _, ours := e.Err.(slow); ours { //nolint:errorlint // as it is, it says that the time was up
		return &e
	}
	text := e.Err.Error()
	r.mu.Lock()
	defer r.mu.Unlock()
	if text != r.text || r.clean == "" {
		r.text, r.clean = text, OneLine(secret.Redact(text, r.Secrets...))
	}
	e.Err = &told{text: r.clean, cause: errors.Unwrap(e.Err)}
	return &e
}

// WrapError makes an *Error of what an HTTP request, or reading its answer, failed with. An *Error
// anywhere in err's chain is returned as it is, so wrapping twice does no harm. Anything unknown is
// Temporary. The text never holds the URL of the request.
func WrapError(host string, err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok {
		if e.Host != "" {
			return e
		}
		named := *e
		named.Host = host
		return &named
	}
	for {
		// A url.Error's text is the method and the whole URL; the client and proxies may nest them.
		u, ok := errors.AsType[*url.Error](err)
		if !ok || u.Err == nil {
			break
		}
		err = u.Err
	}
	kind, text := explain(err)
	return &Error{Kind: kind, Host: host, Err: &told{text: OneLine(text), cause: err}}
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

// OneLine makes text from outside fit for a log line: printable characters only, single spaces, at most
// maxText bytes.
func OneLine(s string) string {
	if len(s) > 8*maxText {
		s = s[:8*maxText]
	}
	s = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) || r == utf8.RuneError {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxText {
		return s
	}
	const more = "…"
	cut := maxText - len(more)
	for !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + more
}
