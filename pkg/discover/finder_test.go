package discover

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// stored is what several stores have in common, as the ConfigMap is.
type stored struct {
	mu             sync.Mutex
	data           []byte // nil = there is none
	version        int
	loads, saves   int
	broken         error // of all that is asked
	beforeNextSave func()
}

func (s *stored) put(data []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.data = data
	s.version++
}

// counts returns how often it was read and written since it was called last.
func (s *stored) counts() (loads, saves int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	loads, saves, s.loads, s.saves = s.loads, s.saves, 0, 0
	return loads, saves
}

// store is one process's view of what is stored.
type store struct {
	*stored
	seen int
}

func (s *store) Load(context.Context) (*discover.Found, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.loads++
	if s.broken != nil {
		return nil, s.broken
	}
	s.seen = s.version
	if s.data == nil {
		return &discover.Found{}, nil
	}
	return Decode(s.data)
}

func (s *store) Save(_ context.Context, found *discover.Found) error {
	if f := s.beforeNextSave; f != nil {
		s.beforeNextSave = nil
		f()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	data, err := Encode(found)
	switch {
	case s.broken != nil:
		return s.broken
	case err != nil:
		return err
	case s.seen != s.version:
		return ErrConflict
	}
	s.saves++
	s.version++
	s.data, s.seen = data, s.version
	return nil
}

func (s *store) Changed(context.Context) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.seen != s.version, s.broken
}

// asking is a Finder with hosts that answer as they are told.
type asking struct {
	*Finder
	*testing.T
	stored *stored
	log    bytes.Buffer
	used   int
	end    func()

	mu    sync.Mutex
	lists map[string][]string // by host and owner; one that is not here is not found
	hangs string              // the host that never answers
	token string              // that the hosts take
	times []string            // "HOST OWNER", as they were asked
	lasts []*githost.Owned
}

// newAsking returns one that begins with what is stored, as another process would.
func newAsking(t *testing.T, s *stored) *asking {
	a := &asking{T: t, stored: s, lists: map[string][]string{}}
	st := &store{stored: s}
	a.Finder = &Finder{Ask: a.answer, Store: st, Used: func() { a.used++ }, Log: slog.New(slog.NewTextHandler(&a.log, nil))}
	known, err := st.Load(t.Context())
	if err != nil {
		known = nil
	}
	a.Begin(known)
	return a
}

func (a *asking) answer(ctx context.Context, of config.Source, q githost.OwnedBy, last *githost.Owned) (*githost.Owned, error) {
	a.mu.Lock()
	lines, there := a.lists[of.URL+" "+q.Owner]
	hangs, token := a.hangs, a.token
	a.times = append(a.times, of.URL+" "+q.Owner)
	a.lasts = append(a.lasts, last)
	a.mu.Unlock()
	switch {
	case of.URL == hangs:
		<-ctx.Done()
		return nil, ctx.Err()
	case of.Auth.Token.Reveal() != token:
		return nil, githost.NewError(githost.Denied, of.URL, "the credential is refused")
	case !there:
		return nil, githost.NewError(githost.NotFound, of.URL, "there is no %s", q.Owner)
	}
	return &githost.Owned{Repositories: owned(lines...), Mark: "m"}, nil
}

// has makes it what an owner has.
func (a *asking) has(at string, lines ...string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.lists[at] = lines
}

// asked returns what was asked since it was called last.
func (a *asking) asked() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	times := a.times
	a.times = nil
	slices.Sort(times)
	return times
}

// run begins to ask. It ends with the test or the next run.
func (a *asking) run() {
	ctx, stop := context.WithCancel(a.Context())
	done := make(chan struct{})
	go func() {
		a.Finder.Run(ctx)
		close(done)
	}()
	a.end = func() {
		stop()
		<-done
	}
	a.Cleanup(a.end)
}

// known returns the paths that are known.
func (a *asking) known() string {
	var all []string
	for _, l := range a.Found().Lists {
		for _, r := range l.Repositories {
			all = append(all, r.Path)
		}
	}
	return strings.Join(all, " ")
}

func (a *asking) expect(when, known string) {
	a.Helper()
	synctest.Wait()
	if got := a.known(); got != known {
		a.Fatalf("%s: known is %q, want %q; the log:\n%s", when, got, known, &a.log)
	}
}

