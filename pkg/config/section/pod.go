// Package section has the sections of a configuration that stand in several places, or that are large: their types,
// their tables of keys and their checks.
package section

import (
	"fmt"
	"maps"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// Pod is a `pod` section: what the pods of deployments ask of their cluster, by key. Values are texts, in
// maps and lists whose inner names are those of Kubernetes. pkg/pipelinerun reads them by Kubernetes' types and
// rules, since this package links none.
type Pod map[string]any

// Labels returns the labels that are texts.
func (p Pod) Labels() map[string]string {
	section, _ := p["labels"].(map[string]any)
	labels := make(map[string]string, len(section))
	for key, value := range section {
		if text, ok := value.(string); ok {
			labels[key] = text
		}
	}
	return labels
}

// maxID is the greatest user or group ID that Kubernetes takes.
const maxID = 1<<31 - 1

const wantAsInAPod = "a list, as in a pod of Kubernetes"

// PodField is the section at key "pod". Its table is made only for files that have it.
func PodField(p *Pod) schema.Field {
	return schema.Field{Key: "pod", Kind: "section", Want: "a section, see `pod`",
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			*p = make(Pod)
			d.Section(path, n, PodFields(*p))
		}}
}

// PodFields is the table of a pod section.
func PodFields(p Pod) []schema.Field {
	return []schema.Field{
		p.tree("node_selector", "section", ""),
		p.tree("tolerations", "list", wantAsInAPod),
		p.tree("affinity", "section", ""),
		p.tree("topology_spread_constraints", "list", wantAsInAPod),
		p.tree("image_pull_secrets", "list", "a list of Secrets' names"),
		p.tree("resources", "section", ""),
		podValue(p, func(v *int) schema.Field { return schema.Integer("run_as_user", v, 1, maxID) }),
		podValue(p, func(v *int) schema.Field { return schema.Integer("run_as_group", v, 0, maxID) }),
		podValue(p, func(v *int) schema.Field { return schema.Integer("fs_group", v, 0, maxID) }),
		podValue(p, func(v *bool) schema.Field { return schema.Boolean("openshift", v) }),
		p.tree("labels", "section", ""),
		p.tree("annotations", "section", ""),
		podValue(p, func(v *string) schema.Field {
			return schema.Text("runtime_class_name", v, rule.WantDNS, rule.IsDNSName)
		}),
		podValue(p, func(v *string) schema.Field {
			return schema.Text("priority_class_name", v, rule.WantDNS, rule.IsDNSName)
		}),
		p.tree("host_aliases", "list", wantAsInAPod),
		podValue(p, func(v *string) schema.Field {
			return schema.Enum("dns_policy", v, "ClusterFirst", "ClusterFirstWithHostNet", "Default", "None").Or("")
		}),
		p.tree("dns_config", "section", ""),
	}
}

// tree is a key whose value has an inside.
func (p Pod) tree(key, kind, want string) schema.Field {
	return schema.Field{Key: key, Kind: kind, Want: want,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			value, ok := d.Tree(path, n)
			_, isList := value.([]any)
			_, isSection := value.(map[string]any)
			switch {
			case !ok:
			case kind == "list" && !isList:
				d.Fail(path, "is no list; want %s", want)
			case kind == "section" && !isSection:
				d.Fail(path, "is no section; want key: value")
			default:
				p[key] = value
			}
		}}
}

// podValue is a key with a single value.
func podValue[T any](p Pod, field func(*T) schema.Field) schema.Field {
	var v T
	f := field(&v)
	read := f.Read
	f.Read = func(d *schema.Decoder, path string, n *yaml.Node) {
		if read(d, path, n); !d.Failed(path) {
			p[f.Key] = fmt.Sprint(v)
		}
	}
	return f
}

// mergedKeys are the keys whose values are merged by their own keys.
var mergedKeys = []string{"node_selector", "resources", "labels", "annotations"}

// Over returns the section with what it does not say taken from base.
func (p Pod) Over(base Pod) Pod {
	if len(p) == 0 {
		return base
	}
	merged := maps.Clone(base)
	if merged == nil {
		merged = make(Pod)
	}
	maps.Copy(merged, p)
	for _, key := range mergedKeys {
		theirs, _ := base[key].(map[string]any)
		ours, _ := p[key].(map[string]any)
		if len(theirs) > 0 && len(ours) > 0 {
			both := maps.Clone(theirs)
			maps.Copy(both, ours)
			merged[key] = both
		}
	}
	return merged
}
