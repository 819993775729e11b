// Command mkimage makes a container image of files, without a container engine:
//
//	mkimage -tag NAME [-o out.tar] [-push] [-entrypoint ARG]… [-env K=V]… [-user UID:GID] [-arch ARCH] SRC[:DEST]…
//
// Its programs start in /. Each SRC, a file or a directory, becomes one layer; DEST is where it goes, by default its own path. Every image
// has a /tmp that anybody can write to. The same files give the same bytes: times are fixed, owners are root, a
// mode is 0755 or 0644. -o writes an archive for `docker load` and `ctr images import`; -push sends the image to
// the registry that the tag names, with the credentials of `docker login`.
package main

import (
	"archive/tar"
	"bytes"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

func run(args []string) error {
	flags := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	config := v1.Config{WorkingDir: "/"} // which is the default, but not for every program that runs images
	list := func(to *[]string) func(string) error {
		return func(s string) error { *to = append(*to, s); return nil }
	}
	tagName := flags.String("tag", "", "name of the image")
	out := flags.String("o", "", "archive to write")
	push := flags.Bool("push", false, "push to the registry of the tag")
	arch := flags.String("arch", runtime.GOARCH, "architecture of the files, as Go calls it")
	flags.StringVar(&config.User, "user", "65532:65532", "user and group that the program runs as")
	flags.Func("entrypoint", "the program; repeat it for each argument", list(&config.Entrypoint))
	flags.Func("env", "environment variable K=V; repeatable", list(&config.Env))
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() == 0 || (*out == "" && !*push) {
		return errors.New("nothing to do: give at least one SRC[:DEST], and -o or -push")
	}
	tag, err := name.NewTag(*tagName)
	if err != nil {
		return fmt.Errorf("-tag: %w", err)
	}
	img, err := image(flags.Args(), config, *arch)
	if err != nil {
		return err
	}
	if *out != "" {
		if err := tarball.WriteToFile(*out, tag, img); err != nil {
			return fmt.Errorf("write %s: %w", *out, err)
		}
	}
	if *push {
		if err := remote.Write(tag, img, remote.WithAuthFromKeychain(authn.DefaultKeychain)); err != nil {
			return fmt.Errorf("push %s: %w", tag, err)
		}
	}
	return nil
}

func image(sources []string, config v1.Config, arch string) (v1.Image, error) {
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: arch, Config: config})
	if err != nil {
		return nil, err
	}
	writable := func(w *tar.Writer) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777})
	}
	if img, err = appendLayer(img, writable); err != nil {
		return nil, err
	}
	for _, source := range sources {
		src, dest, ok := strings.Cut(source, ":")
		if !ok {
			if dest, err = filepath.Abs(src); err != nil {
				return nil, err
			}
		}
		img, err = appendLayer(img, func(w *tar.Writer) error { return tree(w, src, dest) })
		if err != nil {
			return nil, fmt.Errorf("%s: %w", src, err)
		}
	}
	return img, nil
}

func appendLayer(img v1.Image, write func(*tar.Writer) error) (v1.Image, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := errors.Join(write(w), w.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	})
	if err != nil {
		return nil, err
	}
	return mutate.AppendLayers(img, layer)
}

// tree writes src, at dest in the image, in the order of filepath.WalkDir, which is sorted. A link that is
// src itself is followed, one inside of it is kept.
func tree(w *tar.Writer, src, dest string) error {
	src, err := filepath.EvalSymlinks(src)
	if err != nil {
		return err
	}
	return filepath.WalkDir(src, func(p string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel := filepath.ToSlash(strings.TrimPrefix(p, src))
		h := &tar.Header{Name: strings.TrimPrefix(path.Join("/", dest, rel), "/"), Mode: 0o644}
		if h.Name == "" {
			return nil
		}
		var body []byte
		switch entry.Type() {
		case fs.ModeDir:
			h.Typeflag, h.Name, h.Mode = tar.TypeDir, h.Name+"/", 0o755
		case fs.ModeSymlink:
			h.Typeflag = tar.TypeSymlink
			h.Linkname, err = os.Readlink(p)
		case 0:
			info, statErr := entry.Info()
			if statErr == nil && info.Mode()&0o111 != 0 {
				h.Mode = 0o755
			}
			body, err = os.ReadFile(p)
			h.Size, err = int64(len(body)), errors.Join(err, statErr)
		default:
			err = fmt.Errorf("%s is neither a file, a directory nor a link", p)
		}
		if err != nil {
			return err
		}
		if err = w.WriteHeader(h); err == nil {
			_, err = w.Write(body)
		}
		return err
	})
}
