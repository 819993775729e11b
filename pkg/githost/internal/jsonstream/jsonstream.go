// Package jsonstream reads JSON as it comes. It holds no more of it than the one text that its caller asks for, and of
// that a bounded part: what an answer takes in memory does not depend on who sends it.
package jsonstream

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"
)

const (
	// maxText bounds a text in bytes, as it is written. No name, SHA or cursor of a Git host is half as long. Of a longer
	// one the rest is passed over, so that it stays too long to be taken for a name.
	maxText = 4 << 10
	// maxDepth bounds the nesting. The answers that are read nest ten deep.
	maxDepth = 200
	// maxScalar bounds a number in digits.
	maxScalar = 64
)

// The errors of a text that ends too early, is no JSON, and is JSON of another shape than its reader wants.
var (
	ErrShort  = fmt.Errorf("the JSON: %w", io.ErrUnexpectedEOF)
	ErrSyntax = errors.New("the text is not JSON")
	ErrShape  = errors.New("the JSON has another shape than expected")
)

// Reader reads one JSON value after the other. The first error ends it: whatever is read then is empty, and Err says
// why. A value of another kind than is asked for is passed over, and told of by Shape.
type Reader struct {
	in        *bufio.Reader
	err       error
	misshapen bool
	taken     int // values that were read
	depth     int
	most      int // of a text in bytes, where that is more than maxText
	text      []byte
}

// New returns a Reader of the JSON that in gives.
func New(in io.Reader) *Reader { return &Reader{in: bufio.NewReader(in)} }

// Err returns the error that ended the reading, nil while there is none.
func (r *Reader) Err() error { return r.err }

// Shape returns ErrShape when a value since the last call had another kind than was asked for. null is of all kinds.
func (r *Reader) Shape() error {
	misshapen := r.misshapen
	r.misshapen = false
	if misshapen {
		return ErrShape
	}
	return nil
}

// End reads to the end of the input, which must hold nothing else, and returns what was wrong with the whole.
func (r *Reader) End() error {
	if r.err == nil {
		if r.peek(); r.err == nil {
			r.err = ErrSyntax
		} else if errors.Is(r.err, ErrShort) {
			r.err = nil
		}
	}
	if r.err != nil {
		return r.err
	}
	return r.Shape()
}

// Fields yields the names of an object's fields. The value of each may be read in the loop; one that is not is passed
// over.
func (r *Reader) Fields() iter.Seq[string] {
	return func(yield func(string) bool) {
		on := true
		for range r.list('{', '}') {
			if r.peek() != '"' {
				r.fail(ErrSyntax)
				return
			}
			name := r.string(true)
			if r.peek() != ':' {
				r.fail(ErrSyntax)
				return
			}
			r.skipByte()
			before := r.taken
			on = on && yield(name)
			if r.taken == before {
				r.Skip()
			}
		}
	}
}

// Items yields the places of an array's items, from 0. Each may be read in the loop; one that is not is passed over.
func (r *Reader) Items() iter.Seq[int] {
	return func(yield func(int) bool) {
		on := true
		for i := range r.list('[', ']') {
			before := r.taken
			on = on && yield(i)
			if r.taken == before {
				r.Skip()
			}
		}
	}
}

// list yields once for each part of what stands between two brackets, with commas between them.
func (r *Reader) list(first, last byte) iter.Seq[int] {
	return func(yield func(int) bool) {
		if c := r.peek(); c != first {
			r.other(c)
			return
		}
		r.skipByte()
		r.taken++
		if r.depth++; r.depth > maxDepth {
			r.fail(ErrSyntax)
			return
		}
		for n := 0; ; n++ {
			c := r.peek()
			switch {
			case c == last:
				r.skipByte()
				r.depth--
				return
			case n > 0 && c == ',':
				r.skipByte()
				r.peek()
			case n > 0:
				r.fail(ErrSyntax)
			}
			if r.err != nil || !yield(n) {
				return
			}
		}
	}
}

// other passes over a value that is of another kind than was asked for, and begins with c.
func (r *Reader) other(c byte) {
	if c != 'n' && r.err == nil {
		r.misshapen = true
	}
	r.Skip()
}

// IsNull reports whether the value is null.
func (r *Reader) IsNull() bool { return r.peek() == 'n' }

