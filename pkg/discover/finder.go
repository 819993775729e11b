package discover

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// ErrConflict says that somebody else wrote what was found since it was loaded.
var ErrConflict = errors.New("what was found changed since it was loaded")

// Store keeps what was found.
type Store interface {
	// Load returns it; nothing where there is none yet. What cannot be read is an error, never nothing.
	Load(ctx context.Context) (*discover.Found, error)
	// Save replaces what was loaded or saved last, or is ErrConflict.
	Save(ctx context.Context, found *discover.Found) error
	// Changed reports whether somebody else wrote it, or took it away, since it was loaded or saved. It reads no content.
	Changed(ctx context.Context) (bool, error)
}

// Finder asks hosts which repositories owners have, and keeps what they say. Set the exported fields before the first Apply.
type Finder struct {
	// Ask asks the host of a source, as githost.Owners has it. It is called by several goroutines.
	Ask   func(ctx context.Context, source config.Source, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error)
	Store Store
	// Shared says that there may be other replicas.
	Shared bool
	// Used is told that Found returns something else. It must not wait.
	Used func()
	Log  *slog.Logger

	found   atomic.Pointer[discover.Found]
	now     atomic.Pointer[settings]
	changed chan struct{} // of capacity one, full when other questions are to be asked
	asking  atomic.Bool   // Run is at work

	looked time.Time // of Follow
	hurry  atomic.Bool
	behind atomic.Int64
	late   chan struct{} // of capacity one, full when behind is news

	mu      sync.Mutex
	loaded  bool   // what is stored was read
	stored  []byte // as marshal writes it; nil = nothing
	answers map[discover.Question]*githost.Owned
	held    map[discover.Question]bool   // it was told that a list is not taken
	failing map[discover.Question]string // what it was told of why hosts do not answer
	unkept  string                       // what it was told of why nothing can be kept
	since   time.Time                    // when Run began
}

// settings follow from a configuration. Nobody changes them.
type settings struct {
	every     time.Duration
	files     string          // the configuration's
	since     time.Time       // when they came
	had       map[string]bool // them, and all that this process had before
	asked     []discover.Question
	discovers map[discover.Question][]config.Discovery
	sources   []source
}

// source is a server with a credential, and what it is asked one after the other.
type source struct {
	config.Source
	asked []discover.Question
}

// Begin makes what was loaded what Found returns, before the first Apply; nil where it could not be loaded.
func (f *Finder) Begin(found *discover.Found) {
	if f.loaded = found != nil; f.loaded {
		f.stored, _ = marshal(found) // which could be read
	} else {
		found = &discover.Found{}
	}
	f.found.Store(found)
	f.changed, f.late = make(chan struct{}, 1), make(chan struct{}, 1)
	f.held, f.failing = map[discover.Question]bool{}, map[discover.Question]string{}
}

// Found returns what is known. Any goroutine may call it.
func (f *Finder) Found() *discover.Found { return f.found.Load() }

// Apply replaces the configuration, of which hosts are asked every so often. They are asked at once where the files changed, or a credential
// did.
func (f *Finder) Apply(cfg *config.Config, every time.Duration) {
	s := &settings{every: every, files: cfg.Files, since: time.Now(), had: map[string]bool{cfg.Files: true}, discovers: map[discover.Question][]config.Discovery{}}
	for _, d := range cfg.Discover {
		q := d.Question()
		if s.discovers[q] == nil {
			s.asked = append(s.asked, q)
			i := slices.IndexFunc(s.sources, func(o source) bool { return o.Source == d.Source })
			if i < 0 {
				i = len(s.sources)
				s.sources = append(s.sources, source{Source: d.Source})
			}
			s.sources[i].asked = append(s.sources[i].asked, q)
		}
		s.discovers[q] = append(s.discovers[q], d)
	}
	before := f.now.Load()
	if before != nil {
		if maps.Copy(s.had, before.had); before.files == s.files {
			s.since = before.since
		}
	}
	f.now.Store(s)
	if before != nil && before.every == s.every && before.files == s.files && slices.EqualFunc(before.sources, s.sources, source.same) {
		return
	}
	select {
	case f.changed <- struct{}{}:
	default:
	}
}

func (s source) same(other source) bool {
	return s.Source == other.Source && slices.Equal(s.asked, other.asked)
}

