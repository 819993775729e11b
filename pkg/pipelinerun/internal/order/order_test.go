package order

import (
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"github.com/tektoncd/pipeline/pkg/reconciler/pipeline/dag"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/pod"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

var graphs = flag.Int("graphs", 60, "how many random groups TestOrder looks at, of each strategy")

// world is a random group, and a run of some of its members.
type world struct {
	name     strategy.Name
	members  []strategy.Member
	settings strategy.Settings
	goesOn   bool
	needs    [26][26]bool // by the letters of the repositories: the first waits for the second, through others as well
	waves    []int        // of each member
}

// randomWorld returns one with at most so many members.
func randomWorld(name strategy.Name, most int, random *rand.Rand) world {
	w := world{name: name, goesOn: random.IntN(2) == 0}
	w.settings.MaxParallel = max(0, random.IntN(5)-1)
	all := 1 + random.IntN(min(most, 26))
	ranks, direct := random.Perm(all), make(map[string][]string)
	for a := range all {
		for b := range all {
			if ranks[b] < ranks[a] && random.IntN(3) == 0 {
				direct[letter(a)] = append(direct[letter(a)], letter(b))
				w.needs[a][b] = true
			}
		}
	}
	for via := range all {
		for a := range all {
			for b := range all {
				w.needs[a][b] = w.needs[a][b] || w.needs[a][via] && w.needs[via][b]
			}
		}
	}
	w.settings.Needs = direct
	for r := range all {
		for range []int{0, 1, 1, 1, 1, 2}[random.IntN(6)] { // as many of its branches are in the run
			if len(w.members) < most {
				w.members = append(w.members, strategy.Member{Repository: letter(r), Wave: 1 + random.IntN(3)})
			}
		}
	}
	if len(w.members) == 0 {
		w.members = []strategy.Member{{Repository: "a", Wave: 1}}
	}
	shares := random.IntN(2) == 0
	if shares {
		w.settings.Shares = []int{1 + random.IntN(30), 31 + random.IntN(60), 100}
	}
	for i, m := range w.members {
		wave := m.Wave
		for j := 2; shares && j >= 0; j-- {
			if float64(i) < math.Ceil(float64(w.settings.Shares[j])/100*float64(len(w.members))-1e-9) {
				wave = j
			}
		}
		w.waves = append(w.waves, wave)
	}
	return w
}

func letter(i int) string { return string(rune('a' + i)) }

// waits is what the strategy means: whether task b, which is the check behind all members, begins after the end of task a.
func (w world) waits(b, a int) bool {
	check := len(w.members)
	switch w.name {
	case strategy.Sequential:
		return a < b
	case strategy.Waves:
		return w.waves[a] < w.waves[b]
	case strategy.Needs:
		return w.needs[w.members[b].Repository[0]-'a'][w.members[a].Repository[0]-'a']
	case strategy.Canary:
		return a != b && (a == 0 || a == check && b != 0)
	}
	return false
}

// run returns the tasks that are made of it.
func (w world) run(t *testing.T) (*v1.PipelineSpec, []string) {
	t.Helper()
	g, err := strategy.Of(w.name, w.members, w.settings)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for i := range w.members {
		names = append(names, fmt.Sprintf("%s-%d", w.members[i].Repository, i))
	}
	if g.Check {
		names = append(names, Check)
	}
	pr := &v1.PipelineRun{Spec: v1.PipelineRunSpec{PipelineSpec: &v1.PipelineSpec{}}}
	for _, name := range names {
		task := v1.PipelineTask{Name: name, Timeout: &metav1.Duration{Duration: time.Minute}}
		pr.Spec.PipelineSpec.Tasks = append(pr.Spec.PipelineSpec.Tasks, task)
	}
	if err := Arrange(pr, g, config.Group{ContinueOnError: w.goesOn}, "image", pod.Spec{}); err != nil {
		t.Fatal(err)
	}
	return pr.Spec.PipelineSpec, names
}

// ends is how the tasks of a run ended: Succeeded, Failed or None, as Tekton says it.
type ends map[string]string

// play plays the run as Tekton's controller does, with its graph, where these tasks fail and the running ones end in any order.
func play(spec *v1.PipelineSpec, fails map[string]bool, random *rand.Rand, starts func(task string, running []string, ended ends)) (ends, error) {
	graph, err := dag.Build(v1.PipelineTaskList(spec.Tasks), v1.PipelineTaskList(spec.Tasks).Deps())
	if err != nil {
		return nil, err
	}
	ended, stops, skipped := ends{}, false, map[string]bool{}
	var running []string
	for {
		var done []string
		for _, t := range spec.Tasks {
			if stops && ended[t.Name] == "" && !slices.Contains(running, t.Name) {
				ended[t.Name], skipped[t.Name] = "None", true
			}
			if ended[t.Name] != "" {
				done = append(done, t.Name)
			}
		}
		candidates, err := dag.GetCandidateTasks(graph, done...)
		if err != nil {
			return nil, err
		}
		again := false
		for _, t := range spec.Tasks {
			switch {
			case !candidates.Has(t.Name) || slices.Contains(running, t.Name):
			case len(t.When) > 0:
				ended[t.Name], again = "None", true
			default:
				starts(t.Name, running, ended)
				running = append(running, t.Name)
			}
		}
		if again {
			continue
		}
		if len(running) == 0 {
			return ended, nil
		}
		i := random.IntN(len(running))
		name := running[i]
		running = slices.Delete(running, i, i+1)
		ended[name] = "Succeeded"
		if fails[name] {
			ended[name] = "Failed"
			at := slices.IndexFunc(spec.Tasks, func(t v1.PipelineTask) bool { return t.Name == name })
			stops = stops || spec.Tasks[at].OnError != v1.PipelineTaskContinue
		}
	}
}

// What is made of random groups does what their strategy means, whatever fails.
func TestOrder(t *testing.T) {
	for _, name := range strategy.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			random := rand.New(rand.NewPCG(1, 2))
			for range *graphs {
				w := randomWorld(strategy.Name(name), 5, random)
				spec, names := w.run(t)
				for fails := range 1 << len(names) {
					w.check(t, spec, names, fails, random)
				}
				if t.Failed() {
					return
				}
			}
		})
	}
}

