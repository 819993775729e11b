package filter

import (
	"context"
	"errors"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/glob"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// hosts are commits with the texts that they have; one without a text cannot be read.
type hosts struct {
	mu    sync.Mutex
	texts map[repo.SHA]string
	takes time.Duration
	asked []string
	fails error // of each question
}

// wait takes as long as an answer does.
func (h *hosts) wait(ctx context.Context) error {
	select {
	case <-time.After(h.takes):
		return h.fails
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (h *hosts) Messages(ctx context.Context, source config.Source, commits []repo.SHA) ([]string, error) {
	if err := h.wait(ctx); err != nil {
		return nil, err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	var texts []string
	line := source.URL
	for _, c := range commits {
		line += " " + string(c[:1])
		texts = append(texts, h.texts[c])
	}
	h.asked = append(h.asked, line)
	if slices.Contains(texts, "") {
		return nil, errors.New("gone")
	}
	return texts, nil
}

func (h *hosts) Diff(ctx context.Context, source config.Source, before, after repo.SHA, differs func(string) bool) error {
	if err := h.wait(ctx); err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, source.URL+" "+string(before[:1])+".."+string(after[:1]))
	text, known := h.texts[after]
	if !known {
		return errors.New("gone")
	}
	for _, path := range strings.Fields(text) {
		if !differs(path) {
			break
		}
	}
	return nil
}

func entry(name, url, ignore string) config.Repository {
	r := config.Repository{Name: name}
	r.Monitor.URL = url
	if ignore != "" {
		r.Monitor.Ignore = regexp.MustCompile(ignore)
	}
	return r
}

// TestOf has which heads are asked about.
func TestOf(t *testing.T) {
	known := state.Branch{SHA: sha("a"), N: 1}
	redo := known
	redo.Redo = true
	for name, tt := range map[string]struct {
		ignore string
		first  config.OnFirstSeen
		was    *state.Repository
		want   string
	}{
		"moved":                       {ignore: "skip", was: &state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": known})}, want: "main"},
		"without ignore":              {was: &state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": known})}},
		"not moved":                   {ignore: "skip", was: &state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha("b")}})}},
		"passed over":                 {ignore: "skip", was: &state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": known.PassedOver(sha("b"), repo.Ignored, time.Time{})})}},
		"another was passed over":     {ignore: "skip", was: &state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": known.PassedOver(sha("c"), repo.Ignored, time.Time{})})}, want: "main"},
		"a new branch":                {ignore: "skip", was: &state.Repository{}, want: "main"},
		"cut off":                     {ignore: "skip", was: &state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": redo})}},
		"damaged":                     {ignore: "skip", was: &state.Repository{Damaged: []byte("x")}},
		"first sight is recorded":     {ignore: "skip", first: config.Record},
		"first sight is deployed":     {ignore: "skip", first: config.DeployFirst, want: "main"},
		"first sight after a failure": {ignore: "skip", first: config.Record, was: &state.Repository{Unseen: true}},
	} {
		t.Run(name, func(t *testing.T) {
			r := entry("a", "u", tt.ignore)
			s := state.Snapshot{}
			if tt.was != nil {
				s.Repositories = map[string]state.Repository{"a": *tt.was}
			}
			q, open := Of(&r, s, tt.first, map[string]repo.SHA{"main": sha("b")})
			got := ""
			for _, h := range q.Heads {
				got += h.Branch
			}
			tag, asked := Of(&r, s, tt.first, map[string]repo.SHA{"refs/tags/v1": sha("b")})
			if tt.was != nil && asked {
				t.Errorf("a new tag: asked about %v, and a release is wanted whatever its commit says", tag.Heads)
			}
			if got != tt.want || open != (tt.want != "") {
				t.Errorf("Of = %q, %v, want %q", got, open, tt.want)
			}
		})
	}
}

// ask asks about one head of each repository, and returns what became of them by name.
func ask(t *testing.T, f *Filter, head string, repositories ...config.Repository) map[string]string {
	t.Helper()
	var questions []Question
	for i := range repositories {
		r := &repositories[i]
		questions = append(questions, Question{At: i, Monitor: &r.Monitor, Heads: []Head{{repo.Ref{Repository: r.Name, Branch: "main"}, sha(head), sha("0")}}})
	}
	got := map[string]string{}
	f.Each(t.Context(), questions, func(answers []Answer) {
		for _, a := range answers {
			text := string(a.Passed["main"])
			for _, u := range a.Unclear {
				text += "unclear: " + u.Err.Error()
			}
			if a.Late != nil {
				text += "late"
			}
			got[repositories[a.At].Name] = text
		}
	})
	return got
}

// TestIgnore asks once about a commit, whoever wants to know, and keeps the answer.
func TestIgnore(t *testing.T) {
	h := &hosts{texts: map[repo.SHA]string{sha("1"): "a [skip ci]", sha("2"): "b"}}
	f := &Filter{Commits: h}
	a, b, c := entry("a", "u", `\[skip ci\]`), entry("b", "u", "nothing"), entry("c", "v", `\[skip`)
	for range 3 {
		if got, want := ask(t, f, "1", a, b, c), map[string]string{"a": "ignored", "b": "", "c": "ignored"}; !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if got := slices.Sorted(slices.Values(h.asked)); !slices.Equal(got, []string{"u 1", "v 1"}) {
		t.Errorf("asked %q, want each commit once", got)
	}
	if got := ask(t, f, "2", a); got["a"] != "" {
		t.Errorf("got %v, want that it runs", got)
	}
	a.Monitor.Ignore = regexp.MustCompile("b")
	if got := ask(t, f, "2", a); got["a"] != "ignored" {
		t.Errorf("with another pattern: %v, want that it is ignored", got)
	}
	for i, want := range []string{"unclear: gone", "", "ignored"} { // said once, and not kept
		if i == 2 {
			h.texts[sha("3")] = "b"
		}
		if got := ask(t, f, "3", a); got["a"] != want {
			t.Errorf("a commit that is gone, %d: %v, want %q", i, got, want)
		}
	}
}

// unsent is an error of a question that was never asked.
type unsent struct{}

func (unsent) Error() string        { return "asked too often" }
func (unsent) Is(target error) bool { return target == repo.ErrUnsent }

// TestUnsent leaves a head for the next look while its host is not to be asked, five times, however often it is looked at within half a
// minute. Then it counts as a change, which is said once, and an answer counts as soon as there is one.
func TestUnsent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hosts{texts: map[repo.SHA]string{sha("1"): "docs/a"}, fails: unsent{}}
		f := &Filter{Commits: h}
		r := entry("a", "u", "")
		p, err := glob.Parse("src/")
		if err != nil {
			t.Fatal(err)
		}
		r.Monitor.Paths = glob.Patterns{p}
		for try := range maxTries {
			for range 3 {
				if got := ask(t, f, "1", r); got["a"] != "late" {
					t.Errorf("try %d: %q, want that it is late", try, got["a"])
				}
			}
			time.Sleep(patience)
		}
		for i, want := range []string{"unclear: asked too often, 5 times in a row", ""} {
			if got := ask(t, f, "1", r); got["a"] != want {
				t.Errorf("after %d tries, %d: %q, want %q", maxTries, i, got["a"], want)
			}
		}
		h.fails = nil
		if got := ask(t, f, "1", r); got["a"] != "untouched" {
			t.Errorf("once it can be asked: %q, want that it runs nothing", got["a"])
		}
	})
}

// TestUnsentInTheEnd has a head wait for five looks and no longer, however rare the looks are and however often its branch moves.
func TestUnsentInTheEnd(t *testing.T) {
	for _, between := range []time.Duration{patience, 2 * rememberFor, 7 * 24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			f := &Filter{Commits: &hosts{fails: unsent{}}}
			r := entry("a", "u", "skip")
			for try := range maxTries {
				if got := ask(t, f, string(rune('1'+try)), r); got["a"] != "late" {
					t.Errorf("every %s, try %d: %q, want that it is late", between, try, got["a"])
				}
				time.Sleep(between)
			}
			if got := ask(t, f, "9", r); !strings.Contains(got["a"], "5 times in a row") {
				t.Errorf("every %s, after %d tries: %q, want that it counts as a change", between, maxTries, got["a"])
			}
		})
	}
}

