package webhooks_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

const (
	token       = "admin-token-xyzzy"
	firstSecret = "a-secret-of-tests-1"
)

// world is a server of each kind, and a configuration that watches a repository of each.
type world struct {
	t                     *testing.T
	github, gitea, gitlab *githosttest.API
	file                  string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, github: githubtest.New(), gitea: giteatest.New().API, gitlab: gitlabtest.New().API, file: filepath.Join(t.TempDir(), "sentry.yaml")}
	var file strings.Builder
	file.WriteString("groups: {shop: {}}\nrepositories:\n")
	add := func(name, kind, group string, api *githosttest.API) {
		api.SetToken(token)
		api.Create("team/app")
		server := httptest.NewServer(api)
		t.Cleanup(server.Close)
		apiURL := ""
		if kind == "github" {
			apiURL = ", api_url: " + server.URL
		}
		for _, n := range []string{name, name + "-again"} {
			fmt.Fprintf(&file, "- name: %s\n  group: %s\n  monitor: {repo_url: %s/team/app, repo_type: %s, branches: [main], auth: {token: '${TOKEN}'}%s}\n"+
				"  deploy: {qa_repo_url: 'https://github.com/qa/qa', commands: ['true']}\n", n, group, server.URL, kind, apiURL)
		}
	}
	add("hub", "github", "shop", w.github)
	add("tea", "gitea", "", w.gitea)
	add("lab", "gitlab", "", w.gitlab)
	file.WriteString("- name: plain\n  monitor: {repo_url: 'https://git.example/a', repo_type: git, branches: [main]}\n" +
		"  deploy: {qa_repo_url: 'https://github.com/qa/qa', commands: ['true']}\nwebhooks: {secret: '${WEBHOOK_SECRET}'}\n")
	if err := os.WriteFile(w.file, []byte(strings.ReplaceAll(file.String(), "  group: \n", "")), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("TOKEN", token)
	t.Setenv("WEBHOOK_SECRET", firstSecret)
	return w
}

// run runs a command line, and returns the action of each repository by its first name.
func (w *world) run(code int, args ...string) (actions map[string]string, out string) {
	w.t.Helper()
	var stdout, stderr bytes.Buffer
	if args = append([]string{"webhooks"}, args...); len(args) > 2 {
		args = append(args, "-c", w.file, "-o", "json")
	}
	if got := cli.Main(w.t.Context(), args, cli.Streams{Out: &stdout, Err: &stderr}); got != code {
		w.t.Fatalf("%v: exit code %d, want %d\n%s%s", args, got, code, &stdout, &stderr)
	}
	out = stdout.String() + stderr.String()
	for _, secret := range []string{token, os.Getenv("WEBHOOK_SECRET")} {
		if strings.Contains(out, secret) {
			w.t.Errorf("%v prints a secret:\n%s", args, out)
		}
	}
	var rows []struct {
		Names          []string
		Action, Detail string
	}
	if stdout.Len() == 0 {
		return nil, out
	}
	if err := json.Unmarshal(stdout.Bytes(), &rows); err != nil {
		w.t.Fatalf("%v: %v\n%s", args, err, out)
	}
	actions = map[string]string{}
	for _, r := range rows {
		actions[r.Names[0]] = strings.TrimSpace(r.Action + " " + r.Detail)
	}
	return actions, out
}

func (w *world) hooks() (all []githosttest.Hook) {
	for _, api := range []*githosttest.API{w.github, w.gitea, w.gitlab} {
		all = append(all, api.HooksOf("team/app")...)
	}
	return all
}

const at = "https://sentry.example.com"