// asksOf is a configuration that asks for owners, each "HOST OWNER", with a token.
func asksOf(token string, owners ...string) *config.Config {
	cfg := &config.Config{Files: fmt.Sprint(owners)}
	for _, o := range owners {
		host, owner, _ := strings.Cut(o, " ")
		d := config.Discovery{Source: config.Source{URL: host, Type: config.Gitea}, Wanted: discover.Wanted{Owner: owner}}
		if token != "" {
			d.Auth.Token = secret.New("${T}", token)
		}
		cfg.Discover = append(cfg.Discover, d)
	}
	return cfg
}

const (
	teamA   = "https://a.example team"
	teamB   = "https://b.example team"
	ask     = 10 * time.Minute
	settled = time.Second
)

// A host that does not answer holds up nobody but itself.
func TestAHostThatHangs(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAsking(t, &stored{})
		a.has(teamA, "1 team/a")
		a.has(teamB, "1 team/b")
		a.hangs = "https://a.example"
		a.Apply(asksOf("", teamA, teamB), ask)
		a.run()
		a.expect("at the start", "team/b")
		a.has(teamB, "1 team/b", "2 team/new")
		time.Sleep(ask + settled)
		a.expect("with the next list", "team/b team/new")
	})
}

// What is stored and cannot be read stops nothing: it is read again soon, no host is asked meanwhile, and nobody writes over it.
func TestStoreThatCannotBeRead(t *testing.T) {
	for name, begin := range map[string]func(*stored){
		"damaged": func(s *stored) { s.put([]byte("damaged")) },
		"of a newer Sentry": func(s *stored) {
			var b bytes.Buffer
			w := gzip.NewWriter(&b)
			fmt.Fprintf(w, `{"version": %d}`, version+1)
			w.Close()
			s.put(b.Bytes())
		},
		"out of reach": func(s *stored) { s.broken = errors.New("no route to host") },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &stored{}
				begin(s)
				before := bytes.Clone(s.data)
				a := newAsking(t, s)
				a.has(teamA, "1 team/a")
				a.Apply(asksOf("", teamA), ask)
				a.run()
				time.Sleep(5*time.Minute + settled)
				a.expect("while it cannot be read", "")
				if n := strings.Count(a.log.String(), "what was found cannot be read or kept"); n != 1 || len(a.asked()) > 0 || !bytes.Equal(s.data, before) {
					t.Errorf("it is told %d times, or a host was asked, or it is written over:\n%s", n, &a.log)
				}
				s.mu.Lock()
				s.broken = nil
				s.mu.Unlock()
				s.put(encoded(t, discover.List{Question: discover.Question{Host: "https://a.example", Owner: "team"}, Repositories: []discover.Repository{{ID: "1", Name: "first", Path: "team/before", Branch: "main"}}}))
				time.Sleep(time.Minute + settled)
				a.expect("a minute after it was mended", "team/a")
				if got := a.Found().Lists[0].Repositories[0].Name; got != "first" {
					t.Errorf("its name is %q, and what was stored is not known", got)
				}
			})
		})
	}
}

// What somebody deletes is known still, and is stored again, also while hosts do not answer.
func TestStoreThatIsDeleted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a := newAsking(t, s)
		a.has(teamA, "1 team/a", "2 team/b")
		a.Apply(asksOf("", teamA), ask)
		a.run()
		a.expect("at the start", "team/a team/b")
		number := a.Found().Number
		a.mu.Lock()
		a.lists = nil
		a.mu.Unlock()
		s.put(nil)
		time.Sleep(ask + settled)
		a.expect("after it was deleted", "team/a team/b")
		a.end()
		b := newAsking(t, s)
		b.expect("after a restart", "team/a team/b")
		if got := b.Found().Number; got != number {
			t.Errorf("the number is %d, and was %d: nothing that follows from it changed", got, number)
		}
	})
}

// A host that answers as before costs one look at the version of what is stored, and no write.
func TestIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a := newAsking(t, s)
		a.has(teamA, "1 team/a")
		a.Apply(asksOf("", teamA, teamB), ask) // of which one is not found
		a.run()
		a.expect("at the start", "team/a")
		s.counts()
		time.Sleep(10*ask + settled)
		if loads, saves := s.counts(); loads+saves > 0 || a.used != 2 || len(a.asked()) != 22 { // used is that it is decided by these files, and the list
			t.Errorf("it was read %d times, written %d times and used %d times", loads, saves, a.used)
		}
		if last := a.lasts[len(a.lasts)-1]; len(a.Found().Failing) != 1 || a.lasts[0] != nil || last == nil && a.lasts[len(a.lasts)-2] == nil {
			t.Error("the host is not asked with its last answer")
		}
	})
}

