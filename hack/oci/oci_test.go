package oci

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/remote"
)

// TestChart is pushed as Helm pulls it.
func TestChart(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/charts/sentry:1.2.3")
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "chart.tar")
	tgz, metadata := []byte("a chart"), []byte(`{"name":"sentry"}`)
	if err := WriteChart(file, tag, tgz, metadata); err != nil {
		t.Fatal(err)
	}
	if _, err := Push(tag, file); err != nil {
		t.Fatal(err)
	}
	img, err := remote.Image(tag)
	if err != nil {
		t.Fatal(err)
	}
	manifest, err := img.Manifest()
	if err != nil || manifest.Config.MediaType != "application/vnd.cncf.helm.config.v1+json" {
		t.Fatalf("%+v, %v, want a chart", manifest, err)
	}
	if config, err := img.RawConfigFile(); err != nil || !bytes.Equal(config, metadata) {
		t.Errorf("the metadata are %s, %v", config, err)
	}
	layers, err := img.Layers()
	if err != nil || len(layers) != 1 || manifest.Layers[0].MediaType != "application/vnd.cncf.helm.chart.content.v1.tar+gzip" {
		t.Fatalf("%d layers, %v", len(layers), err)
	}
	content, err := layers[0].Compressed()
	if err != nil {
		t.Fatal(err)
	}
	defer content.Close()
	if got, err := io.ReadAll(content); err != nil || !bytes.Equal(got, tgz) {
		t.Errorf("the chart is %q, %v", got, err)
	}
}

// TestArchiveThatLeadsOut is not laid out: somebody else may have made it.
func TestArchiveThatLeadsOut(t *testing.T) {
	for _, h := range []tar.Header{
		{Name: "../out", Typeflag: tar.TypeReg}, {Name: "/tmp/out", Typeflag: tar.TypeReg}, {Name: "../out", Typeflag: tar.TypeDir},
		{Name: "link", Linkname: "/etc", Typeflag: tar.TypeSymlink},
	} {
		dir := t.TempDir()
		file := filepath.Join(dir, "x.tar")
		f, err := os.Create(file)
		if err != nil {
			t.Fatal(err)
		}
		w := tar.NewWriter(f)
		if err := errors.Join(w.WriteHeader(&h), w.Close(), f.Close()); err != nil {
			t.Fatal(err)
		}
		if err := extract(file, filepath.Join(dir)); err == nil {
			t.Errorf("%s of type %c is laid out", h.Name, h.Typeflag)
		}
	}
}
