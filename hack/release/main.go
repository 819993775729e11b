// Command release makes all files of a release from the commit that is checked out:
//
//	release -version v1.2.3 -image ghcr.io/tekton-sentry/sentry:v1.2.3 -tools bin [-key KEY] [-platforms OS/ARCH,…] [-o dist]
//
// The same commit gives the same bytes, wherever and whenever it runs, with the same version of Go: no time, path, user or order of
// a file system gets into a file. docs/releasing.md says which files there are, and how to tell that two releases are the same.
package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"flag"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "release:", err)
		os.Exit(1)
	}
}

// release is what all files are made from.
type release struct {
	version string // v1.2.3
	image   string // with its tag
	commit  string // 40 hex digits
	date    string // of the commit, as 2006-01-02
	source  string // URL of the repository
	builder string // URI of who runs this: see provenance
	tools   string // directory with chart and cyclonedx-gomod
	out     string
	targets []platform

	manual      map[string][]byte // man pages and completions, by their path in an archive
	imageDigest string            // sha256:…
}

// platform is what one binary is for, as Go calls it.
type platform struct{ os, arch string }

func (p platform) String() string { return p.os + "/" + p.arch }

// here is this machine's.
func here() platform { return platform{runtime.GOOS, runtime.GOARCH} }

// name returns the first part of the names of the platform's files.
func (r *release) name(p platform) string {
	return fmt.Sprintf("sentry_%s_%s_%s", r.version, p.os, p.arch)
}

// program returns the file name of the binary.
func (p platform) program() string {
	if p.os == "windows" {
		return "sentry.exe"
	}
	return "sentry"
}

const allPlatforms = "linux/amd64,linux/arm64,darwin/amd64,darwin/arm64,windows/amd64,windows/arm64"

// isVersion matches what may be part of a file name, a tag of an image and a URL.
var isVersion = regexp.MustCompile(`^v?[0-9A-Za-z][0-9A-Za-z._-]{0,60}$`)

func run(ctx context.Context, args []string) error {
	r := &release{}
	flags := flag.NewFlagSet("release", flag.ContinueOnError)
	flags.StringVar(&r.version, "version", "", "of Sentry, such as v1.2.3")
	flags.StringVar(&r.image, "image", "", "where the image will be, with its tag")
	flags.StringVar(&r.source, "source", "https://github.com/tekton-sentry/sentry", "the repository, of which the release will be one")
	flags.StringVar(&r.builder, "builder", "", "URI of who makes it, for the provenance (default: docs/releasing.md of the repository)")
	flags.StringVar(&r.tools, "tools", "bin", "directory with the programs chart and cyclonedx-gomod")
	flags.StringVar(&r.out, "o", "dist", "directory for the files; what is there goes")
	key := flags.String("key", "", "SSH key to sign with, Ed25519; none leaves the release unsigned")
	platforms := flags.String("platforms", allPlatforms, "what to make binaries for")
	if err := flags.Parse(args); err != nil {
		return err
	}
	for p := range strings.SplitSeq(*platforms, ",") {
		system, arch, ok := strings.Cut(p, "/")
		if !ok {
			return fmt.Errorf("-platforms: %q is no OS/ARCH", p)
		}
		r.targets = append(r.targets, platform{system, arch})
	}
	if r.builder == "" {
		r.builder = r.source + "/blob/main/docs/releasing.md"
	}
	if !isVersion.MatchString(r.version) {
		return fmt.Errorf("-version is %q, want one such as v1.2.3", r.version)
	}
	if !strings.HasSuffix(r.image, ":"+r.version) {
		return fmt.Errorf("-image is %s, and its tag is not the version %s", r.image, r.version)
	}
	return r.make(ctx, *key)
}

// make makes all files, each from those before.
func (r *release) make(ctx context.Context, key string) error {
	if err := r.look(ctx); err != nil {
		return err
	}
	if err := os.RemoveAll(r.out); err != nil {
		return err
	}
	if err := os.MkdirAll(r.out, 0o755); err != nil {
		return err
	}
	work, err := os.MkdirTemp("", "sentry-release")
	if err != nil {
		return err
	}
	defer os.RemoveAll(work)
	for _, step := range []func(context.Context, string) error{r.binaries, r.manuals, r.archives, r.boms, r.images, r.installations, r.packages} {
		if err := step(ctx, work); err != nil {
			return err
		}
	}
	if err := r.provenance(ctx); err != nil {
		return err
	}
	sums, err := r.checksums()
	if err != nil {
		return err
	}
	if err := r.write(sumsFile, sums); err != nil {
		return err
	}
	if key == "" {
		fmt.Fprintln(os.Stderr, "release: it is not signed, as there is no -key")
		return nil
	}
	return sign(ctx, key, filepath.Join(r.out, sumsFile))
}

