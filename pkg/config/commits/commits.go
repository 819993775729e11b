// Package commits has the keys of monitor that say which commits run anything.
package commits

import (
	"errors"
	"regexp"
	"regexp/syntax"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/glob"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// maxPaths bounds the patterns of one repository.
const maxPaths = 100

// What messages ask for.
const (
	wantPaths = "a list of 1 to 100 patterns of paths as in .gitignore, the first of them without !"
	wantPath  = "a pattern of paths as in .gitignore, such as services/rag/** or !*.md"
)

// PathsField is the list of the patterns of paths that a commit has to change for anything to run.
func PathsField(key string, p *glob.Patterns) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: wantPaths,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			if len(n.Content) > maxPaths {
				d.Fail(path, "has %d entries; want %s", len(n.Content), wantPaths)
				return
			}
			d.Items(path, n, wantPaths, func(path string, n *yaml.Node) {
				v, ok := d.Value(path, n, wantPath)
				if !ok {
					return
				}
				pattern, err := glob.Parse(v.Reveal())
				switch {
				case err != nil && secret.HasReference(v.Text()):
					d.Mismatch(path, v.Reveal(), wantPath) // the error may repeat a part of the text, and that came from a variable
				case err != nil:
					d.Fail(path, "is no pattern: %v; want %s", err, wantPath)
				case len(*p) == 0 && pattern.Not():
					d.Fail(path, "leaves something out of nothing, so that nothing would run; want %s: '**' is every path", wantPaths)
				default:
					*p = append(*p, pattern)
				}
			})
		}}
}

// maxIgnore bounds the expression in bytes, as that of a branch is.
const maxIgnore = 1000

// wantIgnore is what messages ask for.
const wantIgnore = `a Go regular expression for a part of a commit's message, such as \[skip ci\]`

// Shapes are what JSON Schema can say of them.
var Shapes = map[string]schema.Shape{
	wantPaths:  {"type": "array", "minItems": 1, "maxItems": maxPaths, "items": schema.Item(schema.Shape{"minLength": 1, "maxLength": 1000})},
	wantIgnore: schema.OrVariable(schema.Item(schema.Shape{"minLength": 1})),
}

// IgnoreField is the expression that the messages of commits are searched for which run nothing.
func IgnoreField(key string, p **regexp.Regexp) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: wantIgnore,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			v, ok := d.Value(path, n, wantIgnore)
			if !ok {
				return
			}
			text := v.Reveal()
			re, err := regexp.Compile(text)
			switch {
			case text == "" || len(text) > maxIgnore:
				d.Fail(path, "has %d bytes; want 1 to %d: %s", len(text), maxIgnore, wantIgnore)
			case err != nil && secret.HasReference(v.Text()):
				d.Mismatch(path, text, wantIgnore) // the error repeats the text, and that came from a variable
			case err != nil:
				d.Fail(path, "is no regular expression: %s; want %s", codeOf(err), wantIgnore)
			case re.MatchString(""):
				d.Fail(path, "matches every message, so that nothing would run; want %s", wantIgnore)
			default:
				*p = re
			}
		}}
}

// codeOf returns what is wrong with an expression, without the expression.
func codeOf(err error) string {
	if e, ok := errors.AsType[*syntax.Error](err); ok {
		return e.Code.String()
	}
	return "it cannot be compiled"
}
