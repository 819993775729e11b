package docs

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// TestEachImageIsListed compares the images of docs/air-gapped.md with those that the manifests and the defaults name.
func TestEachImageIsListed(t *testing.T) {
	var kustomization struct {
		Images []struct {
			Name   string
			NewTag string `yaml:"newTag"`
		}
	}
	unmarshal(t, "manifests/kustomization.yaml", &kustomization)
	var deployment struct {
		Spec struct {
			Template struct {
				Spec struct {
					Containers     []struct{ Image string }
					InitContainers []struct{ Image string } `yaml:"initContainers"`
				}
			}
		}
	}
	unmarshal(t, "manifests/deployment.yaml", &deployment)
	var want []string
	pod := deployment.Spec.Template.Spec
	for _, c := range slices.Concat(pod.InitContainers, pod.Containers) {
		image := c.Image
		for _, change := range kustomization.Images {
			if change.Name == image {
				image += ":" + change.NewTag
			}
		}
		want = append(want, image)
	}
	cfg, err := config.Parse([]byte(`repositories:
- name: app
  monitor: {repo_url: https://git.example/app, repo_type: git, branches: [main]}
  deploy: {qa_repo_url: https://git.example/qa, repo_type: git, commands: ["true"]}
`), config.Options{Hosts: hosts.All.Config()})
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, cfg.Global.Image, cfg.Global.GitImage)
	page := read(t, filepath.Join(root, "docs/air-gapped.md"))
	table := regexp.MustCompile(`(?s)## The images\n\n\| image \| for \|\n(.*?)\n\n`).FindString(page)
	var got []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(table, -1) {
		got = append(got, m[1])
	}
	if !slices.Equal(got, want) {
		t.Errorf("docs/air-gapped.md lists the images\n%q, want\n%q", got, want)
	}
	for _, image := range want {
		if copied := regexp.MustCompile(`for image in [^;]*` + regexp.QuoteMeta(image) + `[ ;]`); !copied.MatchString(page) {
			t.Errorf("the command of docs/air-gapped.md does not copy %s", image)
		}
	}
}

// TestEachRightIsListed compares the table of docs/operations.md with the Roles.
func TestEachRightIsListed(t *testing.T) {
	type binding struct{ account, in string }
	bound := map[string]binding{
		"sentry": {"sentry", "sentry"}, "sentry-runs": {"sentry", "sentry-runs"}, "sentry-replicas": {"sentry", "sentry"},
		"sentry-deployer": {"sentry-deployer", "sentry-runs"},
	}
	var want []string
	for _, file := range []string{"rbac-sentry.yaml", "replicas/rbac.yaml", "rbac-sentry-deployer.yaml"} {
		for doc := range strings.SplitSeq(read(t, filepath.Join(root, "manifests", file)), "\n---\n") {
			var role struct {
				Kind     string
				Metadata struct{ Name string }
				Rules    []struct{ Resources, Verbs []string }
			}
			if err := yaml.Unmarshal([]byte(doc), &role); err != nil {
				t.Fatal(err)
			}
			verbs := map[string][]string{}
			for _, rule := range role.Rules {
				resources := "`" + strings.Join(rule.Resources, "`, `") + "`"
				verbs[resources] = append(verbs[resources], rule.Verbs...)
			}
			b := bound[role.Metadata.Name]
			for resources, v := range verbs {
				want = append(want, fmt.Sprintf("`%s` | `%s` | %s | %s", b.account, b.in, resources, strings.Join(v, ", ")))
			}
		}
	}
	var got []string
	_, table, _ := strings.Cut(read(t, filepath.Join(root, "docs/operations.md")), "\n| account | in | resource | verbs | for |\n| --- | --- | --- | --- | --- |\n")
	for line := range strings.Lines(table) {
		if !strings.HasPrefix(line, "| ") {
			break
		}
		got = append(got, strings.TrimPrefix(line[:strings.LastIndex(strings.TrimSuffix(line, " |\n"), " | ")], "| "))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("docs/operations.md lists\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

func unmarshal(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root, file))), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
