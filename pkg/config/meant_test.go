package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

func TestMeant(t *testing.T) {
	for entry, want := range map[string]string{
		"feature/*":               "feature/.*",
		"*":                       "", // no regular expression: an error of its own
		"release-*":               "release-.*",
		"release-*.*":             "release-.*.*",
		"v*":                      "v.*",
		"(feature|fix)/*":         "(feature|fix)/.*",
		"feature/*|fix/*":         "feature/.*|fix/.*",
		"refs/heads/main":         "main",
		"^refs/heads/main$":       "^main$",
		"refs/heads/feature/*":    "feature/.*",
		"heads/main":              "main",
		"origin/main":             "main",
		"origin/release-.*":       "release-.*",
		"remotes/origin/main":     "main",
		"refs/remotes/origin/dev": "dev",
		"{main,dev}":              "(main|dev)",
		"feature/{a,b}-x":         "feature/(a|b)-x",
		"main,dev":                "main and dev",

		// Meant as they are.
		"main": "", "dev.*": "", "release-1.2": "", `release-\d+\.\d*`: "", "feature/.*": "", "(feature|fix)/.+": "", "[a-z/]*": "",
		`v[0-9]{1,2}`: "", `v\d{1,}`: "", "(ab)*": "", `a\*`: "", "origins/x": "", "feature/origin/x": "", "a!b": "", "^main$": "", "ref/s": "",
		"(a|b)-*x": "", ".*": "", "feat/$(x,y)": "",
	} {
		say, got := meant(entry)
		if got != want || (say == "") != (want == "") {
			t.Errorf("meant(%q) = %q, %q, want %q", entry, say, got, want)
		}
		if want == "" || strings.Contains(want, " and ") {
			continue
		}
		if _, err := repo.ParsePattern(want); err != nil {
			t.Errorf("what %q was meant to be is no pattern: %v", entry, err)
		}
		if say, again := meant(want); say != "" {
			t.Errorf("what %q was meant to be is not clear itself: %s: %s", entry, say, again)
		}
	}
	for _, entry := range []string{"!main", "refs/tags/v1", "refs/pull/.*"} {
		if say, want := meant(entry); say == "" || want != "" {
			t.Errorf("meant(%q) = %q, %q, want a word on it and no other entry", entry, say, want)
		}
	}
}

func TestWarningsOfBranches(t *testing.T) {
	data := `repositories:
  - name: rag
    monitor: {repo_url: https://github.com/company/rag, branches: [feature/*, refs/heads/main, origin/main, "!main", "${ODD}", main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, qa_repo_branch: origin/main, commands: [./run]}
  - name: web
    monitor: {repo_url: https://github.com/company/web, branches: ["feature/.*"]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, qa_repo_branch: "${ODD}", commands: [./run]}
`
	c, err := Parse([]byte(data), Options{Hosts: Known, LookupEnv: func(string) (string, bool) { return "refs/heads/s3cr3t", true }})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, w := range c.Warnings {
		got = append(got, w.String())
	}
	const (
		at     = "line 3: repositories[0].monitor.branches"
		heads  = "begins with refs/heads/, which is no part of a branch's name; want the name alone"
		remote = "begins with origin/, which is the name of a remote and no part of the branch's; want the name alone: main"
	)
	want := []string{
		at + "[0]: has a wildcard *, which in a regular expression repeats the character before it; want .* for any text: feature/.*",
		at + "[1]: " + heads + ": main",
		at + "[2]: " + remote,
		at + "[3]: begins with !, which excludes nothing; want the branches that are watched, and no others",
		at + "[4]: " + heads,
		"line 4: repositories[0].deploy.qa_repo_branch: " + remote,
		"line 7: repositories[1].deploy.qa_repo_branch: " + heads,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("warnings (-want +got):\n%s", diff)
	}
}
