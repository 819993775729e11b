package watch

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// command is one of the scripts. An argument that ends with … is any number of words.
type command struct {
	args string
	do   func(s *story, args []string)
}

func commands() map[string]command {
	return map[string]command{
		// What the configuration says. A repository is on a host of its own name, and deploys from the one named qa.
		// KEY=VALUE is a key of its entry; commands=20000 gives it so many, qa=HOST another QA repository, of=HOST is on that
		// host, and ignore, paths and tags=[…] are of monitor.
		"repository": {"NAME KEY=VALUE…", func(s *story, a []string) { s.file.set(a[0], a[1:]) }},
		"group":      {"NAME KEY=VALUE…", func(s *story, a []string) { s.file.groups = append(s.file.groups, mapping(a[0], a[1:])) }},
		"global":     {"KEY=VALUE…", func(s *story, a []string) { s.file.global = mapping("global", a) }},
		"take-out":   {"REPOSITORY", func(s *story, a []string) { s.file.takeOut(a[0]) }},
		"rename":     {"REPOSITORY NAME", func(s *story, a []string) { s.file.rename(a[0], a[1]) }},

		// What Sentry does. It has the configuration from its next start on, or reload, and a key from its next start on. Another
		// process is named in front: `other cycle`.
		"start":  {"", func(s *story, _ []string) { s.start("sentry") }},
		"reload": {"", func(s *story, _ []string) { s.sentrys["sentry"].watcher.Apply(s.parsed()) }},
		"key":    {"", func(s *story, _ []string) { s.key = naming.Key{Secret: strings.Repeat("k", 32), Since: time.Now()} }},
		"cycle":  {"REPOSITORY…", func(s *story, a []string) { s.sentrys["sentry"].cycle(a) }},
		"other": {"start|cycle", func(s *story, a []string) {
			if a[0] == "start" {
				s.start("other")
				return
			}
			s.sentrys["other"].cycle(nil)
		}},

		// What happens on the hosts. A commit is one digit.
		"push":    {"HOST BRANCH COMMIT", func(s *story, a []string) { s.set(a[0], a[1], a[2]) }},
		"message": {"COMMIT WORD…", func(s *story, a []string) { s.said[repo.SHA(strings.Repeat(a[0], 40))] = strings.Join(a[1:], " ") }},
		"differ":  {"COMMIT COMMIT PATH…", func(s *story, a []string) { s.differ[a[0]+a[1]] = a[2:] }},
		"delete":  {"HOST BRANCH", func(s *story, a []string) { delete(s.heads[urlOf(a[0])], a[1]) }},
		"down":    {"HOST", func(s *story, a []string) { s.down[a[0]] = s.heads[urlOf(a[0])]; delete(s.heads, urlOf(a[0])) }},
		"up":      {"HOST", func(s *story, a []string) { s.heads[urlOf(a[0])] = s.down[a[0]] }},
		"hold":    {"HOST", func(s *story, a []string) { s.hold[urlOf(a[0])] = make(chan struct{}) }},
		"release": {"HOST", func(s *story, a []string) { close(s.hold[urlOf(a[0])]) }},
		"cached":  {"BOOL", func(s *story, a []string) { s.cached = s.bool(a[0]) }},

		// What happens in the engine.
		"end":         {"well|badly RUN…", func(s *story, a []string) { s.end(a[0] == "well", a[1:]) }},
		"most":        {"DEPLOYMENTS", func(s *story, a []string) { s.engine.Most = s.int(a[0]) }},
		"fail":        {"UNIT MESSAGE…", func(s *story, a []string) { s.refused[a[0]] = errors.New(strings.Join(a[1:], " ")) }},
		"refuse":      {"UNIT MESSAGE…", func(s *story, a []string) { s.refused[a[0]] = problem{"refused", errors.New(strings.Join(a[1:], " "))} }},
		"allow":       {"UNIT", func(s *story, a []string) { delete(s.refused, a[0]) }},
		"lose-answer": {"", func(s *story, _ []string) { s.lost = true }},
		"take-name":   {"", func(s *story, _ []string) { s.taken = true }},
		"blind":       {"BOOL", func(s *story, a []string) { s.blind = s.bool(a[0]) }},

		// What somebody does who may create PipelineRuns. Another run than Sentry's is printed as forged-UNIT#N.
		"forge":       {"REPOSITORY N COMMIT", func(s *story, a []string) { s.forge("", a[0], s.int(a[1]), a[2]) }},
		"forge-group": {"GROUP REPOSITORY N COMMIT", func(s *story, a []string) { s.forge(a[0], a[1], s.int(a[2]), a[3]) }},
		"hold-back":   {"RUN", func(s *story, a []string) { s.named(a[0]).Spec.Status = v1.PipelineRunSpecStatusPending }},
		"delete-run": {"RUN", func(s *story, a []string) {
			name := s.named(a[0]).Name
			s.engine.Delete(func(pr *v1.PipelineRun) bool { return pr.Name == name })
		}},

		// What happens to the state. An entry without JSON is deleted.
		"fail-save": {"", func(s *story, _ []string) { s.store.fails++ }},
		"entry":     {"REPOSITORY JSON…", func(s *story, a []string) { s.entry(a[0], strings.Join(a[1:], "")) }},
		"number":    {"REPOSITORY N", func(s *story, a []string) { s.number(a[0], s.int(a[1])) }},

		// What happens in the middle of a cycle: a command before the next run is created, or the state written.
		"before": {"create|save COMMAND WORD…", func(s *story, a []string) { s.meanwhile[a[0]] = append(s.meanwhile[a[0]], a[1:]) }},
		"wait": {"DURATION", func(s *story, a []string) {
			d, err := time.ParseDuration(a[0])
			if err != nil {
				s.t.Fatal(err)
			}
			time.Sleep(d)
		}},

		// What is printed.
		"runs":  {"", func(s *story, _ []string) { s.showRuns() }},
		"state": {"", func(s *story, _ []string) { s.showState() }},
	}
}

