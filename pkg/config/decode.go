package config

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"
)

// mostRead bounds the bytes that are read of a file of that size, those that aliases repeat included. A
// file without aliases stays far below it, and so does one whose repositories take all they have in common
// from an anchor; only a few anchors that stand for a lot (a "bomb") can reach it.
func mostRead(size int) int { return min(4<<20+16*size, 2*maxFile) }

// field is one key of a section of the file.
type field struct {
	key      string
	kind     string // what it is, for people: string, integer, seconds, boolean, list, section
	def      string // stands for an absent key, as it would be written; "" = nothing does
	want     string // what values are right, for people
	required bool
	fields   []field // of a section
	read     func(d *decoder, path string, n *yaml.Node)
}

func (f field) or(def string) field { f.def = def; return f }
func (f field) must() field         { f.required = true; return f }

// decoder reads a YAML tree by tables of fields. It goes on after an error, so that all are found.
type decoder struct {
	opts     Options
	errors   Errors
	warnings []Warning
	lines    map[string]int  // where each key path is in the file
	failed   map[string]bool // paths with an error, whose values mean nothing
	unset    []unsetVariable
	// expanded are the values with variables in them, as they are written, by key path: what a message may show.
	expanded map[string]string
	// impossible is whether an entry of branches matches no name that Git allows. Many repositories have the same.
	impossible map[string]bool
	bytes      int // that were read
	most       int // that may be
	parts      *chunked
}

// newDecoder returns the decoder of a file of that size.
func newDecoder(opts Options, size int) *decoder {
	return &decoder{opts: opts, most: mostRead(size), lines: map[string]int{}, failed: map[string]bool{}, expanded: map[string]string{}, impossible: map[string]bool{}}
}

type unsetVariable struct {
	name, path string
	secret     bool
}

func (d *decoder) fail(path, format string, args ...any) {
	d.failed[path] = true
	if path == "" {
		format = "the file " + format
	}
	d.errors = append(d.errors, Error{Line: d.line(path), Key: path, Message: fmt.Sprintf(format, args...)})
}

func (d *decoder) warn(path, format string, args ...any) {
	d.warnings = append(d.warnings, Warning{Line: d.line(path), Key: path, Message: fmt.Sprintf(format, args...)})
}

// line returns the line of path or, for a key that is not in the file, of the section it is missed in.
func (d *decoder) line(path string) int {
	for path != "" {
		if line, ok := d.lines[path]; ok {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 1
}

// spend counts n bytes as read and reports whether that was not too much.
func (d *decoder) spend(n int) bool {
	before := d.bytes
	d.bytes += n + 1
	if before <= d.most && d.bytes > d.most {
		d.errors = append(d.errors, Error{Line: 1, Message: fmt.Sprintf("with its aliases (*) the file stands for more than %d MiB; want fewer of them", d.most>>20)})
	}
	return d.bytes <= d.most
}

// section reads a mapping by its fields. A nil n is an absent section: each key has its default.
func (d *decoder) section(path string, n *yaml.Node, fields []field) {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.key
	}
	entries, ok := d.entries(path, n, "the keys "+strings.Join(keys, ", "))
	if !ok {
		return
	}
	values := make(map[string]*yaml.Node, len(entries))
	for _, e := range entries {
		values[e.key] = e.value
	}
	for _, f := range fields {
		sub := joinKey(path, f.key)
		n := values[f.key]
		delete(values, f.key)
		switch {
		case n != nil && !isNull(n):
			f.read(d, sub, n)
		case f.required:
			d.fail(sub, "is missing; want %s", f.want)
		case f.def != "":
			f.read(d, sub, &yaml.Node{Kind: yaml.ScalarNode, Value: f.def})
		case f.fields != nil:
			d.section(sub, nil, f.fields)
		}
	}
	for _, e := range entries {
		if _, unknown := values[e.key]; !unknown {
			continue
		}
		if near := Nearest(e.key, keys); near != "" {
			d.fail(joinKey(path, e.key), "is not a known key; did you mean %s?", near)
		} else {
			d.fail(joinKey(path, e.key), "is not a known key; want %s", oneOf(keys))
		}
	}
}

// entry is one key of a mapping.
type entry struct {
	key   string
	value *yaml.Node // aliases resolved
}

// entries returns a mapping's keys with their values, in the order of the file, with what << merges in
// behind them. It notes where each is.
func (d *decoder) entries(path string, n *yaml.Node, want string) ([]entry, bool) {
	if n == nil {
		return nil, true
	}
	if n.Kind != yaml.MappingNode {
		d.fail(path, "is %s; want a section with %s", describe(n), want)
		return nil, false
	}
	var entries []entry
	var merged []*yaml.Node
	seen := map[string]bool{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], resolve(n.Content[i+1])
		switch {
		case !d.spend(len(k.Value)):
			return nil, false
		case k.Kind != yaml.ScalarNode:
			d.errors = append(d.errors, Error{Line: k.Line, Key: path, Message: "a key is " + describe(k) + "; want a plain word"})
		case k.ShortTag() == "!!merge":
			merged = append(merged, v)
		case seen[k.Value]:
			d.errors = append(d.errors, Error{Line: k.Line, Key: joinKey(path, k.Value),
				Message: fmt.Sprintf("is given twice; want it once (the first is on line %d)", d.line(joinKey(path, k.Value)))})
		default:
			seen[k.Value] = true
			d.lines[joinKey(path, k.Value)] = k.Line
			entries = append(entries, entry{k.Value, v})
		}
	}
	for _, m := range merged {
		entries = d.merge(path, m, seen, entries)
	}
	return entries, true
}

