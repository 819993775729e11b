package discover

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

// ErrConflict says that somebody else wrote what was found since it was loaded.
var ErrConflict = errors.New("what was found changed since it was loaded")

// Store keeps what was found.
type Store interface {
	// Load returns it; nothing where there is none yet. What cannot be read is an error, never nothing.
	Load(ctx context.Context) (*discover.Found, error)
	// Save replaces what was loaded or saved last, or is ErrConflict.
	Save(ctx context.Context, lists []discover.List) error
	// Changed reports whether somebody else wrote it since it was loaded or saved. It reads no content.
	Changed(ctx context.Context) (bool, error)
}

// Finder asks hosts which repositories owners have, and keeps what they say. Set the exported fields before the first Apply.
type Finder struct {
	// Ask asks the host of a source, as githost.Owners has it.
	Ask   func(ctx context.Context, source config.Source, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error)
	Store Store
	// Used is told that Found returns something else. It must not wait.
	Used func()
	Log  *slog.Logger

	found   atomic.Pointer[discover.Found]
	now     atomic.Pointer[settings]
	changed chan struct{} // of capacity one, full when other questions are to be asked
	asking  atomic.Bool   // Run is at work

	looked time.Time // of Follow

	// Of Run and Once:
	answers map[discover.Question]*githost.Owned
	missing map[discover.Question]map[string]bool // News.Missing of the list before
	failing map[discover.Question]string          // what it was told of why hosts do not answer
	unsaved string                                // what it was told of why nothing can be kept
}

// settings follow from a configuration. Nobody changes them.
type settings struct {
	every     time.Duration
	asked     []discover.Question
	discovers map[discover.Question][]config.Discovery
}

// Begin makes what was loaded what Found returns, before the first Apply.
func (f *Finder) Begin(found *discover.Found) {
	f.found.Store(found)
	f.changed = make(chan struct{}, 1)
}

// Found returns what is known. Any goroutine may call it.
func (f *Finder) Found() *discover.Found { return f.found.Load() }

