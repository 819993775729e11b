package plan

import (
	"encoding/json"
	"errors"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// one returns the run for a change of rag's branch from a to b.
func one(t *testing.T, epoch, branch string, n string, from, to string) Run {
	t.Helper()
	s := remembered(map[string]state.Repository{"rag": known(t, branch, from, n)})
	s.Epoch = epoch
	p := Make(Input{Config: file(watched(t, "rag", "", ".*")), Snapshot: s, Observed: []repo.Observation{heads(branch, to)}, Now: noon})
	if len(p.Runs) != 1 {
		t.Fatalf("%d runs, want 1", len(p.Runs))
	}
	return p.Runs[0]
}

func TestRunName(t *testing.T) {
	base := one(t, "e1", "main", "1", "a", "b")
	if !regexp.MustCompile(`^rag-main-[0-9a-f]{10}$`).MatchString(base.Name) {
		t.Errorf("name = %q, want rag-main- and ten digits", base.Name)
	}
	if again := one(t, "e1", "main", "1", "a", "b"); again.Name != base.Name {
		t.Errorf("the same change is named %q and %q", base.Name, again.Name)
	}
	// Two Sentrys that saw different heads want the same name, and only one of them can have it.
	if other := one(t, "e1", "main", "1", "c", "d"); other.Name != base.Name {
		t.Errorf("SHAs are in the name: %q and %q", base.Name, other.Name)
	}
	names := map[string]string{base.Name: "itself"}
	for what, r := range map[string]Run{
		"another epoch":  one(t, "e2", "main", "1", "a", "b"),
		"another branch": one(t, "e1", "Main", "1", "a", "b"),
		"another n":      one(t, "e1", "main", "2", "a", "b"),
	} {
		if other, taken := names[r.Name]; taken {
			t.Errorf("%s has the name %q of %s", what, r.Name, other)
		}
		names[r.Name] = what
	}
}

// A ref that moved into a group is another unit, and may run again there.
func TestRunNameHoldsTheUnit(t *testing.T) {
	alone := one(t, "e1", "main", "1", "a", "b")
	c := file(watched(t, "rag", "rag-main", "main"))
	in := Input{Config: c, Snapshot: remembered(map[string]state.Repository{"rag": known(t, "main", "a", "1")}), Observed: []repo.Observation{heads("main", "b")}, Now: noon}
	group := Make(in).Runs[0]
	if group.Unit.Prefix != alone.Unit.Prefix || !group.Trigger.Equal(alone.Trigger) {
		t.Fatalf("want the same prefix and trigger of %+v and %+v", group, alone)
	}
	if group.Name == alone.Name {
		t.Errorf("the unit %s and the unit %s have a run %s", alone.Unit.Label, group.Unit.Label, group.Name)
	}
}

// A, B, A, B: four runs, four names.
func TestBackAndForthNeverRepeatsAName(t *testing.T) {
	in := Input{Config: file(watched(t, "rag", "", "main")), Snapshot: remembered(map[string]state.Repository{"rag": known(t, "main", "b", "0")}), Now: noon}
	names := map[string]bool{}
	for _, head := range []string{"a", "b", "a", "b"} {
		in.Observed = []repo.Observation{heads("main", head)}
		p := Make(in)
		if len(p.Runs) != 1 || names[p.Runs[0].Name] {
			t.Fatalf("head %s: runs %v, names so far %v", head, p.Runs, names)
		}
		names[p.Runs[0].Name] = true
		p.Runs[0].Remember(&p.Snapshot, noon)
		in.Snapshot = p.Snapshot
	}
}

func TestNext(t *testing.T) {
	r := one(t, "e1", "main", "1", "a", "b")
	next := r.Next()
	if next.Name == r.Name || next.Trigger.Refs[0].N != 3 || r.Trigger.Refs[0].N != 2 {
		t.Errorf("Next of %s#%d = %s#%d", r.Name, r.Trigger.Refs[0].N, next.Name, next.Trigger.Refs[0].N)
	}
	if next.Trigger.Equal(r.Trigger) {
		t.Error("the next run has the same trigger")
	}
	if want := one(t, "e1", "main", "2", "a", "b"); next.Name != want.Name {
		t.Errorf("Next is named %s, want that of the same change with the next n: %s", next.Name, want.Name)
	}
	s := remembered(nil)
	next.Remember(&s, noon)
	if got := s.Repositories["rag"].Branches.Get("main").N; got != 3 {
		t.Errorf("remembered n = %d, want 3", got)
	}
}

func TestRemember(t *testing.T) {
	c := file(watched(t, "web", "site", "main", "dev.*"), watched(t, "db", "site", "main"))
	was := remembered(map[string]state.Repository{
		"web": missing(known(t, "main", "a", "3", "dev-x", "b", "1"), "dev-x"),
		"db":  known(t, "main", "1", "1"),
	})
	was.Units = withProblem("qa", "site", "other")
	p := Make(Input{Config: c, Snapshot: was, Observed: []repo.Observation{heads("main", "c"), failed("denied", "no")}, Now: noon})
	before, s := was.Clone(), was.Fork()
	later := noon.Add(time.Hour).In(time.FixedZone("CET", 3600))
	p.Runs[0].Remember(&s, later)
	want := was.Clone()
	want.Repositories["web"].Branches.Set("main", state.Branch{SHA: sha("c"), N: 4, Time: later})
	delete(want.Units, "site")
	if !s.Equal(want) {
		t.Errorf("Remember made %+v, want %+v", s, want)
	}
	if !was.Equal(before) {
		t.Errorf("Remember changed the snapshot that it was given a fork of: %+v, want %+v", was, before)
	}
	if loc := s.Repositories["web"].Branches.Get("main").Time.Location(); loc != time.UTC {
		t.Errorf("the time is remembered in %v, want UTC", loc)
	}
}

func TestRememberNewBranchAndEmptySnapshot(t *testing.T) {
	in := Input{Config: file(watched(t, "rag", "", "main")), Snapshot: state.Snapshot{}, Observed: []repo.Observation{heads("main", "a")}, Now: noon}
	in.Config.Global.OnFirstSeen = config.DeployFirst
	r := Make(in).Runs[0]
	s := state.Snapshot{Repositories: map[string]state.Repository{"rag": {Unseen: true}}}
	for _, s := range []state.Snapshot{{}, s} {
		r.Remember(&s, noon)
		want := state.Snapshot{Repositories: map[string]state.Repository{"rag": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha("a"), N: 1, Time: noon}})}}}
		if !s.Equal(want) {
			t.Errorf("Remember made %+v, want %+v", s, want)
		}
	}
}

