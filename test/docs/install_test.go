package docs

import (
	"path/filepath"
	"regexp"
	"slices"
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

func unmarshal(t *testing.T, file string, into any) {
	t.Helper()
	if err := yaml.Unmarshal([]byte(read(t, filepath.Join(root, file))), into); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
}
