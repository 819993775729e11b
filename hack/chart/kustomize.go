package main

import (
	"fmt"
	"os"
	"path/filepath"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
	"sigs.k8s.io/yaml"
)

// productImage is the image as the manifests name it.
const productImage = "ghcr.io/tekton-sentry/sentry"

// kustomization is what an overlay says over the folder manifests.
type kustomization struct {
	Components []string // folders of manifests
	Images     []imageChange
}

type imageChange struct {
	Name    string `json:"name"`
	NewName string `json:"newName,omitempty"`
	NewTag  string `json:"newTag,omitempty"`
	Digest  string `json:"digest,omitempty"`
}

// build returns the objects of an overlay over the repository's manifests as one YAML stream.
func build(root string, k kustomization) ([]byte, error) {
	dir, err := os.MkdirTemp("", "sentry-chart")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	if err := os.CopyFS(filepath.Join(dir, "manifests"), os.DirFS(filepath.Join(root, "manifests"))); err != nil {
		return nil, err
	}
	components := []string{}
	for _, c := range k.Components {
		components = append(components, "manifests/"+c)
	}
	text, err := yaml.Marshal(map[string]any{"resources": []string{"manifests"}, "components": components, "images": k.Images})
	if err != nil {
		return nil, err
	}
	if err := os.WriteFile(filepath.Join(dir, "kustomization.yaml"), text, 0o600); err != nil {
		return nil, err
	}
	objects, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(filesys.MakeFsOnDisk(), dir)
	if err != nil {
		return nil, fmt.Errorf("manifests with %v: %w", k.Components, err)
	}
	return objects.AsYaml()
}
