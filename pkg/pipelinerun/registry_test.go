package pipelinerun

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
)

// TestImageRegistry looks at every image of every golden's runs, with a registry that all images are pulled from.
func TestImageRegistry(t *testing.T) {
	const registry = "registry.example.com/mirror"
	image := regexp.MustCompile(`(?m)^ *(?:- )?image: (.*)$`)
	images := 0
	for _, file := range goldens(t) {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for i, f := range archive.Files {
			if f.Name != "config.yaml" {
				continue
			}
			text := "\n" + string(f.Data)
			if !strings.Contains(text, "\nglobal:") {
				text += "\nglobal:\n"
			}
			text = strings.Replace(text, "\nglobal:\n", "\nglobal:\n  image_registry: "+registry+"\n", 1)
			archive.Files[i].Data = []byte(strings.Replace(text, "\nglobal: {", "\nglobal: {image_registry: "+registry+", ", 1))
		}
		changed := filepath.Join(t.TempDir(), filepath.Base(file))
		if err := os.WriteFile(changed, txtar.Format(archive), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, pr := range readGolden(t, changed).runs {
			text, err := Marshal(pr)
			if err != nil {
				t.Fatal(err)
			}
			for _, m := range image.FindAllStringSubmatch(string(text), -1) {
				images++
				if !strings.HasPrefix(m[1], registry+"/") {
					t.Errorf("%s: %s is not from %s", file, m[1], registry)
				}
			}
		}
	}
	if images < 100 {
		t.Errorf("only %d images", images)
	}
}
