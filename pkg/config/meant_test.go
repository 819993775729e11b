package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

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
