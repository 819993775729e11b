package plan

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// What a newer Sentry stored in an entry outlives all that happens to it, but its end.
func TestWhatIsNotKnownIsKept(t *testing.T) {
	const stored = `{"version":3,"epoch":"e1","newEpoch":1,"repositories":{"rag":{"newRag":2,"branches":{` +
		`"main":{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","n":1,"time":"2026-03-01T12:00:00Z","newMain":3},` +
		`"dev":{"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa","n":1,"time":"2026-03-01T12:00:00Z","newDev":4}}}},` +
		`"units":{"rag.main":{"newUnit":5,"problem":{"kind":"qa","message":"no","since":"2026-03-01T12:00:00Z"}}}}`
	s, err := state.Decode([]byte(stored))
	if err != nil {
		t.Fatal(err)
	}
	kept := func(what string, s state.Snapshot, want ...string) {
		t.Helper()
		text, err := state.Encode(s)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{`"newEpoch":1`, `"newRag":2`, `"newMain":3`, `"newDev":4`, `"newUnit":5`} {
			is := false
			for _, w := range want {
				is = is || strings.Contains(name, w)
			}
			if strings.Contains(string(text), name) != is {
				t.Errorf("%s: stored is %s, want of what is not known %v", what, text, want)
			}
		}
	}
	all := []string{"newEpoch", "newRag", "newMain", "newDev", "newUnit"}
	c := file(watched(t, "rag", "", "main", "dev"))
	in := Input{Config: c, Snapshot: s, Observed: []repo.Observation{heads("main", "b")}, Now: noon}
	p := Make(in)
	kept("a branch that moved, and one that is missing", p.Snapshot, all...)
	p.Runs[0].Remember(&p.Snapshot, noon)
	kept("the run is remembered", p.Snapshot, all...)
	recovered, news := Recover(s, naming.Key{}, []Existing{ran("e1", 2, "b")}, true)
	if len(news) != 1 {
		t.Errorf("news of %v, want of rag", news)
	}
	kept("the run is recovered", recovered, all...)
	reopened, changed := Reopen(p.Snapshot, []Existing{p.Runs[0].Existing()})
	if !changed {
		t.Error("nothing is reopened")
	}
	kept("the run is reopened", reopened, all...)
	in.Observed = []repo.Observation{failed("denied", "no")}
	kept("the repository cannot be read", Make(in).Snapshot, all...)
	in.Snapshot, in.Observed = p.Snapshot, []repo.Observation{heads("main", "b")}
	for range 2 {
		in.Snapshot = Make(in).Snapshot
	}
	kept("dev is forgotten", in.Snapshot, "newEpoch", "newRag", "newMain", "newUnit")
	in.Config, in.Observed = file(watched(t, "web", "", "main")), []repo.Observation{heads("main", "a")}
	kept("rag is configured no more", Make(in).Snapshot, "newEpoch", "newRag", "newUnit")
}
