// Package statetest is what every store of the state promises. Each store runs Test in its own folder.
package statetest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/state"
)

// Store is a store as package watch knows it.
type Store interface {
	Load(ctx context.Context) (state.Snapshot, error)
	Save(ctx context.Context, s state.Snapshot) error
	Size() (state.Size, bool)
}

// Place is one place where a state is stored, and what people do there. At first it is empty.
type Place struct {
	Open   func() Store               // the store, as one more process has it
	Delete func()                     // takes all away
	Write  func(text string)          // puts that document in the place of all
	Edit   func(replace, with string) // replaces a text wherever it is stored
	// Dying has the place take that many writes more and then none, until alive is called. It is nil where a store
	// writes once.
	Dying    func(writes int) (alive func())
	TooLarge func() state.Snapshot // more than the store holds
}

// Load returns what a new process loads.
func (p Place) Load(t *testing.T) state.Snapshot {
	t.Helper()
	return load(t, p.Open())
}

// Save has a new process load the state and save another.
func (p Place) Save(t *testing.T, s state.Snapshot) {
	t.Helper()
	store := p.Open()
	load(t, store)
	save(t, store, s)
}

func load(t *testing.T, s Store) state.Snapshot {
	t.Helper()
	got, err := s.Load(t.Context())
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return got
}

func save(t *testing.T, s Store, snapshot state.Snapshot) {
	t.Helper()
	if err := s.Save(t.Context(), snapshot); err != nil {
		t.Fatalf("Save: %v", err)
	}
}

// holds checks what a store that is open loads, and what a new process does.
func (p Place) holds(t *testing.T, what string, open Store, want state.Snapshot) {
	t.Helper()
	for who, s := range map[string]Store{"the store that is open": open, "a new process": p.Open()} {
		if got := load(t, s); !got.Equal(want) {
			t.Errorf("%s: %s loads %s, want %s", what, who, text(t, got), text(t, want))
		}
	}
}

// text returns the start of what the snapshot is.
func text(t *testing.T, s state.Snapshot) string {
	t.Helper()
	data, err := state.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	return string(data[:min(len(data), 2_000)])
}

