// Package files reads the files and folders that are one configuration.
package files

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// maxTries bounds how often files are read of which one is gone once it is opened.
const maxTries = 3

// StandardInput is the name by which standard input is read. It goes alone.
const StandardInput = "-"

// Name returns what messages call the files at paths.
func Name(paths []string) string {
	if len(paths) == 1 && paths[0] == StandardInput {
		return "<stdin>"
	}
	return strings.Join(paths, ", ")
}

// Read reads files, and of each folder those that end in .yaml or .yml, by name. What is in its folders, and files that begin with a dot, is
// left out. A folder that is a mounted ConfigMap is read as it was at one moment. Texts that are together longer than any
// configuration may be are cut off.
func Read(in io.Reader, paths []string) (schema.Files, error) {
	if slices.Contains(paths, StandardInput) {
		if len(paths) > 1 {
			return nil, errors.New("- is standard input, and no other file goes with it; want it alone")
		}
		text, err := io.ReadAll(io.LimitReader(in, schema.MaxFile+1))
		if err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
		return schema.Files{{Name: Name(paths), Text: text}}, nil
	}
	read, err := readOnce(paths)
	for try := 1; try < maxTries && errors.Is(err, fs.ErrNotExist); try++ { // the kubelet may have taken it away
		read, err = readOnce(paths)
	}
	return read, err
}

func readOnce(paths []string) (schema.Files, error) {
	there, err := list(paths)
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	left := int64(schema.MaxFile + 1) // one byte more than is allowed tells of files that are too large
	var files schema.Files
	for _, f := range there {
		text, err := f.read(left)
		if err != nil {
			return nil, fmt.Errorf("read the configuration: %w", err)
		}
		left -= int64(len(text))
		files = append(files, schema.File{Name: f.name, Text: text})
	}
	return files, nil
}

// file is where one is.
type file struct {
	name string // as people know it
	path string // where it is opened
}

func (f file) read(most int64) ([]byte, error) {
	r, err := os.Open(f.path)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	return io.ReadAll(io.LimitReader(r, most))
}

// list returns the files.
func list(paths []string) ([]file, error) {
	var files []file
	for _, path := range paths {
		if info, err := os.Stat(path); err != nil || !info.IsDir() {
			files = append(files, file{path, path}) // opening it says what is wrong with it
			continue
		}
		below, err := folder(path)
		if err != nil {
			return nil, err
		}
		files = append(files, below...)
	}
	return files, nil
}

// data is the link by which the kubelet replaces all files of a mounted ConfigMap at once: they are links that lead through it.
const data = "..data"

// folder returns the files of a folder. Those of a mounted ConfigMap are all in the folder to which the link leads now.
func folder(path string) ([]file, error) {
	version, mounted := filepath.EvalSymlinks(filepath.Join(path, data))
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	var files []file
	for _, e := range entries {
		f := file{name: filepath.Join(path, e.Name())}
		if f.path = f.name; mounted == nil {
			if target, err := os.Readlink(f.name); err == nil && strings.HasPrefix(target, data+"/") {
				f.path = filepath.Join(version, strings.TrimPrefix(target, data))
			}
		}
		if isConfiguration(f, e) {
			files = append(files, f)
		}
	}
	if len(files) == 0 {
		return nil, fmt.Errorf("the folder %s has no file that ends in .yaml or .yml", path)
	}
	return files, nil
}

// isConfiguration reports whether an entry of a folder is one of its files.
func isConfiguration(f file, e fs.DirEntry) bool {
	if ext := filepath.Ext(f.name); strings.HasPrefix(e.Name(), ".") || ext != ".yaml" && ext != ".yml" {
		return false
	}
	info, err := os.Stat(f.path)
	return err != nil || !info.IsDir() // what cannot be read is told of when it is
}

// Seen is what a glance at the files gave.
type Seen struct {
	files []file
	infos []fs.FileInfo
}

// Look glances at the files.
func Look(paths []string) (Seen, error) {
	there, err := list(paths)
	if err != nil {
		return Seen{}, err
	}
	s := Seen{files: there}
	for _, f := range there {
		info, err := os.Stat(f.path)
		if err != nil {
			return Seen{}, err
		}
		s.infos = append(s.infos, info)
	}
	return s, nil
}

// Regular reports whether all can be read again: a pipe cannot.
func (s Seen) Regular() bool {
	return !slices.ContainsFunc(s.infos, func(info fs.FileInfo) bool { return !info.Mode().IsRegular() })
}

// Same reports whether nothing changed between two looks.
func (s Seen) Same(before Seen) bool {
	return before.infos != nil && slices.Equal(s.files, before.files) && slices.EqualFunc(s.infos, before.infos, func(a, b fs.FileInfo) bool {
		return os.SameFile(a, b) && a.ModTime().Equal(b.ModTime()) && a.Size() == b.Size()
	})
}
