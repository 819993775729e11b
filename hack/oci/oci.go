// Package oci makes container images of files, without a container engine, and archives of them. The same files give the same
// bytes: times are fixed, owners are root, a mode is 0755 or 0644.
package oci

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/layout"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// Image makes an image for Linux on an architecture, as Go calls it. Each source is SRC[:DEST], a file or a directory, and becomes one
// layer; DEST is where it goes, by default its own path. There is a /tmp that anybody can write to.
func Image(sources []string, config v1.Config, arch string) (v1.Image, error) {
	img, err := mutate.ConfigFile(empty.Image, &v1.ConfigFile{OS: "linux", Architecture: arch, Config: config})
	if err != nil {
		return nil, err
	}
	writable := func(w *tar.Writer) error {
		return w.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: "tmp/", Mode: 0o1777})
	}
	img = mutate.ConfigMediaType(mutate.MediaType(img, types.OCIManifestSchema1), types.OCIConfigJSON)
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

// Index makes one image for several architectures: {arch} in a source stands for each.
func Index(sources []string, config v1.Config, archs []string) (v1.ImageIndex, error) {
	index := mutate.IndexMediaType(empty.Index, types.OCIImageIndex)
	for _, arch := range archs {
		own := slices.Clone(sources)
		for i := range own {
			own[i] = strings.ReplaceAll(own[i], "{arch}", arch)
		}
		img, err := Image(own, config, arch)
		if err != nil {
			return nil, err
		}
		index = mutate.AppendManifests(index, mutate.IndexAddendum{
			Add: img, Descriptor: v1.Descriptor{Platform: &v1.Platform{OS: "linux", Architecture: arch}},
		})
	}
	return index, nil
}

func appendLayer(img v1.Image, write func(*tar.Writer) error) (v1.Image, error) {
	var buf bytes.Buffer
	w := tar.NewWriter(&buf)
	if err := errors.Join(write(w), w.Close()); err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(buf.Bytes())), nil
	}, tarball.WithMediaType(types.OCILayer))
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

// WriteIndex writes an OCI archive, which `ctr images import`, `podman load` and `skopeo copy oci-archive:` take, and Push.
func WriteIndex(file string, tag name.Tag, index v1.ImageIndex) error {
	return write(file, func(l layout.Path) error { return l.AppendIndex(index, layout.WithAnnotations(named(tag))) })
}

// write makes an archive of an empty layout that add adds to.
func write(file string, add func(layout.Path) error) error {
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	l, err := layout.Write(dir, empty.Index)
	if err != nil {
		return err
	}
	if err := add(l); err != nil {
		return err
	}
	return archive(file, dir)
}

// named are the annotations by which an archive says what it holds: the name as containerd wants it, and the tag alone.
func named(tag name.Tag) map[string]string {
	return map[string]string{"io.containerd.image.name": tag.Name(), "org.opencontainers.image.ref.name": tag.TagStr()}
}

// archive makes a tar file of the directory.
func archive(file, dir string) error {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	w := tar.NewWriter(f)
	return errors.Join(tree(w, dir, "/"), w.Close(), f.Close())
}

// WriteChart writes an OCI archive of the Helm chart in the archive tgz, as `helm push` would have it in a registry. The metadata are what
// Chart.yaml says, as JSON.
func WriteChart(file string, tag name.Tag, tgz, metadata []byte) error {
	return write(file, func(l layout.Path) (err error) {
		blob := func(mediaType types.MediaType, data []byte) v1.Descriptor {
			hash := v1.Hash{Algorithm: "sha256", Hex: fmt.Sprintf("%x", sha256.Sum256(data))}
			err = errors.Join(err, l.WriteBlob(hash, io.NopCloser(bytes.NewReader(data))))
			return v1.Descriptor{MediaType: mediaType, Size: int64(len(data)), Digest: hash}
		}
		manifest, jsonErr := json.Marshal(v1.Manifest{
			SchemaVersion: 2, MediaType: types.OCIManifestSchema1,
			Config: blob("application/vnd.cncf.helm.config.v1+json", metadata),
			Layers: []v1.Descriptor{blob("application/vnd.cncf.helm.chart.content.v1.tar+gzip", tgz)},
		})
		d := blob(types.OCIManifestSchema1, manifest)
		d.Annotations = named(tag)
		if err := errors.Join(err, jsonErr); err != nil {
			return err
		}
		return l.AppendDescriptor(d)
	})
}

// Push sends what an OCI archive holds to the registry of the tag, and returns its digest.
func Push(tag name.Tag, file string, options ...remote.Option) (v1.Hash, error) {
	dir, err := os.MkdirTemp("", "oci")
	if err != nil {
		return v1.Hash{}, err
	}
	defer os.RemoveAll(dir)
	if err := extract(file, dir); err != nil {
		return v1.Hash{}, fmt.Errorf("%s: %w", file, err)
	}
	all, err := layout.ImageIndexFromPath(dir)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("%s is no OCI archive: %w", file, err)
	}
	manifest, err := all.IndexManifest()
	if err != nil {
		return v1.Hash{}, err
	}
	if len(manifest.Manifests) != 1 {
		return v1.Hash{}, fmt.Errorf("%s holds %d images, want one", file, len(manifest.Manifests))
	}
	d := manifest.Manifests[0]
	var what remote.Taggable
	if d.MediaType.IsIndex() {
		what, err = all.ImageIndex(d.Digest)
	} else {
		what, err = all.Image(d.Digest)
	}
	if err != nil {
		return v1.Hash{}, err
	}
	return d.Digest, remote.Push(tag, what, options...)
}

// extract lays a tar file of files and directories out. Names that lead out of dir are an error.
func extract(file, dir string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	defer root.Close()
	for r := tar.NewReader(f); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch h.Typeflag {
		case tar.TypeDir:
			err = root.MkdirAll(path.Clean(h.Name), 0o755)
		case tar.TypeReg:
			var to *os.File
			if to, err = root.Create(h.Name); err == nil {
				_, err = io.Copy(to, r)
				err = errors.Join(err, to.Close())
			}
		default:
			err = fmt.Errorf("%s is neither a file nor a directory", h.Name)
		}
		if err != nil {
			return err
		}
	}
}