// The same of large groups, where tasks of none but Tekton's use join those that wait for the same, and a few failures.
func TestOrderOfMany(t *testing.T) {
	random, joins := rand.New(rand.NewPCG(5, 6)), 0
	for _, name := range strategy.Names() {
		for range *graphs / 2 {
			w := randomWorld(strategy.Name(name), 40, random)
			spec, names := w.run(t)
			joins += strings.Count(describe(spec), "\n"+joint)
			for _, fails := range []int{0, 1 << random.IntN(len(names)), random.Int() & random.Int() & random.Int()} {
				w.check(t, spec, names, fails, random)
			}
			if t.Failed() {
				return
			}
		}
	}
	if joins == 0 {
		t.Error("no group has a join, so this test proves nothing")
	}
}

// check plays a run of the world in which the tasks fail whose bits are set.
func (w world) check(t *testing.T, spec *v1.PipelineSpec, names []string, bits int, random *rand.Rand) {
	t.Helper()
	fails := map[string]bool{}
	for i, name := range names {
		fails[name] = bits>>i&1 == 1
	}
	wrong := func(format string, args ...any) {
		t.Helper()
		t.Errorf("%s\nof %+v, where %v fail, in\n%s", fmt.Sprintf(format, args...), w, fails, describe(spec))
	}
	decides := func(name string) bool { return w.name == strategy.Canary && (name == names[0] || name == Check) }
	failed, ran := false, map[string]bool{}
	now := func(started string, running []string, ended ends) {
		ran[started] = true
		if most := w.settings.MaxParallel; most > 0 && len(running) >= most && w.name != strategy.Sequential {
			wrong("%s runs beside %v, want at most %d", started, running, most)
		}
		b := slices.Index(names, started)
		for a, name := range names {
			if w.waits(b, a) && (ended[name] == "" || ended[name] == "None" || ended[name] == "Failed" && (!w.goesOn || decides(name))) {
				wrong("%s begins while %s is %q", started, name, ended[name])
			}
			if ended[name] == "Failed" && !w.goesOn {
				wrong("%s begins after the failure of %s", started, name)
			}
		}
	}
	ended, err := play(spec, fails, random, now)
	if err != nil {
		wrong("Tekton: %v", err)
		return
	}
	for i, name := range names {
		failed = failed || ended[name] == "Failed"
		held := w.goesOn && w.name == strategy.Canary && (i > 0 && fails[names[0]] || i > 0 && name != Check && fails[Check])
		if (w.goesOn || bits == 0) && !ran[name] != held {
			wrong("%s ran: %t, held: %t", name, ran[name], held)
		}
	}
	w.checkEnd(wrong, spec, names, ended, failed)
}

