package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// writeFiles makes a program, a text and a link in a new directory.
func writeFiles(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	err := errors.Join(
		os.WriteFile(filepath.Join(dir, "program"), []byte("#!/bin/sh\n"), 0o700),
		os.WriteFile(filepath.Join(dir, "text"), []byte("a text\n"), 0o600),
		os.Symlink("text", filepath.Join(dir, "link")),
	)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestArchive(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out.tar")
	err := run([]string{"-tag", "localhost/sentry-test/x:dev", "-o", out, "-entrypoint", "/app/program",
		"-entrypoint", "-v", "-env", "A=b", writeFiles(t) + ":/app"})
	if err != nil {
		t.Fatal(err)
	}
	img, err := tarball.ImageFromPath(out, nil)
	if err != nil {
		t.Fatal(err)
	}
	config, err := img.ConfigFile()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(config.Config.Entrypoint, " "), "/app/program -v"; got != want {
		t.Errorf("entrypoint: got %q, want %q", got, want)
	}
	if got, want := config.Config.WorkingDir, "/"; got != want {
		t.Errorf("working directory: got %q, want %q", got, want)
	}
	if got, want := config.Config.User, "65532:65532"; got != want {
		t.Errorf("user: got %q, want %q", got, want)
	}
	var files bytes.Buffer
	if err := crane.Export(img, &files); err != nil {
		t.Fatal(err)
	}
	var got []string
	for r := tar.NewReader(&files); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, h.FileInfo().Mode().String()+" "+h.Name)
		if h.Uid != 0 || !h.ModTime.Equal(time.Unix(0, 0)) {
			t.Errorf("%s: got owner %d and time %s, want 0 and the epoch", h.Name, h.Uid, h.ModTime)
		}
	}
	slices.Sort(got)
	want := []string{"-rw-r--r-- app/text", "-rwxr-xr-x app/program", "Lrw-r--r-- app/link", "drwxr-xr-x app", "dtrwxrwxrwx tmp"}
	slices.Sort(want)
	if !slices.Equal(got, want) {
		t.Errorf("files:\ngot  %q\nwant %q", got, want)
	}
}

func TestSameFilesSameBytes(t *testing.T) {
	var archives [2][]byte
	for i := range archives {
		dir, out := writeFiles(t), filepath.Join(t.TempDir(), "out.tar")
		day := time.Date(2026, 1, 1+i, 0, 0, 0, 0, time.UTC)
		if err := os.Chtimes(filepath.Join(dir, "text"), day, day); err != nil {
			t.Fatal(err)
		}
		if err := run([]string{"-tag", "an/image:dev", "-o", out, dir + ":/"}); err != nil {
			t.Fatal(err)
		}
		body, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		archives[i] = body
	}
	if !bytes.Equal(archives[0], archives[1]) {
		t.Errorf("two archives of the same files differ: %d and %d bytes", len(archives[0]), len(archives[1]))
	}
}

func TestPush(t *testing.T) {
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	tag := strings.TrimPrefix(server.URL, "http://") + "/sentry:v1"
	if err := run([]string{"-tag", tag, "-push", writeFiles(t) + ":/"}); err != nil {
		t.Fatal(err)
	}
	if _, err := crane.Pull(tag); err != nil {
		t.Errorf("the registry does not serve what was pushed to it: %v", err)
	}
}

// TestSeveralArchitectures makes one image for two, and pushes its archive as it is.
func TestSeveralArchitectures(t *testing.T) {
	dir := t.TempDir()
	archs := []string{"amd64", "arm64"}
	for _, arch := range archs {
		if err := os.WriteFile(filepath.Join(dir, "for-"+arch), []byte(arch), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	out, tag := filepath.Join(dir, "out.tar"), strings.TrimPrefix(server.URL, "http://")+"/sentry:"
	err := errors.Join(
		run([]string{"-tag", tag + "pushed", "-o", out, "-push", "-arch", "amd64", "-arch", "arm64", "-label", "a=b", dir + "/for-{arch}:/which"}),
		run([]string{"-tag", tag + "archive", "-push", "-from", out}),
	)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"pushed", "archive"} {
		for _, arch := range archs {
			img, err := crane.Pull(tag+name, crane.WithPlatform(&v1.Platform{OS: "linux", Architecture: arch}))
			if err != nil {
				t.Fatal(err)
			}
			config, err := img.ConfigFile()
			if err != nil || config.Architecture != arch || config.Config.Labels["a"] != "b" {
				t.Errorf("%s for %s: %+v, %v", name, arch, config, err)
			}
			var files bytes.Buffer
			if err := crane.Export(img, &files); err != nil || !bytes.Contains(files.Bytes(), []byte(arch)) {
				t.Errorf("%s for %s holds files of another one, %v", name, arch, err)
			}
		}
	}
}

func TestErrors(t *testing.T) {
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no source":         {[]string{"-tag", "an/image", "-o", "out.tar"}, "SRC"},
		"no output":         {[]string{"-tag", "an/image", "/etc/passwd"}, "-push"},
		"wrong name":        {[]string{"-tag", "A B", "-o", "out.tar", "/etc/passwd"}, "-tag"},
		"archive and files": {[]string{"-tag", "an/image", "-push", "-from", "x.tar", "/etc/passwd"}, "-from"},
		"no archive":        {[]string{"-tag", "an/image", "-push", "-from", "/etc/passwd"}, "/etc/passwd"},
		"label":             {[]string{"-tag", "an/image", "-o", "out.tar", "-label", "a", "/etc/passwd"}, "K=V"},
		"no file":           {[]string{"-tag", "an/image", "-o", "out.tar", "/no/such/file"}, "/no/such/file"},
	} {
		t.Run(name, func(t *testing.T) {
			err := run(test.args)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("mkimage %q: got error %v, want one with %q", test.args, err, test.want)
			}
		})
	}
}
