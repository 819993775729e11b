package poller

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// oddity is what an endpoint remembers of a host that answers, and nothing that makes sense: a login page, the
// page of a maintenance with the status of a success, answers cut short. Such a host is as good as down, and
// is asked as seldom.
type oddity struct {
	breaker.Backoff
	err *githost.Error // the last such answer
}

// judge learns from a round in which repositories were read: fresh of them, whose last look was good or that are
// new, got an answer without sense, the last being err, and sane says that any got one with sense. One
// repository that breaks must not silence its host, so it takes three of them, or as many as there are.
func (o *oddity) judge(began time.Time, sane bool, fresh, repositories int, err *githost.Error) {
	switch {
	case sane:
		*o = oddity{}
	case err == nil: // nothing was asked
	case o.Failures > 0, fresh >= min(transport.MaxProbes, repositories):
		o.err = err
		o.Fail(began)
	}
}
