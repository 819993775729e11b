package githost

import (
	"errors"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// oddity is what an endpoint remembers of a host that answers, and nothing that makes sense: a login page, the
// page of a maintenance with the status of a success, answers cut short. Such a host is as good as down, and
// is asked as seldom.
type oddity struct {
	backoff
	err *Error // the last such answer
}

// Senseless reports whether an observation is of an answer that makes no sense, so that others of the same host
// may make none either.
func Senseless(o repo.Observation) bool {
	e, ok := errors.AsType[*Error](o.Err)
	return ok && (e.Kind == Invalid || e.Kind == Temporary) && !errors.Is(e, errNotAsked) && !errors.Is(e, ErrAddress)
}

// Unasked reports whether an observation stands for a request that was not sent, because of a limit or of others that
// failed, or that was cut off at the end of the time for all.
func Unasked(o repo.Observation) bool { return errors.Is(o.Err, errNotAsked) }

// judge learns from a round in which repositories were read: fresh of them, whose last look was good or that are
// new, got an answer without sense, the last being err, and sane says that any got one with sense. One
// repository that breaks must not silence its host, so it takes three of them, or as many as there are.
func (o *oddity) judge(began time.Time, sane bool, fresh, repositories int, err *Error) {
	switch {
	case sane:
		*o = oddity{}
	case err == nil: // nothing was asked
	case o.failures > 0, fresh >= min(maxProbes, repositories):
		o.err = err
		o.fail(began)
	}
}
