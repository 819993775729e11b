package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"debug/elf"
	"debug/macho"
	"debug/pe"
	"encoding/json"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-containerregistry/pkg/crane"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"

	"github.com/tekton-sentry/sentry/hack/oci"
)

const root = "../.."

var platforms = flag.String("platforms", "linux/"+runtime.GOARCH, "what TestTwoClones makes releases for")

// command runs a program in a directory, with these variables, and returns what it prints.
func command(t *testing.T, dir string, env []string, program string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), program, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %q: %v\n%s", program, args, err, out)
	}
	return string(out)
}

// files returns what the files of a directory hold, by their name.
func files(t *testing.T, dir string) map[string][]byte {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string][]byte{}
	for _, e := range entries {
		if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

// newKey makes a key to sign with, and returns its file.
func newKey(t *testing.T, kind string) string {
	t.Helper()
	key := filepath.Join(t.TempDir(), "key")
	command(t, "", nil, "ssh-keygen", "-q", "-t", kind, "-N", "", "-C", "", "-f", key)
	return key
}

// TestTwoClones makes a release of the commit that is checked out in each of two clones: in other folders, by somebody with another
// umask, time zone and home, of files with other times.
func TestTwoClones(t *testing.T) {
	const version = "v1.2.3"
	key := newKey(t, "ed25519")
	var caches []string // and the settings, of the one who builds: another home would have others
	for _, name := range []string{"GOCACHE", "GOMODCACHE", "GOENV"} {
		caches = append(caches, name+"="+strings.TrimSpace(command(t, "", nil, "go", "env", name)))
	}
	var clones [2]map[string][]byte
	for i, in := range []struct{ folder, umask, zone string }{{"a", "022", "UTC"}, {"b/a folder that is deeper", "077", "Pacific/Kiritimati"}} {
		dir := filepath.Join(t.TempDir(), in.folder)
		if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
			t.Fatal(err)
		}
		command(t, "", nil, "git", "clone", "--quiet", root, dir)
		day := time.Date(2020+i, 1, 1, 0, 0, 0, 0, time.UTC)
		for _, name := range []string{"README.md", "LICENSE", "cmd/sentry/main.go", "manifests/sentry.yaml", "charts/sentry/values.yaml"} {
			if err := os.Chtimes(filepath.Join(dir, name), day, day); err != nil {
				t.Fatal(err)
			}
		}
		command(t, dir, append(caches, "TZ="+in.zone, "HOME="+t.TempDir(), "GOFLAGS=-modcacherw"), "sh", "-c", `umask "$1"; shift; exec make -s release "$@"`, "sh",
			in.umask, "VERSION="+version, "PLATFORMS="+*platforms, "KEY="+key)
		clones[i] = files(t, filepath.Join(dir, "dist"))
	}
	for name, first := range clones[0] {
		second, ok := clones[1][name]
		if !ok || !bytes.Equal(first, second) {
			t.Errorf("%s is not the same in two clones: %d and %d bytes", name, len(first), len(second))
		}
	}
	if len(clones[0]) != len(clones[1]) {
		t.Errorf("one clone gives %d files, and the other one %d", len(clones[0]), len(clones[1]))
	}
	check(t, clones[0], version, key)
}

