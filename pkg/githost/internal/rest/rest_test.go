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
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func patterns(t *testing.T, entries ...string) repo.Patterns {
	t.Helper()
	var ps repo.Patterns
	for _, e := range entries {
		p, err := repo.ParsePattern(e)
		if err != nil {
			t.Fatalf("ParsePattern(%q) = %v", e, err)
		}
		ps = append(ps, p)
	}
	return ps
}

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
		if got := Prefixes(patterns(t, c.entries...)); !slices.Equal(got, c.want) {
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

// What does not fit is forgotten, which costs a full answer and never a wrong one.
func TestMemoryForgets(t *testing.T) {
	var m Memory
	var etags []string
	read := func(request string, branches int) {
		heads, err := m.Read(t.Context(), "h", request, 0, func(_ context.Context, _ int, etag string) (Page, error) {
			etags = append(etags, etag)
			if etag != "" {
				return Page{Unchanged: true}, nil
			}
			return Page{ETag: request, Heads: make([]Head, branches)}, nil
		})
		if err != nil || len(heads) != branches {
			t.Errorf("%s: %d heads and error %v, want %d", request, len(heads), err, branches)
		}
	}
	for range 2 {
		read("a", maxBranches)
		read("b", maxBranches)
	}
	read("c", 1)
	read("a", maxBranches)
	read("c", 1)
	if want := []string{"", "", "a", "b", "", "", "c"}; !slices.Equal(etags, want) {
		t.Errorf("asked with ETags %q, want %q", etags, want)
	}
}

// An answer that replaces another takes its room.
func TestMemoryCountsOnce(t *testing.T) {
	var m Memory
	etag := ""
	for _, name := range []string{"kept", "v1", "v2", "v3", "v4", "kept"} {
		request, branches := "changing", maxBranches
		if name == "kept" {
			request, branches = name, 1
		}
		_, err := m.Read(t.Context(), "h", request, 0, func(_ context.Context, _ int, sent string) (Page, error) {
			etag = sent
			return Page{ETag: name, Heads: make([]Head, branches)}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	if etag != "kept" {
		t.Errorf("after another request's answer changed four times, a small one is asked again with ETag %q, want %q", etag, "kept")
	}
}

// An answer without an ETag replaces one with it: the old one is not trusted again.
func TestMemoryWithoutETag(t *testing.T) {
	var m Memory
	answers := []Page{{ETag: "e", Heads: make([]Head, 3)}, {Heads: make([]Head, 2)}, {Heads: make([]Head, 1)}}
	var etags []string
	for _, page := range answers {
		heads, err := m.Read(t.Context(), "h", "r", 0, func(_ context.Context, _ int, etag string) (Page, error) {
			etags = append(etags, etag)
			return page, nil
		})
		if err != nil || len(heads) != len(page.Heads) {
			t.Errorf("%d heads and error %v, want %d", len(heads), err, len(page.Heads))
		}
	}
	if want := []string{"", "e", ""}; !slices.Equal(etags, want) {
		t.Errorf("asked with ETags %q, want %q", etags, want)
	}
	broken := errors.New("broken")
	if _, err := m.Read(t.Context(), "h", "r", 0, func(context.Context, int, string) (Page, error) { return Page{}, broken }); !errors.Is(err, broken) {
		t.Errorf("Read = %v, want what fetch gave", err)
	}
}
