// Package refs reads from a file which branches and tags of a repository are watched.
package refs

import (
	"slices"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Max is how many entries a list has at most.
const Max = 100

// Want is what a list is.
const Want = "a list of 1 to 100 exact names or regular expressions"

// Reader reads the lists of one file. What many repositories have in common it has once.
type Reader struct {
	patterns map[string]pattern       // entries, by what they are of and their texts
	lists    map[string]repo.Patterns // by what they match, and how they are written
}

// pattern is an entry that was read.
type pattern struct {
	repo.Pattern
	err        error
	impossible bool // it matches no name that Git allows
}

// one returns the list in the memory of the first that is the same.
func (r *Reader) one(ps repo.Patterns) repo.Patterns {
	if r.lists == nil {
		r.lists = make(map[string]repo.Patterns)
	}
	key := ps.Key() + ps.String()
	if r.lists[key] == nil {
		r.lists[key] = ps
	}
	return r.lists[key]
}

// things are what a list is of.
type things struct {
	noun, example string
	parse         func(entry string) (repo.Pattern, error)
	meant         func(entry string) (say, want string)
}

var (
	ofBranches = things{"branch", "dev.*", repo.ParsePattern, rule.Meant}
	ofTags     = things{"tag", `v\d+\.\d+\.\d+`, repo.ParseTagPattern, rule.MeantTag}
)

// Branches returns the field with the patterns of branches, which go before those of tags.
func (r *Reader) Branches(key string, p *repo.Patterns) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: Want, Read: func(d *schema.Decoder, path string, n *yaml.Node) {
		*p = r.one(slices.Concat(r.list(d, path, n, ofBranches), p.Tags()))
	}}
}

// Tags returns the field with the patterns of tags.
func (r *Reader) Tags(key string, p *repo.Patterns) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: Want, Read: func(d *schema.Decoder, path string, n *yaml.Node) {
		*p = r.one(slices.Concat(p.Branches(), r.list(d, path, n, ofTags)))
	}}
}

func (r *Reader) list(d *schema.Decoder, path string, n *yaml.Node, k things) repo.Patterns {
	if len(n.Content) > Max {
		d.Fail(path, "has %d entries; want %s", len(n.Content), Want)
		return nil
	}
	var patterns repo.Patterns
	seen := map[string]int{}
	d.Items(path, n, Want, func(path string, n *yaml.Node) {
		v, ok := d.Value(path, n, "a "+k.noun+" name or a regular expression")
		if !ok {
			return
		}
		p, ok := r.pattern(d, path, v, k)
		if !ok {
			return
		}
		if first, twice := seen[v.Reveal()]; twice {
			d.Fail(path, "repeats entry [%d] of the list; want each %s once", first, k.noun)
		}
		seen[v.Reveal()] = len(seen)
		patterns = append(patterns, p)
		warn(d, path, v, k)
	})
	return patterns
}

// pattern reads one entry of a list.
func (r *Reader) pattern(d *schema.Decoder, path string, v secret.Value, k things) (repo.Pattern, bool) {
	want := "an exact " + k.noun + " name, or a Go regular expression that matches the whole name, such as " + k.example
	parsed, known := r.patterns[k.noun+" "+v.Reveal()]
	if !known {
		if r.patterns == nil {
			r.patterns = make(map[string]pattern)
		}
		parsed.Pattern, parsed.err = k.parse(v.Reveal())
		parsed.impossible = parsed.err == nil && parsed.Impossible()
		r.patterns[k.noun+" "+v.Reveal()] = parsed
	}
	p, err := parsed.Pattern, parsed.err
	switch {
	case err == nil:
		if parsed.impossible {
			d.Warn(path, "matches no name that Git allows for a %s; want %s", k.noun, want)
		}
		if secret.HasReference(v.Text()) {
			p = p.As(v.Text())
		}
		return p, true
	case secret.HasReference(v.Text()):
		d.Mismatch(path, v.Reveal(), want) // the error repeats the entry, and that came from a variable
	default:
		d.Fail(path, "%v; want %s", err, want)
	}
	return p, false
}

// WarnBranch warns of a branch that is valid and can hardly be meant so.
func WarnBranch(d *schema.Decoder, path string, v secret.Value) { warn(d, path, v, ofBranches) }

// warn warns of an entry that is valid and can hardly be meant so. What came from a variable is not repeated.
func warn(d *schema.Decoder, path string, v secret.Value, k things) {
	said, name := k.meant(v.Reveal())
	switch {
	case said == "":
	case name == "" || secret.HasReference(v.Text()):
		d.Warn(path, "%s", said)
	default:
		d.Warn(path, "%s: %.80s", said, name)
	}
}

// NameShape says what Git forbids, as far as one regular expression can.
func NameShape() schema.Shape {
	const forbidden = `[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|^-|^@$|^HEAD$|\.$|(^|/)(\.|/|$)|\.lock(/|$)`
	return schema.Shape{"minLength": 1, "maxLength": 255, "not": schema.Shape{"type": "string", "pattern": forbidden}}
}