// TestHang ends a call whose host never answers, however many repositories are asked about.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &Filter{Commits: &hosts{texts: map[repo.SHA]string{sha("1"): "[skip ci]"}, takes: time.Hour}}
		var all []config.Repository
		for i := range 3 * maxAsking {
			all = append(all, entry(string(rune('A'+i)), string(rune('A'+i)), "skip"))
		}
		began := time.Now()
		ask(t, f, "1", all...)
		if took := time.Since(began); took > most {
			t.Errorf("it took %s, want %s at most", took, most)
		}
	})
}

// TestLate leaves for the next cycle what there is no time for.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := &hosts{texts: map[repo.SHA]string{sha("1"): "[skip ci]"}, takes: 20 * time.Second}
		f := &Filter{Commits: h}
		var all []config.Repository
		for i := range 3 * maxAsking {
			all = append(all, entry(string(rune('A'+i)), string(rune('A'+i)), "skip"))
		}
		count := func() (late int) {
			for _, text := range ask(t, f, "1", all...) {
				if text == "late" {
					late++
				}
			}
			return late
		}
		if got := []int{count(), count()}; !slices.Equal(got, []int{maxAsking, 0}) {
			t.Errorf("late in two cycles: %v, want %v", got, []int{maxAsking, 0})
		}
	})
}

// TestPaths compares once for all entries of a repository, and keeps what it found out.
func TestPaths(t *testing.T) {
	h := &hosts{texts: map[repo.SHA]string{sha("1"): "a/x b/README.md", sha("2"): ""}}
	f := &Filter{Commits: h}
	var all []config.Repository
	for _, of := range []string{"a/", "b/ !*.md", "b/", "**", "c"} {
		r := entry(of, "u", "")
		for _, text := range strings.Fields(of) {
			p, err := glob.Parse(text)
			if err != nil {
				t.Fatal(err)
			}
			r.Monitor.Paths = append(r.Monitor.Paths, p)
		}
		all = append(all, r)
	}
	for range 2 {
		want := map[string]string{"a/": "", "b/ !*.md": "untouched", "b/": "", "**": "", "c": "untouched"}
		if got := ask(t, f, "1", all...); !maps.Equal(got, want) {
			t.Fatalf("got %v, want %v", got, want)
		}
	}
	if got := ask(t, f, "2", all...); got["**"] != "untouched" {
		t.Errorf("when nothing changed: %v, want that nothing runs", got)
	}
	if got := ask(t, f, "3", all...); got["c"] != "unclear: gone" {
		t.Errorf("a commit that is gone: %v, want that it counts as a change", got)
	}
	if want := []string{"u 0..1", "u 0..2", "u 0..3"}; !slices.Equal(h.asked, want) {
		t.Errorf("asked %q, want %q", h.asked, want)
	}
	all[0].Monitor.Ignore = regexp.MustCompile("^a")
	if got := ask(t, f, "1", all[0]); got["a/"] != "ignored" {
		t.Errorf("with ignore beside it: %v, want that it is ignored", got)
	}
}
