package section

import (
	"fmt"
	"maps"
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

// CheckObjects sees to what the Secrets and ConfigMaps of a deployment mean for each other, for the directory of the clone, and for the Secret
// with the credentials of steps.
func CheckObjects(d *schema.Decoder, at string, secrets, configMaps []Object, tmpDir, credentials string) {
	mounts := map[string]string{tmpDir: "global.tmp_dir"}
	for _, list := range []struct {
		key     string
		objects []Object
	}{{"secrets", secrets}, {"config_maps", configMaps}} {
		seen := map[string]bool{}
		for i := range list.objects {
			o, sub := &list.objects[i], fmt.Sprintf("%s.%s[%d]", at, list.key, i)
			if o.Mount != "" {
				o.Mount = path.Clean(o.Mount)
				checkMount(d, sub+".mount", o.Mount, mounts)
			} else {
				for k, key := range o.Keys {
					CheckVariable(d, fmt.Sprintf("%s.keys[%d]", sub, k), key)
				}
			}
			if list.key == "secrets" && o.Name == credentials && o.Name != "" {
				d.Fail(sub, "is the Secret of global.credentials_secret, of which the commands see nothing; want a Secret of its own for them")
			}
			if o.Mount != "" || o.Name == "" || d.Failed(sub+".mount") {
				continue
			}
			if seen[o.Name] {
				d.Fail(sub, "names what an entry before it names; want one entry, with all the keys")
			}
			seen[o.Name] = true
		}
	}
}

// checkMount sees to it that no mount hides another. It adds this one.
func checkMount(d *schema.Decoder, at, mount string, mounts map[string]string) {
	for _, other := range slices.Sorted(maps.Keys(mounts)) {
		where := mounts[other]
		if mount == other || strings.HasPrefix(mount, other+"/") || strings.HasPrefix(other, mount+"/") {
			d.Fail(at, "overlaps the directory of %s; want a directory for each, none within another", where)
			return
		}
	}
	mounts[mount] = at
}