// check holds the files of a release to what docs/releasing.md promises.
func check(t *testing.T, dist map[string][]byte, version, key string) {
	t.Helper()
	want := []string{sumsFile, sumsFile + ".sig", "install-ha.yaml", "install-namespaced.yaml", "install.yaml", "sentry-" + version[1:] + ".tgz",
		"sentry.krew.yaml", "sentry.rb", "sentry_" + version + ".intoto.json", "sentry_" + version + "_chart.tar", "sentry_" + version + "_image.tar"}
	for p := range strings.SplitSeq(*platforms, ",") {
		system, arch, _ := strings.Cut(p, "/")
		base := fmt.Sprintf("sentry_%s_%s_%s", version, system, arch)
		want = append(want, base+".cdx.json", base+map[bool]string{true: ".zip", false: ".tar.gz"}[system == "windows"])
	}
	slices.Sort(want)
	var got []string
	for name := range dist {
		got = append(got, name)
	}
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Fatalf("files:\ngot  %q\nwant %q", got, want)
	}

	// As docs/install.md has people check.
	dir := t.TempDir()
	for name, data := range dist {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	verify(t, dir, key)
	if out := command(t, dir, nil, "sha256sum", "--check", "--strict", sumsFile); strings.Count(out, ": OK\n") != len(dist)-2 {
		t.Errorf("the checksums are of some files only:\n%s", out)
	}

	var s statement
	if err := json.Unmarshal(dist["sentry_"+version+".intoto.json"], &s); err != nil {
		t.Fatal(err)
	}
	digest := ""
	for _, subject := range s.Subject {
		if file, ok := dist[subject.Name]; ok && subject.Digest["sha256"] != fmt.Sprintf("%x", sha256.Sum256(file)) {
			t.Errorf("the provenance has another checksum of %s", subject.Name)
		} else if !ok {
			digest = "sha256:" + subject.Digest["sha256"]
		}
	}
	if len(s.Subject) != len(dist)-2 || len(s.Predicate.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"]) != 40 { // the image, less three
		t.Errorf("the provenance is of %d files: %+v", len(s.Subject), s)
	}
	if !strings.Contains(string(dist["install.yaml"]), "image: ghcr.io/tekton-sentry/sentry:"+version+"@"+digest+"\n") {
		t.Errorf("install.yaml does not have the image of the provenance, %s", digest)
	}
	image(t, filepath.Join(dir, "sentry_"+version+"_image.tar"), digest)
	for p := range strings.SplitSeq(*platforms, ",") {
		system, arch, _ := strings.Cut(p, "/")
		binary(t, dir, fmt.Sprintf("sentry_%s_%s_%s", version, system, arch), system, arch)
	}
	if strings.Contains(*platforms, here().String()) {
		said := command(t, "", nil, install(t, dir, version), "version")
		commit := s.Predicate.BuildDefinition.ResolvedDependencies[0].Digest["gitCommit"]
		if !strings.HasPrefix(said, "sentry "+version+" ("+commit+", ") {
			t.Errorf("the program says %q, want version %s of %s", said, version, commit)
		}
	}
}

// verify checks the signature, as docs/install.md says.
func verify(t *testing.T, dir, key string) {
	t.Helper()
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "signers"), append([]byte("sentry "), public...), 0o600); err != nil {
		t.Fatal(err)
	}
	line := "ssh-keygen -Y verify -f signers -I sentry -n sentry-release -s " + sumsFile + ".sig <"
	command(t, dir, nil, "sh", "-c", line+sumsFile)
	if out, err := exec.CommandContext(t.Context(), "sh", "-c", "cd '"+dir+"'; echo | "+strings.TrimSuffix(line, "<")).CombinedOutput(); err == nil {
		t.Errorf("the signature is one of other checksums, too: %s", out)
	}
}

