package githost

import (
	"errors"
	"fmt"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
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

// ErrNotAsked is in the chain of an *Error that stands for a request that was not sent.
var ErrNotAsked = errors.New("not asked")

// NotAsked returns err for a request that was not sent because of it. Its repository is late, and comes first in the
// next cycle. What ended the others stays in its chain.
func NotAsked(err *Error) *Error {
	if errors.Is(err, ErrNotAsked) {
		return err
	}
	same := *err
	same.Err = &told{text: err.Err.Error(), cause: notAsked{errors.Unwrap(err.Err)}}
	return &same
}

// notAsked is ErrNotAsked, and what it is because of.
type notAsked struct{ cause error }

func (notAsked) Error() string        { return ErrNotAsked.Error() }
func (notAsked) Is(target error) bool { return target == ErrNotAsked } //nolint:errorlint // errors.Is asks for this one
func (n notAsked) Unwrap() error      { return n.cause }

// Senseless reports whether an observation is of an answer that makes no sense, so that others of the same host
// may make none either.
func Senseless(o repo.Observation) bool {
	e, ok := errors.AsType[*Error](o.Err)
	return ok && (e.Kind == Invalid || e.Kind == Temporary) && !errors.Is(e, ErrNotAsked) && !errors.Is(e, ErrAddress)
}

// Unasked reports whether an observation stands for a request that was not sent, because of a limit or of others that
// failed, or that was cut off at the end of the time for all.
func Unasked(o repo.Observation) bool { return errors.Is(o.Err, ErrNotAsked) }

// Failed returns the observation that an error makes.
func Failed(err *Error) repo.Observation { return repo.Observation{Err: err} }

// Error is why a repository's heads could not be read. Its text is one line of at most a few hundred
// printable bytes and holds no secret.
type Error struct {
	Kind   Kind
	Host   string    // host[:port] that was asked
	Until  time.Time // for RateLimited and Temporary: when to ask again; zero when the server did not say
	Status int       // HTTP status, 0 when there was none
	Late   bool      // a cycle's time was up before its answer: nothing is known to be wrong, and it comes first in the next
	Err    error     // what happened, and what would mend it
	// Resource is, for RateLimited, what is used up, as WithResource names it. "" = all that the host grants.
	Resource string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.Host, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ProblemKind returns the kind as package plan remembers it, "" for what is only late.
func (e *Error) ProblemKind() string {
	if e.Late {
		return ""
	}
	return string(e.Kind)
}