func (s *story) do(words []string) {
	s.t.Helper()
	known := commands()
	c, ok := known[words[0]]
	args := strings.Fields(c.args)
	many := strings.HasSuffix(c.args, "…")
	fits := len(words) == len(args)+1 || many && len(words) >= len(args)
	if !ok || !fits {
		s.t.Fatalf("%q: want one of %v; usage: %s %s", words, slices.Sorted(maps.Keys(known)), words[0], c.args)
	}
	c.do(s, words[1:])
}

func (s *story) bool(text string) bool {
	b, err := strconv.ParseBool(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return b
}

func (s *story) int(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		s.t.Fatal(err)
	}
	return n
}

// file is the configuration of a story.
type file struct {
	global  string
	groups  []string
	order   []string          // of the repositories
	entries map[string]string // by repository
}

// mapping returns a key of YAML whose value has these keys.
func mapping(key string, pairs []string) string {
	return key + ": {" + strings.ReplaceAll(strings.Join(pairs, ", "), "=", ": ") + "}"
}

// set adds a repository, or says anew what is configured of it.
func (f *file) set(name string, pairs []string) {
	qa, commands, more, monitor, host := "qa", 1, "", "", name
	for _, pair := range pairs {
		key, value, _ := strings.Cut(pair, "=")
		switch key {
		case "qa":
			qa = value
		case "commands":
			_, _ = fmt.Sscan(value, &commands)
		case "ignore":
			monitor += fmt.Sprintf(", %s: '%s'", key, value)
		case "paths": // one or more, with a + between them
			monitor += fmt.Sprintf(", %s: ['%s']", key, strings.ReplaceAll(value, "+", "', '"))
		case "of":
			host = value
		case "tags":
			monitor += ", " + key + ": " + value
		default:
			more += fmt.Sprintf("\n    %s: %s", key, value)
		}
	}
	if f.entries == nil {
		f.entries = map[string]string{}
	}
	if f.entries[name] == "" {
		f.order = append(f.order, name)
	}
	f.entries[name] = fmt.Sprintf(`
  - name: %s%s
    monitor: {repo_url: %q, branches: [main, "dev.*"], repo_type: git%s}
    deploy: {qa_repo_url: %q, repo_type: git, commands: ["true"%s]}`, name, more, urlOf(host), monitor, urlOf(qa), strings.Repeat(`,"x"`, commands-1))
}

func (f *file) takeOut(name string) {
	f.order = slices.DeleteFunc(f.order, func(other string) bool { return other == name })
	delete(f.entries, name)
}

// rename gives a repository another name. It stays where it is.
func (f *file) rename(name, to string) {
	f.order[slices.Index(f.order, name)] = to
	f.entries[to] = strings.Replace(f.entries[name], "- name: "+name, "- name: "+to, 1)
	delete(f.entries, name)
}