func TestTriggerAsJSON(t *testing.T) {
	trigger := Trigger{Seen: noon, Refs: []Change{
		{Ref: repo.Ref{Repository: "api", Branch: `feat/$(HOME)'"<x>日本`}, N: 1, New: sha("a")},
		{Ref: repo.Ref{Repository: "web", Branch: "main"}, N: 12, Old: sha("a"), New: sha("b")},
	}}
	data, err := json.Marshal(trigger)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"refs":[{"repository":"api","branch":"feat/$(HOME)'\"\u003cx\u003e日本","n":1,"new":"` + string(sha("a")) + `"},` +
		`{"repository":"web","branch":"main","n":12,"old":"` + string(sha("a")) + `","new":"` + string(sha("b")) + `"}],"seen":"2026-03-01T12:00:00Z"}`
	if string(data) != want {
		t.Errorf("JSON =\n%s, want\n%s", data, want)
	}
	var back Trigger
	if err := json.Unmarshal(data, &back); err != nil || !back.Equal(trigger) || !back.Seen.Equal(noon) {
		t.Errorf("back from JSON: %+v, %v, want %+v", back, err, trigger)
	}
}

func TestTriggerEqual(t *testing.T) {
	trigger := func(edit func(*Trigger)) Trigger {
		tr := one(t, "e1", "main", "1", "a", "b").Trigger
		edit(&tr)
		return tr
	}
	base := trigger(func(*Trigger) {})
	if !base.Equal(trigger(func(tr *Trigger) { tr.Seen = morning })) {
		t.Error("when a change was seen makes it another trigger")
	}
	for what, edit := range map[string]func(*Trigger){
		"manual": func(tr *Trigger) { tr.Manual = "w" },
		"no ref": func(tr *Trigger) { tr.Refs = nil },
		"branch": func(tr *Trigger) { tr.Refs[0].Branch = "dev" },
		"n":      func(tr *Trigger) { tr.Refs[0].N++ },
		"old":    func(tr *Trigger) { tr.Refs[0].Old = sha("c") },
		"new":    func(tr *Trigger) { tr.Refs[0].New = sha("c") },
	} {
		if base.Equal(trigger(edit)) {
			t.Errorf("triggers that differ in %s are equal", what)
		}
	}
}

func TestQAAndPin(t *testing.T) {
	token := func(name string) config.Auth { return config.Auth{Token: secret.New("${"+name+"}", name)} }
	deploy := func(r config.Repository, url, branch string, auth config.Auth) config.Repository {
		r.Deploy.URL, r.Deploy.Branch, r.Deploy.Auth = url, branch, auth
		return r
	}
	c := file(
		deploy(watched(t, "a", "g", "main"), "https://h/qa", "main", token("X")),
		deploy(watched(t, "b", "g", "main"), "https://h/qa", "v1.*", token("X")),
		deploy(watched(t, "c", "g", "main"), "https://h/qa", "main", token("X")),
		deploy(watched(t, "d", "g", "main"), "https://h/qa", "main", token("Y")),
		deploy(watched(t, "e", "g", "main"), "https://h/other", "main", token("X")),
	)
	was := map[string]state.Repository{}
	var observed []repo.Observation
	for _, r := range c.Repositories {
		was[r.Name] = known(t, "main", "a", "0")
		observed = append(observed, heads("main", "b"))
	}
	run := Make(Input{Config: c, Snapshot: remembered(was), Observed: observed, Now: noon}).Runs[0]

	var got []string
	for _, m := range run.QA() {
		got = append(got, m.URL+" "+m.Branches.String()+" "+m.Auth.Token.Reveal())
		if m.Branches.Match("v1xx") {
			t.Errorf("%s: the branch is taken for a regular expression", m.Branches)
		}
	}
	want := "https://h/qa main X, https://h/qa v1.* X, https://h/qa main Y, https://h/other main X"
	if strings.Join(got, ", ") != want {
		t.Errorf("QA = %s, want %s", strings.Join(got, ", "), want)
	}

	good := []repo.Observation{heads("main", "1"), heads("v1.*", "2"), heads("main", "3"), heads("main", "4")}
	pinned, err := run.Pin(good)
	var digits string
	for i, m := range pinned.Members {
		digits += digit(m.QASHA)
		if run.Members[i].QASHA != "" {
			t.Errorf("Pin changed the run it was called on: %+v", run.Members[i])
		}
	}
	if err != nil || digits != "12134" || pinned.Name != run.Name {
		t.Errorf("Pin: revisions %q, name %s, %v, want 12134, %s", digits, pinned.Name, err, run.Name)
	}

	down := failure{"temporary", "down"}
	for name, tt := range map[string]struct {
		at   int
		o    repo.Observation
		want string
	}{
		"cannot be read": {3, repo.Observation{Err: down}, `read branch "main" of the QA repository https://h/other: down`},
		"the host says that there is no such branch": {1, failed("no branch", "no branch matches v1.*"), `the QA repository https://h/qa has no branch "v1.*": check deploy.qa_repo_branch of b`},
		"no such branch": {1, heads("main", "1"), `the QA repository https://h/qa has no branch "v1.*": check deploy.qa_repo_branch of b`},
	} {
		bad := append([]repo.Observation(nil), good...)
		bad[tt.at] = tt.o
		got, err := run.Pin(bad)
		if err == nil || err.Error() != tt.want {
			t.Errorf("%s: Pin = %v, want %q", name, err, tt.want)
		}
		if errors.Is(tt.o.Err, down) && !errors.Is(err, down) {
			t.Errorf("%s: the cause is not in %v", name, err)
		}
		if got.Unit.Label != "g" || got.Members[0].QASHA != "" {
			t.Errorf("%s: Pin returned %+v, want the run as it was", name, got)
		}
	}
}