func stored(t *testing.T, name string) string {
	t.Helper()
	_, here, _, _ := runtime.Caller(0)
	data, err := os.ReadFile(filepath.Join(filepath.Dir(here), "..", "testdata", name))
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// Test checks that a store keeps its promises.
func Test(t *testing.T, empty func(*testing.T) Place) {
	for _, promise := range []struct {
		name string
		test func(*testing.T, Place)
	}{
		{"where nothing is stored, an empty state is loaded and nothing is made", nothing},
		{"what is saved is loaded, every field of it", everyField},
		{"a second save needs no load", twoSaves},
		{"how large the state is is known to who wrote it or read it", sizes},
		{"what others write, edit or delete is loaded", others},
		{"a save over what others wrote or deleted is a conflict, and changes nothing", conflicts},
		{"of many that read the same state one may write", oneWins},
		{"every format there ever was is read, and written back without loss", formats},
		{"what is no state is refused, and not written over", refusals},
		{"an entry that is none costs that entry alone", damage},
		{"what a newer Sentry stored is kept while its entry lives", newer},
		{"a state that is too large is refused before anything is written", tooLarge},
		{"no load outlasts its context", contexts},
	} {
		t.Run(promise.name, func(t *testing.T) { promise.test(t, empty(t)) })
	}
	if empty(t).Dying == nil {
		return // one write, which the operating system does whole or not at all
	}
	t.Run("a death between two writes leaves the state as it was, or as it was to be", func(t *testing.T) {
		for _, from := range []int{1, 70, 120} {
			Deaths(t, Many(270, "b"), func() Place {
				p := empty(t)
				p.Save(t, Many(from, "a"))
				return p
			})
		}
	})
}

func sizes(t *testing.T, p Place) {
	writer := p.Open()
	load(t, writer)
	if size, known := writer.Size(); known {
		t.Errorf("of nothing: %+v, want that it is not known", size)
	}
	for _, n := range []int{3, 90, 5} {
		s := Many(n, "a")
		s.SetProblem("a.main", "create", errors.New("no"), noon)
		save(t, writer, s)
		reader := p.Open()
		load(t, reader)
		for who, store := range map[string]Store{"the writer": writer, "a reader": reader} {
			size, _ := store.Size()
			if size.Bytes < 200*n || size.Bytes > 300*n+300 || size.Repositories != n || size.Branches != 2*n || size.Units != 1 || size.Most < 2*size.Bytes {
				t.Errorf("%s says of %d repositories of some 230 bytes each: %+v", who, n, size)
			}
		}
	}
}

func nothing(t *testing.T, p Place) {
	p.holds(t, "nothing", p.Open(), state.Snapshot{})
	s, other := p.Open(), p.Open()
	load(t, s)
	load(t, other)
	save(t, s, Many(1, "a")) // a load that made something would be a conflict
	if err := other.Save(t.Context(), Many(1, "b")); !errors.Is(err, state.ErrConflict) {
		t.Errorf("the first Save of another: %v, want a conflict", err)
	}
	p.holds(t, "the first save", s, Many(1, "a"))
}

func everyField(t *testing.T, p Place) {
	for _, n := range []int{1, 150} {
		want := Filled(n)
		p.Save(t, want)
		if got := p.Load(t); !reflect.DeepEqual(got, want) {
			t.Errorf("%d entries: loaded\n%s\nwant\n%s", n, text(t, got), text(t, want))
		}
	}
}

func twoSaves(t *testing.T, p Place) {
	s := p.Open()
	load(t, s)
	for _, n := range []int{1, 150, 160, 2} {
		for _, digit := range []string{"a", "b"} {
			save(t, s, Many(n, digit))
			p.holds(t, "saved", s, Many(n, digit))
		}
	}
}

func others(t *testing.T, p Place) {
	for _, n := range []int{1, 150} {
		s := p.Open()
		load(t, s)
		p.Save(t, Many(n, "a"))
		p.holds(t, "written by another", s, Many(n, "a"))
		p.Edit(string(SHA("a")), string(SHA("b")))
		p.holds(t, "edited by hand", s, Many(n, "b"))
		p.Delete()
		p.holds(t, "deleted by hand", s, state.Snapshot{})
	}
}

func conflicts(t *testing.T, p Place) {
	for what, other := range map[string]func(){
		"written": func() { p.Save(t, Many(150, "b")) },
		"edited":  func() { p.Edit(string(SHA("a")), string(SHA("b"))) },
		"deleted": p.Delete,
	} {
		for _, n := range []int{1, 150} {
			p.Delete()
			p.Save(t, Many(150, "a"))
			s := p.Open()
			load(t, s)
			other()
			want := p.Load(t)
			if err := s.Save(t.Context(), Many(n, "c")); !errors.Is(err, state.ErrConflict) {
				t.Errorf("%s by another: Save of %d: %v, want a conflict", what, n, err)
			}
			p.holds(t, what+" by another", s, want) // and with this Load the conflict ends
			save(t, s, Many(n, "c"))
			p.holds(t, "saved after the conflict", s, Many(n, "c"))
		}
	}
}

func oneWins(t *testing.T, p Place) {
	const writers = 8
	errs := make([]error, writers)
	var ready, done sync.WaitGroup
	ready.Add(writers)
	for i := range writers {
		s := p.Open()
		done.Go(func() {
			_, err := s.Load(t.Context())
			ready.Done()
			ready.Wait()
			if err == nil {
				err = s.Save(t.Context(), Many(i+1, "a"))
			}
			errs[i] = err
		})
	}
	done.Wait()
	won := -1
	for i, err := range errs {
		switch {
		case err == nil && won >= 0:
			t.Errorf("writers %d and %d wrote over the same state", won, i)
		case err == nil:
			won = i
		case !errors.Is(err, state.ErrConflict):
			t.Errorf("writer %d: %v, want a conflict", i, err)
		}
	}
	if got := p.Load(t); !got.Equal(Many(won+1, "a")) {
		t.Errorf("stored is %s, want what writer %d wrote", text(t, got), won)
	}
}

func formats(t *testing.T, p Place) {
	want, err := state.Decode([]byte(stored(t, "version3.json")))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"version1.json", "version3.json"} {
		p.Write(stored(t, name))
		s := p.Open()
		got := load(t, s)
		if !got.Equal(want) || got.Epoch != "e1" {
			t.Errorf("%s: loaded %s, want %s", name, text(t, got), text(t, want))
		}
		save(t, s, got)
		p.holds(t, name+" written back", s, want)
	}
}

func refusals(t *testing.T, p Place) {
	for what, document := range map[string]string{
		"nothing":          "",
		"cut short":        `{"version":3,"epoch":`,
		"another document": `[]`,
		"no format":        `{}`,
		"a newer format":   `{"version":1000}`,
		"no entries":       `{"version":3,"repositories":7}`,
		"a field twice":    `{"version":3,"epoch":"a","epoch":"b"}`,
	} {
		p.Write(document)
		s := p.Open()
		if got, err := s.Load(t.Context()); err == nil || !strings.Contains(err.Error(), "delete") || !got.Equal(state.Snapshot{}) {
			t.Errorf("%s: Load = %s, %v, want an error that says what to do", what, text(t, got), err)
		}
		if err := s.Save(t.Context(), Many(1, "a")); err == nil {
			t.Errorf("%s: Save wrote over what could not be read", what)
		}
	}
}