// merge appends what << brings: the keys of m that are not there yet.
func (d *decoder) merge(path string, m *yaml.Node, seen map[string]bool, entries []entry) []entry {
	if m.Kind != yaml.MappingNode {
		d.fail(joinKey(path, "<<"), "merges %s; want one alias (*) of a section", describe(m))
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
		d.lines[joinKey(path, k.Value)] = k.Line
		entries = append(entries, entry{k.Value, resolve(m.Content[i+1])})
	}
	return entries
}

// items calls read for each item of a list that is not empty.
func (d *decoder) items(path string, n *yaml.Node, want string, read func(path string, n *yaml.Node)) {
	if n.Kind != yaml.SequenceNode {
		d.fail(path, "is %s; want %s", describe(n), want)
		return
	}
	if len(n.Content) == 0 {
		d.fail(path, "is empty; want %s", want)
	}
	for i, item := range n.Content {
		if !d.item(path, i, item, read) {
			return
		}
	}
}

// item calls read for the i-th item of a list, and reports whether there may be more.
func (d *decoder) item(path string, i int, n *yaml.Node, read func(path string, n *yaml.Node)) bool {
	sub := fmt.Sprintf("%s[%d]", path, i)
	d.lines[sub] = n.Line
	if !d.spend(0) {
		return false
	}
	read(sub, resolve(n))
	return true
}

// text returns a scalar as it is written.
func (d *decoder) text(path string, n *yaml.Node, want string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.fail(path, "is %s; want %s", describe(n), want)
	case n.Style&yaml.TaggedStyle != 0:
		d.fail(path, "has a YAML tag (!); want the value alone, in quotes where it starts with !")
	case d.spend(len(n.Value)):
		return n.Value, true
	}
	return "", false
}

// value returns a scalar with its variables expanded.
func (d *decoder) value(path string, n *yaml.Node, want string, secret bool) (Value, bool) {
	text, ok := d.text(path, n, want)
	if !ok {
		return Value{}, false
	}
	value, unset, err := expand(text, d.opts.LookupEnv)
	if !secret && hasReference(text) {
		d.expanded[path] = text
	}
	if secret {
		want = "one line; a Secret made with printf has no line break at its end, one made with echo has"
	}
	if secret && d.opts.AllowUnsetAuth {
		unset = nil
	}
	for _, name := range unset {
		d.failed[path] = true
		d.unset = append(d.unset, unsetVariable{name, path, secret})
	}
	switch {
	case err != nil:
		d.fail(path, "%v", err)
	case unset != nil:
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		d.fail(path, "holds a line break, another control character or broken UTF-8; want %s", want)
	default:
		return Value{text, value}, true
	}
	return Value{}, false
}

// mismatch says that the value at path is not what is wanted.
func (d *decoder) mismatch(path, value, want string) {
	if text, ok := d.expanded[path]; ok {
		d.fail(path, "is something else once %.60q is expanded; want %s", text, want)
	} else {
		d.fail(path, "is %.60q; want %s", value, want)
	}
}

// shown returns the value at path for a message: as it is written, where a variable is in it, since no message
// repeats what a variable holds.
func (d *decoder) shown(path string, value any) string {
	if text, ok := d.expanded[path]; ok {
		return fmt.Sprintf("%.60s", text)
	}
	return fmt.Sprint(value)
}

// reportUnset makes one error for each variable that is not set, at the first place that needs it.
func (d *decoder) reportUnset() {
	places := map[string][]unsetVariable{}
	var names []string
	for _, u := range d.unset {
		if places[u.name] == nil {
			names = append(names, u.name)
		}
		places[u.name] = append(places[u.name], u)
	}
	for _, name := range names {
		first, more := places[name][0], ""
		for _, u := range places[name] {
			if d.line(u.path) < d.line(first.path) {
				first = u
			}
		}
		want := fmt.Sprintf("a value in the environment of Sentry, or a default: ${%s:-…}", name)
		if first.secret {
			want = "a value in the environment of Sentry; on a cluster, add the key to the Secret that is mounted into its pod"
		}
		if n := len(places[name]); n > 1 {
			more = fmt.Sprintf(" (needed at %d places)", n)
		}
		d.fail(first.path, "the variable %s is not set%s; want %s", name, more, want)
	}
}

// resolve returns what an alias stands for, and any other node as it is.
func resolve(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool {
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
	case isNull(n):
		return "nothing"
	}
	return "a single value"
}
