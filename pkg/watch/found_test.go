package watch

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// organisation is a world in which repositories are found.
type organisation struct {
	*world
	first string // on_first_seen
}

func newOrganisation(t *testing.T, first string) *organisation {
	o := &organisation{world: newWorld(t, "repositories:"+entry("none", "")), first: first}
	o.set("none", "main", "1")
	return o
}

// push has a repository of the organisation at a commit.
func (o *organisation) push(path, digit string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.heads["https://git.example/team/"+path] = map[string]repo.SHA{"main": repo.SHA(strings.Repeat(digit, 40))}
}

// file returns the configuration by a list: "ID NAME PATH" of each that was found. more stands in the file, too.
func (o *organisation) file(number int64, more string, found ...string) *config.Config {
	o.t.Helper()
	list := discover.List{Question: discover.Question{Host: "https://git.example", Owner: "team"}}
	for _, one := range found {
		var r discover.Repository
		if _, err := fmt.Sscan(one, &r.ID, &r.Name, &r.Path); err != nil {
			o.t.Fatal(err)
		}
		r.Path, r.Branch = "team/"+r.Path, "main"
		list.Repositories = append(list.Repositories, r)
	}
	opts := hosts.Options(nil)
	text := fmt.Appendf(nil, `
global: {on_first_seen: %s}
repositories:%s
discover:
  - {host: "https://git.example", repo_type: gitea, owner: team,
     template: {deploy: {qa_repo_url: "https://qa.example/x", repo_type: git, commands: ["true"]}}}
`, o.first, entry("none", "")+more)
	for range 2 { // whoever wrote the list has the same file
		cfg, err := config.Parse(text, opts)
		if err != nil {
			o.t.Fatal(err)
		}
		if opts.Found != nil {
			return cfg
		}
		opts.Found = &discover.Found{Number: number, For: cfg.Files, Hash: fmt.Sprint(number), Lists: []discover.List{list}}
	}
	return nil
}

// by returns a replica with that configuration, which looks at everything, as one does that takes the others for dead.
func (o *organisation) by(cfg *config.Config) *Watcher {
	one, _ := o.replica()
	one.Config, one.Share, one.Heads = cfg, func() func(config.Repository) bool { return func(config.Repository) bool { return true } }, o.world
	return one
}

// Replicas that share a state learn of a new list one after the other. Whoever is late costs nothing: what it does not know yet is not
// forgotten, and what is gone is not taken up again.
func TestReplicasWithListsOfTwoAges(t *testing.T) {
	for _, first := range []string{"record", "deploy"} {
		t.Run(first, func(t *testing.T) {
			o := newOrganisation(t, first)
			deployed := func(when, want string, also ...string) {
				t.Helper()
				o.finish()
				if first == "deploy" {
					all := append(strings.Fields(want), also...)
					slices.Sort(all)
					want = strings.Join(all, " ")
				}
				o.check(when, want)
			}
			older := o.by(o.file(100, "", "1 svc-a svc-a"))
			newer := o.by(o.file(101, "", "1 svc-a svc-a", "2 svc-b svc-b"))
			o.push("svc-a", "1")
			o.push("svc-b", "1")
			o.cycleOf(older)
			o.cycleOf(newer)
			ones := []string{"none@main=1", "svc-a@main=1", "svc-b@main=1"}
			deployed("one comes", "", ones...)
			o.cycleOf(older)
			o.push("svc-b", "2")
			o.cycleOf(newer)
			deployed("it is pushed to, and the other one does not know it yet", "svc-b@main=2", ones...)
			o.push("svc-a", "2")
			o.cycleOf(older)
			deployed("what both know is looked at by both", "svc-a@main=2 svc-b@main=2", ones...)

			o.cycleOf(o.by(o.file(102, "", "1 svc-a svc-a")))
			o.cycleOf(newer)
			o.push("svc-b", "3")
			o.cycleOf(newer)
			deployed("it went, and the other one knows it still", "svc-a@main=2 svc-b@main=2", ones...)

			o.cycleOf(o.by(o.file(103, "", "1 svc-a svc-a", "2 svc-b svc-b")))
			deployed("it is back", "svc-a@main=2 svc-b@main=2", append(ones, "svc-b@main=3")...)
			o.cycleOf(older)
			o.push("svc-b", "4")
			o.cycleOf(o.by(o.file(103, "", "1 svc-a svc-a", "2 svc-b svc-b")))
			deployed("it is pushed to", "svc-a@main=2 svc-b@main=2 svc-b@main=4", append(ones, "svc-b@main=3")...)
		})
	}
}

// A replica that dies between the run of one that comes and the write of the state leaves a run alone, which another one with an older list
// finds, and does not know.
func TestRunOfOneThatAnotherReplicaDoesNotKnow(t *testing.T) {
	o := newOrganisation(t, "deploy")
	o.push("svc-a", "1")
	o.push("other", "7")
	known := o.file(100, "", "2 svc-b other") // by a list with nothing in it nothing would be forgotten anyway
	older := o.by(known)
	o.cycleOf(older)
	newest := o.file(101, "", "2 svc-b other", "1 svc-a svc-a")
	dies := o.by(newest)
	o.onCreate(func(string) error { o.store.fails = 100; return nil })
	if _, err := dies.RunOnce(t.Context(), Request{}); err == nil {
		t.Fatal("the state could be written")
	}
	o.store.fails = 0
	o.cycleOf(o.by(known))
	o.cycleOf(older)
	o.finish()
	o.cycleOf(o.by(newest))
	o.check("after another one found its run", "none@main=1 svc-a@main=1 svc-b@main=7")
}

