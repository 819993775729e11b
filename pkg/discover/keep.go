package discover

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

// load makes what is stored what Found returns, where somebody else changed it. What somebody took away, or put an older one in the place of,
// is known still, and is stored again with the next answer.
func (f *Finder) load(ctx context.Context) error {
	if f.loaded {
		if changed, err := f.Store.Changed(ctx); err != nil || !changed {
			return err
		}
	}
	found, err := f.Store.Load(ctx)
	if err != nil {
		return err
	}
	f.loaded = true
	if f.stored, err = marshal(found); err == nil && found.Number >= f.found.Load().Number {
		f.use(found)
	}
	return err
}

func (f *Finder) use(found *discover.Found) {
	if before := f.found.Swap(found); before.Hash != found.Hash {
		f.Used()
	}
}

// settle loads what is stored, and stores what of it is asked for still, and by which files is chosen.
func (f *Finder) settle(ctx context.Context) error {
	if err := f.load(ctx); err != nil {
		return err
	}
	return f.edit(ctx, func(s *settings, known *discover.Found) ([]discover.List, []discover.Failure) {
		return s.lists(known), known.Failing
	})
}

// tries is how often what was found is written where others write it, too.
const tries = 3

// change returns what becomes of what is known.
type change func(s *settings, known *discover.Found) ([]discover.List, []discover.Failure)

// edit stores what a change makes of what is known, where that is something else, and has it used once it is stored: what is used and not
// stored would be forgotten by a restart. The change may be called again.
func (f *Finder) edit(ctx context.Context, change change) error {
	for range tries {
		s, known := f.now.Load(), f.found.Load()
		next := f.next(s, known, change)
		text, err := marshal(next)
		if err != nil {
			return err
		}
		if (len(next.Lists)+len(next.Failing) > 0 || next.Number > known.Number) && !bytes.Equal(text, f.stored) {
			err = f.Store.Save(ctx, next)
			if errors.Is(err, ErrConflict) {
				f.loaded = false
				if err = f.load(ctx); err == nil {
					continue
				}
			}
			if err != nil {
				return err
			}
			f.stored = text
			f.use(next)
		}
		return nil
	}
	return fmt.Errorf("%w, %d times in a row", ErrConflict, tries)
}

// take keeps an answer.
func (f *Finder) take(ctx context.Context, q discover.Question, got *githost.Owned, failed error) error {
	var news News
	asked := true
	err := f.edit(ctx, func(s *settings, known *discover.Found) (lists []discover.List, failing []discover.Failure) {
		if asked = s.discovers[q] != nil; !asked { // any more
			return s.lists(known), known.Failing
		}
		if lists = s.lists(known); failed == nil {
			lists, news = s.merge(known, q, got.Repositories)
		}
		return lists, s.failures(known.Failing, q, failed)
	})
	if err == nil && failed == nil && asked {
		f.report(q, news)
		f.remember(q, got)
	}
	return err
}

// remember keeps an answer for the next question, without what is in files: whether there is one is all that is asked.
func (f *Finder) remember(q discover.Question, got *githost.Owned) {
	if f.answers == nil {
		f.answers = map[discover.Question]*githost.Owned{}
	}
	if slices.ContainsFunc(got.Repositories, func(r githost.OwnedRepository) bool { return len(r.File) > 0 }) {
		bare := *got
		bare.Repositories = slices.Clone(got.Repositories)
		for i := range bare.Repositories {
			if bare.Repositories[i].File != nil {
				bare.Repositories[i].File = []byte{}
			}
		}
		got = &bare
	}
	f.answers[q] = got
}

// lists returns what is known of what is asked.
func (s *settings) lists(known *discover.Found) (lists []discover.List) {
	for _, q := range s.asked {
		if list, there := known.Of(q, s.asked); there {
			lists = append(lists, list)
		}
	}
	return lists
}

// merge returns what follows of an answer, with what is known of all other questions.
func (s *settings) merge(known *discover.Found, q discover.Question, got []githost.OwnedRepository) (lists []discover.List, news News) {
	room, last := discover.Most, int64(0)
	for _, list := range s.lists(known) {
		room -= len(list.Repositories)
		for _, r := range list.Repositories {
			last = max(last, r.Since)
		}
	}
	for _, other := range s.asked {
		list, there := known.Of(other, s.asked)
		if other == q {
			if !there {
				list.Question = q
			}
			wanted := func(r discover.Repository) bool {
				return slices.ContainsFunc(s.discovers[q], func(d config.Discovery) bool { return d.Wants(r) })
			}
			list, news = Take(list, q, got, Taking{wanted, time.Now(), last, s.every, max(0, room) + len(list.Repositories)})
			there = true
		}
		if there {
			lists = append(lists, list)
		}
	}
	return lists, news
}

// failures returns why there are no lists, with what an answer says of it.
func (s *settings) failures(known []discover.Failure, q discover.Question, failed error) (all []discover.Failure) {
	now := discover.Failure{Question: q, Since: time.Now().Unix()}
	if failed != nil {
		now.Kind, now.Why = kindOf(failed), oneline.Of(failed.Error(), 500)
	}
	for _, was := range known {
		switch {
		case was.Question == q && was.Kind == now.Kind:
			now = was
		case was.Question == q:
			now.Since = was.Since
		case s.discovers[was.Question] != nil:
			all = append(all, was)
		}
	}
	if failed != nil {
		all = append(all, now)
	}
	slices.SortFunc(all, func(a, b discover.Failure) int { // so that it is written once
		return cmp.Or(strings.Compare(a.Host, b.Host), strings.Compare(a.Owner, b.Owner), strings.Compare(a.File, b.File))
	})
	return all
}

// report tells what a list changed.
func (f *Finder) report(q discover.Question, n News) {
	log := f.Log.With("host", q.Host, "owner", q.Owner)
	if n.Held != "" && !f.held[q] {
		log.Warn("the host's list of repositories is not taken: " + n.Held)
	}
	f.held[q] = n.Held != ""
	switch {
	case len(n.Lacks) > 0 && n.Many:
		log.Warn("the host's list lacks more than half of what is watched; all stay for a day, unless it has them again", "lacks", few(n.Lacks))
	case len(n.Lacks) > 0:
		log.Info("the host's list lacks repositories; they go when the next one lacks them, too", "lacks", few(n.Lacks))
	}
	if len(n.Came)+len(n.Went)+len(n.Moved) > 0 {
		log.Info("the owner has other repositories", "came", few(n.Came), "went", few(n.Went), "moved", few(n.Moved))
	}
}

// few names the first of many.
func few(paths []string) string {
	const most = 5
	text := strings.Join(paths[:min(most, len(paths))], ", ")
	if more := len(paths) - most; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return oneline.Of(text, 500)
}
