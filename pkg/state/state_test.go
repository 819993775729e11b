package state

import (
	"errors"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	shaA = repo.SHA("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")
	shaB = repo.SHA("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// full returns a snapshot in which every field is set.
func full() Snapshot {
	return Snapshot{
		Epoch: "e1",
		Repositories: map[string]Repository{
			"rag": {
				Branches: NewBranches(map[string]Branch{
					"main":         {SHA: shaA, N: 3, Time: noon, Missing: 1},
					"feat/$(HOME)": {SHA: shaB, Time: noon},
				}),
				Floor:   7,
				Problem: &Problem{Kind: "denied", Message: "no", Since: noon},
			},
			"gone": {Unseen: true, Floor: 2},
		},
		Units: map[string]Unit{"rag.main": {Problem: &Problem{Kind: "qa", Message: "no", Since: noon}}},
	}
}

func TestCloneSharesNothing(t *testing.T) {
	s := full()
	c := s.Clone()
	c.Repositories["rag"].Branches.Set("main", Branch{SHA: shaB})
	c.Repositories["rag"].Problem.Kind = "other"
	c.Repositories["new"] = Repository{}
	c.Units["rag.main"].Problem.Kind = "other"
	delete(c.Units, "rag.main")
	if !s.Equal(full()) {
		t.Errorf("the original changed with its clone: %+v", s)
	}
}

func TestForkLeavesTheOriginal(t *testing.T) {
	s := full()
	f := s.Fork()
	r := f.Repositories["rag"]
	r.Floor++
	f.Repositories["rag"] = r
	f.Repositories["new"] = Repository{}
	f.DropProblem("rag.main")
	if !s.Equal(full()) {
		t.Errorf("the original changed with its fork: %+v", s)
	}
	Snapshot{}.Fork().Repositories["new"] = Repository{} // there is a map to set it in
}

func TestEqual(t *testing.T) {
	// edit changes one entry of rag, whose maps are not shared between two calls of full.
	edit := func(f func(*Repository)) func(*Snapshot) {
		return func(s *Snapshot) {
			r := s.Repositories["rag"]
			f(&r)
			s.Repositories["rag"] = r
		}
	}
	branch := func(b Branch) func(*Snapshot) {
		return edit(func(r *Repository) { r.Branches.Set("main", b) })
	}
	tests := map[string]struct {
		edit func(*Snapshot)
		want bool
	}{
		"untouched":            {func(*Snapshot) {}, true},
		"same instant":         {branch(Branch{SHA: shaA, N: 3, Missing: 1, Time: noon.In(time.FixedZone("x", 3600))}), true},
		"epoch":                {func(s *Snapshot) { s.Epoch = "e2" }, false},
		"sha":                  {branch(Branch{SHA: shaB, N: 3, Time: noon, Missing: 1}), false},
		"n":                    {branch(Branch{SHA: shaA, N: 4, Time: noon, Missing: 1}), false},
		"time":                 {branch(Branch{SHA: shaA, N: 3, Time: noon.Add(1), Missing: 1}), false},
		"missing":              {branch(Branch{SHA: shaA, N: 3, Time: noon}), false},
		"redo":                 {branch(Branch{SHA: shaA, N: 3, Time: noon, Missing: 1, Redo: true}), false},
		"branch gone":          {edit(func(r *Repository) { r.Branches.Delete("main") }), false},
		"floor":                {edit(func(r *Repository) { r.Floor++ }), false},
		"unseen":               {edit(func(r *Repository) { r.Unseen = true }), false},
		"problem gone":         {edit(func(r *Repository) { r.Problem = nil }), false},
		"problem kind":         {edit(func(r *Repository) { r.Problem.Kind = "x" }), false},
		"problem message":      {edit(func(r *Repository) { r.Problem.Message = "x" }), false},
		"problem since":        {edit(func(r *Repository) { r.Problem.Since = noon.Add(1) }), false},
		"repository gone":      {func(s *Snapshot) { delete(s.Repositories, "gone") }, false},
		"unit problem gone":    {func(s *Snapshot) { s.DropProblem("rag.main") }, false},
		"unit problem changed": {func(s *Snapshot) { s.Units["rag.main"].Problem.Kind = "x" }, false},
	}
	for name, tt := range tests {
		s := full()
		tt.edit(&s)
		if got := s.Equal(full()); got != tt.want {
			t.Errorf("%s: Equal = %v, want %v", name, got, tt.want)
		}
	}
	if !(Snapshot{}).Equal(Snapshot{Repositories: map[string]Repository{}}) {
		t.Error("a missing map and an empty one are not equal")
	}
}

func TestNewProblem(t *testing.T) {
	tests := []struct{ in, want string }{
		{"plain words", "plain words"},
		{"two\nlines", "two lines"},
		{strings.Repeat("ä", 200), strings.Repeat("ä", 90) + "…" + strings.Repeat("ä", 58)},
	}
	for _, tt := range tests {
		got := NewProblem("denied", tt.in, noon)
		if got.Message != tt.want || got.Kind != "denied" || !got.Since.Equal(noon) {
			t.Errorf("NewProblem(%q) = %+v, want message %q", tt.in, got, tt.want)
		}
		if len(got.Message) > 300 || !utf8.ValidString(got.Message) {
			t.Errorf("NewProblem(%q): message of %d bytes, valid %v", tt.in, len(got.Message), utf8.ValidString(got.Message))
		}
	}
}

func TestSetProblem(t *testing.T) {
	s := full()
	shared := s // as plan.Plan's snapshot may share its maps
	if s.SetProblem("rag.main", "qa", errors.New("no, in other words"), noon.Add(time.Hour)) {
		t.Error("a problem that lasts is news")
	}
	if got := s.Problems()["rag.main"]; got.Message != "no" || !got.Since.Equal(noon) {
		t.Errorf("a problem that lasts was written again: %+v", got)
	}
	if !s.SetProblem("rag.main", "create", errors.New("down"), noon.Add(time.Hour)) || !s.SetProblem("web.main", "qa", errors.New("a\nb"), noon) {
		t.Error("a problem of another kind, or of another unit, is no news")
	}
	if got := s.Problems()["rag.main"]; got.Kind != "create" || got.Message != "down" || !got.Since.Equal(noon.Add(time.Hour)) {
		t.Errorf("the problem is %+v, want the new one", got)
	}
	if got := s.Problems()["web.main"].Message; got != "a b" {
		t.Errorf("message %q, want one line", got)
	}
	if !shared.Equal(full()) {
		t.Errorf("a snapshot that shared the map changed: %+v", shared.Problems())
	}
	empty := Snapshot{}
	if !empty.SetProblem("u", "qa", errors.New("no"), noon) || len(empty.Units) != 1 {
		t.Errorf("an empty snapshot has the problems %+v, want one", empty.Problems())
	}
}
