package githost

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

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
	ctx = withRoom(withGate(ctx, e.gate), b.room)
	answers := make([]repo.Observation, len(b.want))
	err := e.gate.standing(began)
	if err == nil && e.odd.holds(began) {
		err = e.odd.err
	}
	if err != nil {
		for i := range answers {
			answers[i] = repo.Observation{Err: err, Cached: true}
		}
		r.count(e, 0, len(answers))
		return answers
	}
	changed, odd := r.changed(ctx, b, began)
	var read []int
	cached, late := 0, 0
	for i, m := range b.memory {
		switch {
		case m.retry.holds(began):
			answers[i] = m.recall()
			late++
		case changed != nil && !changed[i] && m.good() && !m.late && !m.due(began, r.Sweep):
			answers[i] = m.recall()
			b.room.give(-m.cost)
			cached++
		default:
			read = append(read, i)
		}
	}
	if len(read) > 0 {
		late += r.read(ctx, b, read, began, odd, answers)
	}
	r.count(e, cached, late)
	return answers
}

// changed returns for each of b.want whether its heads may have changed, or nil when all are to be read. odd says that
// the host's last answer made no sense, so that it is to be tried with one repository.
func (r *Reader) changed(ctx context.Context, b *batch, began time.Time) (changed []bool, odd bool) {
	e := b.endpoint
	hints, ok := r.hints(e)
	if !ok || b.few || e.hint.holds(began) || e.gate.ailing() || e.odd.failures > 0 {
		e.gate.begin(began, maxProbes)
		return nil, e.odd.failures > 0
	}
	// Hints that fail must not look like a host that does.
	e.gate.begin(began, 1)
	before := r.statsOf(e).Requests
	ctx, cancel := WithTimeout(ctx, e.name, r.timeout()/3)
	defer cancel()
	var err error
	if fault := r.survive(e, func() { changed, err = hints.Changed(ctx, b.want) }); fault != nil {
		err = fault
	}
	if err == nil && len(changed) != len(b.want) {
		err = fmt.Errorf("%d hints for %d repositories", len(changed), len(b.want))
	}
	if err == nil {
		e.hint = backoff{}
		if r.statsOf(e).Requests == before { // then the heads are what is asked for first
			e.gate.begin(began, maxProbes)
		}
		return changed, false
	}
	clean, asked, probes := e.tidy(err), r.statsOf(e).Requests > before, maxProbes
	if asked {
		probes--
	}
	if clean.Kind != RateLimited {
		e.hint.fail(began)
	} else if asked { // else a limit that is known, and says nothing against the hints
		e.hint.fail(began)
		e.gate.limitUntil(clean)
	}
	r.log().Debug("the host does not tell what changed; reading all", "host", e.name, "err", clean)
	e.gate.begin(began, probes)
	return nil, clean.Kind == Invalid && Senseless(failed(clean))
}

// hints returns what an endpoint offers to tell changes by, if it is to be used.
func (r *Reader) hints(e *endpoint) (Prefilter, bool) {
	p, ok := e.host.(Prefilter)
	return p, ok && r.Sweep > 0
}

// read asks the Host for the repositories with these indexes, writes what it gave into answers, and returns
// how many there was no budget or no time for. Those that failed last time come after the others.
func (r *Reader) read(ctx context.Context, b *batch, indexes []int, began time.Time, odd bool, answers []repo.Observation) (late int) {
	e := b.endpoint
	e.gate.spreadOver(len(indexes))
	slices.SortStableFunc(indexes, func(i, j int) int { return b.memory[i].order(b.memory[j]) })
	failing := len(indexes)
	for failing > 0 && b.memory[indexes[failing-1]].err != nil {
		failing--
	}
	var fault *Error
	probed := 0
	if odd {
		probed = 1
		fault = r.heads(ctx, b, indexes[:1], answers)
		if first := answers[indexes[0]]; Senseless(first) {
			for _, i := range indexes[1:] {
				answers[i] = failed(notAsked(WrapError(e.name, first.Err)))
			}
			probed = len(indexes)
		}
	}
	fault = cmp.Or(fault, r.heads(ctx, b, indexes[min(probed, failing):failing], answers), r.heads(ctx, b, indexes[max(probed, failing):], answers))
	works := !e.gate.end() && fault == nil && !r.judge(b, indexes, began, odd, answers)
	return r.learn(b, indexes, began, answers, works, ctx.Err() != nil)
}