// Apply replaces the configuration, of which hosts are asked every so often.
func (f *Finder) Apply(cfg *config.Config, every time.Duration) {
	s := &settings{every: every, discovers: map[discover.Question][]config.Discovery{}}
	for _, d := range cfg.Discover {
		q := d.Question()
		if s.discovers[q] == nil {
			s.asked = append(s.asked, q)
		}
		s.discovers[q] = append(s.discovers[q], d)
	}
	before := f.now.Swap(s)
	if before != nil && slices.Equal(before.asked, s.asked) && before.every == s.every {
		return
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

// Run asks at once, at every interval, and when there is something else to ask, until ctx ends.
func (f *Finder) Run(ctx context.Context) {
	f.asking.Store(true)
	defer f.asking.Store(false)
	f.answers = nil // of before another replica asked
	for {
		s := f.now.Load()
		var next <-chan time.Time // never, while nothing is to be asked
		if f.Once(ctx); len(s.asked) > 0 {
			next = time.After(s.every)
		}
		select {
		case <-ctx.Done():
			return
		case <-f.changed:
		case <-next:
		}
	}
}

// followEvery is how often it is looked at whether another replica found something: a little less than the shortest interval of cycles.
const followEvery = 55 * time.Second

// Follow takes up what another replica found, where this one does not ask.
func (f *Finder) Follow(ctx context.Context) {
	if f.asking.Load() || len(f.now.Load().asked) == 0 || time.Since(f.looked) < followEvery {
		return
	}
	f.looked = time.Now()
	changed, err := f.Store.Changed(ctx)
	if err == nil && changed {
		err = f.load(ctx)
	}
	if err != nil && ctx.Err() == nil {
		f.Log.Warn("cannot look at what another replica found; it is tried again", "err", err)
	}
}

// load makes what is stored what Found returns.
func (f *Finder) load(ctx context.Context) error {
	found, err := f.Store.Load(ctx)
	if err == nil {
		f.use(found)
	}
	return err
}

func (f *Finder) use(found *discover.Found) {
	if before := f.found.Swap(found); before == nil || before.Hash != found.Hash {
		f.Used()
	}
}

// tries is how often what was found is written where others write it, too.
const tries = 3

// Once asks each question once, and keeps what was said.
func (f *Finder) Once(ctx context.Context) {
	s := f.now.Load()
	if len(s.asked) == 0 {
		return
	}
	if f.answers == nil {
		f.answers, f.missing, f.failing = map[discover.Question]*githost.Owned{}, map[discover.Question]map[string]bool{}, map[discover.Question]string{}
	}
	answered := map[discover.Question]*githost.Owned{}
	for _, q := range s.asked {
		got, err := f.Ask(ctx, s.discovers[q][0].Source, githost.OwnedBy{Owner: q.Owner, File: q.File}, f.answers[q])
		if ctx.Err() != nil {
			return
		}
		if f.tell(q, err); err == nil {
			answered[q] = got
		}
	}
	if err := f.take(ctx, s, answered); err != nil && ctx.Err() == nil {
		if why := err.Error(); why != f.unsaved {
			f.unsaved = why
			f.Log.Error("what was found cannot be kept, and is not used; it is tried again", "err", err)
		}
		return
	}
	f.unsaved = ""
	for q, got := range answered {
		f.answers[q] = got
	}
}

// tell tells of what begins to fail, and of its end.
func (f *Finder) tell(q discover.Question, err error) {
	was := f.failing[q]
	switch {
	case err == nil:
		if delete(f.failing, q); was != "" {
			f.Log.Info("the host says again which repositories there are", "host", q.Host, "owner", q.Owner)
		}
	default:
		kind := "failed"
		if e, ok := errors.AsType[*githost.Error](err); ok {
			kind = string(e.Kind)
		}
		if f.failing[q] = kind; kind != was {
			f.Log.Warn("the host does not say which repositories there are; going on with those that are known", "host", q.Host, "owner", q.Owner, "err", err)
		}
	}
}

// take keeps answers, and has them used once they are stored: what is used and not stored would be forgotten by a restart.
func (f *Finder) take(ctx context.Context, s *settings, answered map[discover.Question]*githost.Owned) error {
	known, err := f.Store.Load(ctx)
	if err != nil {
		return err
	}
	for range tries {
		lists, news := f.merge(known, s, answered)
		next := Of(lists)
		if next.Hash != known.Hash {
			err = f.Store.Save(ctx, lists)
			if errors.Is(err, ErrConflict) {
				if known, err = f.Store.Load(ctx); err != nil {
					return err
				}
				continue
			}
			if err != nil {
				return err
			}
		}
		for q, n := range news {
			f.report(q, n)
		}
		f.use(next)
		return nil
	}
	return fmt.Errorf("%w, %d times in a row", err, tries)
}

// merge returns what follows of the answers, with what is known of the questions that have none.
func (f *Finder) merge(known *discover.Found, s *settings, answered map[discover.Question]*githost.Owned) ([]discover.List, map[discover.Question]News) {
	var lists []discover.List
	news := map[discover.Question]News{}
	room := discover.Most
	for _, q := range s.asked {
		list, _ := known.Of(q, s.asked)
		room -= len(list.Repositories)
	}
	for _, q := range s.asked {
		list, there := known.Of(q, s.asked)
		got := answered[q]
		if got == nil {
			if there {
				lists = append(lists, list)
			}
			continue
		}
		list.Question = q
		next, n := Take(list, got.Repositories, func(r discover.Repository) bool {
			return slices.ContainsFunc(s.discovers[q], func(d config.Discovery) bool { return d.Wants(r) })
		}, f.missing[q], max(0, room)+len(list.Repositories))
		room -= len(next.Repositories) - len(list.Repositories)
		news[q] = n
		lists = append(lists, next)
	}
	return lists, news
}

// report tells what a list changed.
func (f *Finder) report(q discover.Question, n News) {
	of := []any{"host", q.Host, "owner", q.Owner}
	if n.Held != "" {
		if f.missing[q] == nil {
			f.Log.Warn("the host's list of repositories is not taken: "+n.Held, of...)
		}
		if n.Missing == nil {
			n.Missing = map[string]bool{}
		}
	} else if len(n.Came)+len(n.Went)+len(n.Moved) > 0 {
		f.Log.Info("the owner has other repositories", append(of, "came", few(n.Came), "went", few(n.Went), "moved", few(n.Moved))...)
	}
	f.missing[q] = n.Missing
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
