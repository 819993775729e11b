package rest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestPrefixes(t *testing.T) {
	for _, c := range []struct {
		entries []string
		want    []string
	}{
		{[]string{"main"}, []string{"main"}},
		{[]string{"main", "dev.*"}, []string{"dev", "main"}},
		{[]string{"dev.*", "dev-x", "develop", "d"}, []string{"d"}},
		{[]string{"main", ".*"}, []string{""}},
		{[]string{"main|dev"}, []string{""}},
		{[]string{"(?i)main"}, []string{""}},
		{[]string{"release/.*"}, []string{"release"}},
		{[]string{"release/.*", "released"}, []string{"release"}},
		{[]string{"release/v[0-9]+"}, []string{"release/v"}},
		{[]string{`\.\./.*`}, []string{""}},
		{[]string{`a/\.\./b.*`, "a/c"}, []string{"a"}},
		{[]string{"a", "b", "c", "d"}, []string{"a", "b", "c", "d"}},
		{[]string{"a", "b", "c", "d", "e"}, []string{""}},
		{[]string{"team/x/a", "team/x/b", "team/x/c", "team/x/d", "team/y"}, []string{"team"}},
	} {
		if got := Prefixes(repotest.Patterns(t, c.entries...)); !slices.Equal(got, c.want) {
			t.Errorf("Prefixes(%q) = %q, want %q", c.entries, got, c.want)
		}
	}
}

// Whatever matches begins with one of the prefixes, and none of them leads out of a path.
func FuzzPrefixes(f *testing.F) {
	f.Add("main", "dev.*", "dev/x")
	f.Add("release/.*", `\.\./x`, "release/1")
	f.Add("a|b", "x$(HOME)", "b")
	f.Add("日本/.*", "日.", "日本/x")
	f.Add("x/?y", "x", "xy")
	f.Fuzz(func(t *testing.T, first, second, branch string) {
		one, err := repo.ParsePattern(first)
		other, err2 := repo.ParsePattern(second)
		if err != nil || err2 != nil {
			return
		}
		ps := repo.Patterns{one, other}
		prefixes := Prefixes(ps)
		for _, p := range prefixes {
			for part := range strings.SplitSeq(p, "/") {
				if strings.HasPrefix(part, ".") {
					t.Errorf("Prefixes(%q, %q) = %q, which holds a part that starts with a dot", first, second, prefixes)
				}
			}
		}
		if !ps.Match(branch) || repo.CheckBranch(branch) != nil {
			return
		}
		if !slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(branch, p) }) {
			t.Errorf("Prefixes(%q, %q) = %q, but %q matches", first, second, prefixes, branch)
		}
	})
}

func TestEachSurvivesAPanic(t *testing.T) {
	want := make([]githost.Wanted, 20)
	for i := range want {
		want[i].URL = fmt.Sprint(i)
	}
	got := Each(t.Context(), "h", want, func(_ context.Context, w githost.Wanted) repo.Observation {
		if w.URL == "7" {
			panic("index out of range")
		}
		return repo.Observation{Heads: map[string]repo.SHA{w.URL: "x"}}
	})
	for i, o := range got {
		if i == 7 {
			if o.Err == nil || !strings.Contains(o.Err.Error(), "index out of range") {
				t.Errorf("answer 7 is %v, want the panic as an error", o)
			}
		} else if o.Heads[fmt.Sprint(i)] != "x" {
			t.Errorf("answer %d is %v, want its own", i, o)
		}
	}
}

// ask reads a request of one page, as the next question about the same repository.
func ask(t *testing.T, w *githost.Wanted, request string, fetch func(etag string, add func(Head) error) (Page, error)) repo.Observation {
	t.Helper()
	pages, heads := PagesOf(*w), githost.NewHeads("h", *w)
	err := pages.Read(t.Context(), Request{Host: "h", Name: request, Patterns: w.Patterns}, heads,
		func(_ context.Context, _ int, etag string, add func(Head) error) (Page, error) {
			return fetch(etag, add)
		})
	o := pages.Observation(heads, err)
	w.Validator = o.Validator
	return o
}

const sha = "1111111111111111111111111111111111111111"

// What is unchanged is answered from the validator, and an answer without an ETag replaces one with it: the old one is
// not trusted again.
func TestPages(t *testing.T) {
	want := githost.Wanted{Patterns: repotest.Patterns(t, "b.*")}
	var etags []string
	for i, page := range []Page{{ETag: "e"}, {Unchanged: true}, {}, {ETag: "f"}, {Unchanged: true}} {
		branches := i
		if page.Unchanged {
			branches--
		}
		o := ask(t, &want, "r", func(etag string, add func(Head) error) (Page, error) {
			etags = append(etags, etag)
			for n := range 1 + i {
				if page.Unchanged {
					break
				}
				if err := add(Head{Branch: fmt.Sprint("b", n), Name: sha}); err != nil {
					return Page{}, err
				}
			}
			return page, add(Head{Branch: "other", Name: sha})
		})
		if len(o.Heads) != 1+branches {
			t.Errorf("question %d: %v, want %d heads", i, o, 1+branches)
		}
	}
	if want := []string{"", "e", "e", "", "f"}; !slices.Equal(etags, want) {
		t.Errorf("asked with ETags %q, want %q", etags, want)
	}
	if cost := want.Validator.Cost(); cost < githost.Cost("b0")*4 || cost > githost.Cost("b0")*6 {
		t.Errorf("four heads that match cost %d bytes", cost)
	}
}

// A repository of several requests of which one fails asks the next time by all ETags, the old and the new.
func TestPagesAfterAnError(t *testing.T) {
	want := githost.Wanted{Patterns: repotest.Patterns(t, "b.*")}
	broken := errors.New("broken")
	for cycle, sent := range []map[string]string{{"a": "", "b": ""}, {"a": "a0", "b": "b0"}, {"a": "a1", "b": "b0"}} {
		pages, heads := PagesOf(want), githost.NewHeads("h", want)
		var failed error
		for _, request := range []string{"a", "b"} {
			err := pages.Read(t.Context(), Request{Name: request, Patterns: want.Patterns}, heads,
				func(_ context.Context, _ int, etag string, _ func(Head) error) (Page, error) {
					if etag != sent[request] {
						t.Errorf("cycle %d: %s is asked for with ETag %q, want %q", cycle, request, etag, sent[request])
					}
					if cycle == 1 && request == "b" {
						return Page{}, broken
					}
					return Page{ETag: fmt.Sprint(request, cycle)}, nil
				})
			failed = errors.Join(failed, err)
		}
		o := pages.Observation(heads, failed)
		if errors.Is(o.Err, broken) != (cycle == 1) {
			t.Errorf("cycle %d: %v", cycle, o.Err)
		}
		want.Validator = o.Validator
	}
}

func TestStatusPagesGoOn(t *testing.T) {
	for _, next := range []int{2, 1, -1} {
		asked := 0
		err := StatusPages("a.example", func(int) (int, error) {
			asked++
			return next, nil
		})
		if e, ok := errors.AsType[*githost.Error](err); !ok || e.Kind != githost.Invalid || asked > 2 {
			t.Errorf("with the next page %d: %v after %d pages", next, err, asked)
		}
	}
}
