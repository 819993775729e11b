package config

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestPodsAreMerged(t *testing.T) {
	c, err := Parse([]byte(`
global:
  pod:
    node_selector: {pool: all, arch: amd64}
    tolerations: [{key: a}]
    openshift: true
groups:
  shop:
    pod:
      node_selector: {pool: shop}
      openshift: false
  plain:
repositories:
  - name: web
    group: shop
    monitor: &m {repo_url: https://github.com/company/rag, branches: [main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run],
      pod: {node_selector: {pool: "${POOL}"}, tolerations: [{key: b, tolerationSeconds: 3}, {operator: Exists}], labels: {a: true, b: }}}
  - name: api
    group: shop
    monitor: *m
    deploy: &d {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
  - {name: alone, monitor: *m, deploy: *d}
  - {name: member, group: plain, monitor: *m, deploy: *d}
`), Options{Hosts: Known, LookupEnv: func(string) (string, bool) { return "web", true }})
	if err != nil {
		t.Fatal(err)
	}
	type section = map[string]any
	global := Pod{"node_selector": section{"pool": "all", "arch": "amd64"}, "tolerations": []any{section{"key": "a"}}, "openshift": "true"}
	shop := Pod{"node_selector": section{"pool": "shop", "arch": "amd64"}, "tolerations": []any{section{"key": "a"}}, "openshift": "false"}
	want := map[string]Pod{
		"web": {
			"node_selector": section{"pool": "web", "arch": "amd64"},
			"tolerations":   []any{section{"key": "b", "tolerationSeconds": "3"}, section{"operator": "Exists"}},
			"openshift":     "false", "labels": section{"a": "true"},
		},
		"api": shop, "alone": global, "member": global,
	}
	for name, want := range want {
		r, _ := c.Lookup(name)
		if diff := cmp.Diff(want, r.Deploy.Pod); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if diff := cmp.Diff(shop, c.Groups["shop"].Pod); diff != "" {
		t.Errorf("the group (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(global, c.Global.Pod); diff != "" {
		t.Errorf("global (-want +got):\n%s", diff)
	}
}

// What leads to itself several times is one mistake, and not one for each way through it.
func TestPodThatHoldsItself(t *testing.T) {
	_, err := Parse([]byte("global: {pod: {affinity: {a: &a [*a, *a]}}}\n"+
		"repositories: [{name: a, monitor: {repo_url: https://github.com/a/b, branches: [main]}, "+
		"deploy: {qa_repo_url: https://github.com/a/q, commands: [./run]}}]\n"), Options{Hosts: Known})
	if err == nil || strings.Count(err.Error(), "is nested more than 20 deep") != 1 {
		t.Errorf("got %.300v, want one error that it is nested too deep", err)
	}
}

// Aliases of aliases are many values from few bytes.
func TestPodOfManyAliases(t *testing.T) {
	text := "global: {pod: {affinity: {"
	for i := range 8 {
		last := strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", ")
		if i == 0 {
			last = "x"
		}
		text += fmt.Sprintf("k%d: &a%d [%s], ", i, i, last)
	}
	_, err := Parse([]byte(text+"}}}\n"+
		"repositories: [{name: a, monitor: {repo_url: https://github.com/a/b, branches: [main]}, "+
		"deploy: {qa_repo_url: https://github.com/a/q, commands: [./run]}}]\n"), Options{Hosts: Known})
	if err == nil || strings.Count(err.Error(), "is one value too many") != 1 || len(err.Error()) > 1000 {
		t.Errorf("got %.300v, want one short error that there are too many values", err)
	}
}
