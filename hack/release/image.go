package main

import (
	"bytes"
	"context"
	"encoding/pem"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"golang.org/x/crypto/x509roots/fallback/bundle"

	"github.com/tekton-sentry/sentry/hack/oci"
)

// images writes the container image, one for all architectures of Linux.
func (r *release) images(_ context.Context, work string) error {
	var archs []string
	for _, p := range r.targets {
		if p.os == "linux" {
			archs = append(archs, p.arch)
		}
	}
	if len(archs) == 0 {
		return fmt.Errorf("-platforms: there is none of Linux, which the image is for")
	}
	tag, err := name.NewTag(r.image)
	if err != nil {
		return fmt.Errorf("-image: %w", err)
	}
	roots := filepath.Join(work, "ca-certificates.crt")
	if err := os.WriteFile(roots, authorities(), 0o600); err != nil {
		return err
	}
	index, err := oci.Index(
		[]string{r.binary(work, platform{"linux", "{arch}"}) + ":/sentry", roots + ":/etc/ssl/certs/ca-certificates.crt"},
		v1.Config{WorkingDir: "/", User: "65532:65532", Entrypoint: []string{"/sentry"}, Labels: map[string]string{
			"org.opencontainers.image.source":   r.source,
			"org.opencontainers.image.version":  r.version,
			"org.opencontainers.image.revision": r.commit,
			"org.opencontainers.image.licenses": "Apache-2.0",
		}}, archs)
	if err != nil {
		return err
	}
	digest, err := index.Digest()
	if err != nil {
		return err
	}
	r.imageDigest = digest.String()
	return oci.WriteIndex(filepath.Join(r.out, "sentry_"+r.version+"_image.tar"), tag, index)
}

// authorities returns Mozilla's root certificates, as PEM: those of a Go module, so that they are the same on each machine. An authority
// that is trusted for certificates of before some day is left out.
func authorities() []byte {
	var text bytes.Buffer
	for root := range bundle.Roots() {
		if root.Constraint == nil {
			_ = pem.Encode(&text, &pem.Block{Type: "CERTIFICATE", Bytes: root.Certificate}) // never fails: a Buffer takes all
		}
	}
	return text.Bytes()
}

// installations writes the files to apply, and the chart as an archive and as what a registry has of it.
func (r *release) installations(ctx context.Context, _ string) error {
	chart := filepath.Join(r.tools, "chart")
	if _, err := output(ctx, nil, chart, "dist", "-image", r.image, "-digest", r.imageDigest, "-version", r.version, "-o", r.out); err != nil {
		return err
	}
	metadata, err := output(ctx, nil, chart, "metadata", "-version", r.version)
	if err != nil {
		return err
	}
	found, err := filepath.Glob(filepath.Join(r.out, "sentry-*.tgz"))
	if err != nil || len(found) != 1 {
		return fmt.Errorf("%s made the charts %q, want one", chart, found)
	}
	tgz, err := os.ReadFile(found[0])
	if err != nil {
		return err
	}
	repository := r.image[:strings.LastIndexByte(r.image, ':')]
	version := strings.TrimSuffix(strings.TrimPrefix(filepath.Base(found[0]), "sentry-"), ".tgz")
	tag, err := name.NewTag(path.Join(path.Dir(repository), "charts", "sentry") + ":" + strings.ReplaceAll(version, "+", "_"))
	if err != nil {
		return err
	}
	return oci.WriteChart(filepath.Join(r.out, "sentry_"+r.version+"_chart.tar"), tag, tgz, []byte(metadata))
}
