package pinned_test

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/plan/pinned"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var (
	a, b = repo.SHA(strings.Repeat("a", 40)), repo.SHA(strings.Repeat("b", 64))
	key  = naming.Key{Secret: strings.Repeat("k", 32)}
)

// planned is a run of one change, by a Sentry with the key, in which the QA repository is at the SHA.
func planned(t *testing.T, key naming.Key, qa repo.SHA) plan.Run {
	t.Helper()
	repository := config.Repository{Name: "web", Deploy: &config.Deploy{Source: config.Source{URL: "https://host.example/qa"}, Branch: "main"}}
	run, err := plan.Make(plan.Input{
		Config: &config.Config{Repositories: []config.Repository{repository}}, Key: key,
		Snapshot: state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{"web": {Branches: state.NewBranches(map[string]state.Branch{"a<b": {SHA: b}})}}},
		Observed: []repo.Observation{{Heads: map[string]repo.SHA{"a<b": a}}},
	}).Runs[0].Pin([]repo.Observation{{Heads: map[string]repo.SHA{"main": qa}}})
	if err != nil {
		t.Fatal(err)
	}
	return run
}

func TestMembersAreReadAsTheyWereWritten(t *testing.T) {
	run := planned(t, key, b)
	text, err := pinned.Of(run).Text()
	if err != nil || strings.Contains(text, "\n") || !strings.Contains(text, "a<b") {
		t.Fatalf("%q, %v, want one line that has the branch as it is", text, err)
	}
	m, err := pinned.Read(text)
	want := pinned.Member{Task: run.Members[0].Task, Ref: repo.Ref{Repository: "web", Branch: "a<b"}, SHA: a, QA: b}
	if err != nil || len(m.List) != 1 || m.List[0] != want {
		t.Fatalf("read %+v, %v, want %+v", m, err, want)
	}
	if !m.Signed(key, "e", run.Name) {
		t.Error("what a Sentry wrote counts as forged")
	}
	other := planned(t, key, a)
	if other.Signature() != run.Signature() {
		t.Error("another head of the QA repository makes another run")
	}
	changed := m
	changed.List = []pinned.Member{want}
	changed.List[0].QA = a
	for name, signed := range map[string]bool{
		"another commit":  changed.Signed(key, "e", run.Name),
		"another run":     m.Signed(key, "e", run.Name+"0"),
		"another epoch":   m.Signed(key, "f", run.Name),
		"another key":     m.Signed(naming.Key{Secret: "o"}, "e", run.Name),
		"no key":          m.Signed(naming.Key{}, "e", run.Name),
		"no signature":    pinned.Members{List: m.List}.Signed(key, "e", run.Name),
		"not signed runs": pinned.Of(planned(t, naming.Key{}, b)).Signed(key, "e", run.Name),
	} {
		if signed {
			t.Errorf("%s: counts as signed", name)
		}
	}
}

func TestReadRefuses(t *testing.T) {
	member := `{"task":"t","repository":"r","branch":"main","sha":"` + string(a) + `"}`
	for name, tt := range map[string]struct{ text, want string }{
		"no JSON":               {"x", "invalid character"},
		"more than the members": {`{"members":[]} {}`, "after the members"},
		"a task twice":          {`{"members":[` + member + "," + member + `]}`, "twice"},
		"no task":               {strings.Replace(`{"members":[`+member+`]}`, `"t"`, `""`, 1), "a name of 0 bytes"},
		"a commit that is none": {strings.Replace(`{"members":[`+member+`]}`, string(a), "HEAD", 1), "hexadecimal"},
		"a branch that is none": {strings.Replace(`{"members":[`+member+`]}`, "main", "a..b", 1), "a..b"},
		"a QA commit":           {strings.Replace(`{"members":[`+member+`]}`, `"sha"`, `"qa":"x","sha"`, 1), "1 characters"},
		"endless":               {`{"members":[` + strings.Repeat(member+",", 3000) + member + `]}`, "bytes, want at most"},
		"very many":             {`{"members":[` + strings.Repeat(member+",", 1000) + member + `]}`, "members, want at most"},
	} {
		if m, err := pinned.Read(tt.text); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: read %d members, %v, want an error with %q", name, len(m.List), err, tt.want)
		}
	}
	if m, err := pinned.Read(`{"members":[` + member + `],"later":1}`); err != nil || len(m.List) != 1 {
		t.Errorf("of a newer Sentry: %+v, %v, want the member", m, err)
	}
}

// TestWhoseARequestIsIsSigned: nobody makes a fork's request one of the repository's own.
func TestWhoseARequestIsIsSigned(t *testing.T) {
	run := planned(t, key, b)
	run.Members[0].Request = repo.Request{Target: "main", TargetSHA: a}
	text, err := pinned.Of(run).Text()
	if err != nil {
		t.Fatal(err)
	}
	m, err := pinned.Read(text)
	if err != nil || m.List[0].Request != run.Members[0].Request || !m.Signed(key, "e", run.Name) {
		t.Fatalf("read %+v, %v", m, err)
	}
	for _, q := range []repo.Request{{}, {Target: "main", TargetSHA: a, Own: true}, {Target: "dev", TargetSHA: a}, {Target: "main"}} {
		m.List[0].Request = q
		if m.Signed(key, "e", run.Name) {
			t.Errorf("%+v counts as signed", q)
		}
	}
	for _, wrong := range []string{`"target":"a..b"`, `"target_sha":"x"`} {
		if _, err := pinned.Read(strings.Replace(strings.Replace(text, `"target":"main"`, wrong, 1), `"target_sha":"`+string(a)+`"`, wrong, 1)); err == nil {
			t.Errorf("%s is read", wrong)
		}
	}
}
