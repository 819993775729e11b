package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

var compare = cmp.Options{
	cmp.Comparer(func(a, b secret.Value) bool { return a == b }),
	cmp.Comparer(func(a, b repo.Pattern) bool { return repo.Patterns{a}.Key() == repo.Patterns{b}.Key() }),
}

func load(t *testing.T, path string) *Config {
	t.Helper()
	c, err := Load(options(), path)
	if err != nil {
		t.Fatalf("Load(%s) =\n%v", path, err)
	}
	return c
}

// minimal is a configuration with head before it.
func minimal(head string) []byte {
	return []byte(head + `
repositories:
  - name: rag
    monitor: {repo_url: https://github.com/company/rag, branches: [main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
`)
}

var defaultGlobal = Global{
	TmpDir: "/tmp/sentry", Cleanup: true, KeepRuns: 20, LogLevel: "info", Timeout: 5 * time.Minute,
	ServiceAccount: "sentry-deployer", Image: "docker.io/alpine/k8s:1.34.1", GitImage: "docker.io/alpine/git:2.49.1",
	CredentialsSecret: "sentry-credentials", OnFirstSeen: Record, Sweep: 15 * time.Minute, Glance: 5 * time.Second, Discover: 10 * time.Minute,
}

func TestDefaults(t *testing.T) {
	data := minimal("")
	got, err := Parse(data, Options{Hosts: Known, LookupEnv: nothingSet})
	if err != nil {
		t.Fatalf("Parse(%s) =\n%v", data, err)
	}
	want := &Config{
		PollingInterval: time.Minute,
		Repositories: []Repository{{
			Name: "rag", Project: "rag",
			Monitor: Monitor{Source: Source{URL: "https://github.com/company/rag", Type: GitHub}, Branches: repotest.Patterns(t, "main")},
			Deploy: &Deploy{Source: Source{URL: "https://gitlab.com/qa/pipelines", Type: GitLab}, Branch: "main", Depth: 1,
				Commands: []string{"./run"}, Image: "docker.io/alpine/k8s:1.34.1", Timeout: 5 * time.Minute, ServiceAccount: "sentry-deployer", Wave: 1},
		}},
		Global: defaultGlobal,
		Hash:   "951e4122810e",
		Files:  "951e4122810e",
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("Parse(%s) (-want +got):\n%s", data, diff)
	}
}

func TestGroupDefaults(t *testing.T) {
	got, err := Parse(minimal("groups: {ai: }"), options())
	if err != nil {
		t.Fatal(err)
	}
	want := Alone()
	want.Name = "ai"
	if diff := cmp.Diff(map[string]Group{"ai": want}, got.Groups, compare); diff != "" {
		t.Errorf("a group without keys (-want +got):\n%s", diff)
	}
}

