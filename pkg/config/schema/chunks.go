package schema

import (
	"bytes"
	"slices"

	"gopkg.in/yaml.v3"
)

const (
	// minChunked is the size from which on a file is read in chunks, in bytes. The YAML tree of a file takes
	// some 15 times its size, which for 10,000 repositories is more than all else that Sentry needs.
	minChunked = 256 << 10
	// chunkSize is how much of the long list is read at a time, in bytes.
	chunkSize = 64 << 10
)

// chunked is a file whose long list is cut, between its items, into parts that are YAML by
// themselves.
//
// Where a cut is wrong, because what looks like an item stands in quotes or brackets that go over several
// lines, the part before it ends within them and is not YAML. And where an alias refers to another part, its
// anchor is not known. Either way the file is read again as a whole, which also finds what is wrong in it.
type chunked struct {
	list   *yaml.Node // stands for the list in the tree of all else
	parts  []part
	broken bool // a part could not be read by itself
}

// part is some of the items.
type part struct {
	text  []byte
	line  int        // how many lines are before it
	whole *yaml.Node // in place of text, the list of a file that cannot be cut
	file  int        // that it is of
}

// chunks returns the root of a file without the list at the key, and its items in parts of about size bytes; nil
// where the file is not written so that it can be cut.
func chunks(data []byte, key string, size int) (*yaml.Node, *chunked) {
	if otherBreaks(data) > 0 {
		return nil, nil
	}
	headEnd := listStart(data, key+":")
	if headEnd < 0 {
		return nil, nil
	}
	head := data[:headEnd]
	parts, tail := cut(data[headEnd:], bytes.Count(head, []byte("\n")), size)
	var alone yaml.Node
	if len(parts) == 0 || yaml.Unmarshal(head, &alone) != nil {
		return nil, nil
	}
	root, err := document(slices.Concat(head, tail))
	if err != nil || root.Kind != yaml.MappingNode {
		return nil, nil
	}
	first := parts[0].line
	list := &yaml.Node{Kind: yaml.SequenceNode, Line: first + 1}
	found := false
	for i := 0; i+1 < len(root.Content); i += 2 {
		if k := root.Content[i]; k.Value == key && k.Line == first && IsNull(root.Content[i+1]) {
			root.Content[i+1], found = list, true
		}
	}
	if !found {
		return nil, nil
	}
	moveDown(root, first, bytes.Count(data[headEnd:len(data)-len(tail)], []byte("\n")))
	return root, &chunked{list: list, parts: parts}
}

// otherBreaks returns how many line breaks there are that are not counted by their \n.
func otherBreaks(data []byte) int {
	breaks := bytes.Count(data, []byte("\r")) - bytes.Count(data, []byte("\r\n"))
	for _, other := range []string{"\u0085", "\u2028", "\u2029"} {
		breaks += bytes.Count(data, []byte(other))
	}
	return breaks
}

// listStart returns where the line after the key begins, -1 where there is none with only that.
func listStart(data []byte, key string) int {
	at := 0
	if !bytes.HasPrefix(data, []byte(key)) {
		if at = 1 + bytes.Index(data, []byte("\n"+key)); at == 0 {
			return -1
		}
	}
	rest, _, more := bytes.Cut(data[at+len(key):], []byte("\n"))
	if text := bytes.TrimSpace(rest); !more || len(text) > 0 && (text[0] != '#' || rest[0] != ' ') {
		return -1
	}
	return at + len(key) + len(rest) + 1
}

// cut cuts the text that begins with a list into parts of about size bytes, and what follows the list. line is
// how many lines are before it.
func cut(text []byte, line, size int) (parts []part, tail []byte) {
	indent, start, startLine, at := -1, 0, line, 0
	for rest := text; len(rest) > 0; line++ {
		n := bytes.IndexByte(rest, '\n') + 1
		if n == 0 {
			n = len(rest)
		}
		this := rest[:n]
		spaces := len(this) - len(bytes.TrimLeft(this, " "))
		content := bytes.TrimSpace(this)
		item := bytes.HasPrefix(this[spaces:], []byte("- "))
		switch {
		case len(content) == 0 || content[0] == '#':
		case indent < 0 && !item:
			return nil, nil
		case indent < 0:
			indent = spaces
		case spaces < indent && spaces > 0:
			return nil, nil // neither of the list nor a key after it
		case spaces < indent || indent == 0 && spaces == 0 && !item:
			return append(parts, part{text: text[start:at], line: startLine}), rest
		case item && spaces == indent && at-start >= size:
			parts = append(parts, part{text: text[start:at], line: startLine})
			start, startLine = at, line
		}
		rest, at = rest[n:], at+n
	}
	return append(parts, part{text: text[start:], line: startLine}), nil
}

// moveDown adds lines to the position of each node that is after a line.
func moveDown(n *yaml.Node, after, lines int) {
	if n.Line > after {
		n.Line += lines
	}
	for _, c := range n.Content {
		moveDown(c, after, lines)
	}
}

// moveDown adds lines to what is before each part.
func (c *chunked) moveDown(lines int) {
	if c == nil {
		return
	}
	for i := range c.parts {
		c.parts[i].line += lines
	}
}

// add adds the parts of a file.
func (c *chunked) add(other *chunked, file int) {
	for _, p := range other.parts {
		p.file = file
		c.parts = append(c.parts, p)
	}
}

// each calls read for each item of the list, until one says that it is enough, and notes which is the first of a file. The tree of a part
// is not kept.
func (c *chunked) each(starts []start, read func(n *yaml.Node) bool) {
	items := 0
	for i, p := range c.parts {
		if i == 0 || c.parts[i-1].file != p.file {
			starts[p.file].items = items
		}
		list := p.whole
		if list == nil {
			var doc yaml.Node
			if yaml.Unmarshal(p.text, &doc) != nil || len(doc.Content) != 1 || doc.Content[0].Kind != yaml.SequenceNode {
				c.broken = true
				return
			}
			moveDown(&doc, 0, p.line)
			list = doc.Content[0]
		}
		for _, item := range list.Content {
			if items++; !read(item) {
				return
			}
		}
	}
}
