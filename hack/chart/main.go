// Command chart makes Sentry's installations from the folder manifests, which is the one place where they are written:
//
//	chart generate                        charts/sentry, the Helm chart
//	chart dist -image IMAGE -version V    dist/install*.yaml and dist/sentry-V.tgz; -digest pins the image
//	chart metadata -version V             what the chart says of itself, as JSON, on stdout
//
// It is called at the top of the repository. docs/decisions/110-one-source-of-the-manifests.md says how the chart comes about.
package main

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"helm.sh/helm/v3/pkg/chart"
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
	digest := flags.String("digest", "", "of the image, as sha256:…: the files name it beside the tag")
	out := flags.String("o", "dist", "directory of the files of dist")
	if len(args) == 0 {
		return errors.New("say what to do: generate, dist or metadata")
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
		return dist(*out, *image, *digest, *version)
	case "metadata":
		c, err := load(*version)
		if err != nil {
			return err
		}
		return json.NewEncoder(os.Stdout).Encode(c.Metadata)
	}
	return fmt.Errorf("%s is none of generate, dist and metadata", args[0])
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

func dist(out, image, digest, version string) error {
	colon := strings.LastIndex(image, ":")
	if colon < strings.LastIndex(image, "/") || version == "" {
		return errors.New("want -image with a tag, and -version")
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	for name, components := range installations {
		text, err := build(".", kustomization{
			Components: components,
			Images:     []imageChange{{Name: productImage, NewName: image[:colon], NewTag: image[colon+1:], Digest: digest}},
		})
		if err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(out, name), text, 0o644); err != nil {
			return err
		}
	}
	c, err := load(version)
	if err != nil {
		return err
	}
	for _, file := range c.Raw {
		if file.Name == chartutil.ValuesfileName {
			text := strings.Replace(string(file.Data), "repository: "+productImage+"\n", "repository: "+image[:colon]+"\n", 1)
			file.Data = []byte(strings.Replace(text, `digest: ""`, fmt.Sprintf("digest: %q", digest), 1))
		}
	}
	dir, err := os.MkdirTemp("", "sentry-chart")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	file, err := chartutil.Save(c, dir)
	if err != nil {
		return err
	}
	return timeless(file, filepath.Join(out, filepath.Base(file)))
}

// load returns the chart as that of a version of Sentry. One that is no version for Helm becomes the end of 0.0.0.
func load(version string) (*chart.Chart, error) {
	c, err := loader.Load(filepath.Join("charts", "sentry"))
	if err != nil {
		return nil, err
	}
	c.Metadata.AppVersion = version
	c.Metadata.Version = strings.TrimPrefix(version, "v")
	if c.Metadata.Validate() != nil {
		c.Metadata.Version = "0.0.0-" + notVersion.ReplaceAllString(version, "-")
	}
	return c, nil
}

// timeless copies a tar.gz without the times of its files. Helm writes the time at which it packs.
func timeless(from, to string) error {
	f, err := os.Open(from)
	if err != nil {
		return err
	}
	defer f.Close()
	unpacked, err := gzip.NewReader(f)
	if err != nil {
		return err
	}
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	w := tar.NewWriter(packed)
	for r := tar.NewReader(unpacked); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: h.Name, Mode: 0o644, Size: h.Size}); err != nil {
			return err
		}
		if _, err := io.Copy(w, r); err != nil {
			return err
		}
	}
	if err := errors.Join(w.Close(), packed.Close()); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}
