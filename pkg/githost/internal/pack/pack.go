// Package pack reads commits and trees from a pack as a Git server sends it (gitformat-pack(5)). Nothing of what it reads is
// trusted: an object is known by the name that its bytes have, and what one pack may take is bounded.
package pack

import (
	"bufio"
	"bytes"
	"compress/zlib"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Kind is what an object is.
type Kind int

// The kinds of objects, with the numbers that a pack has for them. Those above seven are not in a pack.
const (
	Commit Kind = 1
	Tree   Kind = 2
	blob   Kind = 3
	tag    Kind = 4
	offset Kind = 6 // a delta against the object so many bytes before it
	named  Kind = 7 // a delta against the object of that name
)

var kinds = map[Kind]string{Commit: "commit", Tree: "tree", tag: "tag"}

// ErrTooLarge is returned for a pack of which more would have to be kept than Limits allow.
var ErrTooLarge = errors.New("what differs is more than Sentry reads")

// Limits bound what is kept of packs, in all that share them.
type Limits struct {
	Objects int                 // that are kept
	Bytes   int                 // that commits and trees take once they are unpacked
	Skipped int                 // bytes of all else, once they are unpacked
	More    func() (int, error) // is asked once for more Bytes, when they are used up; nil = there are none
}

// Take takes so many bytes, or returns ErrTooLarge, or the error of More.
func (l *Limits) Take(bytes int) error {
	if bytes > l.Bytes && l.More != nil {
		more, err := l.More()
		if err != nil {
			return err
		}
		l.Bytes, l.More = l.Bytes+more, nil
	}
	if bytes < 0 || bytes > l.Bytes {
		return ErrTooLarge
	}
	l.Bytes -= bytes
	return nil
}

// take takes what an object needs.
func (l *Limits) take(bytes int) error {
	if l.Objects--; l.Objects < 0 {
		return ErrTooLarge
	}
	return l.Take(bytes)
}

// Object is a commit, a tree, or a tag.
type Object struct {
	Kind Kind
	Data []byte
}

// Objects are what a pack holds, by name.
type Objects map[repo.SHA]Object

// Read adds the commits, trees and tags of a pack to objects until enough says so, which is asked after each of them. As Git writes
// them, commits come first. Blobs are passed over. wide is for a repository with names of SHA-256.
func (objects Objects) Read(from io.Reader, wide bool, limits *Limits, enough func() bool) error {
	r := reader{in: &counted{r: bufio.NewReader(from)}, objects: objects, at: map[int64]repo.SHA{}, sum: sha1.New, limits: limits}
	if wide {
		r.sum = sha256.New
	}
	var head [12]byte
	if _, err := io.ReadFull(r.in, head[:]); err != nil {
		return cut(err)
	}
	if string(head[:4]) != "PACK" || binary.BigEndian.Uint32(head[4:8]) != 2 {
		return fmt.Errorf("it is no pack of version 2: it starts with %q", head[:8])
	}
	for range binary.BigEndian.Uint32(head[8:]) {
		kept, err := r.object()
		if err != nil {
			return err
		}
		if kept && enough() {
			return nil
		}
	}
	return nil
}

type reader struct {
	in      *counted
	objects Objects
	at      map[int64]repo.SHA // by where in the pack an object starts
	sum     func() hash.Hash
	limits  *Limits
	inflate io.ReadCloser
}

// object reads one object, and reports whether it is of those that are kept.
func (r *reader) object() (kept bool, err error) {
	start := r.in.n
	kind, size, err := r.head()
	if err != nil {
		return false, err
	}
	var base repo.SHA
	switch kind {
	case Commit, Tree, tag:
	case blob:
		return false, r.skip(size)
	case offset:
		back, err := r.back()
		if err != nil {
			return false, err
		}
		if base = r.at[start-back]; base == "" {
			return false, r.skip(size)
		}
	case named:
		name := make([]byte, r.sum().Size())
		if _, err := io.ReadFull(r.in, name); err != nil {
			return false, cut(err)
		}
		base = repo.SHA(hex.EncodeToString(name))
	default:
		return false, fmt.Errorf("an object has the unknown type %d", kind)
	}
	from, ok := r.objects[base]
	if base != "" && !ok {
		return false, r.skip(size) // a blob, as its base is none of what is kept
	}
	if err := r.limits.take(size); err != nil {
		return false, err
	}
	data, err := r.unpack(size)
	if err != nil {
		return false, err
	}
	if base != "" {
		kind = from.Kind
		if data, err = r.apply(from.Data, data); err != nil {
			return false, err
		}
	}
	name := r.name(kind, data)
	r.objects[name] = Object{kind, data}
	r.at[start] = name
	return true, nil
}

// name returns what an object is called: the digest of its kind, its size and its bytes.
func (r *reader) name(kind Kind, data []byte) repo.SHA {
	sum := r.sum()
	_, _ = fmt.Fprintf(sum, "%s %d\x00", kinds[kind], len(data))
	_, _ = sum.Write(data)
	return repo.SHA(hex.EncodeToString(sum.Sum(nil)))
}

// head reads the type and the size of an object: the size as seven bits a byte, of which the first has four.
func (r *reader) head() (Kind, int, error) {
	b, err := r.in.ReadByte()
	if err != nil {
		return 0, 0, cut(err)
	}
	kind, size := Kind(b>>4&7), uint64(b&15)
	for shift := 4; b&0x80 != 0; shift += 7 {
		if b, err = r.in.ReadByte(); err != nil {
			return 0, 0, cut(err)
		}
		if shift > 32 {
			return 0, 0, ErrTooLarge
		}
		size |= uint64(b&0x7f) << shift
	}
	return kind, int(size), nil
}

// back reads how far before a delta its base is.
func (r *reader) back() (int64, error) {
	var n int64
	for i := 0; ; i++ {
		b, err := r.in.ReadByte()
		if err != nil {
			return 0, cut(err)
		}
		if i > 8 {
			return 0, errors.New("a delta has its base too far away")
		}
		if i > 0 {
			n++
		}
		if n = n<<7 | int64(b&0x7f); b&0x80 == 0 {
			return n, nil
		}
	}
}

// unpack returns the bytes of an object, of which there must be so many.
func (r *reader) unpack(size int) ([]byte, error) {
	data := bytes.NewBuffer(make([]byte, 0, min(size, 64<<10))) // the size is what a stranger says
	err := r.copy(data, size)
	return data.Bytes(), err
}

// skip passes over the bytes of an object.
func (r *reader) skip(size int) error {
	if r.limits.Skipped -= size; size < 0 || r.limits.Skipped < 0 {
		return ErrTooLarge
	}
	return r.copy(io.Discard, size)
}

func (r *reader) copy(to io.Writer, size int) (err error) {
	if r.inflate == nil {
		r.inflate, err = zlib.NewReader(r.in)
	} else {
		err = r.inflate.(zlib.Resetter).Reset(r.in, nil)
	}
	if err != nil {
		return cut(err)
	}
	n, err := io.Copy(to, io.LimitReader(r.inflate, int64(size)+1))
	if err == nil && n != int64(size) {
		return fmt.Errorf("an object has %d bytes or more, and says that it has %d", n, size)
	}
	return cut(err)
}

var errDelta = errors.New("a delta does not fit what it is of")

// apply returns what a delta makes of its base.
func (r *reader) apply(base, delta []byte) ([]byte, error) {
	from, delta := sizeIn(delta)
	size, delta := sizeIn(delta)
	if from != uint64(len(base)) {
		return nil, errDelta
	}
	if size > 1<<40 {
		return nil, ErrTooLarge
	}
	if err := r.limits.Take(int(size)); err != nil {
		return nil, err
	}
	data := make([]byte, 0, size)
	for len(delta) > 0 {
		op := delta[0]
		delta = delta[1:]
		switch {
		case op == 0:
			return nil, errDelta
		case op < 0x80: // so many new bytes
			n := int(op)
			if n > len(delta) {
				return nil, errDelta
			}
			data, delta = append(data, delta[:n]...), delta[n:]
		default: // a part of the base
			var at, n uint64
			for i := range 7 {
				if op&(1<<i) == 0 {
					continue
				}
				if len(delta) == 0 {
					return nil, errDelta
				}
				if i < 4 {
					at |= uint64(delta[0]) << (8 * i)
				} else {
					n |= uint64(delta[0]) << (8 * (i - 4))
				}
				delta = delta[1:]
			}
			if n == 0 {
				n = 0x10000
			}
			if at+n > uint64(len(base)) {
				return nil, errDelta
			}
			data = append(data, base[at:at+n]...)
		}
		if uint64(len(data)) > size {
			return nil, errDelta
		}
	}
	if uint64(len(data)) != size {
		return nil, errDelta
	}
	return data, nil
}

// sizeIn reads a size at the start of a delta; without one it is no delta of anything.
func sizeIn(delta []byte) (uint64, []byte) {
	n, used := binary.Uvarint(delta)
	if used <= 0 {
		return 1 << 63, nil
	}
	return n, delta[used:]
}

// Message returns what the author of a commit wrote, and the name of its tree.
func (o Object) Message() (message string, tree repo.SHA, err error) {
	if o.Kind != Commit {
		return "", "", errors.New("it is no commit")
	}
	head, message, _ := strings.Cut(string(o.Data), "\n\n")
	line, _, _ := strings.Cut(head, "\n")
	name, ok := strings.CutPrefix(line, "tree ")
	if tree, err = repo.ParseSHA(name); !ok || err != nil {
		return "", "", errors.New("it is a commit without a tree")
	}
	return message, tree, nil
}

// counted counts the bytes that were read. It has ReadByte, without which a decompressor reads more than is its own.
type counted struct {
	r *bufio.Reader
	n int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	c.n += int64(n)
	return n, err
}

func (c *counted) ReadByte() (byte, error) {
	b, err := c.r.ReadByte()
	if err == nil {
		c.n++
	}
	return b, err
}

// cut makes the end of a pack that is not whole an error.
func cut(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}
