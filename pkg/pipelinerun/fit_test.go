package pipelinerun

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// groupRun returns the pinned run of a group whose members have one new branch each, or as many as
// news says.
func groupRun(t *testing.T, options string, news map[string]int, commands map[string]string) (*config.Config, plan.Run) {
	t.Helper()
	yaml := "groups: {g: {" + options + "}}\nrepositories:"
	names := slices.Sorted(maps.Keys(commands))
	for _, name := range names {
		yaml += fmt.Sprintf(`
  - name: %[1]s
    group: g
    monitor: {repo_url: "https://%[1]s.example/x", branches: [".*"], repo_type: git}
    deploy: {qa_repo_url: "https://qa.example/x", repo_type: git, commands: [%[2]s]}
`, name, commands[name])
	}
	cfg, err := config.Parse([]byte(yaml), hosts.Options(nil))
	if err != nil {
		t.Fatal(err)
	}
	in := plan.Input{Config: cfg, Snapshot: state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{}}}
	for _, name := range names {
		in.Snapshot.Repositories[name] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha0}})}
		heads := map[string]repo.SHA{"main": sha0}
		for i := range news[name] {
			heads[fmt.Sprintf("new-%04d", i)] = sha1
		}
		in.Observed = append(in.Observed, repo.Observation{Heads: heads})
	}
	run, err := plan.Make(in).Runs[0].Pin([]repo.Observation{{Heads: map[string]repo.SHA{"main": qaSHA}}})
	if err != nil {
		t.Fatal(err)
	}
	return cfg, run
}

