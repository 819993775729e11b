// Package refs reads from a file which branches and tags of a repository are watched.
package refs

import (
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

// Reader reads the lists of one file.
type Reader struct {
	// impossible is whether an entry matches no name that Git allows. Many repositories have the same.
	impossible map[string]bool
}

// kind is what a list is of.
type kind struct {
	noun, example string
	parse         func(entry string) (repo.Pattern, error)
	meant         func(entry string) (say, want string)
}

var (
	ofBranches = kind{"branch", "dev.*", repo.ParsePattern, rule.Meant}
	ofTags     = kind{"tag", `v\d+\.\d+\.\d+`, repo.ParseTagPattern, rule.MeantTag}
)

// Branches returns the field with the patterns of branches, which go before those of tags.
func (r *Reader) Branches(key string, p *repo.Patterns) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: Want, Read: func(d *schema.Decoder, path string, n *yaml.Node) {
		*p = append(r.list(d, path, n, ofBranches), p.Tags()...)
	}}
}

// Tags returns the field with the patterns of tags.
func (r *Reader) Tags(key string, p *repo.Patterns) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: Want, Read: func(d *schema.Decoder, path string, n *yaml.Node) {
		*p = append(p.Branches(), r.list(d, path, n, ofTags)...)
	}}
}

func (r *Reader) list(d *schema.Decoder, path string, n *yaml.Node, k kind) repo.Patterns {
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
func (r *Reader) pattern(d *schema.Decoder, path string, v secret.Value, k kind) (repo.Pattern, bool) {
	want := "an exact " + k.noun + " name, or a Go regular expression that matches the whole name, such as " + k.example
	p, err := k.parse(v.Reveal())
	switch {
	case err == nil:
		none, known := r.impossible[v.Reveal()]
		if !known {
			none = p.Impossible()
			if r.impossible == nil {
				r.impossible = make(map[string]bool)
			}
			r.impossible[v.Reveal()] = none
		}
		if none {
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
func warn(d *schema.Decoder, path string, v secret.Value, k kind) {
	said, name := k.meant(v.Reveal())
	switch {
	case said == "":
	case name == "" || secret.HasReference(v.Text()):
		d.Warn(path, "%s", said)
	default:
		d.Warn(path, "%s: %.80s", said, name)
	}
}
