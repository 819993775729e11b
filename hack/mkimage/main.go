// Command mkimage makes a container image of files, without a container engine:
//
//	mkimage -tag NAME [-o out.tar] [-push] [-entrypoint ARG]… [-env K=V]… [-label K=V]… [-user UID:GID] [-arch ARCH]… SRC[:DEST]…
//	mkimage -tag NAME -push -from out.tar
//
// Its programs start in /. Each SRC, a file or a directory, becomes one layer; DEST is where it goes, by default its own path. Every image
// has a /tmp that anybody can write to. The same files give the same bytes: times are fixed, owners are root, a
// mode is 0755 or 0644. -o writes an archive for `docker load` and `ctr images import`; -push sends the image to
// the registry that the tag names, with the credentials of `docker login`.
//
// With several -arch it is one image for all of them, {arch} in a SRC stands for each, and the archive is an OCI archive. Such an archive,
// also one of a Helm chart, is what -from pushes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"

	"github.com/tekton-sentry/sentry/hack/oci"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	config := v1.Config{WorkingDir: "/", Labels: map[string]string{}} // which is the default, but not for every program that runs images
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, s); return nil }
	}
	var archs []string
	tagName := flags.String("tag", "", "name of the image")
	out := flags.String("o", "", "archive to write")
	push := flags.Bool("push", false, "push to the registry of the tag")
	from := flags.String("from", "", "OCI archive to push, in place of files")
	flags.Func("arch", "architecture of the files, as Go calls it; repeatable (default "+runtime.GOARCH+")", list(&archs))
	flags.StringVar(&config.User, "user", "65532:65532", "user and group that the program runs as")
	flags.Func("entrypoint", "the program; repeat it for each argument", list(&config.Entrypoint))
	flags.Func("env", "environment variable K=V; repeatable", list(&config.Env))
	flags.Func("label", "label K=V; repeatable", func(s string) error {
		key, value, ok := strings.Cut(s, "=")
		config.Labels[key] = value
		if !ok {
			return errors.New("want K=V")
		}
		return nil
	})
	if err := flags.Parse(args); err != nil {
		return err
	}
	credentials := remote.WithAuthFromKeychain(authn.DefaultKeychain)
	tag, err := name.NewTag(*tagName)
	switch {
	case *from != "" && (flags.NArg() > 0 || *out != "" || !*push):
		return errors.New("-from is an archive for -push, and goes with no SRC and no -o")
	case *from == "" && (flags.NArg() == 0 || *out == "" && !*push):
		return errors.New("nothing to do: give at least one SRC[:DEST], and -o or -push")
	case err != nil:
		return fmt.Errorf("-tag: %w", err)
	case *from != "":
		digest, err := oci.Push(tag, *from, credentials)
		if err != nil {
			return fmt.Errorf("push %s: %w", tag, err)
		}
		fmt.Printf("%s@%s\n", tag, digest)
		return nil
	case len(archs) > 1:
		return several(flags.Args(), config, archs, tag, *out, *push, credentials)
	case len(archs) == 0:
		archs = []string{runtime.GOARCH}
	}
	img, err := oci.Image(flags.Args(), config, archs[0])
	if err != nil {
		return err
	}
	if *out != "" {
		if err := tarball.WriteToFile(*out, tag, img); err != nil {
			return fmt.Errorf("write %s: %w", *out, err)
		}
	}
	if *push {
		if err := remote.Write(tag, img, credentials); err != nil {
			return fmt.Errorf("push %s: %w", tag, err)
		}
	}
	return nil
}

func several(sources []string, config v1.Config, archs []string, tag name.Tag, out string, push bool, credentials remote.Option) error {
	index, err := oci.Index(sources, config, archs)
	if err != nil {
		return err
	}
	if out != "" {
		if err := oci.WriteIndex(out, tag, index); err != nil {
			return fmt.Errorf("write %s: %w", out, err)
		}
	}
	if push {
		if err := remote.WriteIndex(tag, index, credentials); err != nil {
			return fmt.Errorf("push %s: %w", tag, err)
		}
	}
	return nil
}