func TestFit(t *testing.T) {
	const most, full = 20, -1
	const back = `"true"], rollback_commands: ["true"`
	small, large, huge := `"true"`, `"echo `+strings.Repeat("x", 40_000)+`"`, strings.TrimSuffix(strings.Repeat(`"x",`, 20_000), ",")
	for name, tt := range map[string]struct {
		options  string
		news     map[string]int
		commands map[string]string
		members  int      // of the run that it gives; 0: an error; full: one more has no room, and the other changes wait
		changes  []string // of the members by name, at least
		waiting  int
		noRoom   []string
	}{
		"all of a small one": {
			"deploy: changed", map[string]int{"a": 3, "b": 1}, map[string]string{"a": small, "b": small}, 4, []string{"a", "b"}, 0, nil,
		},
		"more than it may have": {
			"deploy: changed", map[string]int{"a": 21, "b": 1}, map[string]string{"a": small, "b": small}, most, []string{"a", "b"}, 2, nil,
		},
		"more than etcd takes": {
			"deploy: changed", map[string]int{"a": 1500, "b": 1}, map[string]string{"a": small, "b": small}, full, []string{"a", "b"}, 0, nil,
		},
		"unchanged members run along": {
			"deploy: all", map[string]int{"a": 1500}, map[string]string{"a": small, "b": small, "c": small}, full, []string{"a"}, 0, nil,
		},
		"in an order, with the verdict": {
			"execution_strategy: sequential, continue_on_error: true", map[string]int{"a": 1500}, map[string]string{"a": small, "b": small}, full, []string{"a"}, 0, nil,
		},
		"with rollbacks, and the verdict": {
			"execution_strategy: sequential, continue_on_error: true", map[string]int{"a": 1500}, map[string]string{"a": back, "b": small}, full, []string{"a"}, 0, nil,
		},
		"larger ones than etcd takes": {
			"deploy: changed", map[string]int{"a": 30, "b": 1}, map[string]string{"a": large, "b": large}, 12, []string{"a", "b"}, 19, nil,
		},
		"unchanged members have no room": {
			"deploy: all", map[string]int{"k": 1}, map[string]string{"a": large, "b": large, "c": large, "d": large, "e": large, "f": large, "g": large,
				"h": large, "i": large, "j": large, "k": large, "l": large, "m": large}, 12, []string{"k"}, 0, []string{"m@main"},
		},
		"a member that no run holds": {
			"deploy: changed", map[string]int{"a": 1, "b": 1}, map[string]string{"a": huge, "b": small}, 1, []string{"b"}, 0, []string{"a@new-0000"},
		},
		"an unchanged member that no run holds": {
			"deploy: all", map[string]int{"b": 1}, map[string]string{"a": huge, "b": small}, 1, []string{"b"}, 0, []string{"a@main"},
		},
		"nothing that a run holds": {
			"deploy: all", map[string]int{"a": 2}, map[string]string{"a": huge, "b": small}, 0, nil, 0, nil,
		},
	} {
		t.Run(name, func(t *testing.T) {
			cfg, run := groupRun(t, tt.options, tt.news, tt.commands)
			bound := map[bool]int{true: most, false: MaxMembers}[tt.members == most]
			pr, part, err := Fit(cfg, run, bound)
			if tt.members == 0 {
				if err == nil || !strings.Contains(err.Error(), "has no room for a@new-0000, a@new-0001: ") {
					t.Errorf("Fit: %v, want that there is no room for a's branches", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := CheckSize(pr); err != nil {
				t.Errorf("the run is refused: %v", err)
			}
			if tt.members == full {
				tt.members, tt.waiting = len(part.Members), len(run.Trigger.Refs)-len(part.Trigger.Refs)
				if larger, size, err := sized(cfg, run.Split(tt.members+1, nil)); err != nil || size <= MaxSize {
					t.Errorf("%s has room for more than %d members: one more takes %d bytes, %v", larger.Name, tt.members, size, err)
				}
			}
			changed := map[string]bool{}
			for _, c := range part.Trigger.Refs {
				changed[c.Repository] = true
			}
			if got := slices.Sorted(maps.Keys(changed)); len(part.Members) != tt.members || !slices.Equal(got, tt.changes) {
				t.Errorf("%d members, changes of %v, want %d and %v", len(part.Members), got, tt.members, tt.changes)
			}
			if part.Trigger.Waiting != tt.waiting || !slices.Equal(part.NoRoom, tt.noRoom) {
				t.Errorf("%d changes wait, without %v, want %d and %v", part.Trigger.Waiting, part.NoRoom, tt.waiting, tt.noRoom)
			}
			if trigger, err := TriggerOf(pr); err != nil || !trigger.Equal(part.Trigger) || trigger.Waiting != tt.waiting || pr.Name != run.Name {
				t.Errorf("PipelineRun %s tells trigger %+v, %v, want %s with that of the part", pr.Name, trigger, err, run.Name)
			}
			text := pr.Spec.PipelineSpec.Description
			if said := fmt.Sprintf("%d more wait for the next", tt.waiting); strings.Contains(text, said) != (tt.waiting > 0) {
				t.Errorf("the description does not say truly how many wait: %s", text)
			}
			if strings.Contains(text, "too large: "+strings.Join(tt.noRoom, ", ")) != (len(tt.noRoom) > 0) {
				t.Errorf("the description does not say truly what is left out: %s", text)
			}
		})
	}
}

// What was asked for by hand is made as a whole or not, and why not is the same kind of problem as that of a change.
func TestFitOfWhatWasAskedFor(t *testing.T) {
	cfg, run := groupRun(t, "deploy: changed", map[string]int{"a": 3}, map[string]string{"a": `"true"`})
	run.Trigger.Manual = "0123abcd"
	if _, part, err := Fit(cfg, run, 3); err != nil || len(part.Members) != 3 {
		t.Errorf("with room for all: %d members, %v, want 3", len(part.Members), err)
	}
	_, _, err := Fit(cfg, run, 2)
	kind, ok := errors.AsType[unfit](err)
	if !ok || kind.ProblemKind() != plan.CannotGenerate || !strings.Contains(err.Error(), "3 deployments in one run, and Tekton's scheduler takes at most 2") {
		t.Errorf("without: %v, want what the bound is", err)
	}
}

// No hostile branch name makes a run that is too large, or one that could hold twice as much.
func TestFitOfHostileNames(t *testing.T) {
	cfg, _ := groupRun(t, "deploy: changed", map[string]int{"a": 1}, map[string]string{"a": `"true"`})
	hostile := strings.Repeat("<&>'", 60)
	in := plan.Input{Config: cfg, Snapshot: state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{"a": {Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha0}})}}}}
	heads := map[string]repo.SHA{}
	for i := range 300 {
		heads[fmt.Sprintf("%03d%s", i, hostile)] = sha1
	}
	in.Observed = []repo.Observation{{Heads: heads}}
	pr, part, err := Fit(cfg, plan.Make(in).Runs[0], MaxMembers)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(pr)
	if err != nil || len(text) > MaxSize || len(text) < MaxSize/2 {
		t.Errorf("%d deployments, %d bytes, %v, want at most %d and not less than half", len(part.Members), len(text), err, MaxSize)
	}
	if len(part.Members)+part.Trigger.Waiting != 300 {
		t.Errorf("%d deployments and %d waiting, want 300 in all", len(part.Members), part.Trigger.Waiting)
	}
	t.Logf("%d deployments, %d bytes", len(part.Members), len(text))
}
