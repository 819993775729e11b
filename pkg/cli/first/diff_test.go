package first

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

const base = `polling_interval: 60
groups:
  shop: {max_parallel: 2}
repositories:
  - name: web
    group: shop
    monitor: &web {repo_url: https://github.com/a/web, branches: [main], auth: {token: "${A}"}}
    deploy: &deploy {qa_repo_url: https://github.com/a/qa, commands: [./deploy.sh]}
  - name: lib
    monitor: {repo_url: https://github.com/a/lib, branches: [main]}
    deploy: *deploy
` + tool

const tool = `  - name: tool
    monitor: {repo_url: https://github.com/a/tool, branches: [main]}
    deploy: *deploy
    webhook_url: https://hooks.example.com/one
`

func parse(t *testing.T, text string) version {
	t.Helper()
	opts := config.Options{Hosts: hosts.All.Config(), LookupEnv: func(string) (string, bool) { return "hush", true }}
	cfg, err := config.Parse([]byte(text), opts)
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	settings, err := config.Settings(config.Files{{Text: []byte(text)}}, opts.Hosts)
	if err != nil {
		t.Fatal(err)
	}
	return version{cfg, settings}
}

func TestDifference(t *testing.T) {
	for name, tt := range map[string]struct {
		edits []string // pairs of old and new
		want  []string // lines of the difference, without the runs
		runs  string   // a part of what is said of the runs; "" = nothing may be
	}{
		"nothing":                 {nil, nil, ""},
		"a comment and the order": {[]string{"polling_interval: 60\n", "# more\n", "groups:", "polling_interval: 60\ngroups:"}, nil, ""},
		"a default that is told":  {[]string{"groups:", "global: {keep_runs: 20}\ngroups:"}, nil, ""},
		"a number":                {[]string{"groups:", "global: {keep_runs: 5, sweep: 0}\ngroups:"}, []string{"  global.keep_runs: 20 -> 5", "  global.sweep: 900 -> 0"}, ""},
		"a group's bound":         {[]string{"max_parallel: 2", "max_parallel: 1"}, []string{"  groups.shop.max_parallel: 2 -> 1"}, ""},
		"a key that comes":        {[]string{"commands: [./deploy.sh]", "commands: [./deploy.sh], timeout: 60"}, []string{"  repositories.lib.deploy.timeout: (none) -> 60", "  repositories.tool.deploy.timeout: (none) -> 60", "  repositories.web.deploy.timeout: (none) -> 60"}, "-        timeout: 5m0s\n+        timeout: 1m0s"},
		"alike":                   {[]string{"polling_interval: 60", "polling_interval: 60\nglobal: {image: b}"}, []string{"  global.image: docker.io/alpine/k8s:1.34.1 -> b"}, "The runs of shop, and alike those of lib, tool:\n---"},
		"another command":         {[]string{"[./deploy.sh]", "[./other.sh]"}, []string{`  repositories.lib.deploy.commands: ["./deploy.sh"] -> ["./other.sh"]`, `  repositories.tool.deploy.commands: ["./deploy.sh"] -> ["./other.sh"]`, `  repositories.web.deploy.commands: ["./deploy.sh"] -> ["./other.sh"]`}, "./other.sh"},
		"branches": {[]string{"lib, branches: [main]", `lib, branches: [dev, "fix-.*"]`}, []string{`  repositories.lib.monitor.branches: ["main"] -> ["dev","fix-.*"]`,
			"", "lib: branches that only dev, fix-.* matches are new ones, and each is deployed.", "lib: branches that only main matched are forgotten."}, ""},
		"a repository that comes": {[]string{"  - name: lib", "  - name: app\n    monitor: *web\n    deploy: *deploy\n  - name: lib"}, []string{"+ repositories.app", "", "app: is seen for the first time: its heads are recorded, and nothing runs (on_first_seen)."}, ""},
		"one that goes":           {[]string{tool, ""}, []string{"- repositories.tool", "", "tool: is forgotten; its PipelineRuns stay, and nobody prunes them."}, ""},
		"another name": {[]string{"name: lib", "name: shelf"}, []string{"- repositories.lib", "+ repositories.shelf", "",
			"shelf: is seen for the first time: its heads are recorded, and nothing runs (on_first_seen).", "lib: is forgotten; its PipelineRuns stay, and nobody prunes them.",
			"shelf: is another repository than lib to Sentry, though it has the same URL: what is remembered belongs to the name."}, ""},
		"into the group": {[]string{"name: lib\n", "name: lib\n    group: shop\n"}, []string{"  repositories.lib.group: (none) -> shop", "", "lib: runs with the group shop."}, "+ "},
		"out of it": {[]string{"    group: shop\n", "", "  shop: {max_parallel: 2}\n", "  shop: {max_parallel: 2}\n  more: \n"}, []string{"+ groups.more", "  repositories.web.group: shop -> (none)", "",
			"web: runs by itself, one PipelineRun for each branch."}, ""},
		"another URL":       {[]string{"https://github.com/a/lib", "https://gitlab.com/a/lib"}, []string{"  repositories.lib.monitor.repo_url: https://github.com/a/lib -> https://gitlab.com/a/lib", "", "lib: is read from another URL: heads that differ from those of before are deployed."}, "gitlab.com"},
		"another namespace": {[]string{"groups:", "global: {namespace: b, run_namespace: c}\ngroups:"}, []string{"  global.namespace: (none) -> b", "  global.run_namespace: (none) -> c", "", "Sentry remembers nothing at the new place: every repository is seen for the first time.", "Runs are created in the namespace c; those in that was current stay, and nobody waits for them or prunes them."}, "namespace: c"},
		"another variable":  {[]string{"${A}", "${B}"}, []string{"  repositories.web.monitor.auth.token: ${A} -> ${B}"}, ""},
		"secrets":           {[]string{"hooks.example.com/one", "hooks.example.com/two", "${A}", "s3cr3t"}, []string{"  repositories.tool.webhook_url: [hidden] -> [hidden]", "  repositories.web.monitor.auth.token: ${A} -> [hidden]"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			text := strings.NewReplacer(tt.edits...).Replace(base)
			if len(tt.edits) > 0 && text == base {
				t.Fatal("the edits change nothing")
			}
			got, err := difference(parse(t, base), parse(t, text))
			if err != nil {
				t.Fatal(err)
			}
			rest := got
			if want := strings.Join(tt.want, "\n"); want != "" {
				var ok bool
				if rest, ok = strings.CutPrefix(got, want+"\n"); !ok {
					t.Errorf("got\n%s\nwant it to begin with\n%s", got, want)
				}
			}
			if !strings.Contains(rest, tt.runs) || tt.runs == "" && rest != "" {
				t.Errorf("got\n%s\nwant of the runs %q", got, tt.runs)
			}
			if n := strings.Count(got, "--- the run of"); n > 1 {
				t.Errorf("%d runs are shown, want one, as all differ alike:\n%s", n, got)
			}
			if strings.Contains(got, "s3cr3t") || strings.Contains(got, "hush") {
				t.Errorf("a secret is in\n%s", got)
			}
			if back, err := difference(parse(t, text), parse(t, base)); err != nil || (back == "") != (got == "") {
				t.Errorf("the other way around: %v\n%s", err, back)
			}
		})
	}
}