func TestReferenceExample(t *testing.T) {
	got := load(t, "../../examples/sentry.yaml")
	global := defaultGlobal
	global.Env = Env{"REGION": "eu-west-1"}
	want := &Config{
		PollingInterval: time.Minute,
		Groups: map[string]Group{"ai-blueprints": {Name: "ai-blueprints", Strategy: strategy.Parallel, MaxParallel: 3,
			ContinueOnError: true, GlobalTimeout: 15 * time.Minute, OnBusy: Queue, Deploy: All, Rollback: RollbackMember}},
		Repositories: []Repository{{
			Name: "rag-service", Group: "ai-blueprints", Project: "rag",
			Monitor: Monitor{
				Source: Source{URL: "https://github.com/company/rag", Type: GitHub, Auth: Auth{
					Username: secret.New("${GITHUB_USERNAME}", "ada-s3cr3t"), Token: secret.New("${GITHUB_TOKEN}", "gh-s3cr3t")}},
				Branches: repotest.Patterns(t, "main", "dev.*")},
			Deploy: &Deploy{
				Source: Source{URL: "https://gitlab.com/qa/pipelines", Type: GitLab, Auth: Auth{
					Username: secret.New("${GITLAB_USERNAME}", "bob-s3cr3t"), Token: secret.New("${GITLAB_TOKEN}", "gl-s3cr3t")}},
				Branch: "main", Depth: 1,
				Commands: []string{"cd .tekton/rag", "kubectl apply -f . --namespace=tekton-pipelines", "./scripts/verify-deployment.sh"},
				Rollback: []string{"./scripts/roll-back.sh"},
				Image:    "docker.io/alpine/k8s:1.34.1", Timeout: 5 * time.Minute, ServiceAccount: "sentry-deployer", Wave: 1,
				Env: Env{"REGION": "eu-west-1", "TIER": "staging"}},
		}},
		Global: global,
		Hash:   got.Hash,
		Files:  got.Hash,
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if name := got.Repositories[0].Deploy.Auth.Token.Variable(); name != "GITLAB_TOKEN" {
		t.Errorf("the token's Variable() = %q, want GITLAB_TOKEN", name)
	}
}

func TestUnusualButRight(t *testing.T) {
	got := load(t, "testdata/unusual.good.yaml")
	global := defaultGlobal
	global.TmpDir, global.Cleanup, global.Timeout = "/clone", false, 90*time.Second
	alone, one := Alone(), Alone()
	alone.Name, one.Name, one.MaxParallel, one.OnBusy = "alone-in-here", "1", 2, StartAtOnce
	want := &Config{
		PollingInterval: 90 * time.Second,
		Groups:          map[string]Group{"alone-in-here": alone, "1": one},
		Repositories: []Repository{{
			Name: "42", Group: "1", Project: "42",
			Monitor: Monitor{
				Source: Source{URL: "https://git.example.com:8443/A/b%20c.git", Type: Git,
					Auth: Auth{Token: secret.New("x-${GITEA_TOKEN:-none}", "x-gt-s3cr3t")}},
				Branches: repotest.Patterns(t, "1.10", "true", "2024-01-01", "on", "feat/${x}", "dev-.*", `v\d+`)},
			Deploy: &Deploy{
				Source: Source{URL: "https://[::1]/qa", Type: Git,
					Auth: Auth{Token: secret.New("${GITLAB_TOKEN}", "gl-s3cr3t"), Username: secret.New("bob $${x}", "bob ${x}")}},
				Branch: "it's/$(HOME)", Depth: 1,
				Commands: []string{`echo ${MISSING} $${x} "$HOME"`, "for i in 1 2; do\n  echo \"$i\"\ndone\n"},
				Image:    global.Image, Timeout: 90 * time.Second, ServiceAccount: "sentry-deployer", Wave: 1},
			WebhookURL: secret.New("https://hooks.example.com/t?key=${GITHUB_TOKEN}", "https://hooks.example.com/t?key=gh-s3cr3t"),
		}},
		Global:   global,
		Hash:     got.Hash,
		Files:    got.Hash,
		Warnings: got.Warnings,
	}
	if diff := cmp.Diff(want, got, compare); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestUsernameBesideToken holds that a clone step always has a user name to send.
func TestUsernameBesideToken(t *testing.T) {
	got := load(t, "../../examples/groups.yaml")
	for _, r := range got.Repositories {
		if u := r.Deploy.Auth.Username; u.Reveal() != "git" || u.Variable() != "" {
			t.Errorf("%s: deploy.auth.username = %q, variable %q, want the literal git", r.Name, u.Reveal(), u.Variable())
		}
		if u := r.Monitor.Auth.Username; u.IsSet() {
			t.Errorf("%s: monitor.auth.username = %q, want none", r.Name, u.Reveal())
		}
	}
}

func TestAliasesAndMerges(t *testing.T) {
	got := load(t, "../../examples/groups.yaml").Repositories
	search, mail, db, web := got[0], got[1], got[2], got[3]
	if mail.Monitor.URL != "https://github.com/company/mail" || mail.Monitor.Branches.String() != search.Monitor.Branches.String() {
		t.Errorf("a merged monitor is %v %v, want its own URL and the branches of the anchor", mail.Monitor.URL, mail.Monitor.Branches)
	}
	if !reflect.DeepEqual(web.Deploy.Commands, search.Deploy.Commands) || web.Project != "shop-web" {
		t.Errorf("an aliased deploy is %+v, want that of the anchor, with a project of its own", web.Deploy)
	}
	if db.Deploy.Timeout != 15*time.Minute || db.Deploy.Commands[0] != "cd shop/db" || db.Deploy.URL != search.Deploy.URL {
		t.Errorf("a merged deploy is %+v, want its own timeout and commands, and the URL of the anchor", db.Deploy)
	}
}

// TestAliasBombs reads files that are small and stand for a lot. Without the bound it runs for minutes.
func TestAliasBombs(t *testing.T) {
	long := strings.Repeat("x", 100_000)
	for name, data := range map[string]string{
		"list in list": "a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b]\nrepositories: [*c,*c,*c,*c]\n",
		"commands": "repositories:\n- &r {name: r, monitor: {repo_url: https://github.com/a/b, branches: [main]}, deploy: {qa_repo_url: https://github.com/a/q, commands: [" +
			long + "]}}\n" + strings.Repeat("- *r\n", 100_000),
		"merges": "repositories:\n- &r {" + strings.Repeat("x: y, ", 10_000) + "name: r}\n" +
			strings.Repeat("- {<<: *r}\n", 50_000),
	} {
		_, err := Parse([]byte(data), options())
		if err == nil {
			t.Errorf("%s: no error", name)
			continue
		}
		if name != "list in list" && !strings.Contains(err.Error(), "line 1: with its aliases (*) the file stands for more than 13 MiB; want fewer of them") {
			t.Errorf("%s: %.300v, want that the aliases stand for too much", name, err)
		}
	}
}

func TestAllowUnsetAuth(t *testing.T) {
	opts := Options{Hosts: Known, LookupEnv: nothingSet, AllowUnsetAuth: true}
	c, err := Load(opts, "../../examples/sentry.yaml")
	if err != nil {
		t.Fatalf("the reference example without variables: %v", err)
	}
	if token := c.Repositories[0].Deploy.Auth.Token; token.Reveal() != "" || token.Variable() != "GITLAB_TOKEN" {
		t.Errorf("token = %q from variable %q, want nothing from GITLAB_TOKEN", token.Reveal(), token.Variable())
	}
	_, err = Parse(minimal("polling_interval: ${POLL}"), opts)
	if err == nil || !strings.Contains(err.Error(), "the variable POLL is not set") {
		t.Errorf("a variable outside of auth that is not set: %v, want an error", err)
	}
}

func TestLookupEnvIsTheEnvironment(t *testing.T) {
	t.Setenv("SENTRY_TEST_INTERVAL", "75")
	c, err := Parse(minimal("polling_interval: ${SENTRY_TEST_INTERVAL}"), Options{Hosts: Known})
	if err != nil || c.PollingInterval != 75*time.Second {
		t.Errorf("got %v, %v, want 75s from the environment", c, err)
	}
}

// Keys of an order that the group does not have.
func TestWarningsOfTheOrder(t *testing.T) {
	const end = ", monitor: {repo_url: https://github.com/company/x, branches: [main]}, deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]"
	data := `groups:
  plain: {waves: [100%], canary_check: [./smoke.sh], needs: 'true'}
  shares: {execution_strategy: waves, waves: [50%, 100%]}
  right: {execution_strategy: graph, max_parallel: 1}
  said: {execution_strategy: graph, needs: other.name < member.name}
  asks: {execution_strategy: graph, needs: other.wave < member.wave || other.name in member.needs}
repositories:
  - {name: a, group: plain` + end + `, wave: 2, needs: [b]}}
  - {name: b` + end + `, needs: [a]}}
  - {name: c, group: shares` + end + `, wave: 1}}
  - {name: d, group: right` + end + `}}
  - {name: e, group: right` + end + `, needs: [d]}}
  - {name: f, group: said` + end + `, wave: 1}}
  - {name: g, group: said` + end + `, needs: [f]}}
  - {name: h, group: asks` + end + `}}
  - {name: i, group: asks` + end + `, wave: 2, needs: [h]}}
`
	path := filepath.Join(t.TempDir(), "sentry.yaml")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range load(t, path).Warnings {
		got = append(got, strings.TrimPrefix(w.String(), path))
	}
	const want = ": means nothing but in a group with execution_strategy: %s; want that, or it left out"
	if diff := cmp.Diff([]string{
		":2: groups.plain.canary_check" + fmt.Sprintf(want, "canary"),
		":2: groups.plain.needs" + fmt.Sprintf(want, "graph"),
		":2: groups.plain.waves" + fmt.Sprintf(want, "waves"),
		":8: repositories[0].deploy.needs" + fmt.Sprintf(want, "graph"),
		":8: repositories[0].deploy.wave" + fmt.Sprintf(want, "waves"),
		":9: repositories[1].deploy.needs" + fmt.Sprintf(want, "graph"),
		":10: repositories[2].deploy.wave: means nothing, as the group's waves are shares of its members; want one of the two",
		":13: repositories[5].deploy.wave" + fmt.Sprintf(want, "waves"),
		":14: repositories[6].deploy.needs: means nothing, as the group's needs is an expression that does not ask for it; want one of the two, or other.name in member.needs in the expression",
	}, got); diff != "" {
		t.Errorf("the warnings of\n%s(-want +got):\n%s", data, diff)
	}
}

func TestWarnings(t *testing.T) {
	data := `groups:
  empty: {}
  row: {execution_strategy: sequential, max_parallel: 2, global_timeout: 100, rollback: group}
repositories:
  - name: rag
    group: row
    monitor: {repo_url: http://git.example.com/company/rag, repo_type: gitea, branches: [main], auth: {token: gt-s3cr3t}}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
  - name: web
    group: row
    monitor: {repo_url: https://github.com/company/web, branches: [main, '.*\.lock', '(x ){0,9}y?'], auth: {token: "${MISSING:-gt-s3cr3t}"}}
    deploy:
      qa_repo_url: http://git.example.com/qa/pipelines
      repo_type: gitea
      auth: {token: "${GITEA_TOKEN}"}
      commands: [./run]
      timeout: 101
`
	path := filepath.Join(t.TempDir(), "sentry.yaml")
	if err := os.WriteFile(path, []byte(data), 0o600); err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range load(t, path).Warnings {
		got = append(got, strings.TrimPrefix(w.String(), path))
	}
	want := []string{
		":2: groups.empty: no repository is in this group; want a repository with group: empty, or no such group",
		":3: groups.row.max_parallel: means nothing in a sequential group; want it left out, or execution_strategy: parallel",
		":3: groups.row.rollback: means nothing, as no member has deploy.rollback_commands; want these, or it left out",
		":7: repositories[0].monitor.auth.token: the token, or a part of it, stands in this file; want ${NAME} and the token in the environment",
		":7: repositories[0].monitor.repo_url: the token travels unencrypted over http; want https",
		":8: repositories[0].deploy.timeout: is 300 seconds, and the group row ends after its global_timeout of 100; want it smaller",
		":11: repositories[1].monitor.auth.token: the token, or a part of it, stands in this file; want ${NAME} and the token in the environment",
		":11: repositories[1].monitor.branches[1]: matches no name that Git allows for a branch; want an exact branch name, or a Go regular expression that matches the whole name, such as dev.*",
		":13: repositories[1].deploy.qa_repo_url: the token travels unencrypted over http; want https",
		":17: repositories[1].deploy.timeout: is 101 seconds, and the group row ends after its global_timeout of 100; want it smaller",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("the warnings of\n%s(-want +got):\n%s", data, diff)
	}
}

// TestNoPrintShowsASecret prints a whole configuration in all ways that go vet lets pass.
func TestNoPrintShowsASecret(t *testing.T) {
	c := load(t, "testdata/unusual.good.yaml")
	c.Repositories[0].Monitor.Auth.Token = secret.New("literal-s3cr3t", "literal-s3cr3t")
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10.3v", "%T"} {
		fmt.Fprintf(&out, verb+"\n", *c)
		fmt.Fprintf(&out, verb+"\n", c.Repositories[0].WebhookURL)
		fmt.Fprintf(&out, verb+"\n", &c.Repositories[0].Monitor)
	}
	if err := json.NewEncoder(&out).Encode(c); err != nil {
		t.Fatal(err)
	}
	for _, h := range []slog.Handler{slog.NewTextHandler(&out, nil), slog.NewJSONHandler(&out, nil)} {
		slog.New(h).Info("x", "config", c, "token", c.Repositories[0].Monitor.Auth.Token, "auth", c.Repositories[0].Deploy.Auth)
	}
	for _, form := range []string{"s3cr3t", fmt.Sprintf("%x", "s3cr3t"), fmt.Sprintf("%X", "s3cr3t")} {
		if i := strings.Index(out.String(), form); i >= 0 {
			t.Errorf("a secret is printed: …%.200s", out.String()[max(0, i-100):])
		}
	}
	if !strings.Contains(out.String(), "[redacted]") {
		t.Errorf("no value is printed as [redacted]:\n%s", out.String())
	}
}

func TestLookup(t *testing.T) {
	c := load(t, "../../examples/groups.yaml")
	if r, ok := c.Lookup("mail"); !ok || r != &c.Repositories[1] {
		t.Errorf("Lookup(mail) = %p, %v, want the second repository", r, ok)
	}
	if r, ok := c.Lookup("nobody"); ok || r != nil {
		t.Errorf("Lookup(nobody) = %v, %v, want nothing", r, ok)
	}
}
