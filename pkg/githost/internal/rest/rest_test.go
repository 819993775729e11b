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

// room is how many branches named "b0" and so on a Memory keeps, outside of a Reader.
var room = githost.RoomOf(context.Background()).Size() / githost.Cost("b00000")

// pageOf is an answer of so many branches, which all match.
func pageOf(t *testing.T, m *Memory, name string, branches int, fetch func(etag string) Page) repo.Observation {
	t.Helper()
	request := Request{Host: "h", Name: name, Patterns: patterns(t, "b.*")}
	heads := githost.NewHeads(t.Context(), "h", request.Patterns)
	err := m.Read(t.Context(), request, heads, func(_ context.Context, _ int, etag string, add func(Head) error) (Page, error) {
		page := fetch(etag)
		for i := range branches {
			if page.Unchanged {
				break
			}
			if err := add(Head{fmt.Sprintf("b%05d", i), strings.Repeat("1", 40)}); err != nil {
				return Page{}, err
			}
		}
		return page, nil
	})
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return heads.Observation()
}

// What does not fit is forgotten, which costs a full answer and never a wrong one.
func TestMemoryForgets(t *testing.T) {
	const large = 9_000
	var m Memory
	var etags []string
	read := func(request string, branches int) {
		o := pageOf(t, &m, request, branches, func(etag string) Page {
			etags = append(etags, etag)
			return Page{ETag: request, Unchanged: etag != ""}
		})
		if len(o.Heads) != branches {
			t.Errorf("%s: %d heads and error %v, want %d", request, len(o.Heads), o.Err, branches)
		}
	}
	fit := room / large
	for range 2 {
		for i := range fit {
			read(fmt.Sprint(i), large)
		}
	}
	read("one more", large)
	read("small", 1)
	read("0", large)
	read("small", 1)
	var want []string
	for range fit {
		want = append(want, "")
	}
	for i := range fit {
		want = append(want, fmt.Sprint(i))
	}
	if want = append(want, "", "", "", "small"); !slices.Equal(etags, want) {
		t.Errorf("asked with ETags %q, want %q", etags, want)
	}
}

// An answer that replaces another takes its room.
func TestMemoryCountsOnce(t *testing.T) {
	var m Memory
	etag := ""
	keep := func(request, version string, branches int) {
		pageOf(t, &m, request, branches, func(sent string) Page {
			etag = sent
			return Page{ETag: version}
		})
	}
	keep("small", "kept", 1)
	for version := range 2 * room / 9_000 {
		keep("changing", fmt.Sprint(version), 9_000)
	}
	if keep("small", "kept", 1); etag != "kept" {
		t.Errorf("after another request's answer changed many times, a small one is asked again with ETag %q, want %q", etag, "kept")
	}
}

// An answer without an ETag replaces one with it: the old one is not trusted again.
func TestMemoryWithoutETag(t *testing.T) {
	var m Memory
	var etags []string
	for branches, answered := range []string{"e", "", ""} {
		o := pageOf(t, &m, "r", 1+branches, func(etag string) Page {
			etags = append(etags, etag)
			return Page{ETag: answered}
		})
		if len(o.Heads) != 1+branches {
			t.Errorf("%v, want %d heads", o, 1+branches)
		}
	}
	if want := []string{"", "e", ""}; !slices.Equal(etags, want) {
		t.Errorf("asked with ETags %q, want %q", etags, want)
	}
	broken := errors.New("broken")
	err := m.Read(t.Context(), Request{Name: "r"}, githost.NewHeads(t.Context(), "h", nil),
		func(context.Context, int, string, func(Head) error) (Page, error) { return Page{}, broken })
	if !errors.Is(err, broken) {
		t.Errorf("Read = %v, want what fetch gave", err)
	}
}

// The same text may be an exact name and an expression: what is kept for one is nothing for the other.
func TestMemoryTellsPatternsApart(t *testing.T) {
	var m Memory
	for _, ps := range []repo.Patterns{patterns(t, "b.*"), {repo.ExactPattern("b.*")}} {
		err := m.Read(t.Context(), Request{Name: "r", Patterns: ps}, githost.NewHeads(t.Context(), "h", ps),
			func(_ context.Context, _ int, etag string, _ func(Head) error) (Page, error) {
				if etag != "" {
					t.Errorf("%v: asked with the ETag of another question", ps)
				}
				return Page{ETag: "e"}, nil
			})
		if err != nil {
			t.Error(err)
		}
	}
}
