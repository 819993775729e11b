// Package schema reads a YAML file by tables of fields. It is strict, and it reports everything that is wrong
// in one go, each with its line, what is wrong and what would be right. No message holds a secret, or what a
// variable of the environment holds.
package schema

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/secret"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// mostRead bounds the bytes that are read of a file of that size, those that aliases repeat included. A
// file without aliases stays far below it, and so does one whose repositories take all they have in common
// from an anchor; only a few anchors that stand for a lot (a "bomb") can reach it.
func mostRead(size int) int { return min(4<<20+16*size, 2*MaxFile) }

// Field is one key of a section of the file.
type Field struct {
	Key      string
	Kind     string // what it is, for people: string, integer, seconds, boolean, list, section
	Default  string // stands for an absent key, as it would be written; "" = nothing does
	Want     string // what values are right, for people
	Required bool
	Options  []string // all values that are right; nil where they are not listed
	Low      int      // least value of a number
	High     int      // greatest value of a number; 0 where it has no bounds
	OrZero   bool     // 0 is right, too
	Hidden   bool     // its values are shown to nobody, but for whole references
	Address  bool     // it is a URL, which no message repeats
	Fields   []Field  // of a section
	Read     func(d *Decoder, path string, n *yaml.Node)
}

// Or returns the field with a default.
func (f Field) Or(def string) Field { f.Default = def; return f }

// Must returns the field as one that may not be left out.
func (f Field) Must() Field { f.Required = true; return f }

// Decoder reads a YAML tree by tables of fields. It goes on after an error, so that all are found.
type Decoder struct {
	opts     Options
	errors   Errors
	warnings []Warning
	notes    map[string]note // by key path
	ofItem   map[string]note // what is forgotten after the item of Each that is read; nil outside
	unset    []unsetVariable
	bytes    int                                            // that were read
	most     int                                            // that may be
	deep     bool                                           // the tree that is read was nested too deep, or too large: no more of it is
	values   int                                            // that it has so far
	text     func(path string, n *yaml.Node) (string, bool) // reads one of its texts
	all      *tree                                          // files
	further  map[string]string                              // variables of what With reads
}

// NewDecoder returns the decoder of a file of that size.
func NewDecoder(opts Options, size int) *Decoder {
	return &Decoder{opts: opts, most: mostRead(size), all: &tree{starts: []start{{}}}, notes: map[string]note{}}
}

// note is what is known of a key path.
type note struct {
	line     int    // where it is in the file; 0 = it is not
	empty    bool   // it is the key of a section, without a value
	failed   bool   // it has an error, so that its value means nothing
	expanded string // its value as it is written, where variables are in it: what a message may show
}

// at returns what is known of a path.
func (d *Decoder) at(path string) note {
	if n, ok := d.ofItem[path]; ok {
		return n
	}
	return d.notes[path]
}

// note has something be known of a path from now on.
func (d *Decoder) note(path string, change func(n *note)) {
	n, in := d.at(path), d.notes
	change(&n)
	if d.ofItem != nil {
		in = d.ofItem
	}
	in[path] = n
}

type unsetVariable struct {
	name, path string
	line       int
	secret     bool
}

// Fail notes that the value at path is wrong; "" is the whole file.
func (d *Decoder) Fail(path, format string, args ...any) {
	d.failAt(d.line(path), path, format, args...)
}

func (d *Decoder) failAt(line int, path, format string, args ...any) {
	d.note(path, func(n *note) { n.failed = true })
	if path == "" {
		format = "the file " + format
	}
	d.add(line, path, fmt.Sprintf(format, args...))
}

// add notes an error, without what looks like a token at the wrong place.
func (d *Decoder) add(line int, path, message string) {
	d.errors = append(d.errors, Error{Line: line, Key: secret.WithoutTokens(path), Message: secret.WithoutTokens(message)})
}

// Warn notes that the value at path is hardly meant so.
func (d *Decoder) Warn(path, format string, args ...any) {
	d.warnings = append(d.warnings, Warning{Line: d.line(path), Key: path, Message: fmt.Sprintf(format, args...)})
}

// Given reports whether the key at path has a value in the file.
func (d *Decoder) Given(path string) bool { n := d.at(path); return n.line > 0 && !n.empty }