// Each look is another process. What lists lacked is known to the next one.
func TestOnceAndAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		has := []string{"1 team/a", "2 team/b", "3 team/c"}
		once := func(when, known string) {
			t.Helper()
			a := newAsking(t, s)
			a.has(teamA, has...)
			a.Apply(asksOf("", teamA), ask)
			a.Once(t.Context())
			a.expect(when, known)
			time.Sleep(time.Hour)
		}
		once("first", "team/a team/b team/c")
		has = has[1:]
		once("lacked once", "team/a team/b team/c")
		once("lacked twice", "team/b team/c")
		has = []string{"9 team/other"}
		for range 24 {
			once("all are lacked", "team/b team/c team/other")
		}
		once("all are lacked for a day", "team/other")
	})
}

// A mended credential, and other files, are asked with at once; the same again are not.
func TestMendedToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a := newAsking(t, s)
		a.has(teamA, "1 team/a")
		a.token = "good"
		a.Apply(asksOf("bad", teamA), ask)
		a.run()
		a.expect("with a token that is refused", "")
		f := a.Found().Failing
		if len(f) != 1 || f[0].Kind != string(githost.Denied) || f[0].Since != time.Now().Unix() || !strings.Contains(f[0].Why, "refused") || strings.Contains(f[0].Why, "bad") {
			t.Errorf("why there is no list is %+v", f)
		}
		time.Sleep(2*time.Minute + settled)
		a.Apply(asksOf("good", teamA), ask)
		a.expect("with another token", "team/a")
		if len(a.Found().Failing) > 0 || len(newAsking(t, s).Found().Failing) > 0 {
			t.Errorf("it fails still: %+v", a.Found().Failing)
		}
		a.asked()
		a.Apply(asksOf("good", teamA), ask)
		a.expect("with the same", "team/a")
		if got := a.asked(); len(got) > 0 {
			t.Errorf("asked is %q, and nothing changed", got)
		}
		other := asksOf("good", teamA)
		other.Files = "another"
		number := a.Found().Number
		a.Apply(other, ask)
		a.expect("with other files", "team/a")
		if found := a.Found(); found.For != "another" || found.Number <= number || len(a.asked()) != 1 {
			t.Errorf("it is not known that the files are others: %+v", found)
		}
	})
}

// Of several that write, each takes up what the other wrote, and what one alone knows stays.
func TestConflict(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &stored{}
		a, b := newAsking(t, s), newAsking(t, s)
		for _, one := range []*asking{a, b} {
			one.has(teamA, "1 team/a")
			one.Apply(asksOf("", teamA, teamB), ask)
		}
		b.has(teamB, "1 team/b")
		s.beforeNextSave = func() { b.Once(t.Context()) }
		a.Once(t.Context())
		if got := a.known(); got != "team/a team/b" {
			t.Errorf("known is %q; the log:\n%s", got, &a.log)
		}
		a.has(teamA, "1 team/a", "2 team/new")
		a.Once(t.Context())
		b.Follow(t.Context())
		b.expect("whoever follows", "team/a team/new team/b")
		a.has(teamA, "1 team/a", "2 team/new", "3 team/newer")
		a.Once(t.Context())
		b.Follow(t.Context())
		b.expect("within the minute", "team/a team/new team/b")
		b.Behind(a.Found().Number)
		b.Follow(t.Context())
		b.expect("in a hurry", "team/a team/new team/newer team/b")
	})
}

// What is in files is not kept in memory: whether there is one is all that is asked.
func TestFilesAreNotKept(t *testing.T) {
	a := newAsking(t, &stored{})
	var last *githost.Owned
	a.Ask = func(_ context.Context, _ config.Source, _ githost.OwnedBy, before *githost.Owned) (*githost.Owned, error) {
		last = before
		return &githost.Owned{Repositories: []githost.OwnedRepository{
			{ID: "1", Path: "team/a", DefaultBranch: "main", File: bytes.Repeat([]byte("x"), githost.MaxOwnedFile)}, {ID: "2", Path: "team/b"},
		}}, nil
	}
	a.Apply(asksOf("", teamA), ask)
	a.Once(t.Context())
	a.Once(t.Context())
	if f := last.Repositories; f[0].File == nil || len(f[0].File) > 0 || f[1].File != nil {
		t.Errorf("kept is %.100v", f)
	}
	if r := a.Found().Lists[0].Repositories; !r[0].File || r[1].File {
		t.Errorf("known is %+v", r)
	}
}