func (f *file) yaml() string {
	text := f.global + "\ngroups: {" + strings.Join(f.groups, ", ") + "}\nrepositories:"
	for _, name := range f.order {
		text += f.entries[name]
	}
	return text
}

func (p *process) cycle(repositories []string) {
	defer func(was string) { p.acting = was }(p.acting)
	p.acting = p.prefix
	reason := "polling_interval"
	if len(repositories) > 0 {
		reason = "webhook"
	}
	if _, err := p.watcher.RunOnce(p.t.Context(), Request{Repositories: repositories, Reason: reason}); err != nil {
		p.print(p.prefix + "error: " + err.Error())
	}
}

// somethingElse is a run of that name that no Sentry made.
func somethingElse(name string) *v1.PipelineRun {
	return &v1.PipelineRun{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

// edit has do change the entries of the stored state.
func (s *story) edit(do func(entries map[string]json.RawMessage)) {
	s.t.Helper()
	var stored, entries map[string]json.RawMessage
	err := json.Unmarshal(s.store.text, &stored)
	if err == nil {
		err = json.Unmarshal(stored["repositories"], &entries)
	}
	if err == nil {
		do(entries)
		stored["repositories"], err = json.Marshal(entries)
	}
	if err == nil {
		s.store.text, err = json.Marshal(stored)
	}
	if err != nil {
		s.t.Fatal(err)
	}
}

func (s *story) entry(name, text string) {
	s.edit(func(entries map[string]json.RawMessage) {
		if entries[name] = json.RawMessage(text); text == "" {
			delete(entries, name)
		}
	})
}

var numbered = regexp.MustCompile(`"n":[0-9]+,`)

// number has the state say that the last run of branch main had the number n.
func (s *story) number(name string, n int) {
	s.edit(func(entries map[string]json.RawMessage) {
		was := numbered.ReplaceAllString(string(entries[name]), "")
		entries[name] = json.RawMessage(strings.Replace(was, `"main":{`, fmt.Sprintf(`"main":{"n":%d,`, n), 1))
	})
}

// showRuns prints each run: whether it is active, the changes that it deploys, and its tasks.
func (s *story) showRuns() {
	if len(s.engine.PipelineRuns) == 0 {
		s.print("no runs")
	}
	for _, pr := range s.engine.PipelineRuns {
		line := pr.Name + ": active"
		if pr.IsPending() {
			line = pr.Name + ": held back"
		}
		if pr.IsDone() {
			line = pr.Name + ": ended"
		}
		trigger, err := pipelinerun.TriggerOf(pr)
		if err != nil {
			s.print(line + ", made by somebody else")
			continue
		}
		for _, c := range trigger.Refs {
			line += fmt.Sprintf(", %s %s..%s", c.Ref, c.Old.Short(), c.New.Short())
		}
		line += "; tasks"
		for _, task := range pr.Spec.PipelineSpec.Tasks {
			line += " " + task.Name
		}
		s.print(line)
	}
}

// showState prints what is remembered: each branch with its commit and the number of its run, and each problem.
func (s *story) showState() {
	snapshot, err := state.Decode(s.store.text)
	if err != nil {
		s.t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(snapshot.Repositories)) {
		r := snapshot.Repositories[name]
		for branch, b := range r.Branches.All() {
			line := fmt.Sprintf("%s %s #%d", repo.Ref{Repository: name, Branch: branch}, b.SHA.Short(), b.N)
			if p := b.Passed; p != nil {
				line += fmt.Sprintf(", passed over: %s (%s)", p.SHA.Short(), p.Why)
			}
			if b.Forgotten() {
				line += ", forgotten"
			} else if b.Missing > 0 {
				line += fmt.Sprintf(", good answers without it: %d", b.Missing)
			}
			s.print(line)
		}
		if r.Damaged != nil {
			s.print(name + " is kept as it was found: " + string(r.Damaged))
		}
		if r.Problem != nil {
			s.print(fmt.Sprintf("%s has the problem %q: %s", name, r.Problem.Kind, r.Problem.Message))
		}
	}
	problems := snapshot.Problems()
	for _, unit := range slices.Sorted(maps.Keys(problems)) {
		s.print(fmt.Sprintf("unit %s has the problem %q: %s", unit, problems[unit].Kind, problems[unit].Message))
	}
}
