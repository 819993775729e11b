package strategy

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func members(names ...string) []Member {
	all := make([]Member, len(names))
	for i, name := range names {
		all[i] = Member{Repository: name, Wave: 1}
	}
	return all
}

func TestOf(t *testing.T) {
	five := members("a", "b", "c", "d", "e")
	numbered := members("a", "b", "c", "d", "e")
	numbered[0].Wave, numbered[3].Wave, numbered[4].Wave = 7, 2, 7
	way := map[string][]string{"e": {"absent"}, "absent": {"d"}, "d": {"c"}, "a": {"e", "c"}}
	for _, tt := range []struct {
		what     string
		name     Name
		members  []Member
		settings Settings
		want     string // for whom each waits
	}{
		{"parallel", Parallel, five, Settings{}, "[[] [] [] [] []]"},
		{"lanes", Parallel, five, Settings{MaxParallel: 2}, "[[] [] [0] [1] [2]]"},
		{"lanes enough for all", Parallel, five, Settings{MaxParallel: 5}, "[[] [] [] [] []]"},
		{"sequential", Sequential, five, Settings{MaxParallel: 3}, "[[] [0] [1] [2] [3]]"},
		{"one member", Sequential, five[:1], Settings{}, "[[]]"},
		{"waves by number, with a gap", Waves, numbered, Settings{}, "[[3] [] [] [1 2] [3]]"},
		{"waves by shares", Waves, five, Settings{Shares: []int{20, 50, 100}}, "[[] [0] [0] [1 2] [1 2]]"},
		{"waves by shares of few", Waves, five[:2], Settings{Shares: []int{1, 60, 100}}, "[[] [0]]"},
		{"waves in lanes", Waves, five, Settings{Shares: []int{60, 100}, MaxParallel: 2}, "[[] [] [0] [1 2] [1 2]]"},
		{"a graph, through who is not in the run", Needs, five, Settings{Needs: way}, "[[4] [] [] [2] [3]]"},
		{"a graph whose long way goes first", Needs, five, Settings{Needs: way, MaxParallel: 1}, "[[4] [0] [] [2] [3]]"},
		{"two branches of one repository", Needs, members("a", "d", "d"), Settings{Needs: way}, "[[1 2] [] []]"},
		{"canary", Canary, five[:3], Settings{}, "[[] [3] [3] [0]]"},
		{"canary in a lane", Canary, five[:3], Settings{MaxParallel: 1}, "[[] [3] [1] [0]]"},
		{"canary alone", Canary, five[:1], Settings{}, "[[] [0]]"},
	} {
		g, err := Of(tt.name, tt.members, tt.settings)
		if got := fmt.Sprint(g.After); got != tt.want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", tt.what, got, err, tt.want)
		}
	}
}

// What has no order is refused, whatever checked the configuration before.
func TestNoOrder(t *testing.T) {
	circle := map[string][]string{"a": {"b"}, "b": {"absent"}, "absent": {"a"}}
	for _, name := range Names() {
		if _, err := Of(Name(name), nil, Settings{}); err == nil {
			t.Errorf("%s of nobody has an order", name)
		}
	}
	if _, err := Of(Needs, members("a", "b", "c"), Settings{MaxParallel: 1, Needs: circle}); err == nil || !strings.Contains(err.Error(), "a → b → absent → a") && !strings.Contains(err.Error(), "absent → a → b → absent") {
		t.Errorf("a circle: %v, want it named", err)
	}
}

func TestCycle(t *testing.T) {
	needs := map[string][]string{"a": {"b", "x"}, "b": {"c"}, "c": {"b"}, "d": {"d"}}
	for want, names := range map[string][]string{"[b c b]": {"a", "b", "c", "d"}, "[d d]": {"d", "a"}, "[]": {"x"}} {
		if got := fmt.Sprint(Cycle(names, needs)); got != want {
			t.Errorf("from %v: got %s, want %s", names, got, want)
		}
	}
}

// The largest group is arranged at once, however its members need each other.
func TestLargestGroup(t *testing.T) {
	var all []Member
	needs := make(map[string][]string)
	for i := range 150 {
		name := fmt.Sprint(i)
		for _, m := range all {
			needs[name] = append(needs[name], m.Repository)
		}
		all = append(all, Member{Repository: name})
	}
	slices.Reverse(all)
	g, err := Of(Needs, all, Settings{Needs: needs, MaxParallel: 3})
	if err != nil || !g.Chain() || g.Longest(func(int) time.Duration { return time.Minute }) != 150*time.Minute {
		t.Errorf("who needs all before it waits for %v", g.After)
	}
}
