package poller

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// crowded answers each repository with so many branches, and says that nothing ever changes.
type crowded struct{ branches int }

func (c crowded) Heads(_ context.Context, want []githost.Wanted) []repo.Observation {
	answers := make([]repo.Observation, len(want))
	for i, w := range want {
		heads := githost.NewHeads("h", w)
		for n := 0; n < c.branches && heads.Add(fmt.Sprintf("%s-%06d", strings.Repeat("x", 53), n), sha1); n++ {
		}
		answers[i] = heads.Observation()
	}
	return answers
}

func (c crowded) Changed(_ context.Context, want []githost.Wanted) ([]bool, error) {
	return make([]bool, len(want)), nil
}

// However many hosts invent branches, and whether their heads are read or remembered: together they take a bounded
// room, each of them no more than its own, and a repository of 5,000 branches on another host has its heads.
func TestRoomOfManyHosts(t *testing.T) {
	const (
		hosts, each = 16, 7
		minRoom     = 2 << 20
		maxRoom     = 32 << 20
		roomOfOne   = 16 << 10
	)
	reader := &Reader{
		Sweep:   time.Hour,
		Timeout: time.Hour, // nothing here depends on how fast this machine is
		Hosts: githost.Drivers{driver(config.Git, func(e githost.Endpoint, _ *http.Client) (githost.Host, error) {
			if e.Origin == "https://honest.example" {
				return crowded{5_000}, nil
			}
			return crowded{12_000}, nil
		})},
	}
	want := []config.Monitor{monitor(t, config.Git, "https://honest.example/x", "", ".*")}
	for i := range hosts * each {
		// Without an end, and below what one repository may have.
		want = append(want, monitor(t, config.Git, fmt.Sprintf("https://h%d.example/%d", i%hosts, i), "", []string{".*", ".*-00[0-8]...", ".*-000..."}[i%3]))
	}
	total := (hosts+1)*max(minRoom, maxRoom/(hosts+1)) + len(want)*roomOfOne
	for cycle := range 2 { // read, remembered
		got := reader.Heads(t.Context(), want)
		taken := 0
		for i, o := range got {
			for branch := range o.Heads {
				taken += githost.Cost(branch)
			}
			if e, ok := errors.AsType[*githost.Error](o.Err); o.Err != nil && (!ok || e.Kind != githost.TooLarge) {
				t.Errorf("cycle %d: %s: %v, want heads or an error of kind %q", cycle, want[i].URL, o.Err, githost.TooLarge)
			}
		}
		if taken > total {
			t.Errorf("cycle %d: the heads take %d bytes, want at most %d", cycle, taken, total)
		}
		if len(got[0].Heads) != 5_000 {
			t.Errorf("cycle %d: the honest host: %d heads, %v, want 5,000", cycle, len(got[0].Heads), got[0].Err)
		}
		kept := 0
		for _, e := range reader.endpoints {
			for _, m := range e.memory {
				kept += int(m.cost)
			}
		}
		if kept > total || kept == 0 {
			t.Errorf("cycle %d: what is remembered takes %d bytes, want some, and at most %d", cycle, kept, total)
		}
	}
}