// judge finds out whether the host made sense in a round, and reports whether it is taken for one that does not.
func (r *Reader) judge(b *batch, indexes []int, began time.Time, odd bool, answers []repo.Observation) bool {
	e, sane, fresh := b.endpoint, false, 0
	var last *Error
	for _, i := range indexes {
		switch o := answers[i]; {
		case Senseless(o):
			last = e.tidy(o.Err)
			if b.memory[i].err == nil {
				fresh++
			}
		case !errors.Is(o.Err, errNotAsked) && !errors.Is(o.Err, ErrAddress):
			sane = true
		}
	}
	repositories := len(b.want)
	if odd {
		repositories = min(fresh, 1) // a hint made none before
	}
	e.odd.judge(began, sane, fresh, repositories, last)
	r.mu.Lock()
	defer r.mu.Unlock()
	e.silent = e.odd
	return e.odd.failures > 0
}

// heads asks the Host for some of b.want and writes what it gave into answers. A fault is of the Host.
func (r *Reader) heads(ctx context.Context, b *batch, indexes []int, answers []repo.Observation) (fault *Error) {
	if len(indexes) == 0 {
		return nil
	}
	e := b.endpoint
	want := make([]Wanted, len(indexes))
	for k, i := range indexes {
		want[k] = b.want[i]
	}
	var got []repo.Observation
	fault = r.survive(e, func() { got = e.host.Heads(ctx, want) })
	if fault == nil && len(got) != len(want) {
		fault = NewError(Invalid, e.name, "%d answers for %d repositories, which is a fault of Sentry: please report it", len(got), len(want))
	}
	for k, i := range indexes {
		if fault != nil {
			answers[i] = failed(fault)
		} else {
			answers[i] = got[k]
		}
	}
	return fault
}

// learn remembers what was answered, and returns for how many repositories nothing was sent. works says that
// the host works, so that an error is the repository's own; timeUp that the time was up.
func (r *Reader) learn(b *batch, indexes []int, began time.Time, answers []repo.Observation, works, timeUp bool) (late int) {
	e := b.endpoint
	_, hints := r.hints(e)
	read, limited, slow := false, false, 0
	room := b.room.size
	for _, m := range b.memory {
		room -= m.cost
	}
	for turn, i := range indexes {
		m := b.memory[i]
		// What was under way when the time was up may be well: the host is slow. It comes first the next time too.
		unasked := errors.Is(answers[i].Err, errNotAsked) || timeUp && works && r.ranOut(answers[i].Err)
		if !unasked {
			m.tried = began.Add(time.Duration(turn)) // the order in which they have their next turn
		}
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
		err := e.tidy(answers[i].Err)
		answers[i] = failed(err)
		switch {
		case unasked:
			if err.Late = timeUp && works && err.Kind == Temporary; err.Late {
				slow++
			}
			answers[i], m.late = repo.Observation{Err: notAsked(err), Cached: true}, true
			late++
			continue
		case err.Kind == RateLimited:
			e.gate.limitUntil(err)
			m.fail(err, began, false)
			limited = true
		default:
			m.fail(err, began, works)
		}
		m.late = timeUp
	}
	if read && !limited {
		e.gate.unlimited()
	}
	if slow > 0 && began.Sub(e.slowTold) >= time.Hour {
		e.slowTold = began
		r.log().Warn("the host is too slow for one cycle to read all: the rest is late, and read first in the next",
			"host", e.name, "credential", CredentialOf(e.Auth), "repositories", len(b.want), "late", slow)
	}
	return late
}

// ranOut reports whether an error is that the time of a whole round was up, and not that of one repository.
func (r *Reader) ranOut(err error) bool {
	limit, ok := errors.AsType[slow](err)
	return ok && time.Duration(limit) == r.timeout()
}

// survive calls f, which calls a Host. A Host decodes what strangers send it, with libraries that are not
// ours: if it panics, that is the end of this answer and not of the program.
func (r *Reader) survive(e *endpoint, f func()) (fault *Error) {
	defer func() {
		if p := recover(); p != nil {
			text := secret.Redact(fmt.Sprint(p), e.secrets()...)
			r.log().Error("reading the answer of a host panicked", "host", e.name, "err", oneLine(text), "stack", string(debug.Stack()))
			fault = NewError(Invalid, e.name, "the answer could not be read, which is a fault of Sentry: please report the stack in the log")
		}
	}()
	f()
	return nil
}
