package schema

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"

	"gopkg.in/yaml.v3"
)

// File is one text of a configuration.
type File struct {
	Name string // what messages call it; "" = it is the only one and has no name
	Text []byte
}

// Files are the texts that are read as one configuration, in their order.
type Files []File

// Size returns how large they are together, in bytes.
func (fs Files) Size() (size int) {
	for _, f := range fs {
		size += len(f.Text)
	}
	return size
}

// Hash returns 12 hexadecimal digits of the SHA-256 of the bytes: of the text of one, and of several with their lengths.
func (fs Files) Hash() string {
	h := sha256.New()
	for _, f := range fs {
		if len(fs) > 1 {
			_ = binary.Write(h, binary.BigEndian, int64(len(f.Text))) // a hash takes all
		}
		h.Write(f.Text)
	}
	return fmt.Sprintf("%x", h.Sum(nil))[:12]
}

// start is where one of the files begins in the tree of all.
type start struct {
	name  string
	lines int // of the files before it
	items int // of the long list in the files before it
}

// tree is the YAML tree of all files: that of the only one, or one in which the long list has the items of all of them, and each
// shared section what stands in any. A line of it is that of the file and those of the files before together.
type tree struct {
	root   *yaml.Node
	parts  *chunked // nil where the list stands in the tree
	starts []start
}

// Root returns the tree of valid files.
func Root(files Files, opts Options) (*yaml.Node, error) {
	t, err := read(files, opts, 0)
	return t.root, err
}

// read returns the tree of all files, with the list in parts of about size bytes where that is possible and size is not 0. The error is an
// Errors.
func read(files Files, opts Options, size int) (tree, error) {
	var t tree
	var errs Errors
	var roots []*yaml.Node
	lists := make([]*chunked, len(files))
	lines := 0
	for i, f := range files {
		t.starts = append(t.starts, start{name: f.Name, lines: lines})
		var root *yaml.Node
		var err error
		if size > 0 {
			root, lists[i] = chunks(f.Text, opts.List, size)
		}
		if root == nil {
			root, err = document(f.Text)
		}
		if err == nil && len(files) > 1 {
			err = fits(root, opts)
		}
		if err != nil {
			errs = append(errs, named(err, f.Name)...)
			continue
		}
		moveDown(root, 0, lines)
		lists[i].moveDown(lines)
		roots = append(roots, root)
		lines += 1 + bytes.Count(f.Text, []byte("\n")) + otherBreaks(f.Text)
	}
	switch {
	case len(errs) > 0:
		return t, errs
	case len(roots) == 1:
		t.root, t.parts = roots[0], lists[0]
	default:
		t.join(roots, lists, opts, size > 0)
	}
	return t, nil
}

// named returns the errors of a file.
func named(err error, name string) Errors {
	es, _ := errors.AsType[Errors](err)
	for i := range es {
		es[i].File = name
	}
	return es
}

// fits returns what hinders a file from being one of several, as an Errors.
func fits(root *yaml.Node, opts Options) error {
	fail := func(n *yaml.Node, key, message string) error {
		return Errors{{Line: n.Line, Key: key, Message: message}}
	}
	if root.Kind != yaml.MappingNode {
		return fail(root, "", "the file is "+describe(root)+"; want a section with keys")
	}
	seen := map[string]bool{}
	for i := 0; i+1 < len(root.Content); i += 2 {
		key, n := root.Content[i], resolve(root.Content[i+1])
		kind := opts.joins(key.Value)
		switch {
		case key.ShortTag() == "!!merge":
			return fail(key, "<<", "does not go at the top of one of several files; want the keys themselves")
		case kind != 0 && seen[key.Value]:
			return fail(key, key.Value, "is given twice in this file; want it once")
		case kind != 0 && n.Kind != kind && !IsNull(n):
			return fail(key, key.Value, "is "+describe(n)+"; want "+describe(&yaml.Node{Kind: kind}))
		}
		seen[key.Value] = true
	}
	return nil
}

// joins returns of what kind the values at a key are that several files add to; 0 where only one of them has the key.
func (o Options) joins(key string) yaml.Kind {
	switch {
	case key == o.List:
		return yaml.SequenceNode
	case slices.Contains(o.Shared, key):
		return yaml.MappingNode
	}
	return 0
}

// join makes the tree of several files. A key to which not all may add stands in one of them: in a second it is given twice.
func (t *tree) join(roots []*yaml.Node, lists []*chunked, opts Options, cut bool) {
	t.root = &yaml.Node{Kind: yaml.MappingNode, Line: 1}
	joined := map[string]*yaml.Node{}
	items := 0
	if cut {
		t.parts = &chunked{}
	}
	for i, root := range roots {
		t.starts[i].items = items
		for k := 0; k+1 < len(root.Content); k += 2 {
			key, n := root.Content[k], resolve(root.Content[k+1])
			kind := opts.joins(key.Value)
			if kind == 0 {
				t.root.Content = append(t.root.Content, key, n)
				continue
			}
			if IsNull(n) {
				continue
			}
			one := joined[key.Value]
			if one == nil {
				one = &yaml.Node{Kind: kind, Line: n.Line}
				joined[key.Value] = one
				t.root.Content = append(t.root.Content, key, one)
			}
			switch {
			case key.Value != opts.List || !cut:
				one.Content = append(one.Content, n.Content...)
			case lists[i] == nil:
				t.parts.parts = append(t.parts.parts, part{whole: n, file: i})
			default:
				t.parts.add(lists[i], i)
			}
			if key.Value == opts.List {
				items += len(n.Content)
			}
		}
	}
	if cut {
		t.parts.list = joined[opts.List]
	}
}

// of returns in which file a line of the tree is.
func (t *tree) of(line int) int {
	for i := len(t.starts) - 1; i > 0; i-- {
		if line > t.starts[i].lines {
			return i
		}
	}
	return 0
}

// place says where a line of the tree is, for somebody who reads of the one at from.
func (t *tree) place(line, from int) string {
	i := t.of(line)
	text := fmt.Sprintf("line %d", line-t.starts[i].lines)
	if i != t.of(from) {
		text += " of " + t.starts[i].name
	}
	return text
}

var listed = regexp.MustCompile(`^([a-z_]+)\[(\d+)\]`)

// local returns an error as one of its file.
func (t *tree) local(e Error, list string) Error {
	s := t.starts[t.of(e.Line)]
	e.File, e.Line = s.name, e.Line-s.lines
	if m := listed.FindStringSubmatch(e.Key); m != nil && m[1] == list && s.items > 0 {
		n, _ := strconv.Atoi(m[2])
		e.Key = fmt.Sprintf("%s[%d]%s", list, n-s.items, e.Key[len(m[0]):])
	}
	return e
}
