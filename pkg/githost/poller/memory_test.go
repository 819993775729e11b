package poller

import (
	"context"
	"fmt"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
)

// What is not asked for any more is forgotten after an hour, and what is asked for now and then is not.
func TestForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r, want := hinting(t, 300, 15*time.Minute)
		r.Heads(t.Context(), want)
		remembered := func() int { return len(r.order[0].memory) }
		for minute := range 80 {
			time.Sleep(time.Minute)
			r.Heads(t.Context(), want[:100])
			if minute%50 == 0 {
				r.Heads(t.Context(), want[100:110])
			}
			if n := remembered(); minute < 55 && n != 300 {
				t.Fatalf("minute %d: %d repositories are remembered, want all 300 for an hour", minute, n)
			}
		}
		if n := remembered(); n != 110 {
			t.Errorf("%d repositories are remembered, want the 100 that are asked for and 10 that were lately", n)
		}
		h.asked = 0
		r.Heads(t.Context(), want)
		if h.asked < 190 {
			t.Errorf("%d were read when all are wanted again, want those that were forgotten", h.asked)
		}
	})
}

// A token that is replaced is forgotten an hour later, with all that was known by it.
func TestForgetsTokens(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
		r, _ := plain(t, net, "token-0", 3, "a.example")
		for hour := range 24 {
			_, want := plain(t, net, fmt.Sprint("token-", hour), 3, "a.example")
			minutes(t, 60, r, want, func(minute int, got []repo.Observation) {
				if n := len(r.Stats()); n > 3 || got[0].Err != nil {
					t.Fatalf("hour %d, minute %d: %d endpoints, %v, want those of this and the last hour", hour, minute, n, got[0])
				}
			})
		}
		if s := r.Stats(); len(s) != 2 && len(s) != 1 || s[len(s)-1].Requests != 180 {
			t.Errorf("at the end: %+v, want the last with 180 requests", s)
		}
	})
}

// A day of configurations that are spelled differently each time leaves no more behind than the last hour's.
func TestForgetsSpellings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net := newInternet(map[string]func(*http.Request) (*http.Response, error){"a.example": status(200)})
		r, want := plain(t, net, "token", 3, "a.example")
		for n := range 3 * fewNames {
			for i := range want {
				want[i].Branches = repotest.Patterns(t, fmt.Sprint("release-", n))
			}
			want[0].APIURL = fmt.Sprint("https://a.example/", n)
			time.Sleep(10 * time.Second)
			if got := r.Heads(t.Context(), want)[1]; got.Err != nil {
				t.Fatal(got.Err)
			}
		}
		if len(r.patterns) > 3*fewNames/2 || len(r.sources) > 3*fewNames/2 {
			t.Errorf("%d patterns and %d sources are remembered", len(r.patterns), len(r.sources))
		}
		for _, e := range r.endpoints {
			for k := range e.memory {
				if k.patterns > r.numbers || k.patterns == 0 {
					t.Errorf("the number %d is nobody's", k.patterns)
				}
			}
		}
	})
}

// With one repository at a time, each has its turn: a broken one does not keep the others from being found well.
func TestOrder(t *testing.T) {
	now := at(time.Now())
	wrong := githost.NewError(githost.Temporary, "h", "x")
	sorted := []*memory{{tried: now}, {tried: now + 1}, {err: wrong}, {err: wrong, tried: now}, {err: wrong, tried: now + 1}}
	for i, a := range sorted {
		for j, b := range sorted {
			if got := a.order(b); (got < 0) != (i < j) || (got > 0) != (i > j) {
				t.Errorf("order of %d and %d: got %d", i, j, got)
			}
		}
	}
}

// validator is one of so many bytes.
type validator int

func (v validator) Cost() int { return int(v) }

// A host is told again what it said with the last good answer, as long as there is room for it, whatever failed since.
func TestValidators(t *testing.T) { synctest.Test(t, testValidators) }

func testValidators(t *testing.T) {
	room := githost.NewRoom(1, 2).Size()
	want := []config.Monitor{monitor(t, config.Git, "https://a.example/1", "", "main"), monitor(t, config.Git, "https://a.example/2", "", "main")}
	wrong := githost.NewError(githost.Temporary, "a.example", "down")
	none := githost.NewError(githost.NoBranch, "a.example", "none")
	var said repo.Observation
	var told repo.Validator
	n := newNetwork(map[string]hostFunc{"https://a.example": func(ctx context.Context, want []githost.Wanted) []repo.Observation {
		answers := fixed(ctx, want)
		for i, w := range want {
			switch {
			case w.URL == "https://a.example/1":
				told, answers[i] = w.Validator, said
			case w.Validator != nil && w.Validator != validator(room/2):
				t.Errorf("the other repository is told %v, which it did not say", w.Validator)
			default:
				answers[i].Validator = validator(room / 2)
			}
		}
		return answers
	}})
	heads := map[string]repo.SHA{"main": sha1}
	for i, step := range []struct {
		said repo.Observation
		told repo.Validator // to the question after it
	}{
		{repo.Observation{Heads: heads, Validator: validator(1)}, validator(1)},
		{repo.Observation{Heads: heads, Validator: validator(room / 4)}, validator(room / 4)},
		{repo.Observation{Err: none, Validator: validator(3)}, validator(3)},
		{repo.Observation{Heads: heads, Validator: validator(room)}, nil}, // beside the other's
		{repo.Observation{Heads: heads, Validator: validator(5)}, validator(5)},
		{repo.Observation{Heads: heads}, nil},
		{repo.Observation{Heads: heads, Validator: validator(6)}, validator(6)},
		{repo.Observation{Err: none}, nil},
		{repo.Observation{Heads: heads, Validator: validator(7)}, validator(7)},
		{repo.Observation{Err: wrong}, validator(7)},
		{repo.Observation{Err: wrong, Validator: validator(8)}, validator(8)},
	} {
		said = step.said
		got := n.Heads(t.Context(), want)[0]
		if got.Validator != nil {
			t.Errorf("step %d: the caller sees the validator %v", i, got.Validator)
		}
		time.Sleep(2 * time.Minute) // what failed is asked again
		said = repo.Observation{Heads: heads, Validator: step.told}
		if n.Heads(t.Context(), want); told != step.told {
			t.Errorf("step %d: after %v the host is told %v, want %v", i, step.said, told, step.told)
		}
	}
}

// What is forgotten on purpose is read afresh, whatever the host's hints say, and nothing else is.
func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h, r, want := hinting(t, 300, 15*time.Minute)
		r.Heads(t.Context(), want)
		r.Forget(want[:3])
		r.Forget([]config.Monitor{{Source: config.Source{Type: "unknown"}}, {Source: config.Source{Type: want[0].Type, URL: "https://new.example/x"}}})
		h.asked = 0
		r.Heads(t.Context(), want)
		if h.asked < 3 || h.asked > 20 {
			t.Errorf("%d were read, want the three that were forgotten and some of the sweep", h.asked)
		}
	})
}
