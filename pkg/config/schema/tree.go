package schema

import (
	"fmt"

	"gopkg.in/yaml.v3"
)

// Entry is one key of a mapping.
type Entry struct {
	Key   string
	Value *yaml.Node // aliases resolved
}

// Entries returns a mapping's keys with their values, in the order of the file, with what << merges in
// behind them. It notes where each is.
func (d *Decoder) Entries(path string, n *yaml.Node, want string) ([]Entry, bool) {
	if n == nil {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		d.Fail(path, "is %s; want a section with %s", describe(n), want)
		return nil, false
	}
	var entries []Entry
	var merged []*yaml.Node
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		switch {
		case !d.spend(len(k.Value)):
			return nil, false
		case k.Kind != yaml.ScalarNode:
			d.add(k.Line, path, "a key is "+describe(k)+"; want a plain word")
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
		case seen[k.Value]:
			sub := JoinKey(path, k.Value)
			d.add(k.Line, sub, fmt.Sprintf("is given twice; want it once (the first is on %s)", d.all.place(d.line(sub), k.Line)))
		default:
			seen[k.Value] = true
			d.note(JoinKey(path, k.Value), func(n *note) { n.line = k.Line })
			entries = append(entries, Entry{k.Value, v})
		}
	}
	for _, m := range merged {
		entries = d.merge(path, m, seen, entries)
	}
	return entries, true
}

// merge appends what << brings: the keys of m that are not there yet.
func (d *Decoder) merge(path string, m *yaml.Node, seen map[string]bool, entries []Entry) []Entry {
	if m.Kind != yaml.MappingNode {
		d.Fail(JoinKey(path, "<<"), "merges %s; want one alias (*) of a section", describe(m))
		return entries
	}
	for i := 0; i+1 < len(m.Content); i += 2 {
		k := m.Content[i]
		if !d.spend(len(k.Value)) {
			return nil
		}
		if k.Kind != yaml.ScalarNode || seen[k.Value] {
			continue // what is wrong with it is said where the section stands itself
		}
		seen[k.Value] = true
		d.note(JoinKey(path, k.Value), func(n *note) { n.line = k.Line })
		entries = append(entries, Entry{k.Value, resolve(m.Content[i+1])})
	}
	return entries
}

// Items calls read for each item of a list that is not empty.
func (d *Decoder) Items(path string, n *yaml.Node, want string, read func(path string, n *yaml.Node)) {
	i := -1
	item := func(n *yaml.Node) bool {
		i++
		return d.item(path, i, n, read)
	}
	switch {
	case d.all.parts != nil && n == d.all.parts.list:
		d.all.parts.each(d.all.starts, item)
	case n.Kind != yaml.SequenceNode:
		d.Fail(path, "is %s; want %s", describe(n), want)
	case len(n.Content) == 0:
		d.Fail(path, "is empty; want %s", want)
	default:
		for _, n := range n.Content {
			if !item(n) {
				return
			}
		}
	}
}

// manyNotes is how many paths an item may have for its map to be used for the next. A large map takes long to clear.
const manyNotes = 1000

// Each is Items for the list that makes files large. What is known of the paths in an item is forgotten after it, but for
// what Keep is told of, as it takes ten times the memory of what is read.
func (d *Decoder) Each(path string, n *yaml.Node, want string, read func(path string, n *yaml.Node)) {
	d.ofItem = make(map[string]note)
	d.Items(path, n, want, func(path string, n *yaml.Node) {
		read(path, n)
		if len(d.ofItem) > manyNotes {
			d.ofItem = make(map[string]note)
		}
		clear(d.ofItem)
	})
	d.ofItem = nil
}

// item calls read for the i-th item of a list, and reports whether there may be more.
func (d *Decoder) item(path string, i int, n *yaml.Node, read func(path string, n *yaml.Node)) bool {
	sub := fmt.Sprintf("%s[%d]", path, i)
	d.note(sub, func(known *note) { known.line = n.Line })
	if !d.spend(0) {
		return false
	}
	read(sub, resolve(n))
	return true
}

// A tree is nested no deeper than maxDepth and has no more values than maxValues. An alias may lead to what it
// stands in, and ten of ten aliases are a hundred values.
const (
	maxDepth  = 20
	maxValues = 10_000
)

// Tree returns a value of any shape: texts with their variables expanded, in []any and map[string]any. Keys without a
// value are left out.
func (d *Decoder) Tree(path string, n *yaml.Node) (any, bool) {
	return d.read(path, n, func(path string, n *yaml.Node) (string, bool) {
		v, ok := d.Value(path, n, "a text")
		return v.Reveal(), ok
	})
}

// Texts is Tree with the texts as they are written.
func (d *Decoder) Texts(path string, n *yaml.Node) (any, bool) {
	return d.read(path, n, func(path string, n *yaml.Node) (string, bool) { return d.Text(path, n, "a text") })
}

func (d *Decoder) read(path string, n *yaml.Node, text func(string, *yaml.Node) (string, bool)) (any, bool) {
	d.deep, d.values, d.text = false, 0, text
	return d.tree(path, n, maxDepth)
}

func (d *Decoder) tree(path string, n *yaml.Node, depth int) (any, bool) {
	if depth == 0 && !d.deep { // once: what leads to itself twice would do so a million times
		d.deep = true
		d.Fail(path, "is nested more than %d deep; want less", maxDepth)
	}
	if d.values++; d.values > maxValues && !d.deep {
		d.deep = true
		d.Fail(path, "is one value too many: a section of this kind has at most %d", maxValues)
	}
	if d.deep {
		return nil, false
	}
	switch n.Kind {
	case yaml.MappingNode:
		entries, all := d.Entries(path, n, "")
		section := make(map[string]any, len(entries))
		for _, e := range entries {
			if IsNull(e.Value) {
				continue
			}
			value, ok := d.tree(JoinKey(path, e.Key), e.Value, depth-1)
			section[e.Key], all = value, all && ok
		}
		return section, all
	case yaml.SequenceNode:
		list, all := make([]any, 0, len(n.Content)), true
		for i, n := range n.Content {
			all = d.item(path, i, n, func(path string, n *yaml.Node) {
				value, ok := d.tree(path, n, depth-1)
				list, all = append(list, value), all && ok
			}) && all
		}
		return list, all
	default:
		return d.text(path, n)
	}
}

// resolve returns what an alias stands for, and any other node as it is.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// IsNull reports whether a node is a key's missing value.
func IsNull(n *yaml.Node) bool {
	return n.Kind == yaml.ScalarNode && n.Style == 0 && n.ShortTag() == "!!null"
}

// describe names what n is, and never its value.
func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a section (key: value)"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case n.Kind == yaml.AliasNode:
		return "an alias"
	case IsNull(n):
		return "nothing"
	}
	return "a single value"
}