// Place names the item of the long list at path, which is on that line, for a message about the one at from: with its file, where
// that is another.
func (d *Decoder) Place(path string, line int, from string) string {
	text := d.all.local(Error{Line: line, Key: path}, d.opts.List).Key
	if i := d.all.of(line); i != d.all.of(d.line(from)) {
		text += " of " + d.all.starts[i].name
	}
	return text
}

// Failed reports whether there is an error at path, so that its value means nothing.
func (d *Decoder) Failed(path string) bool { return d.at(path).failed }

// Keep has what is known so far of a path, and of those within it, be known after the item of Each that is read.
func (d *Decoder) Keep(path string) {
	for p, n := range d.ofItem {
		if rest, within := strings.CutPrefix(p, path); within && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			d.notes[p] = n
		}
	}
}

// File returns the name of the file in which path is.
func (d *Decoder) File(path string) string { return d.all.starts[d.all.of(d.line(path))].name }

// Line returns the line of path, for Place.
func (d *Decoder) Line(path string) int { return d.line(path) }

// line returns the line of path or, for a key that is not in the file, of the section it is missed in.
func (d *Decoder) line(path string) int {
	for path != "" {
		if line := d.at(path).line; line > 0 {
			return line
		}
		path = path[:max(0, strings.LastIndexAny(path, ".["))]
	}
	return 1
}

// spend counts n bytes as read and reports whether that was not too much.
func (d *Decoder) spend(n int) bool {
	before := d.bytes
	d.bytes += n + 1
	if before <= d.most && d.bytes > d.most {
		d.errors = append(d.errors, Error{Line: 1, Message: fmt.Sprintf("with its aliases (*) the file stands for more than %d MiB; want fewer of them", d.most>>20)})
	}
	return d.bytes <= d.most
}

// With reads something with further variables, which go before those of the environment, but in what no message repeats.
func (d *Decoder) With(variables map[string]string, read func()) {
	d.further = variables
	read()
	d.further = nil
}

func (d *Decoder) lookup(name string) (string, bool) {
	if value, ok := d.further[name]; ok {
		return value, true
	}
	return d.opts.LookupEnv(name)
}

// Try has read read what was read before without an error, with other variables, and returns what is wrong then. It is no error of the
// file, no warning, and nothing that counts for how much is read.
func (d *Decoder) Try(variables map[string]string, read func()) Errors {
	errs, warnings, unset, bytes := d.errors, d.warnings, d.unset, d.bytes
	d.errors, d.unset, d.ofItem = nil, nil, make(map[string]note)
	d.With(variables, read)
	d.reportUnset()
	wrong := d.errors
	d.errors, d.warnings, d.unset, d.bytes, d.ofItem = errs, warnings, unset, bytes, nil
	return wrong
}

// Section reads a mapping by its fields. A nil n is an absent section: each key has its default.
func (d *Decoder) Section(path string, n *yaml.Node, fields []Field) {
	keys := make([]string, len(fields))
	for i, f := range fields {
		keys[i] = f.Key
	}
	entries, ok := d.Entries(path, n, "the keys "+strings.Join(keys, ", "))
	if !ok {
		return
	}
	values := make(map[string]*yaml.Node, len(entries))
	for _, e := range entries {
		values[e.Key] = e.Value
	}
	for _, f := range fields {
		sub := JoinKey(path, f.Key)
		n := values[f.Key]
		delete(values, f.Key)
		if n != nil && IsNull(n) {
			d.note(sub, func(n *note) { n.empty = true })
		}
		switch {
		case n != nil && !IsNull(n):
			f.Read(d, sub, n)
		case f.Required:
			d.Fail(sub, "is missing; want %s", f.Want)
		case f.Default != "":
			f.Read(d, sub, &yaml.Node{Kind: yaml.ScalarNode, Value: f.Default})
		case f.Fields != nil:
			d.Section(sub, nil, f.Fields)
		}
	}
	for _, e := range entries {
		if _, unknown := values[e.Key]; !unknown {
			continue
		}
		sub := JoinKey(path, e.Key)
		if near := spelling.Nearest(e.Key, keys); near != "" {
			d.Fail(sub, "is not a known key; did you mean %s?", near)
		} else if IsNull(e.Value) && !strings.HasSuffix(sub, `…"`) { // a token without its key, perhaps, as in {token, s3cr3t}
			d.failAt(d.line(sub), JoinKey(path, "…"), "is not a known key, and has no value; want %s", OneOf(keys))
		} else {
			d.Fail(sub, "is not a known key; want %s", OneOf(keys))
		}
	}
}