// Run asks at once, at every interval, and when there is something else to ask, until ctx ends. No server waits for another one.
func (f *Finder) Run(ctx context.Context) {
	f.asking.Store(true)
	defer f.asking.Store(false)
	f.mu.Lock()
	f.since = time.Now()
	f.mu.Unlock()
	for ctx.Err() == nil {
		select {
		case <-f.changed:
		default:
		}
		s := f.now.Load()
		f.mu.Lock()
		f.answers = nil // of another credential, or of before another replica asked
		f.mu.Unlock()
		next := f.decide(ctx)
		asking, stop := context.WithCancel(ctx)
		var all sync.WaitGroup
		for _, of := range s.sources {
			all.Go(func() {
				for asking.Err() == nil {
					select {
					case <-asking.Done():
					case <-time.After(f.ask(asking, of, s.every)):
					}
				}
			})
		}
		for waits := true; waits; {
			var timer <-chan time.Time // never
			if next > 0 {
				timer = time.After(next)
			}
			select {
			case <-ctx.Done():
				waits = false
			case <-f.changed:
				waits = false
			case <-f.late:
				next = f.decide(ctx)
			case <-timer:
				next = f.decide(ctx)
			}
		}
		stop()
		all.Wait()
	}
}

// Once asks each question once, and keeps what is said.
func (f *Finder) Once(ctx context.Context) {
	f.decide(ctx)
	s := f.now.Load()
	var all sync.WaitGroup
	for _, of := range s.sources {
		all.Go(func() { f.ask(ctx, of, s.every) })
	}
	all.Wait()
}

// followEvery is how often it is looked at whether another replica found something: a little less than the shortest interval of cycles.
// again is after how long a store that cannot be read is read again.
const (
	followEvery = 55 * time.Second
	again       = time.Minute
)

// Follow takes up what another replica found, where this one does not ask.
func (f *Finder) Follow(ctx context.Context) {
	if f.asking.Load() || len(f.now.Load().asked) == 0 || time.Since(f.looked) < followEvery && !f.hurry.Load() {
		return
	}
	f.hurry.Store(false)
	f.looked = time.Now()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tellKept(ctx, f.load(ctx))
}

// ask asks a server what it is to be asked, and returns after how long it is to be asked again.
func (f *Finder) ask(ctx context.Context, of source, every time.Duration) time.Duration {
	f.mu.Lock()
	err := f.settle(ctx)
	if err != nil {
		f.tellKept(ctx, err)
	}
	f.mu.Unlock()
	if err != nil {
		return min(again, every)
	}
	for _, q := range of.asked {
		f.mu.Lock()
		last := f.answers[q]
		f.mu.Unlock()
		got, err := f.Ask(ctx, of.Source, githost.OwnedBy{Owner: q.Owner, File: q.File}, last)
		if ctx.Err() != nil {
			return every
		}
		f.mu.Lock()
		f.tell(q, err)
		f.tellKept(ctx, f.take(ctx, q, got, err))
		f.mu.Unlock()
	}
	return every
}

// tell tells of what begins to fail, and of its end. It is called with f.mu held, as all below.
func (f *Finder) tell(q discover.Question, err error) {
	was := f.failing[q]
	if err == nil {
		if delete(f.failing, q); was != "" {
			f.Log.Info("the host says again which repositories there are", "host", q.Host, "owner", q.Owner)
		}
		return
	}
	if f.failing[q] = kindOf(err); f.failing[q] != was {
		f.Log.Warn("the host does not say which repositories there are; going on with those that are known", "host", q.Host, "owner", q.Owner, "err", err)
	}
}

// kindOf returns the kind of a host's error.
func kindOf(err error) string {
	if e, ok := errors.AsType[*githost.Error](err); ok {
		return string(e.Kind)
	}
	return "failed"
}

// tellKept tells that nothing can be kept, and of the end of that.
func (f *Finder) tellKept(ctx context.Context, err error) {
	switch {
	case ctx.Err() != nil:
	case err == nil && f.unkept != "":
		f.unkept = ""
		f.Log.Info("what was found is read and kept again")
	case err != nil && err.Error() != f.unkept:
		f.unkept = err.Error()
		f.Log.Error("what was found cannot be read or kept; going on with what is known, and trying again", "err", err)
	}
}
