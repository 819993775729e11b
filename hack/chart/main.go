// Command chart makes Sentry's installations from the folder manifests, which is the one place where they are written:
//
//	chart generate                        charts/sentry, the Helm chart
//	chart dist -image IMAGE -version V    dist/install*.yaml and dist/sentry-V.tgz
//
// It is called at the top of the repository. docs/decisions/110-one-source-of-the-manifests.md says how the chart comes about.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"helm.sh/helm/v3/pkg/chart/loader"
	"helm.sh/helm/v3/pkg/chartutil"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "chart:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("chart", flag.ContinueOnError)
	image := flags.String("image", "", "Sentry's image, with its tag")
	version := flags.String("version", "", "of Sentry and of the chart")
	if len(args) == 0 {
		return errors.New("say what to do: generate or dist")
	}
	if err := flags.Parse(args[1:]); err != nil {
		return err
	}
	switch args[0] {
	case "generate":
		files, err := generate(".")
		if err != nil {
			return err
		}
		return write(filepath.Join("charts", "sentry"), files)
	case "dist":
		return dist(*image, *version)
	}
	return fmt.Errorf("%s is neither generate nor dist", args[0])
}

// write makes the files all that there is in dir.
func write(dir string, files map[string]string) error {
	if err := os.RemoveAll(dir); err != nil {
		return err
	}
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// installations are what dist makes a file of, by the overlay.
var installations = map[string][]string{
	"install.yaml":            nil,
	"install-ha.yaml":         {"replicas"},
	"install-namespaced.yaml": {"namespaced"},
}

// notVersion is what a version of a chart may not hold.
var notVersion = regexp.MustCompile(`[^0-9A-Za-z.+-]`)

func dist(image, version string) error {
	colon := strings.LastIndex(image, ":")
	if colon < strings.LastIndex(image, "/") || version == "" {
		return errors.New("want -image with a tag, and -version")
	}
	if err := os.MkdirAll("dist", 0o755); err != nil {
		return err
	}
	for name, components := range installations {
		text, err := build(".", kustomization{
			Components: components,
			Images:     []imageChange{{Name: productImage, NewName: image[:colon], NewTag: image[colon+1:]}},
		})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join("dist", name), text, 0o644); err != nil {
			return err
		}
	}
	chart, err := loader.Load(filepath.Join("charts", "sentry"))
	if err != nil {
		return err
	}
	chart.Metadata.AppVersion = version
	chart.Metadata.Version = strings.TrimPrefix(version, "v")
	if chart.Metadata.Validate() != nil {
		chart.Metadata.Version = "0.0.0-" + notVersion.ReplaceAllString(version, "-")
	}
	_, err = chartutil.Save(chart, "dist")
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}
