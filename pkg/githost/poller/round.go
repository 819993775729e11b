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
	answers := make([]repo.Observation, len(b.want))
	if s := e.gate.Status(); s.Why != nil && s.Resource == "" {
		for i := range answers {
			answers[i] = repo.Observation{Err: s.Why, Cached: true}
		}
		e.late.Add(int64(len(answers)))
		return answers
	}
	for i, m := range b.memory {
		b.want[i].Validator, b.want[i].Room = m.validator, b.room
	}
	changed, probe := r.changed(ctx, b, began)
	var read []int
	cached, late := 0, 0
	for i, m := range b.memory {
		switch {
		case m.breaker.State(began) == breaker.Open:
			answers[i] = m.recall()
			late++
		case changed != nil && !changed[i] && m.good() && !m.late && !m.due(began, r.sweep()):
			answers[i] = m.recall()
			b.room.Give(-m.cost)
			cached++
		default:
			read = append(read, i)
		}
	}
	if len(read) > 0 {
		late += r.read(ctx, b, read, began, probe, answers)
	}
	e.cached.Add(int64(cached))
	e.late.Add(int64(late))
	return answers
}

// changed returns for each of b.want whether its heads may have changed, or nil when all are to be read. probe says that
// the host's last answer made no sense, so that it is to be tried with one repository.
func (r *Reader) changed(ctx context.Context, b *batch, began time.Time) (changed []bool, probe bool) {
	e := b.endpoint
	prefilter, ok := r.prefilter(e)
	down, senseless := e.gate.HalfOpen(began)
	if !ok || b.few || e.prefilter.State(began) == breaker.Open || down || senseless {
		e.gate.Begin(began, transport.MaxProbes)
		return nil, senseless
	}
	// Hints that fail must not look like a host that does.
	e.gate.Begin(began, 1)
	before := e.gate.Status().Requests
	ctx, cancel := githost.WithTimeout(ctx, e.name, r.timeout()/3)
	defer cancel()
	var err error
	if fault := r.survive(e, func() { changed, err = prefilter.Changed(ctx, b.want) }); fault != nil {
		err = fault
	}
	if err == nil && len(changed) != len(b.want) {
		err = fmt.Errorf("%d hints for %d repositories", len(changed), len(b.want))
	}
	if err == nil {
		e.prefilter.Close()
		if e.gate.Status().Requests == before { // then the heads are what is asked for first
			e.gate.Begin(began, transport.MaxProbes)
		}
		return changed, false
	}
	clean, asked, probes := e.redacted(err), e.gate.Status().Requests > before, transport.MaxProbes
	if asked {
		probes--
	}
	limited := clean.Kind == githost.RateLimited
	if !limited || asked { // else a limit that is known, and says nothing against the hints
		e.prefilter.Fail(began, clean)
	}
	if limited && asked {
		e.gate.Exhaust(clean)
	}
	r.log().Debug("the host does not tell what changed; reading all", "host", e.name, "err", clean)
	e.gate.Begin(began, probes)
	return nil, clean.Kind == githost.Invalid && githost.Senseless(githost.Failed(clean))
}

// prefilter returns what an endpoint offers to tell changes by, if it is to be used.
func (r *Reader) prefilter(e *endpoint) (githost.Prefilter, bool) {
	p, ok := e.host.(githost.Prefilter)
	return p, ok && r.sweep() > 0
}

// read asks the Host for the repositories with these indexes, writes what it gave into answers, and returns
// how many there was no budget or no time for. Those that failed last time come after the others.
func (r *Reader) read(ctx context.Context, b *batch, indexes []int, began time.Time, probe bool, answers []repo.Observation) (late int) {
	e := b.endpoint
	e.gate.SpreadOver(len(indexes))
	slices.SortStableFunc(indexes, func(i, j int) int { return b.memory[i].order(b.memory[j]) })
	failing := len(indexes)
	for failing > 0 && b.memory[indexes[failing-1]].err != nil {
		failing--
	}
	var fault *githost.Error
	probed := 0
	if probe {
		probed = 1
		fault = r.heads(ctx, b, indexes[:1], answers)
		if first := answers[indexes[0]]; githost.Senseless(first) {
			for _, i := range indexes[1:] {
				answers[i] = githost.Failed(githost.NotAsked(githost.WrapError(e.name, first.Err)))
			}
			probed = len(indexes)
		}
	}
	fault = cmp.Or(fault, r.heads(ctx, b, indexes[min(probed, failing):failing], answers), r.heads(ctx, b, indexes[max(probed, failing):], answers))
	works := !e.gate.End() && fault == nil && !b.senseless(indexes, probe, answers)
	return r.learn(b, indexes, began, answers, works, ctx.Err() != nil)
}

