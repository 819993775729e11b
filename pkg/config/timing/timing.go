// Package timing reads the keys of a configuration that say when something runs.
package timing

import (
	"regexp"
	"time"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/freeze"
)

// maxWindows bounds the windows of one list.
const maxWindows = 20

// WantWindows is what messages ask for.
const WantWindows = freeze.Want + ", or a list of at most 20"

// Field is one window of time in which nothing is started, or a list of them.
func Field(key string, p *freeze.Windows) schema.Field {
	return schema.Field{Key: key, Kind: "list", Want: WantWindows,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			one := func(path string, n *yaml.Node) {
				v, ok := d.Value(path, n, freeze.Want)
				if !ok {
					return
				}
				w, err := freeze.Parse(v.Reveal())
				if err != nil {
					d.Fail(path, "%v", err)
					return
				}
				*p = append(*p, w)
			}
			switch {
			case n.Kind == yaml.ScalarNode:
				one(path, n)
			case len(n.Content) > maxWindows:
				d.Fail(path, "has %d windows; want %s", len(n.Content), WantWindows)
			default:
				d.Items(path, n, WantWindows, one)
			}
		}}
}

// windowText is what a window looks like as far as an expression can tell: it has a time, a date, a day or an expression of cron.
var windowText = regexp.MustCompile(`[0-9]{1,2}:[0-9]{2}|[0-9]{4}-[0-9]{2}-[0-9]{2}|[Mm][Oo][Nn]|[Tt][Uu][Ee]|[Ww][Ee][Dd]|[Tt][Hh][Uu]|[Ff][Rr][Ii]|[Ss][Aa][Tt]|[Ss][Uu][Nn]| for [0-9]`)

// CheckTogether warns of keys that a member of a group has for itself, while all of the group runs together. path is that of the member.
func CheckTogether(d *schema.Decoder, path, group string) {
	for _, key := range []string{"not_on", "priority"} {
		if at := path + ".deploy." + key; d.Given(at) {
			d.Warn(at, "means nothing in a group, whose members run together; want it in %s, or left out", d.Shown(path+".group", schema.JoinKey("groups", group)))
		}
	}
}

// Shape is the shape of what Field reads.
func Shape() schema.Shape {
	one := schema.OrVariable(schema.Pattern(windowText, 200))
	return schema.Shape{"anyOf": []schema.Shape{one, {"type": "array", "minItems": 1, "maxItems": maxWindows, "items": one}}}
}

// Glances returns how often it is glanced at hosts, every glance, when a cycle begins every interval; 0 = never. Two in one would make
// little sooner.
func Glances(glance, interval time.Duration) time.Duration {
	if 2*glance >= interval {
		return 0
	}
	return glance
}