// install does what docs/install.md has people type on a machine without Go, and returns the program. The files of the release are on a
// server of ours.
func install(t *testing.T, dist, version string) string {
	t.Helper()
	page, err := os.ReadFile(root + "/docs/install.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(page), "## From a release\n")
	_, block, _ = strings.Cut(block, "```sh\n")
	block, _, ok := strings.Cut(block, "```\n")
	server := httptest.NewServer(http.FileServer(http.Dir(dist)))
	defer server.Close()
	for from, to := range map[string]string{
		"https://github.com/tekton-sentry/sentry/releases/download/$VERSION": server.URL,
		"VERSION=v1.2.3 OS=linux ARCH=amd64":                                 "VERSION=" + version + " OS=" + runtime.GOOS + " ARCH=" + runtime.GOARCH,
	} {
		if !ok || !strings.Contains(block, from) {
			t.Fatalf("docs/install.md has no %q among the commands", from)
		}
		block = strings.ReplaceAll(block, from, to)
	}
	home, work := t.TempDir(), t.TempDir()
	signers, err := os.ReadFile(filepath.Join(dist, "signers"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, "allowed_signers"), signers, 0o600); err != nil {
		t.Fatal(err)
	}
	command(t, work, []string{"HOME=" + home, "PATH=/usr/bin:/bin"}, "sh", "-euc", block)
	return filepath.Join(home, ".local", "bin", "kubectl-sentry")
}

// image pushes the image's archive to a registry, and looks at what is there then.
func image(t *testing.T, archive, digest string) {
	t.Helper()
	server := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	defer server.Close()
	tag, err := name.NewTag(strings.TrimPrefix(server.URL, "http://") + "/sentry:v1")
	if err != nil {
		t.Fatal(err)
	}
	if pushed, err := oci.Push(tag, archive); err != nil || pushed.String() != digest {
		t.Fatalf("pushed %s, %v, want %s", pushed, err, digest)
	}
	for p := range strings.SplitSeq(*platforms, ",") {
		system, arch, _ := strings.Cut(p, "/")
		if system != "linux" {
			continue
		}
		img, err := remote.Image(tag, remote.WithPlatform(v1.Platform{OS: "linux", Architecture: arch}))
		if err != nil {
			t.Fatal(err)
		}
		var content bytes.Buffer
		if err := crane.Export(img, &content); err != nil {
			t.Fatal(err)
		}
		inside := untar(t, &content)
		isFor(t, inside["sentry"], "linux", arch)
		if block, rest := pem.Decode(inside["etc/ssl/certs/ca-certificates.crt"]); block == nil || len(rest) < 50_000 {
			t.Errorf("the image has %d bytes of certificates", len(rest))
		}
	}
}

// binary looks into the archive of a platform.
func binary(t *testing.T, dir, base, system, arch string) {
	t.Helper()
	var inside map[string][]byte
	program := platform{system, arch}.program()
	if system == "windows" {
		inside = unzip(t, filepath.Join(dir, base+".zip"))
	} else {
		f, err := os.Open(filepath.Join(dir, base+".tar.gz"))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		unpacked, err := gzip.NewReader(f)
		if err != nil {
			t.Fatal(err)
		}
		inside = untar(t, unpacked)
	}
	for _, name := range []string{program, "LICENSE", "man/man1/sentry.1", "man/man1/sentry-watch.1", "completions/bash/sentry",
		"completions/zsh/_sentry", "completions/fish/sentry.fish", "completions/powershell/sentry.ps1"} {
		if len(inside[name]) == 0 {
			t.Errorf("%s has no %s", base, name)
		}
	}
	isFor(t, inside[program], system, arch)
	bom, err := os.ReadFile(filepath.Join(dir, base+".cdx.json"))
	if err != nil {
		t.Fatal(err)
	}
	var materials struct {
		BOMFormat  string
		Components []struct{ Name, Version string }
	}
	if err := json.Unmarshal(bom, &materials); err != nil || materials.BOMFormat != "CycloneDX" {
		t.Fatalf("%s.cdx.json is a %q, %v", base, materials.BOMFormat, err)
	}
	for _, name := range []string{"std", "github.com/tektoncd/pipeline", "k8s.io/client-go"} {
		if !slices.ContainsFunc(materials.Components, func(c struct{ Name, Version string }) bool { return c.Name == name && c.Version != "" }) {
			t.Errorf("%s.cdx.json does not name %s", base, name)
		}
	}
}

func unzip(t *testing.T, file string) map[string][]byte {
	t.Helper()
	z, err := zip.OpenReader(file)
	if err != nil {
		t.Fatal(err)
	}
	defer z.Close()
	all := map[string][]byte{}
	for _, f := range z.File {
		if all[f.Name], err = fs.ReadFile(z, f.Name); err != nil {
			t.Fatal(err)
		}
	}
	return all
}

func untar(t *testing.T, r io.Reader) map[string][]byte {
	t.Helper()
	all := map[string][]byte{}
	for tr := tar.NewReader(r); ; {
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if all[h.Name], err = io.ReadAll(tr); err != nil {
			t.Fatal(err)
		}
	}
}

// isFor looks at the head of a program.
func isFor(t *testing.T, program []byte, system, arch string) {
	t.Helper()
	r := bytes.NewReader(program)
	want := map[string]any{
		"linux/amd64": elf.EM_X86_64, "linux/arm64": elf.EM_AARCH64, "darwin/amd64": macho.CpuAmd64, "darwin/arm64": macho.CpuArm64,
		"windows/amd64": uint16(pe.IMAGE_FILE_MACHINE_AMD64), "windows/arm64": uint16(pe.IMAGE_FILE_MACHINE_ARM64),
	}[system+"/"+arch]
	var machine any
	var err error
	switch system {
	case "linux":
		var f *elf.File
		if f, err = elf.NewFile(r); err == nil {
			machine = f.Machine
			if f.Section(".interp") != nil {
				t.Errorf("the program for %s/%s is not static", system, arch)
			}
		}
	case "darwin":
		var f *macho.File
		if f, err = macho.NewFile(r); err == nil {
			machine = f.Cpu
		}
	case "windows":
		var f *pe.File
		if f, err = pe.NewFile(r); err == nil {
			machine = f.Machine
		}
	}
	if err != nil || want == nil || machine != want {
		t.Errorf("the program for %s/%s is for %v, %v; want %v", system, arch, machine, err, want)
	}
}
