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
	// Resource is, for RateLimited, what is used up, as WithResource names it. "" = all that the host grants.
	Resource string
}

// Error implements error.
func (e *Error) Error() string {
	return fmt.Sprintf("%s: %s: %v", e.Host, e.Kind, e.Err)
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error { return e.Err }

// ProblemKind returns the kind as package plan remembers it.
func (e *Error) ProblemKind() string { return string(e.Kind) }
