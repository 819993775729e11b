// Package pagetest has what a page shows in tests: a small Sentry with all kinds of runs, and one of any size.
package pagetest

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/listing"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Memory is a page.Source in memory. Its fields may be set between two requests.
type Memory struct {
	Is    *facts.Known
	Err   error
	Out   engine.Outcome
	Asked int // for Is
}

// Known implements page.Source.
func (m *Memory) Known(context.Context) (*facts.Known, error) { m.Asked++; return m.Is, m.Err }

// Outcome implements page.Source.
func (m *Memory) Outcome(context.Context, string) (engine.Outcome, error) { return m.Out, m.Err }

// New returns a page of a source, with links to where the host compares.
func New(t testing.TB, s page.Source, now func() time.Time) *page.Page {
	t.Helper()
	p := page.New(page.Options{Source: s, Log: slog.New(slog.DiscardHandler), Now: now, Place: "sentry", Link: func(r *config.Repository, from, to repo.SHA) string {
		return fmt.Sprintf("%s/compare/%.3s...%.3s", r.Monitor.URL, from, to)
	}})
	t.Cleanup(p.Close)
	return p
}

// SHA returns a commit that is one digit again and again.
func SHA(c string) repo.SHA { return repo.SHA(strings.Repeat(c, 40)) }

// At returns a ref at such a commit.
func At(repository, branch, c string) result.Ref {
	return result.Ref{Ref: repo.Ref{Repository: repository, Branch: branch}, SHA: SHA(c)}
}

type builder struct {
	t testing.TB
	*facts.Known
}

func begin(t testing.TB, now time.Time) builder {
	return builder{t, &facts.Known{
		Config: &config.Config{Groups: map[string]config.Group{}}, At: now,
		Snapshot: state.Snapshot{Epoch: "e", Repositories: map[string]state.Repository{}, Units: map[string]state.Unit{}},
	}}
}

// add has a repository watched, whose main was acted upon an hour ago.
func (b builder) add(name, group string, wave int, needs ...string) {
	b.Config.Repositories = append(b.Config.Repositories, config.Repository{
		Name: name, Group: group, Deploy: &config.Deploy{Commands: []string{"make"}, Wave: wave, Needs: needs},
		Monitor: config.Monitor{Source: config.Source{URL: "https://github.com/a/" + name, Type: config.GitHub}, Branches: repotest.Patterns(b.t, "main", "dev.*")},
	})
	b.Snapshot.Repositories[name] = state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: SHA("b"), N: 2, Time: b.At.Add(-time.Hour)}})}
}

