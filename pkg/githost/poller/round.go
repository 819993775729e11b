package poller

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/breaker"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// fewRepositories is up to how many repositories are read without a hint, which costs a request or a few
// itself; so is less than half of what an endpoint knows. A QA repository is read when a run begins, and a run shall
// have the newest of it; and a Host that is asked what changed in a few forgets what it knows of the others.
const fewRepositories = 3

// round returns one observation for each of b.want: it reads what may have changed, what was never read,
// what failed or was late, and what has its turn in the sweep, and remembers the rest. It is called by who
// has the endpoint's turn.
func (r *Reader) round(ctx context.Context, b *batch) []repo.Observation {
	e, began := b.endpoint, time.Now()
	if s := e.gate.Status(); s.Why != nil && s.Resource == "" {
		return b.all(githost.NotAsked(s.Why))
	}
	answers := make([]repo.Observation, len(b.want))
	for i, m := range b.memory {
		b.want[i].Validator, b.want[i].Room = m.validator, b.room
	}
	changed, probe := r.changed(ctx, b, began)
	var read []int
	for i, m := range b.memory {
		switch {
		case m.breaker != nil && m.breaker.State(began) == breaker.Open:
			answers[i] = repo.Observation{Err: m.err, Status: repo.NotAsked}
		case changed != nil && !changed[i] && !m.due(began, b.sweep):
			answers[i] = m.recall()
			b.room.Give(-int(m.cost))
		default:
			read = append(read, i)
		}
	}
	if len(read) > 0 {
		r.read(ctx, b, read, began, probe, answers)
	}
	return answers
}

// all returns the answers when one error is that of all repositories.
func (b *batch) all(err error) []repo.Observation {
	return slices.Repeat([]repo.Observation{githost.Failed(err)}, len(b.want))
}

// changed returns for each of b.want whether its heads may have changed, or nil when all are to be read. probe says that
// the host's last answer was unhealthy, so that it is to be tried with one repository.
func (r *Reader) changed(ctx context.Context, b *batch, began time.Time) (changed []bool, probe bool) {
	e := b.endpoint
	down, unhealthy := e.gate.Begin(began, transport.MaxProbes)
	if b.prefilter == nil || len(b.want) <= fewRepositories || 2*len(b.want) < b.total || e.hints.State(began) == breaker.Open || down || unhealthy {
		return nil, unhealthy
	}
	// Hints that fail must not look like a host that does.
	e.gate.Begin(began, 1)
	before := e.gate.Status().Requests
	ctx, cancel := githost.WithTimeout(ctx, e.Host(), r.timeout()/3)
	defer cancel()
	err := r.survive(e, func() (err error) {
		if changed, err = b.prefilter.Changed(ctx, b.want); err == nil && len(changed) != len(b.want) {
			err = fmt.Errorf("%d hints for %d repositories", len(changed), len(b.want))
		}
		return err
	})
	probes := transport.MaxProbes
	asked := e.gate.Status().Requests > before
	if err == nil {
		e.hints.Close()
		if !asked { // then the heads are what is asked for first
			e.gate.Begin(began, probes)
		}
		return changed, false
	}
	if asked {
		probes--
	}
	clean := e.gate.Redact(err)
	limited := clean.Kind == githost.RateLimited
	if !limited || asked { // else a limit that is known, and says nothing against the hints
		e.hints.Fail(began, clean)
	}
	if limited && asked {
		e.gate.Exhaust(clean)
	}
	r.Log.Debug("the host does not tell what changed; reading all", "host", e.Host(), "err", clean)
	e.gate.Begin(began, probes)
	return nil, clean.Kind == githost.Invalid && githost.Unhealthy(githost.Failed(clean))
}

// read asks the Host for the repositories with these indexes, writes what it gave into answers, and remembers that. Those
// that failed last time come after the others.
func (r *Reader) read(ctx context.Context, b *batch, indexes []int, began time.Time, probe bool, answers []repo.Observation) {
	e := b.endpoint
	e.gate.SpreadOver(len(indexes), b.replicas)
	slices.SortStableFunc(indexes, func(i, j int) int { return b.memory[i].order(b.memory[j]) })
	var fault error
	rest := indexes
	if probe {
		fault, rest = r.heads(ctx, b, indexes[:1], answers), indexes[1:]
		if first := answers[indexes[0]]; githost.Unhealthy(first) {
			for _, i := range rest {
				answers[i] = githost.Failed(githost.NotAsked(githost.WrapError(e.Host(), first.Err)))
			}
			rest = nil
		}
	}
	good := 0
	for good < len(rest) && b.memory[rest[good]].err == nil {
		good++
	}
	fault = cmp.Or(fault, r.heads(ctx, b, rest[:good], answers), r.heads(ctx, b, rest[good:], answers))
	judged := indexes
	if fault != nil { // which says nothing about the host
		judged = nil
	}
	works := b.end(judged, probe, answers) && fault == nil
	r.learn(b, indexes, began, answers, works, ctx.Err() != nil)
}

