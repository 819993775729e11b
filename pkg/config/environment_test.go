package config

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestEnvironment(t *testing.T) {
	c, err := Parse([]byte(`
global:
  env: {TIER: all, REGION: eu, EMPTY: x, NUMBER: 1.10}
repositories:
  - name: web
    monitor: &m {repo_url: https://github.com/company/rag, branches: [main]}
    deploy:
      qa_repo_url: https://gitlab.com/qa/pipelines
      commands: [./run]
      env:
        TIER: web
        EMPTY: ""
        REGION:
        _x9: "$(HOME) $HOME $${HOME} it's"
        LINES: |
          one
          two
  - {name: api, monitor: *m, deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}}
`), options())
	if err != nil {
		t.Fatal(err)
	}
	global := Env{"TIER": "all", "REGION": "eu", "EMPTY": "x", "NUMBER": "1.10"}
	want := []Env{
		{"TIER": "web", "REGION": "eu", "EMPTY": "", "NUMBER": "1.10", "_x9": "$(HOME) $HOME ${HOME} it's", "LINES": "one\ntwo\n"},
		global,
	}
	if diff := cmp.Diff(want, []Env{c.Repositories[0].Deploy.Env, c.Repositories[1].Deploy.Env}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(global, c.Global.Env); diff != "" {
		t.Errorf("global (-want +got):\n%s", diff)
	}
}