func damage(t *testing.T, p Place) {
	for _, n := range []int{1, 150} {
		p.Delete()
		s := p.Open()
		load(t, s)
		bad := Many(n, "a")
		bad.Repositories["bad"] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: "x"}})}
		save(t, s, bad)
		for who, s := range map[string]Store{"the store that saved": s, "a new process": p.Open()} {
			got := load(t, s).Fork()
			if r := got.Repositories["bad"]; r.Damaged == nil || !strings.Contains(r.Problem.Message, `branch "main"`) {
				t.Errorf("%d repositories: %s loads %+v, want a damaged entry that names the branch", n, who, r)
			}
			if delete(got.Repositories, "bad"); !got.Equal(Many(n, "a")) {
				t.Errorf("%d repositories: %s loads %s, want the others as they were saved", n, who, text(t, got))
			}
		}
		p.Edit(`"branch-0":{"sha":"`+string(SHA("a"))+`"`, `"branch-0":{"sha":7`)
		for name, r := range p.Load(t).Repositories {
			if r.Damaged == nil {
				t.Errorf("%d repositories: %s is %+v, want a damaged entry", n, name, r)
			}
		}
	}
}

func newer(t *testing.T, p Place) {
	const document = `{"version":3,"clusters":{"far":{"url":"<x>"},"near":{}},"epoch":"e1","page":[1.50,null],"repositories":{` +
		`"name":{"branches":{"main":{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","time":"2026-03-01T12:00:00Z","outcome":{"of":1}}},` +
		`"problem":{"kind":"denied","message":"no","since":"2026-03-01T12:00:00Z","told":true},"owner":"x"}},` +
		`"units":{"name.main":{"problem":{"kind":"qa","message":"no","since":"2026-03-01T12:00:00Z","told":true},"frozen":"yes"}}}`
	want, err := state.Decode([]byte(document))
	if err != nil {
		t.Fatal(err)
	}
	p.Write(document)
	s := p.Open()
	for _, n := range []int{0, 150, 0} {
		next := load(t, s).Fork()
		for name := range next.Repositories {
			if name != "name" {
				delete(next.Repositories, name)
			}
		}
		for name, r := range Many(n, "a").Repositories {
			next.Repositories[name] = r
		}
		save(t, s, next)
		p.holds(t, "with others", s, next)
	}
	p.holds(t, "alone again", s, want)
	for _, kept := range []string{`"clusters":{`, `"url":"\u003cx\u003e"`, `"near":{}`, `"page":[1.50,null]`, `"outcome":{"of":1}`, `"owner":"x"`, `"frozen":"yes"`, `"told":true`} {
		if got := text(t, p.Load(t)); !strings.Contains(got, kept) {
			t.Errorf("stored is %s, want what a newer Sentry stored there: %s", got, kept)
		}
	}
	next := load(t, s).Fork()
	next.DropProblem("name.main")
	delete(next.Repositories, "name")
	save(t, s, next)
	if got := text(t, p.Load(t)); strings.Contains(got, "owner") || strings.Contains(got, "told") || !strings.Contains(got, `"units":{"name.main":{"frozen":"yes"}}`) {
		t.Errorf("stored is %s, want what was of the entries to be gone with them, and the unit to be frozen still", got)
	}
}

func tooLarge(t *testing.T, p Place) {
	p.Save(t, Many(1, "a"))
	s := p.Open()
	load(t, s)
	if err := s.Save(t.Context(), p.TooLarge()); !errors.Is(err, state.ErrTooLarge) {
		t.Errorf("Save: %.300v, want %v", err, state.ErrTooLarge)
	}
	p.holds(t, "after that", s, Many(1, "a"))
	save(t, s, Many(2, "a"))
	p.holds(t, "saved after that", s, Many(2, "a"))
}

// Deaths saves next over what prepare makes, and dies after each number of writes.
func Deaths(t *testing.T, next state.Snapshot, prepare func() Place) {
	t.Helper()
	for writes := 0; ; writes++ {
		p := prepare()
		s := p.Open()
		from := load(t, s)
		alive := p.Dying(writes)
		err := s.Save(t.Context(), next)
		alive()
		if err == nil {
			p.holds(t, "after all writes", s, next)
			if writes < 2 {
				t.Errorf("%d writes were needed, want some to die between", writes)
			}
			return
		}
		p.holds(t, "dead after some writes", s, from)
		p.Save(t, next)
		p.holds(t, "saved after that", s, next)
	}
}

func contexts(t *testing.T, p Place) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	s := p.Open()
	if _, err := s.Load(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Load = %v, want %v", err, context.Canceled)
	}
	p.holds(t, "after that", s, state.Snapshot{})
}