// checkEnd looks at how the run reads, and at what is rolled back.
func (w world) checkEnd(wrong func(string, ...any), spec *v1.PipelineSpec, names []string, ended ends, failed bool) {
	statuses := map[string]string{"tasks.status": "Completed"}
	reads := "Succeeded"
	for _, task := range spec.Tasks {
		statuses["tasks."+task.Name+".status"] = ended[task.Name]
		if ended[task.Name] == "Failed" {
			statuses["tasks.status"] = "Failed"
			if task.OnError != v1.PipelineTaskContinue {
				reads = "Failed"
			}
		}
	}
	for _, final := range spec.Finally {
		told := final.DeepCopy().Params.ReplaceVariables(statuses, nil, nil)[0].Value.StringVal
		if strings.Contains(told, "=Failed") || strings.Contains(told, "=None") {
			reads = "Failed"
		}
	}
	if (reads == "Failed") != failed {
		wrong("the run reads %s, after a failure: %t", reads, failed)
	}
	for i := range w.members {
		checked := w.name == strategy.Canary && i == 0
		back := func(whose config.Rollback) bool {
			task := Rollback(names[i], whose, checked)
			return task.When.ReplaceVariables(statuses, nil).AllowsExecution(nil)
		}
		want := ended[names[i]] == "Failed" || checked && ended[Check] == "Failed"
		if got := back(config.RollbackMember); got != want {
			wrong("%s is rolled back: %t, want %t", names[i], got, want)
		}
		if got, want := back(config.RollbackGroup), failed && ended[names[i]] != "None"; got != want {
			wrong("%s is rolled back with its group: %t, want %t", names[i], got, want)
		}
	}
}

func describe(spec *v1.PipelineSpec) string {
	var lines []string
	for _, t := range spec.Tasks {
		lines = append(lines, fmt.Sprintf("%s after %v %s", t.Name, t.RunAfter, t.OnError))
	}
	return strings.Join(lines, "\n")
}

// Without a bound, nobody waits for more than the strategy means; nor is a name among those for which a task waits that people do not know.
func TestNobodyWaitsForMore(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for _, name := range strategy.Names() {
		for range *graphs {
			w := randomWorld(strategy.Name(name), 40, random)
			w.settings.MaxParallel = 0
			spec, names := w.run(t)
			waits := WaitsFor(spec)
			for b, task := range names {
				for _, before := range waits[task] {
					if a := slices.Index(names, before); a < 0 || !w.waits(b, a) {
						t.Fatalf("%s waits for %s of %+v in\n%s", task, before, w, describe(spec))
					}
				}
			}
		}
	}
}

// No deployment is called as a task is that is none.
func TestNamesAreReserved(t *testing.T) {
	for _, name := range []string{Gate, Verdict, Check, joint + "1", rollback + "web"} {
		got := naming.Tasks([]repo.Ref{{Repository: name, Branch: "main"}})[0]
		if !naming.Reserved(name) || naming.Reserved(got) || NeverRuns(got) || RollbackOf(got) != "" {
			t.Errorf("the task of a repository %s is called %s", name, got)
		}
	}
}

// A canary is rolled back unless its check succeeded, also where the time was over before that began. What nobody began is not.
func TestRollbackOfACanary(t *testing.T) {
	for ends, want := range map[string]string{ // of all, of the canary, of its check; whether it is rolled back, and with its group
		"Succeeded Succeeded Succeeded": "false false",
		"Completed Succeeded Succeeded": "false false",
		"Failed Succeeded Succeeded":    "false true",
		"Failed Succeeded Failed":       "true true",
		"Failed Failed None":            "true true",
		"Completed Succeeded None":      "true true",
		"Completed None None":           "false false",
		"Failed None None":              "false false",
	} {
		of := strings.Fields(ends)
		statuses := map[string]string{"tasks.status": of[0], "tasks.web.status": of[1], "tasks." + Check + ".status": of[2]}
		back := func(whose config.Rollback) bool {
			return Rollback("web", whose, true).When.ReplaceVariables(statuses, nil).AllowsExecution(nil)
		}
		if got := fmt.Sprint(back(config.RollbackMember), back(config.RollbackGroup)); got != want {
			t.Errorf("%s: %s, want %s", ends, got, want)
		}
	}
}