// Text returns a scalar as it is written.
func (d *Decoder) Text(path string, n *yaml.Node, want string) (string, bool) {
	switch {
	case n.Kind != yaml.ScalarNode:
		d.Fail(path, "is %s; want %s", describe(n), want)
	case n.Style&yaml.TaggedStyle != 0:
		d.Fail(path, "has a YAML tag (!); want the value alone, in quotes where it starts with !")
	case d.spend(len(n.Value)):
		return n.Value, true
	}
	return "", false
}

// AllowsUnset reports whether variables in secrets may be unset or empty.
func (d *Decoder) AllowsUnset() bool { return d.opts.AllowUnset }

// Value returns a scalar with its variables expanded.
func (d *Decoder) Value(path string, n *yaml.Node, want string) (secret.Value, bool) {
	return d.value(path, n, want, false, false)
}

// Secret returns a scalar with its variables expanded, for a value that no message repeats.
func (d *Decoder) Secret(path string, n *yaml.Node, want string) (secret.Value, bool) {
	return d.value(path, n, want, true, false)
}

// Lines is Secret for a text of several lines.
func (d *Decoder) Lines(path string, n *yaml.Node) (secret.Value, bool) {
	return d.value(path, n, "a text as its file has it", true, true)
}

func (d *Decoder) value(path string, n *yaml.Node, want string, hidden, lines bool) (secret.Value, bool) {
	text, ok := d.Text(path, n, want)
	if !ok {
		return secret.Value{}, false
	}
	lookup := d.opts.LookupEnv
	if !hidden && d.further != nil {
		lookup = d.lookup
	}
	value, unset, err := secret.Expand(text, lookup)
	if !hidden && secret.HasReference(text) {
		d.note(path, func(n *note) { n.expanded = text })
	}
	if hidden && !lines {
		want = "one line; a Secret made with printf has no line break at its end, one made with echo has"
	}
	if hidden && d.opts.AllowUnset {
		unset = nil
	}
	for _, name := range unset {
		d.note(path, func(n *note) { n.failed = true })
		d.unset = append(d.unset, unsetVariable{name, path, d.line(path), hidden})
	}
	switch {
	case err != nil:
		d.Fail(path, "%v", err)
	case unset != nil:
	case lines && utf8.ValidString(value) && !strings.ContainsFunc(value, func(r rune) bool { return unicode.IsControl(r) && !strings.ContainsRune("\r\n\t", r) }):
		return secret.New(text, value), true
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		d.Fail(path, "holds a line break, another control character or broken UTF-8; want %s", want)
	default:
		return secret.New(text, value), true
	}
	return secret.Value{}, false
}

// Mismatch says that the value at path is not what is wanted.
func (d *Decoder) Mismatch(path, value, want string) {
	if text := d.at(path).expanded; text != "" {
		d.Fail(path, "is something else once %.60q is expanded; want %s", text, want)
	} else {
		d.Fail(path, "is %.60q; want %s", value, want)
	}
}

// Shown returns the value at path for a message: as it is written, where a variable is in it, since no message
// repeats what a variable holds.
func (d *Decoder) Shown(path string, value any) string {
	if text := d.at(path).expanded; text != "" {
		return fmt.Sprintf("%.60s", text)
	}
	return fmt.Sprint(value)
}

// Err returns all that is wrong, sorted by line, as an Errors; nil when nothing is.
func (d *Decoder) Err() error {
	d.reportUnset()
	if len(d.errors) == 0 {
		return nil
	}
	slices.SortStableFunc(d.errors, compareErrors)
	return d.errors
}

// reportUnset makes one error for each variable that is not set, at the first place that needs it.
func (d *Decoder) reportUnset() {
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
			if u.line < first.line {
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
		d.failAt(first.line, first.path, "the variable %s is not set%s; want %s", name, more, want)
	}
	d.unset = nil
}