// senseless reports whether the host is taken for one whose answers make no sense, after a round in which repositories
// were read. One repository that breaks must not silence its host: it takes three whose last look was good or that are
// new, or as many as the host has, however few are asked for now, and none with an answer that makes sense.
func (b *batch) senseless(indexes []int, probe bool, answers []repo.Observation) bool {
	sane, fresh := false, 0
	var last *githost.Error
	for _, i := range indexes {
		switch o := answers[i]; {
		case githost.Senseless(o):
			last = githost.WrapError(b.endpoint.name, o.Err)
			if b.memory[i].err == nil {
				fresh++
			}
		case !errors.Is(o.Err, githost.ErrNotAsked) && !errors.Is(o.Err, githost.ErrAddress):
			sane = true
		}
	}
	all := probe || fresh >= min(transport.MaxProbes, len(b.endpoint.memory))
	return b.endpoint.gate.Judge(sane, all, last)
}

// heads asks the Host for some of b.want and writes what it gave into answers. A fault is of the Host.
func (r *Reader) heads(ctx context.Context, b *batch, indexes []int, answers []repo.Observation) (fault *githost.Error) {
	if len(indexes) == 0 {
		return nil
	}
	e := b.endpoint
	want := make([]githost.Wanted, len(indexes))
	for k, i := range indexes {
		want[k] = b.want[i]
	}
	var got []repo.Observation
	fault = r.survive(e, func() { got = e.host.Heads(ctx, want) })
	if fault == nil && len(got) != len(want) {
		fault = githost.NewError(githost.Invalid, e.name, "%d answers for %d repositories, which is a fault of Sentry: please report it", len(got), len(want))
	}
	for k, i := range indexes {
		if fault != nil {
			answers[i] = githost.Failed(fault)
		} else if answers[i] = got[k]; got[k].Err != nil {
			answers[i].Err = e.redacted(got[k].Err)
		}
	}
	return fault
}

// learn remembers what was answered, and returns for how many repositories nothing was sent. works says that
// the host works, so that an error is the repository's own; timeUp that the time was up.
func (r *Reader) learn(b *batch, indexes []int, began time.Time, answers []repo.Observation, works, timeUp bool) (late int) {
	e := b.endpoint
	_, hints := r.prefilter(e)
	read, limited, slow := false, false, 0
	room, validators := b.room.Size(), b.room.Size() // what is left to keep from one to the next call
	for _, m := range b.memory {
		room -= m.cost
		validators -= m.validatorCost
	}
	for turn, i := range indexes {
		m := b.memory[i]
		// What was under way when the time was up may be well: the host is slow. It comes first the next time too.
		unasked := errors.Is(answers[i].Err, githost.ErrNotAsked) || timeUp && works && r.ranOut(answers[i].Err)
		if !unasked {
			m.tried = began.Add(time.Duration(turn)) // the order in which they have their next turn
		}
		validators += m.validatorCost
		m.validate(answers[i], validators)
		validators -= m.validatorCost
		answers[i].Validator = nil
		if answers[i].Err == nil {
			heads := answers[i].Heads
			if !hints {
				heads = nil // nobody will ask for them
			}
			room += m.cost
			m.remember(heads, began, room)
			room -= m.cost
			read = true
			continue
		}
		err := *githost.WrapError(e.name, answers[i].Err)
		answers[i] = githost.Failed(&err)
		switch {
		case unasked:
			if err.Late = timeUp && works && err.Kind == githost.Temporary; err.Late {
				slow++
			}
			answers[i], m.late = repo.Observation{Err: githost.NotAsked(&err), Cached: true}, true
			late++
			continue
		case err.Kind == githost.RateLimited:
			e.gate.Exhaust(&err)
			m.fail(&err, began, false)
			limited = true
		default:
			m.fail(&err, began, works)
		}
		m.late = timeUp
	}
	if read && !limited {
		e.gate.Grant()
	}
	if slow > 0 && began.Sub(e.slowTold) >= time.Hour {
		e.slowTold = began
		r.log().Warn("the host is too slow for one cycle to read all: the rest is late, and read first in the next",
			"host", e.name, "credential", githost.CredentialOf(e.Auth), "repositories", len(b.want), "late", slow)
	}
	return late
}

// ranOut reports whether an error is that the time of a whole round was up, and not that of one repository.
func (r *Reader) ranOut(err error) bool {
	limit, ok := githost.TimeLimit(err)
	return ok && limit == r.timeout()
}

// survive calls f, which calls a Host. A Host decodes what strangers send it, with libraries that are not
// ours: if it panics, that is the end of this answer and not of the program.
func (r *Reader) survive(e *endpoint, f func()) (fault *githost.Error) {
	defer func() {
		if p := recover(); p != nil {
			text := secret.Redact(fmt.Sprint(p), e.Secrets()...)
			r.log().Error("reading the answer of a host panicked", "host", e.name, "err", githost.OneLine(text), "stack", string(debug.Stack()))
			fault = githost.NewError(githost.Invalid, e.name, "the answer could not be read, which is a fault of Sentry: please report the stack in the log")
		}
	}()
	f()
	return nil
}