// end ends a round in which repositories were read, and reports whether the host works. One repository that breaks must
// not silence its host: that is unhealthy after three whose last look was good or that are new, or as many as the host
// has, however few are asked for now, and none with a healthy answer.
func (b *batch) end(indexes []int, probe bool, answers []repo.Observation) (works bool) {
	healthy, fresh := false, 0
	var last *githost.Error
	for _, i := range indexes {
		switch o := answers[i]; {
		case githost.Unhealthy(o):
			last = githost.WrapError(b.endpoint.Host(), o.Err)
			if b.memory[i].err == nil {
				fresh++
			}
		case o.Status == repo.Fresh && !errors.Is(o.Err, githost.ErrAddress):
			healthy = true
		}
	}
	all := probe || fresh >= min(transport.MaxProbes, b.total)
	return b.endpoint.gate.End(healthy, all, last)
}

// heads asks the Host for some of b.want and writes what it gave into answers. A fault is of the Host.
func (r *Reader) heads(ctx context.Context, b *batch, indexes []int, answers []repo.Observation) (fault error) {
	if len(indexes) == 0 {
		return nil
	}
	e := b.endpoint
	want := make([]githost.Wanted, len(indexes))
	for k, i := range indexes {
		want[k] = b.want[i]
	}
	var got []repo.Observation
	fault = r.survive(e, func() error {
		if got = e.host.Heads(ctx, want); len(got) != len(want) {
			return githost.NewError(githost.Invalid, e.Host(), "%d answers for %d repositories, which is a fault of Sentry: please report it", len(got), len(want))
		}
		return nil
	})
	for k, i := range indexes {
		switch {
		case fault != nil:
			answers[i] = githost.Failed(fault)
		case got[k].Err != nil:
			answers[i] = githost.Failed(e.gate.Redact(got[k].Err))
			answers[i].Validator = got[k].Validator
		default:
			answers[i] = got[k]
		}
	}
	return fault
}

// learn remembers what was answered. works says that the host works, so that an error is the repository's own; timeUp
// that the time was up.
func (r *Reader) learn(b *batch, indexes []int, began time.Time, answers []repo.Observation, works, timeUp bool) {
	e := b.endpoint
	read, limited, late := false, false, 0
	room, validators := b.room.Size(), b.room.Size() // what is left to keep from one to the next call
	for _, m := range b.memory {
		room -= int(m.cost)
		validators -= int(m.validatorCost)
	}
	for turn, i := range indexes {
		m, o := b.memory[i], &answers[i]
		err, _ := errors.AsType[*githost.Error](o.Err)
		// What was under way when the time was up may be well: the host is slow. It comes first the next time too.
		if timeUp && works && err != nil && err.Kind == githost.Temporary && (o.Status == repo.NotAsked || githost.TimedOut(err, r.timeout())) {
			o.Status = repo.Late
			late++
		}
		if o.Status == repo.Fresh {
			m.tried = at(began) + instant(turn) // the order in which they have their next turn
		}
		validators += int(m.validatorCost)
		m.validate(*o, validators)
		validators -= int(m.validatorCost)
		o.Validator = nil
		switch {
		case o.Status != repo.Fresh:
			m.read = 0 // it is due
		case err != nil:
			if err.Kind == githost.RateLimited {
				e.gate.Exhaust(err)
				limited = true
			}
			m.fail(err, began, works && err.Kind != githost.RateLimited)
		default:
			heads := o.Heads
			if _, glances := e.host.(githost.Glancer); b.prefilter == nil && !glances {
				heads = nil // nobody will ask for them
			}
			room += int(m.cost)
			m.remember(heads, began, room)
			room -= int(m.cost)
			read = true
		}
	}
	if read && !limited {
		e.gate.Grant()
	}
	if late > 0 && began.Sub(e.slowTold) >= time.Hour {
		e.slowTold = began
		r.Log.Warn("the host is too slow for one cycle to read all: the rest is late, and read first in the next",
			"host", e.Host(), "credential", e.Auth.Label(), "repositories", len(b.want), "late", late)
	}
}

// survive calls f, which calls a Host. A Host decodes what strangers send it, with libraries that are not
// ours: if it panics, that is the end of this answer and not of the program.
func (r *Reader) survive(e *endpoint, f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			text := secret.Redact(fmt.Sprint(p), e.Secrets()...)
			r.Log.Error("reading the answer of a host panicked", "host", e.Host(), "err", oneline.Of(text, 300), "stack", string(debug.Stack()))
			err = githost.NewError(githost.Invalid, e.Host(), "the answer could not be read, which is a fault of Sentry: please report the stack in the log")
		}
	}()
	return f()
}
