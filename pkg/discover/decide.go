package discover

import (
	"context"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
)

// patience is how long the replica that asks leaves it at files that it never had, by which another one chose: they may be newer ones,
// and a ConfigMap that changed is in all pods within two minutes or so.
const patience = 5 * time.Minute

// Behind is told the number of the list by which the state goes, where that of the configuration is lower. It is looked for in the store. Where
// it is not there, as one that somebody took away or put back, what is known gets a higher number. Any goroutine may call it. It never
// waits. A number that no Sentry wrote is not heard.
func (f *Finder) Behind(number int64) {
	if number > maxNumber || f.behind.Swap(number) == number {
		return
	}
	f.hurry.Store(true)
	select {
	case f.late <- struct{}{}:
	default:
	}
}

// Late reports whether the list of which Behind was told is not known still.
func (f *Finder) Late() bool { return f.found.Load().Number < f.behind.Load() }

// decide has it stored by which files is chosen, without a host, and returns after how long it is to be called again; 0 = when there is
// something new.
func (f *Finder) decide(ctx context.Context) time.Duration {
	s := f.now.Load()
	if len(s.asked) == 0 && f.found.Load().Number == 0 && !f.Late() {
		return 0 // nothing was ever found, and the store is not asked
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	err := f.settle(ctx)
	if f.tellKept(ctx, err); err != nil {
		return min(again, s.every)
	}
	if known := f.found.Load(); known.Number > 0 && known.For != s.files {
		return max(time.Second, patience-time.Since(f.began(s)))
	}
	return 0
}

// began is since when this replica asks by its files.
func (f *Finder) began(s *settings) time.Time {
	if f.since.After(s.since) {
		return f.since
	}
	return s.since
}

// next returns what follows of a change to what is known: with its number, unless something that is used is another. It is called with f.mu held.
func (f *Finder) next(s *settings, known *discover.Found, change change) *discover.Found {
	lists, failing := change(s, known)
	files := s.files
	if theirs := known.For; theirs != "" && !s.had[theirs] && f.Shared && time.Since(f.began(s)) < patience {
		files = theirs
	}
	behind := f.behind.Load()
	if known.Number >= behind && known.For == files {
		if same := Of(lists, failing, known.Number, files); same.Hash == known.Hash {
			return same
		}
	}
	return Of(lists, failing, max(known.Number+1, behind+1, time.Now().Unix()), files)
}