func TestEnsure(t *testing.T) {
	w := newWorld(t)
	w.github.AddHook("team/app", map[string]any{"active": true, "events": []any{"push"}, "config": map[string]any{"url": "https://other.example/webhooks/github"}})
	expect := func(step, want string, args ...string) {
		t.Helper()
		got, _ := w.run(0, append([]string{"ensure", "--url", at}, args...)...)
		for _, name := range []string{"hub", "tea", "lab"} {
			if got[name] != want {
				t.Errorf("%s: %s was %q, want %q", step, name, got[name], want)
			}
		}
		if !strings.HasPrefix(got["plain"], "skipped") || len(got) != 4 {
			t.Errorf("%s: %v", step, got)
		}
	}
	expect("a dry run", "created", "--dry-run")
	if n := len(w.hooks()); n != 1 {
		t.Fatalf("after a dry run there are %d webhooks", n)
	}
	expect("at first", "created")
	expect("again", "unchanged")
	if n := len(w.hooks()); n != 4 {
		t.Fatalf("%d webhooks, want one of each host and the other one", n)
	}
	t.Setenv("WEBHOOK_SECRET", "a-secret-of-tests-2")
	expect("with another secret", "repaired secret")
	expect("again", "unchanged")
	for _, h := range w.hooks() {
		if text := fmt.Sprint(h.Body); strings.Contains(text, firstSecret) || !strings.Contains(text, "other.example") && !strings.Contains(text, "a-secret-of-tests-2") {
			t.Errorf("the host has %s", text)
		}
	}
	w.github.Change("team/app", func(r *githosttest.Repository) { r.Hooks[1].Body["active"] = false })
	if got, _ := w.run(0, "ensure", "shop", "--url", at); len(got) != 1 || got["hub"] != "repaired inactive" {
		t.Errorf("of a group: %v", got)
	}
	if got, _ := w.run(0, "remove", "--url", at+":8443"); got["hub"] != "absent" || got["tea"] != "absent" || got["lab"] != "absent" {
		t.Errorf("another Sentry is at another port: %v", got)
	}
	if got, _ := w.run(0, "remove", "--url", at+":443/"); got["hub"] != "removed" || got["tea"] != "removed" || got["lab"] != "removed" {
		t.Errorf("removed: %v", got)
	}
	if got := w.hooks(); len(got) != 1 || !strings.Contains(fmt.Sprint(got), "other.example") {
		t.Errorf("after the removal: %v, want the one of somebody else", got)
	}
	if got, _ := w.run(0, "remove", "--url", at); got["hub"] != "absent" {
		t.Errorf("removed again: %v", got)
	}
}

// What an interrupted call left beside the right one is taken away: each tells of every push.
func TestOneTooMany(t *testing.T) {
	w := newWorld(t)
	w.run(0, "ensure", "--url", at)
	left := map[string]map[string]any{
		"hub": {"active": true, "config": map[string]any{"url": at + "/webhooks/github?key=00000000"}},
		"tea": {"type": "gitea", "active": true, "config": map[string]any{"url": at + "/webhooks/gitea?key=00000000"}},
		"lab": {"url": at + "/webhooks/gitlab?key=00000000"},
	}
	for name, api := range map[string]*githosttest.API{"hub": w.github, "tea": w.gitea, "lab": w.gitlab} {
		api.AddHook("team/app", left[name])
	}
	for _, step := range []struct {
		args  []string
		want  string
		hooks int
	}{
		{[]string{"--dry-run"}, "repaired 1 too many", 6},
		{nil, "repaired 1 too many", 3},
		{nil, "unchanged", 3},
	} {
		got, _ := w.run(0, append([]string{"ensure", "--url", at}, step.args...)...)
		if n := len(w.hooks()); got["hub"] != step.want || got["tea"] != step.want || got["lab"] != step.want || n != step.hooks {
			t.Errorf("%v: %v and %d webhooks, want %s and %d", step.args, got, n, step.want, step.hooks)
		}
	}
	for _, h := range w.hooks() {
		if strings.Contains(fmt.Sprint(h.Body), "key=00000000") {
			t.Errorf("the wrong one stays: %v", h.Body)
		}
	}
}