// A replica with another file than the one that asks decides nothing about what was found: it may be the newer one, and the older one, too.
func TestReplicasWithFilesOfTwoAges(t *testing.T) {
	o := newOrganisation(t, "deploy")
	o.push("svc-a", "1")
	asks := o.by(o.file(100, "", "1 svc-a svc-a"))
	other := o.file(100, entry("more", ""))
	other.Found = asks.Config.Found // in which svc-a is not wanted by the other file
	o.set("more", "main", "1")
	o.cycleOf(asks)
	o.cycleOf(o.by(other))
	o.finish()
	o.cycleOf(asks)
	o.check("both", "more@main=1 none@main=1 svc-a@main=1")
}

// A list that cannot be read any more forgets nothing, and one that the state goes by is asked for.
func TestListThatIsNotKnown(t *testing.T) {
	o := newOrganisation(t, "record")
	o.push("svc-a", "1")
	o.cycleOf(o.by(o.file(100, "", "1 svc-a svc-a")))
	for what, found := range map[string]*discover.Found{"nothing": nil, "nothing of a start": {}, "an older one": {Number: 99}} {
		cfg := o.file(100, "")
		cfg.Found = found
		one := o.by(cfg)
		var behind []int64
		one.Behind = func(number int64) { behind = append(behind, number) }
		o.cycleOf(one)
		if !slices.Equal(behind, []int64{100}) {
			t.Errorf("%s: it is asked for %v", what, behind)
		}
	}
	o.push("svc-a", "2")
	one := o.by(o.file(100, "", "1 svc-a svc-a"))
	one.Behind = func(number int64) { t.Errorf("%d is asked for, and known", number) }
	o.cycleOf(one)
	o.check("it is known again", "svc-a@main=2")
	writes := o.store.writes
	o.finish()
	o.cycleOf(one)
	o.cycleOf(o.by(o.file(100, "", "1 svc-a svc-a")))
	if o.store.writes != writes {
		t.Errorf("%d writes in idle cycles", o.store.writes-writes)
	}
}

// The name of a repository goes to another one, with its runs' numbers and nothing else: what it has is seen for the first time.
func TestNameGoesToAnotherOne(t *testing.T) {
	o := newOrganisation(t, "record")
	o.push("svc-a", "1")
	o.push("other", "7")
	one := o.by(o.file(100, "", "1 svc-a svc-a"))
	o.cycleOf(one)
	for _, digit := range []string{"2", "3"} {
		o.push("svc-a", digit)
		o.cycleOf(one)
		o.finish()
	}
	taken := o.file(101, "", "2 svc-a other")
	o.cycleOf(o.by(taken))
	o.check("another one has the name", "svc-a@main=2 svc-a@main=3")
	o.cycleOf(one)
	o.push("other", "8")
	o.cycleOf(one)
	o.check("by an older list", "svc-a@main=2 svc-a@main=3")
	o.cycleOf(o.by(taken))
	o.check("it is pushed to", "svc-a@main=2 svc-a@main=3 svc-a@main=8")
	names := map[string]bool{}
	for _, pr := range o.engine.PipelineRuns {
		names[pr.Name] = true
	}
	if len(names) != 3 {
		t.Errorf("three runs have the names %v", names)
	}
	stored, err := o.store.Load(t.Context())
	if err != nil || stored.Repositories["svc-a"].Highest() != 3 {
		t.Errorf("the numbers go on from %d, %v, want 3", stored.Repositories["svc-a"].Highest(), err)
	}
}

// A run of the repository that had the name before, of which nobody wrote, is not taken for the other one's.
func TestRunOfOneThatHadTheName(t *testing.T) {
	o := newOrganisation(t, "deploy")
	o.push("svc-a", "1")
	o.push("other", "7")
	one := o.by(o.file(100, "", "1 svc-a svc-a"))
	o.cycleOf(one)
	o.finish()
	o.push("svc-a", "2")
	made := errors.New("nothing was made")
	o.onCreate(func(string) error { made = nil; o.store.fails = 100; return nil })
	if _, err := one.RunOnce(t.Context(), Request{}); err == nil || made != nil {
		t.Fatalf("the state could be written, or %v", made)
	}
	o.store.fails = 0
	o.onCreate(func(string) error { return nil })
	o.finish()
	newest := o.by(o.file(101, "", "2 svc-a other"))
	newest.looked = newest.Now() // it was there before, and looks at the runs of all once an hour
	o.cycleOf(newest)
	o.finish()
	o.check("another one has the name", "none@main=1 svc-a@main=1 svc-a@main=2 svc-a@main=7")
	newest.looked = newest.looked.AddDate(0, 0, -1)
	o.cycleOf(newest)
	o.finish()
	o.cycleOf(newest)
	o.check("the run is found", "none@main=1 svc-a@main=1 svc-a@main=2 svc-a@main=7")
	o.push("other", "8")
	o.cycleOf(newest)
	o.finish()
	o.cycleOf(newest)
	o.check("it is pushed to", "none@main=1 svc-a@main=1 svc-a@main=2 svc-a@main=7 svc-a@main=8")
}
