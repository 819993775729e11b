package pack

import (
	"bytes"
	"cmp"
	"crypto/sha1"
	"crypto/sha256"
	"errors"
	"strconv"
)

// Entry is a line of a tree. Its bytes are those of the tree.
type Entry struct {
	Mode int // as in Git, such as 0o100644; of a file only whether it may be run counts
	Name []byte
	ID   []byte
}

// The modes of entries that are no files.
const (
	ModeTree   = 0o40000
	ModeCommit = 0o160000 // of a submodule
)

// compare compares two entries by the order in which they stand in a tree: that of their names, where a folder's has a slash at its end.
func (e Entry) compare(other Entry) int {
	n := min(len(e.Name), len(other.Name))
	return cmp.Or(bytes.Compare(e.Name[:n], other.Name[:n]), cmp.Compare(e.after(n), other.after(n)))
}

// after returns what is at a place of the name, the end included.
func (e Entry) after(n int) int {
	switch {
	case n < len(e.Name):
		return int(e.Name[n])
	case e.Mode == ModeTree:
		return '/'
	}
	return 0
}

// Walk is a way through the entries of a tree.
type Walk struct {
	Entry       // where it is
	More  bool  // it is at one
	Err   error // why it ended before the end of the tree
	rest  []byte
	size  int // of an ID
}

// maxMode is more than the digits of any mode.
const maxMode = 8

var errTree = errors.New("it is no tree")

// Walk returns a Walk that is at the first entry. wide is for names of SHA-256.
func (o Object) Walk(wide bool) *Walk {
	w := &Walk{rest: o.Data, size: sha1.Size}
	if wide {
		w.size = sha256.Size
	}
	if o.Kind != Tree {
		w.rest, w.Err = nil, errTree
	}
	w.Step()
	return w
}

// Step goes to the next entry. A tree whose entries do not stand in their order, each once, is none.
func (w *Walk) Step() {
	last, first := w.Entry, !w.More
	w.Entry, w.More = Entry{}, false
	if len(w.rest) == 0 {
		return
	}
	mode, rest, found := bytes.Cut(w.rest, []byte(" "))
	name, id, whole := bytes.Cut(rest, []byte{0})
	m, err := strconv.ParseUint(string(mode[:min(len(mode), maxMode)]), 8, 32)
	if len(mode) >= maxMode || !found || !whole || err != nil || len(id) < w.size || len(name) == 0 || bytes.IndexByte(name, '/') >= 0 {
		w.Err = errTree
		return
	}
	if m&^0o777 == 0o100000 { // as Git sees the modes that it wrote once
		m = 0o100644 | m&0o100>>6*0o111
	}
	w.Entry, w.More, w.rest = Entry{int(m), name, id[:w.size]}, true, id[w.size:]
	if !first && last.compare(w.Entry) >= 0 {
		w.Entry, w.More, w.Err = Entry{}, false, errTree
	}
}

// Compare compares where two walks through the same folder are. One that ended is behind all entries.
func (w *Walk) Compare(other *Walk) int {
	switch {
	case w.More && other.More:
		return w.compare(other.Entry)
	case w.More:
		return -1
	}
	return 1
}
