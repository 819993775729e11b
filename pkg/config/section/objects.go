package section

import (
	"path"
	"regexp"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// Object is a Secret or a ConfigMap of the runs' namespace that the commands see.
type Object struct {
	Name     string
	Mount    string   // where its keys are files, a clean path; "" = they are variables
	Keys     []string // only these; nil = all
	Optional bool     // a run does without it where there is none
}

// Bounds, and what messages ask for.
const (
	MaxObjects  = 50
	maxKeys     = 100
	WantObjects = "a list of at most 50 names, or sections with the keys name, mount, keys, optional"
	wantKeys    = "a list of 1 to 100 keys"
	wantKey     = "at most 253 of A-Z a-z 0-9 . _ and -, not . alone and no .. at its start"
)

// wantMount says what isMount allows.
var wantMount = strings.Replace(rule.WantDir, "not / itself", "not /, /tmp and /var themselves", 1)

var objectKey = regexp.MustCompile(`^[A-Za-z0-9._-]{1,253}$`)

func isObjectKey(s string) bool {
	return objectKey.MatchString(s) && s != "." && !strings.HasPrefix(s, "..")
}

// isMount reports whether files can be mounted at s, read-only: programs write to /tmp, and /var would hide /var/run.
func isMount(s string) bool {
	return rule.IsMountable(s) && !slices.Contains([]string{"/tmp", "/var"}, path.Clean(s))
}

// ObjectsField is a list of Secrets or ConfigMaps.
func ObjectsField(key string, p *[]Object) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: WantObjects,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			if len(n.Content) > MaxObjects {
				d.Fail(path, "has %d entries; want %s", len(n.Content), WantObjects)
				return
			}
			d.Items(path, n, WantObjects, func(path string, n *yaml.Node) {
				var o Object
				if n.Kind == yaml.ScalarNode {
					schema.Text("name", &o.Name, rule.WantDNS, rule.IsDNSName).Read(d, path, n)
				} else {
					d.Section(path, n, ObjectFields(&o))
				}
				*p = append(*p, o)
			})
		}}
}

// ObjectFields is the table of an entry of such a list.
func ObjectFields(o *Object) []schema.Field {
	return []schema.Field{
		schema.Text("name", &o.Name, rule.WantDNS, rule.IsDNSName).Must(),
		schema.Text("mount", &o.Mount, wantMount, isMount),
		{Key: "keys", Kind: "list", Want: wantKeys,
			Read: func(d *schema.Decoder, path string, n *yaml.Node) { o.Keys = keys(d, path, n) }},
		schema.Boolean("optional", &o.Optional).Or("false"),
	}
}

func keys(d *schema.Decoder, path string, n *yaml.Node) []string {
	if len(n.Content) > maxKeys {
		d.Fail(path, "has %d entries; want %s", len(n.Content), wantKeys)
		return nil
	}
	var keys []string
	d.Items(path, n, wantKeys, func(path string, n *yaml.Node) {
		var key string
		schema.Text("", &key, wantKey, isObjectKey).Read(d, path, n)
		if slices.Contains(keys, key) && key != "" {
			d.Fail(path, "repeats another entry of the list; want each key once")
		}
		keys = append(keys, key)
	})
	return keys
}
