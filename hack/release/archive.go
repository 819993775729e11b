package main

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
)

// archives packs each binary with its licence, man pages and completions: a zip for Windows, and a tar.gz for all else.
func (r *release) archives(_ context.Context, work string) error {
	licence, err := os.ReadFile("LICENSE")
	if err != nil {
		return err
	}
	for _, p := range r.targets {
		program, err := os.ReadFile(r.binary(work, p))
		if err != nil {
			return err
		}
		files := maps.Clone(r.manual)
		files["LICENSE"], files[p.program()] = licence, program
		pack, extension := tarball, ".tar.gz"
		if p.os == "windows" {
			pack, extension = zipball, ".zip"
		}
		var data bytes.Buffer
		if err := pack(&data, files); err != nil {
			return err
		}
		if err := r.write(r.name(p)+extension, data.Bytes()); err != nil {
			return err
		}
	}
	return nil
}

// mode is that of a file of an archive.
func mode(name string) int64 {
	if strings.HasPrefix(name, "sentry") {
		return 0o755
	}
	return 0o644
}

// tarball writes the files in the order of their names, without times and owners.
func tarball(to io.Writer, files map[string][]byte) error {
	packed, err := gzip.NewWriterLevel(to, gzip.BestCompression)
	if err != nil {
		return err
	}
	w := tar.NewWriter(packed)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: name, Mode: mode(name), Size: int64(len(files[name]))}
		if err := w.WriteHeader(h); err != nil {
			return err
		}
		if _, err := w.Write(files[name]); err != nil {
			return err
		}
	}
	return errors.Join(w.Close(), packed.Close())
}

// zipball does as tarball does. A file has the first time that the format knows.
func zipball(to io.Writer, files map[string][]byte) error {
	w := zip.NewWriter(to)
	for _, name := range slices.Sorted(maps.Keys(files)) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, Modified: time.Date(1980, 1, 1, 0, 0, 0, 0, time.UTC)}
		h.SetMode(os.FileMode(mode(name)))
		file, err := w.CreateHeader(h)
		if err != nil {
			return err
		}
		if _, err := file.Write(files[name]); err != nil {
			return err
		}
	}
	return w.Close()
}