// Small returns a group in waves one of whose members failed, a group as a graph that does well, a repository whose run is active, and
// one that cannot be read.
func Small(t testing.TB, now time.Time) *facts.Known {
	b := begin(t, now)
	b.Config.Groups["shop"] = config.Group{Name: "shop", Strategy: strategy.Waves, Deploy: config.All}
	b.Config.Groups["platform"] = config.Group{Name: "platform", Strategy: strategy.Needs, Deploy: config.All}
	b.add("web", "shop", 1)
	b.add("api", "shop", 2)
	b.add("lib", "", 0)
	b.add("docs", "", 0)
	b.add("database", "platform", 0)
	b.add("queue", "platform", 0)
	b.add("identity-and-access", "platform", 0, "database")
	b.add("orders", "platform", 0, "database", "queue")
	b.add("gateway-for-everything-else", "platform", 0, "identity-and-access", "orders")
	docs := b.Snapshot.Repositories["docs"]
	problem := state.NewProblem("denied", "https://github.com/a/docs: 403 Forbidden: the token may not read it", now.Add(-3*time.Hour))
	docs.Problem = &problem
	b.Snapshot.Repositories["docs"] = docs
	member := func(task, c string, v result.Verdict, seconds int) result.Member {
		return result.Member{Task: task, Ref: At(task, "main", c), Verdict: v, Seconds: seconds}
	}
	api := member("api", "b", result.Failed, 61)
	api.Why, api.Command, api.Exit = "the command failed", "2 of 3: make deploy", 2
	api.Output = []string{"building image registry.example.com/api:bbbbbbb", "pushing 12 layers", "write /var/lib/images: no space left on device", "make: *** [deploy] Error 2"}
	b.Past = append(b.Past,
		result.Result{Name: "shop-2", Unit: "shop", Created: now.Add(-time.Hour), Seconds: 125, Verdict: result.Failed, Reason: "Failed", Why: "api: the command failed",
			Seen: now.Add(-time.Hour), Refs: []result.Ref{At("web", "main", "b")}, Members: []result.Member{member("web", "b", result.Succeeded, 61), api}},
		result.Result{Name: "shop-1", Unit: "shop", Created: now.Add(-2 * time.Hour), Seconds: 60, Verdict: result.Succeeded, Reason: "Succeeded",
			Refs: []result.Ref{At("web", "main", "a")}, Members: []result.Member{member("web", "a", result.Succeeded, 31)}},
	)
	ends := []result.Verdict{result.Succeeded, result.Succeeded, result.Superseded, result.Succeeded, result.Failed, result.Succeeded, result.Cancelled, result.Succeeded}
	for i := range 70 {
		verdict := ends[i%len(ends)]
		b.Past = append(b.Past, result.Result{
			Name: fmt.Sprintf("platform-%d", 70-i), Unit: "platform", Created: now.Add(-time.Duration(3*i+3) * time.Hour), Seconds: 240 + 37*i%300, Verdict: verdict,
			Reason: "Completed", Refs: []result.Ref{At("orders", "main", fmt.Sprint(i%10))},
			Members: []result.Member{
				member("database", "1", result.Succeeded, 40), member("queue", "2", result.Succeeded, 35), member("identity-and-access", "3", result.Succeeded, 50),
				member("orders", fmt.Sprint(i%10), verdict, 80), member("gateway-for-everything-else", "4", verdict, 20),
			},
		})
	}
	b.Runs = []engine.Run{{Existing: plan.Existing{Name: "lib-main-7", Unit: "lib.main", Active: true, Created: now.Add(-time.Minute), Trigger: plan.Trigger{
		Seen: now.Add(-time.Minute), Refs: []plan.Change{{Ref: repo.Ref{Repository: "lib", Branch: "main"}, N: 2, Old: SHA("a"), New: SHA("b")}},
	}}}}
	b.Hosts = func() []facts.Host {
		return []facts.Host{
			{Host: "github.com", Credential: "$GITHUB_TOKEN", Requests: 812, Failures: 3, Cached: 5120, Budgets: []facts.Budget{{Limit: 5000, Remaining: 4188, Reset: now.Add(time.Hour)}}},
			{Host: "git.example.com", Credential: "$GIT_TOKEN", Requests: 9, Failures: 9, Late: 4, Until: now.Add(2 * time.Minute), Why: "no answer within 10 s"},
		}
	}
	b.Peers = func() []facts.Replica {
		return []facts.Replica{
			{Name: "sentry-7d4b9-x2x4q", Since: now.Add(-48 * time.Hour), Seen: now.Add(-2 * time.Second), Alive: true, Leads: true},
			{Name: "sentry-7d4b9-p9k2m", Since: now.Add(-time.Hour), Seen: now.Add(-time.Second), Alive: true, This: true},
			{Name: "sentry-5c8f6-zzzzz", Since: now.Add(-72 * time.Hour), Seen: now.Add(-time.Minute)},
		}
	}
	b.Text = facts.Text{Used: listing.Of(textOf(b.Config, "as everywhere"), []config.Warning{{File: fileName, Line: 2, Key: "polling_interval", Message: "is hardly meant so"}})}
	return b.Known
}

const fileName = "/etc/sentry/sentry.yaml"

// textOf is a text of the configuration as people write it, with a comment for each repository.
func textOf(cfg *config.Config, comment string) config.Files {
	var b strings.Builder
	b.WriteString("# All of the company's\npolling_interval: 604800\ngroups:\n")
	for _, name := range slices.Sorted(maps.Keys(cfg.Groups)) {
		fmt.Fprintf(&b, "  %s:\n    execution_strategy: %s\n", name, cfg.Groups[name].Strategy)
	}
	b.WriteString("repositories:\n")
	for i := range cfg.Repositories {
		r := &cfg.Repositories[i]
		fmt.Fprintf(&b, "  - name: %s\n", r.Name)
		if r.Group != "" {
			fmt.Fprintf(&b, "    group: %s\n", r.Group)
		}
		fmt.Fprintf(&b, "    monitor:   # %s\n      repo_url: %s\n      branches: [main, 'dev.*']\n      auth: {token: \"${GITHUB_TOKEN}\"}\n    deploy: {qa_repo_url: https://github.com/a/qa, commands: [make]}\n",
			comment, r.Monitor.URL)
	}
	return config.Files{{Name: fileName, Text: []byte(b.String())}}
}

// Secret is a token that somebody wrote into the configuration.
const Secret = "hunter2hunter2"

