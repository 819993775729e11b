package owned

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// server is a list with numbered pages.
type server struct {
	repositories []Entry
	pages        int
	noDate       bool
	behind       time.Duration // its clock
	file         string
}

func newServer(n int) *server {
	s := &server{}
	for i := range n {
		s.add(fmt.Sprintf("r%d", i))
	}
	return s
}

func (s *server) add(name string) {
	now := time.Now().Add(-s.behind)
	s.repositories = append(s.repositories, Entry{OwnedRepository: githost.OwnedRepository{ID: name, Path: "o/" + name, URL: "https://h.example/o/" + name},
		Key: now, Pushed: now})
}

func (s *server) lister() Lister {
	return Lister{Host: "h.example", OwnedBy: githost.OwnedBy{Owner: "o", File: "f"}, Orders: []string{"changed"}, Slack: time.Minute,
		Page: func(_ context.Context, order string, size int, cursor string) (Page, error) {
			s.pages++
			all := slices.Clone(s.repositories)
			if order != "" {
				slices.SortStableFunc(all, func(a, b Entry) int { return b.Key.Compare(a.Key) })
			}
			number, before := Numbered(cursor)
			p := Page{Entries: all[before:min(before+size, len(all))], Total: len(all)}
			if p.Next = Following(number, before, len(p.Entries), p.Total); !s.noDate {
				p.Date = time.Now().Add(-s.behind)
			}
			return p, nil
		},
		Files: func(_ context.Context, of []*Entry) error {
			for _, e := range of {
				e.File = []byte(s.file)
			}
			return nil
		}}
}

// ask fails the test unless the list is that of the server, after so many pages.
func (s *server) ask(t *testing.T, what string, last *githost.Owned, pages int) *githost.Owned {
	t.Helper()
	s.pages = 0
	list, err := s.lister().Owned(t.Context(), last)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	var got, want []string
	for _, r := range list.Repositories {
		got = append(got, r.ID)
	}
	for _, e := range s.repositories {
		want = append(want, e.ID)
	}
	if slices.Sort(want); !slices.Equal(got, want) || s.pages != pages {
		t.Errorf("%s: %d repositories after %d pages, want %d after %d", what, len(got), s.pages, len(want), pages)
	}
	return list
}

func TestNextQuestion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(1_000)
		<-time.After(time.Hour)
		list := s.ask(t, "at first", nil, 10)
		list = s.ask(t, "once more", list, 1)
		s.ask(t, "with a mark that is none", &githost.Owned{Repositories: list.Repositories, Mark: "yesterday"}, 10)
		<-time.After(30 * time.Minute)
		s.behind = 40 * time.Minute
		list = s.ask(t, "after its clock was set back", list, 1+10)
		list = s.ask(t, "afterwards", list, 1)
		s.add("new")
		list = s.ask(t, "with a new one", list, 1)
		for i := range 150 {
			s.repositories[i].Key = time.Now()
		}
		list = s.ask(t, "with more changes than a page has", list, 1+2)
		s.noDate = true
		list = s.ask(t, "without a time", list, 3+11)
		list = s.ask(t, "without one for the last list", list, 11)
		s.noDate = false
		list = s.ask(t, "with a time again", list, 11)
		s.ask(t, "and once more", list, 3)
	})
}

// TestWhatNoOrderShows has a repository come to light as another one is deleted, so that the numbers add up.
func TestWhatNoOrderShows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newServer(300)
		<-time.After(24 * time.Hour)
		list := s.ask(t, "at first", nil, 3)
		old := s.repositories[0].Key
		s.repositories = s.repositories[1:]
		s.add("from-elsewhere")
		s.repositories[len(s.repositories)-1].Key = old
		<-time.After(59 * time.Minute)
		again, err := s.lister().Owned(t.Context(), list)
		if err != nil || again.Repositories[0].ID == "from-elsewhere" {
			t.Fatalf("within the hour: %v", err) // nothing tells of it
		}
		<-time.After(time.Minute)
		s.ask(t, "after an hour", again, 3)
	})
}

func TestBounds(t *testing.T) {
	s := newServer(2_000)
	s.file = strings.Repeat("x", githost.MaxOwnedFile)
	list, err := s.lister().Owned(t.Context(), nil)
	if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != githost.TooLarge || list != nil {
		t.Errorf("125 MiB of files: %v", err)
	}
	for kind, page := range map[githost.Kind]func(int) Page{
		githost.TooLarge: func(n int) Page { return Page{Total: 5, Next: fmt.Sprint(n)} },
		githost.Invalid:  func(int) Page { return Page{Total: 5, Next: "again"} },
	} {
		l, n := s.lister(), 0
		l.Page = func(context.Context, string, int, string) (Page, error) {
			n++
			return page(n), nil
		}
		list, err := l.Owned(t.Context(), nil)
		if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != kind || list != nil {
			t.Errorf("pages without an end: %v after %d, want an error of the kind %q", err, n, kind)
		}
	}
}
