package pack

import (
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// raw is an object of a pack: its type, what stands between its size and its bytes, and its bytes.
type raw struct {
	kind   Kind
	before []byte
	data   string
	size   int // that it says; 0 = that of data
}

func packOf(objects ...raw) []byte {
	out := binary.BigEndian.AppendUint32([]byte("PACK\x00\x00\x00\x02"), uint32(len(objects)))
	for _, o := range objects {
		size := o.size
		if size == 0 {
			size = len(o.data)
		}
		b := byte(o.kind)<<4 | byte(size&15)
		for size >>= 4; size > 0; size >>= 7 {
			out = append(out, b|0x80)
			b = byte(size & 0x7f)
		}
		out = append(append(out, b), o.before...)
		var z bytes.Buffer
		w := zlib.NewWriter(&z)
		_, _ = io.WriteString(w, o.data)
		_ = w.Close()
		out = append(out, z.Bytes()...)
	}
	return append(out, make([]byte, 20)...)
}

func nameOf(kind, data string) repo.SHA {
	sum := sha1.Sum(fmt.Appendf(nil, "%s %d\x00%s", kind, len(data), data))
	return repo.SHA(hex.EncodeToString(sum[:]))
}

func read(data []byte, limits Limits) (Objects, error) {
	objects := Objects{}
	err := objects.Read(bytes.NewReader(data), false, &limits, func() bool { return false })
	return objects, err
}

var wide = Limits{Objects: 100, Bytes: 1 << 20, Skipped: 1 << 20}

const text = "tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor x\n\nsubject\n\nbody\n"

// TestRead reads commits, trees and deltas of both kinds, and passes over blobs and what is made of them.
func TestRead(t *testing.T) {
	tree := "100644 a\x00" + strings.Repeat("\x11", 20)
	base, err := hex.DecodeString(string(nameOf("tree", tree)))
	if err != nil {
		t.Fatal(err)
	}
	longer := tree + "160000 m\x00" + strings.Repeat("\x22", 20)
	delta := string([]byte{byte(len(tree)), byte(len(longer)), 0x90, byte(len(tree)), byte(len(longer) - len(tree))}) + longer[len(tree):]
	first := packOf(raw{kind: Commit, data: text}, raw{kind: Tree, data: tree})
	objects, err := read(packOf(raw{kind: Commit, data: text}, raw{kind: Tree, data: tree}, raw{kind: named, before: base, data: delta},
		raw{kind: blob, data: "x"}, raw{kind: named, before: make([]byte, 20), data: "of a blob"}, raw{kind: Commit, data: "after it"}), wide)
	if err != nil || len(objects) != 4 {
		t.Fatalf("Read = %v, %v, want four objects", objects, err)
	}
	message, root, err := objects[nameOf("commit", text)].Message()
	if message != "subject\n\nbody\n" || root != "4b825dc642cb6eb9a060e54bf8d69288fbee4904" || err != nil {
		t.Errorf("Message = %q, %q, %v", message, root, err)
	}
	entries, err := walk(objects[nameOf("tree", longer)])
	if want := []string{"100644 a 11", "160000 m 22"}; err != nil || !slices.Equal(entries, want) {
		t.Errorf("entries %q, %v, want %q", entries, err, want)
	}
	start := bytes.LastIndex(first, []byte{byte(Tree)<<4 | byte(len(tree)&15) | 0x80})
	back := byte(len(first) - 20 - start)
	if objects, err = read(packOf(raw{kind: Commit, data: text}, raw{kind: Tree, data: tree}, raw{kind: offset, before: []byte{back}, data: delta}), wide); err != nil || len(objects) != 3 {
		t.Errorf("with an offset: %v, %v, want three objects", objects, err)
	}
}

// TestHostile has what a server could send: each is an error, and none takes more than it may.
func TestHostile(t *testing.T) {
	tree := strings.Repeat("a", 50)
	name, _ := hex.DecodeString(string(nameOf("tree", tree)))
	delta := func(data string) []byte {
		return packOf(raw{kind: Tree, data: tree}, raw{kind: named, before: name, data: data})
	}
	for what, tt := range map[string]struct {
		data   []byte
		limits Limits
		want   error // nil = any
	}{
		"nothing":                      {data: nil, want: io.ErrUnexpectedEOF},
		"no pack":                      {data: []byte("<html>and more</html>")},
		"cut short":                    {data: packOf(raw{kind: Commit, data: text})[:40], want: io.ErrUnexpectedEOF},
		"an unknown type":              {data: packOf(raw{kind: 5, data: text})},
		"more bytes than it says":      {data: packOf(raw{kind: Commit, data: text, size: 3})},
		"fewer bytes than it says":     {data: packOf(raw{kind: Commit, data: text, size: 1000})},
		"too many objects":             {data: packOf(raw{kind: Commit, data: text}, raw{kind: Commit, data: text}), limits: Limits{Objects: 1, Bytes: 1 << 20}, want: ErrTooLarge},
		"too many bytes":               {data: packOf(raw{kind: Commit, data: text}), limits: Limits{Objects: 9, Bytes: 10}, want: ErrTooLarge},
		"a blob of terabytes":          {data: packOf(raw{kind: blob, data: text, size: 1 << 38}), want: ErrTooLarge},
		"a size of terabytes":          {data: packOf(raw{kind: Commit, data: text, size: 1 << 40}), want: ErrTooLarge},
		"a delta of another size":      {data: delta("\x31\x05\x05hello")},
		"a delta that makes terabytes": {data: delta("\x32\xff\xff\xff\xff\xff\xff\x01\x05hello"), want: ErrTooLarge},
		"a delta beyond its base":      {data: delta("\x32\x30\x91\x20\x30")},
		"a delta that is cut":          {data: delta("\x32\x30\x91")},
		"a delta that makes less":      {data: delta("\x32\x30\x05hello")},
		"a delta that makes more":      {data: delta("\x32\x03\x05hello")},
		"a delta that does nothing":    {data: delta("\x32\x03\x00")},
		"a delta without sizes":        {data: delta("\xff")},
		"a delta of itself":            {data: packOf(raw{kind: offset, before: []byte{0}, data: "\x01\x01"}, raw{kind: 5})},
		"an offset that is endless":    {data: packOf(raw{kind: offset, before: bytes.Repeat([]byte{0xff}, 20), data: "\x01\x01"})},
		"no zlib":                      {data: append(packOf(raw{kind: Commit, data: text})[:14], "garbage garbage"...)},
	} {
		t.Run(what, func(t *testing.T) {
			if tt.limits.Objects == 0 {
				tt.limits = wide
			}
			objects, err := read(tt.data, tt.limits)
			if what == "a delta of itself" {
				if len(objects) != 0 {
					t.Errorf("Read = %v, want nothing", objects)
				}
				return
			}
			if err == nil || tt.want != nil && !errors.Is(err, tt.want) {
				t.Errorf("Read: %v, want %v", err, tt.want)
			}
		})
	}
	for _, data := range []string{"100644 a", "100644 a\x00short", "x a\x00" + strings.Repeat("1", 20), "100644 a/b\x00" + strings.Repeat("1", 20), "100644 \x00" + strings.Repeat("1", 20),
		entry("100644", "b") + entry("100644", "a"), entry("100644", "a") + entry("100644", "a"), entry("40000", "a") + entry("100644", "a.x"), strings.Repeat("0", 1000) + entry("100644", "a")} {
		if entries, err := walk(Object{Tree, []byte(data)}); err == nil {
			t.Errorf("entries of %q: %v, want an error", data, entries)
		}
	}
	if entries, err := walk(Object{Tree, []byte(entry("100664", "a") + entry("100700", "a-") + entry("40000", "a") + entry("100644", "a0"))}); err != nil ||
		!slices.Equal(entries, []string{"100644 a 11", "100755 a- 11", "40000 a 11", "100644 a0 11"}) {
		t.Errorf("entries of a tree in Git's order: %q, %v", entries, err)
	}
}

// entry is a line of a tree.
func entry(mode, name string) string { return mode + " " + name + "\x00" + strings.Repeat("\x11", 20) }

// walk returns the entries of a tree, with the start of their IDs.
func walk(o Object) (entries []string, err error) {
	w := o.Walk(false)
	for ; w.More; w.Step() {
		entries = append(entries, fmt.Sprintf("%o %s %x", w.Mode, w.Name, w.ID[:1]))
	}
	return entries, w.Err
}

// FuzzRead reads anything without a panic, within its limits.
func FuzzRead(f *testing.F) {
	f.Add(packOf(raw{kind: Commit, data: text}, raw{kind: Tree, data: "100644 a\x00" + strings.Repeat("\x11", 20)}))
	f.Add([]byte("PACK"))
	f.Fuzz(func(t *testing.T, data []byte) {
		objects, _ := read(data, Limits{Objects: 50, Bytes: 1 << 16})
		total := 0
		for _, o := range objects {
			total += len(o.Data)
			_, _, _ = o.Message()
			_, _ = walk(o)
		}
		if total > 1<<16 || len(objects) > 50 {
			t.Errorf("%d objects of %d bytes are kept", len(objects), total)
		}
	})
}