// Refused is Small with a configuration that was changed and cannot be used.
func Refused(t testing.TB, now time.Time) *facts.Known {
	k := Small(t, now)
	text := []byte("polling_interval: soon\nrepositories:\n  - name: web\n    monitor:\n      tokne: " + Secret + "\n")
	k.Text.Why = "2 of its lines are wrong"
	k.Text.Refused = listing.Refused(config.Files{{Name: fileName, Text: text}}, config.Errors{
		{File: fileName, Line: 1, Key: "polling_interval", Message: "is \"soon\"; want seconds as a whole number, 60 to 604800"},
		{File: fileName, Line: 5, Key: "repositories[0].monitor.tokne", Message: "is not a known key"},
	})
	return k
}

// Script is what somebody stores to have it run in others' browsers.
const Script = `"'><script>alert(1)</script><img src=x onerror=alert(1)><svg onload=alert(1)>{{.}}`

// Hostile is Small with texts that are Script wherever others choose them.
func Hostile(t testing.TB, now time.Time) *facts.Known {
	k := Small(t, now)
	ref := result.Ref{Ref: repo.Ref{Repository: "web", Branch: "dev" + Script}, SHA: SHA("c")}
	web := k.Snapshot.Repositories["web"]
	problem := state.Problem{Kind: Script, Message: Script, Since: now}
	web.Problem = &problem
	web.Branches.Set(ref.Branch, state.Branch{SHA: ref.SHA, N: 3, Time: now})
	k.Snapshot.Repositories["web"] = web
	k.Snapshot.Units[Script] = state.Unit{Problem: &problem}
	k.Past = append([]result.Result{{
		Name: Script, Unit: Script, Created: now, Seconds: 3, Verdict: Script, Reason: Script, Why: Script, Refs: []result.Ref{ref},
		Members: []result.Member{
			{Task: Script, Ref: ref, Verdict: result.Failed, Why: Script, Command: Script, Exit: 1, Output: []string{Script, "\x1b[31m" + Script + "\u202e"}},
			{Task: "web", Ref: ref, Verdict: Script, Rollback: Script},
		},
	}}, k.Past...)
	k.Runs = append(k.Runs, engine.Run{Existing: plan.Existing{Name: "a-" + Script, Unit: Script, Active: true, Created: now, Trigger: plan.Trigger{
		Refs: []plan.Change{{Ref: ref.Ref, New: ref.SHA}},
	}}, Reason: Script})
	k.Gap = Script
	k.Peers = func() []facts.Replica { return []facts.Replica{{Name: Script, Since: now, Seen: now, Alive: true}} }
	texts := append(textOf(k.Config, Script+"\u202e"), config.File{Name: Script, Text: []byte(Script + "\n# \x1b[31m" + Script)})
	k.Text = facts.Text{
		Used: listing.Of(texts, []config.Warning{{File: fileName, Line: 1, Key: Script, Message: Script}, {File: Script, Line: 2, Message: Script}}), Why: Script,
		Refused: listing.Refused(texts, config.Errors{{File: fileName, Line: 1, Key: Script, Message: Script}}),
	}
	k.Hosts = func() []facts.Host {
		return []facts.Host{{Host: Script, Credential: Script, Why: Script, Resource: Script, Budgets: []facts.Budget{{Resource: Script}}}}
	}
	return k
}

// Large returns so many repositories, ten a group, and so many results.
func Large(t testing.TB, now time.Time, repositories, results int) *facts.Known {
	b := begin(t, now)
	for i := range repositories {
		group := fmt.Sprintf("group-%04d", i/10)
		if i%3 == 0 {
			group = "" // alone
		} else if _, ok := b.Config.Groups[group]; !ok {
			b.Config.Groups[group] = config.Group{Name: group, Strategy: strategy.Parallel, Deploy: config.All}
		}
		b.add(fmt.Sprintf("service-%05d", i), group, 0)
	}
	for i := range results {
		r := &b.Config.Repositories[(i*7)%repositories]
		unit := r.Group
		if unit == "" {
			unit = r.Name + ".main"
		}
		x := result.Result{
			Name: fmt.Sprintf("%s-%010x", unit, i), Unit: unit, Created: now.Add(-time.Duration(i) * time.Minute), Seconds: 60 + i%90, Verdict: result.Succeeded,
			Reason: "Succeeded", Refs: []result.Ref{At(r.Name, "main", fmt.Sprint(i%10))},
			Members: []result.Member{{Task: r.Name, Ref: At(r.Name, "main", fmt.Sprint(i%10)), Verdict: result.Succeeded, Seconds: 50}},
		}
		if i%13 == 0 {
			x.Verdict, x.Reason, x.Why = result.Failed, "Failed", r.Name+": the command failed"
			x.Members[0].Verdict, x.Members[0].Why = result.Failed, "the command failed"
		}
		b.Past = append(b.Past, x)
	}
	b.Text.Used = listing.Of(textOf(b.Config, "as everywhere"), nil)
	return b.Known
}