// Repositories of one host with several credentials are worked on at the same time.
func TestManyOfOneHost(t *testing.T) {
	w := newWorld(t)
	text, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	_, hub, _ := strings.Cut(string(text), "- name: hub\n")
	hub, _, _ = strings.Cut(hub, "- name:")
	var more strings.Builder
	for i := range 12 {
		name := fmt.Sprintf("app%d", i)
		w.github.Create("team/" + name)
		one := strings.ReplaceAll(hub, "team/app", "team/"+name)
		one = strings.Replace(one, "auth: {", fmt.Sprintf("auth: {username: user%d, ", i%4), 1)
		fmt.Fprintf(&more, "- name: %s\n%s", name, one)
	}
	text = bytes.Replace(text, []byte("repositories:\n"), []byte("repositories:\n"+more.String()), 1)
	if err := os.WriteFile(w.file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	got, out := w.run(0, "ensure", "--url", at)
	for i := range 12 {
		if name := fmt.Sprintf("app%d", i); got[name] != "created" || len(w.github.HooksOf("team/"+name)) != 1 {
			t.Errorf("%s was %q:\n%s", name, got[name], out)
		}
	}
}

func TestNoSecondWebhook(t *testing.T) {
	w := newWorld(t)
	for i := range 120 {
		w.gitea.AddHook("team/app", map[string]any{"type": "gitea", "config": map[string]any{"url": fmt.Sprintf("https://other.example/%d", i)}})
	}
	for range 3 {
		w.run(0, "ensure", "tea", "--url", at)
	}
	if n := len(w.gitea.HooksOf("team/app")); n != 121 {
		t.Errorf("%d webhooks, want those of others and one", n)
	}
}

func TestOneThatFailsLeavesTheOthers(t *testing.T) {
	w := newWorld(t)
	w.gitlab.SetDenied("team/app")
	got, out := w.run(1, "ensure", "--url", at)
	if got["hub"] != "created" || got["tea"] != "created" || !strings.HasPrefix(got["lab"], "failed") || !strings.Contains(got["lab"], "want a token with the scope api") {
		t.Errorf("%v", got)
	}
	if !strings.Contains(out, "of 1 of 4 repositories are not as they should be") {
		t.Errorf("the error does not count:\n%s", out)
	}
}

func TestUsage(t *testing.T) {
	w := newWorld(t)
	for want, args := range map[string][]string{
		"--url is missing":                     {"ensure"},
		"want the address at which hosts":      {"ensure", "--url", "sentry.example.com"},
		"without a user":                       {"ensure", "--url", "https://a:b@sentry.example.com"},
		`"hubb" is no repository and no group`: {"ensure", "hubb", "--url", at},
		"did you mean hub?":                    {"ensure", "hubb", "--url", at},
		"unknown command":                      {"ensrue"},
	} {
		if _, out := w.run(2, args...); !strings.Contains(out, want) {
			t.Errorf("%v: want %q, got\n%s", args, want, out)
		}
	}
	if _, out := w.run(0, "ensure", "tea", "--url", "http://sentry.svc"); !strings.Contains(out, "travel unencrypted") {
		t.Errorf("http gets no warning:\n%s", out)
	}
	text, err := os.ReadFile(w.file)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.file, bytes.Replace(text, []byte("webhooks: {secret: '${WEBHOOK_SECRET}'}"), nil, 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, out := w.run(2, "ensure", "--url", at); !strings.Contains(out, "webhooks.secret is missing") {
		t.Errorf("without a secret:\n%s", out)
	}
}

func TestTable(t *testing.T) {
	w := newWorld(t)
	var out bytes.Buffer
	if code := cli.Main(t.Context(), []string{"webhooks", "ensure", "-c", w.file, "--url", at}, cli.Streams{Out: &out, Err: &out}); code != 0 {
		t.Fatalf("exit code %d\n%s", code, &out)
	}
	lines := strings.Split(out.String(), "\n")
	if i := slices.IndexFunc(lines, func(l string) bool { return strings.HasPrefix(l, "hub,hub-again ") && strings.Contains(l, " created ") }); i < 0 {
		t.Errorf("no line of both names:\n%s", &out)
	}
}
