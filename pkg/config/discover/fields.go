package discover

import (
	"path"
	"regexp"
	"regexp/syntax"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// What messages ask for.
const (
	WantHost  = "the http(s) URL of a server, such as https://git.example.com"
	wantOwner = "an organisation, a user, or a group with those above it, such as company or company/platform"
	wantNames = "a Go regular expression for whole names, such as svc-.*"
	wantTopic = "a topic, without blanks"
	wantFile  = "the path of a file in the repository, such as .sentry.yaml"
)

// maxNames bounds an expression in bytes, as that of a branch is.
const maxNames = 1000

var (
	owner = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
	topic = regexp.MustCompile(`^[^\s\x00-\x1f\x7f]+$`)
	file  = regexp.MustCompile(`^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)*$`)
)

// Shapes are what JSON Schema can say of the texts.
var Shapes = map[string]schema.Shape{
	WantHost:  schema.OrVariable(schema.Shape{"type": "string", "pattern": `^[Hh][Tt][Tt][Pp][Ss]?://[^/?# ][^?# ]*$`}),
	wantOwner: schema.OrVariable(schema.Item(schema.Pattern(owner, 255))),
	wantNames: schema.OrVariable(schema.Item(schema.Shape{"minLength": 1, "maxLength": maxNames})),
	wantTopic: schema.OrVariable(schema.Item(schema.Shape{"minLength": 1, "maxLength": 100})),
	wantFile:  schema.OrVariable(schema.Item(schema.Pattern(file, 255))),
}

// Fields are the keys that say which repositories are wanted.
func Fields(w *Wanted) []schema.Field {
	return []schema.Field{
		schema.Text("owner", &w.Owner, wantOwner, relative(owner)).Must(),
		names("match", &w.Match),
		names("exclude", &w.Exclude),
		schema.Text("topic", &w.Topic, wantTopic, func(s string) bool { return len(s) <= 100 && topic.MatchString(s) }),
		schema.Text("file", &w.File, wantFile, relative(file)),
		schema.Boolean("archived", &w.Archived).Or("false"),
		schema.Boolean("forks", &w.Forks).Or("false"),
	}
}

// relative accepts paths that lead nowhere else.
func relative(re *regexp.Regexp) func(string) bool {
	return func(s string) bool {
		return len(s) <= 255 && re.MatchString(s) && path.Clean("/"+s) == "/"+s
	}
}

// names is an expression that matches whole names.
func names(key string, p **regexp.Regexp) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: wantNames,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			v, ok := d.Value(path, n, wantNames)
			if !ok {
				return
			}
			text := v.Reveal()
			// Parsed on its own first: between our anchors, `a)|(?:b` would be an expression that matches a part.
			parsed, err := syntax.Parse(text, syntax.Perl)
			switch {
			case text == "" || len(text) > maxNames:
				d.Fail(path, "has %d bytes; want 1 to %d: %s", len(text), maxNames, wantNames)
			case err != nil && secret.HasReference(v.Text()):
				d.Mismatch(path, text, wantNames)
			case err != nil:
				d.Fail(path, "is no regular expression: %s; want %s", strings.TrimPrefix(err.Error(), "error parsing regexp: "), wantNames)
			default:
				*p, err = regexp.Compile(`^(?:` + parsed.String() + `)$`)
				if err != nil {
					d.Fail(path, "is too large a regular expression; want %s", wantNames)
				}
			}
		}}
}