func (r *release) write(name string, data []byte) error {
	return os.WriteFile(filepath.Join(r.out, name), data, 0o644)
}

// look finds out what is checked out, which must be a commit and nothing else.
func (r *release) look(ctx context.Context) error {
	changes, err := output(ctx, nil, "git", "status", "--porcelain")
	if err != nil {
		return err
	}
	if changes != "" {
		return fmt.Errorf("a release is made from a commit, and these files are not as it has them:\n%s", changes)
	}
	if r.commit, err = output(ctx, nil, "git", "rev-parse", "HEAD"); err != nil {
		return err
	}
	r.date, err = output(ctx, []string{"TZ=UTC0"}, "git", "log", "-1", "--format=%cd", "--date=format-local:%Y-%m-%d")
	return err
}

// binaries builds the programs, in work/OS_ARCH, and one that runs here.
func (r *release) binaries(ctx context.Context, work string) error {
	for _, p := range slices.Concat(r.targets, []platform{here()}) {
		file := r.binary(work, p)
		if _, err := os.Stat(file); err == nil {
			continue
		}
		fmt.Fprintln(os.Stderr, "release: sentry for", p)
		_, err := output(ctx, []string{"CGO_ENABLED=0", "GOFLAGS=", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0", "GOOS=" + p.os, "GOARCH=" + p.arch},
			"go", "build", "-tags", "grpcnotrace", "-trimpath", "-buildvcs=false", "-ldflags", r.ldflags(), "-o", file, "./cmd/sentry")
		if err != nil {
			return err
		}
	}
	return nil
}

// ldflags are those of `make build`, and the commit: what Go notes of it by itself is there only where it builds beside a .git.
func (r *release) ldflags() string {
	const cli = "github.com/tekton-sentry/sentry/pkg/cli."
	return fmt.Sprintf("-s -w -buildid= -X %sversion=%s -X %srevision=%s", cli, r.version, cli, r.commit)
}

func (r *release) binary(work string, p platform) string {
	return filepath.Join(work, p.os+"_"+p.arch, p.program())
}

// boms writes a CycloneDX bill of materials for each binary.
func (r *release) boms(ctx context.Context, work string) error {
	for _, p := range r.targets {
		_, err := output(ctx, nil, filepath.Join(r.tools, "cyclonedx-gomod"), "bin", "-json", "-std", "-noserial", "-notimestamp",
			"-version", r.version, "-output", filepath.Join(r.out, r.name(p)+".cdx.json"), r.binary(work, p))
		if err != nil {
			return err
		}
	}
	return nil
}

const sumsFile = "SHA256SUMS"

// checksums returns what `sha256sum` prints of all files so far.
func (r *release) checksums() ([]byte, error) {
	sums, err := r.sums()
	if err != nil {
		return nil, err
	}
	var text []byte
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		text = fmt.Appendf(text, "%s  %s\n", sums[name], name)
	}
	return text, nil
}

// sums returns the SHA-256 of each file so far, as hex digits, by the name.
func (r *release) sums() (map[string]string, error) {
	entries, err := os.ReadDir(r.out)
	if err != nil {
		return nil, err
	}
	sums := map[string]string{}
	for _, e := range entries {
		data, err := os.ReadFile(filepath.Join(r.out, e.Name()))
		if err != nil {
			return nil, err
		}
		sums[e.Name()] = fmt.Sprintf("%x", sha256.Sum256(data))
	}
	return sums, nil
}

// sign writes FILE.sig, which `ssh-keygen -Y verify` checks. A key that asks for its passphrase asks on the terminal.
func sign(ctx context.Context, key, file string) error {
	public, err := output(ctx, nil, "ssh-keygen", "-l", "-f", key)
	if err != nil {
		return err
	}
	if !strings.HasSuffix(public, "(ED25519)") {
		return errors.New("-key: want an Ed25519 key, with which the same file has the same signature: ssh-keygen -t ed25519")
	}
	if err := os.Remove(file + ".sig"); err != nil && !os.IsNotExist(err) {
		return err
	}
	cmd := exec.CommandContext(ctx, "ssh-keygen", "-Y", "sign", "-f", key, "-n", "sentry-release", file)
	cmd.Stdin, cmd.Stderr = os.Stdin, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("sign %s: %w", file, err)
	}
	return nil
}

// output runs a program, with these variables added to the environment, and returns what it prints, without the last line's end.
func output(ctx context.Context, env []string, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(os.Environ(), env...)
	var problem strings.Builder
	cmd.Stderr = &problem
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, problem.String())
	}
	return strings.TrimRight(string(out), "\n"), nil
}