// IsText reports whether the value is a string.
func (r *Reader) IsText() bool { return r.peek() == '"' }

// Text returns a string, "" for null.
func (r *Reader) Text() string {
	if c := r.peek(); c != '"' {
		r.other(c)
		return ""
	}
	return r.string(true)
}

// Long is Text for one that may be longer than a name: it keeps so many bytes of it, and more is cut away.
func (r *Reader) Long(most int) string {
	const escaped = 6 // bytes of \u0000
	r.most = escaped * most
	defer func() { r.most = 0 }()
	text := r.Text()
	return text[:min(len(text), most)]
}

// Scalar returns a number, true, false or null as it is written, "" for any other kind.
func (r *Reader) Scalar() string {
	if c := r.peek(); c == '"' || c == '{' || c == '[' {
		r.other(c)
		return ""
	}
	r.taken++
	r.text = r.text[:0]
	for r.err == nil {
		c, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			r.fail(err)
			return ""
		}
		if bytes.IndexByte([]byte(",]}: \t\r\n"), c) >= 0 {
			_ = r.in.UnreadByte()
			break
		}
		if r.text = append(r.text, c); len(r.text) > maxScalar {
			r.fail(ErrSyntax)
		}
	}
	if r.err == nil && !json.Valid(r.text) {
		r.fail(ErrSyntax)
	}
	if r.err != nil {
		return ""
	}
	return string(r.text)
}

// Skip passes over a value.
func (r *Reader) Skip() {
	switch r.peek() {
	case '{':
		for range r.Fields() { //nolint:revive // what it yields is passed over
		}
	case '[':
		for range r.Items() { //nolint:revive // what it yields is passed over
		}
	case '"':
		r.string(false)
	default:
		r.Scalar()
	}
}

// string reads a string, and returns its beginning when it is to be kept.
func (r *Reader) string(keep bool) string {
	r.skipByte()
	r.taken++
	r.text = append(r.text[:0], '"')
	escaped := false
	for {
		if !keep {
			r.skipPlain()
		}
		c, err := r.in.ReadByte()
		if err != nil {
			r.fail(err)
			return ""
		}
		keep = keep && len(r.text) < max(maxText, r.most) // an escape is kept as a whole
		switch {
		case c == '"':
			return r.unquote(escaped)
		case c < ' ':
			r.fail(ErrSyntax)
			return ""
		case c != '\\':
			if keep {
				r.text = append(r.text, c)
			}
			continue
		}
		escaped = true
		if !r.escape(keep) {
			return ""
		}
	}
}

// escape reads what follows a backslash.
func (r *Reader) escape(keep bool) bool {
	c, err := r.in.ReadByte()
	sequence := []byte{'\\', c}
	for n := 0; err == nil && c == 'u' && n < 4; n++ {
		var digit byte
		digit, err = r.in.ReadByte()
		sequence = append(sequence, digit)
	}
	if err != nil {
		r.fail(err)
		return false
	}
	if keep {
		r.text = append(r.text, sequence...)
	}
	return true
}

// skipPlain passes over what is buffered of a string up to a byte that means something.
func (r *Reader) skipPlain() {
	plain, _ := r.in.Peek(r.in.Buffered())
	for n, c := range plain {
		if c == '"' || c == '\\' || c < ' ' {
			plain = plain[:n]
			break
		}
	}
	_, _ = r.in.Discard(len(plain))
}

func (r *Reader) unquote(escaped bool) string {
	if !escaped && utf8.Valid(r.text) {
		return string(r.text[1:])
	}
	var text string
	if json.Unmarshal(append(r.text, '"'), &text) != nil {
		r.fail(ErrSyntax)
	}
	return text
}

// peek returns the next byte that is no space, 0 after an error.
func (r *Reader) peek() byte {
	for r.err == nil {
		c, err := r.in.ReadByte()
		if err != nil {
			r.fail(err)
			break
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			_ = r.in.UnreadByte()
			return c
		}
	}
	return 0
}

func (r *Reader) skipByte() { _, _ = r.in.ReadByte() }

// Stop ends the input here: what follows is not even passed over.
func (r *Reader) Stop() { r.fail(ErrSyntax) }

func (r *Reader) fail(err error) {
	if errors.Is(err, io.EOF) {
		err = ErrShort
	}
	if r.err == nil {
		r.err = err
	}
}
