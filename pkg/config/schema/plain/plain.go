// Package plain makes texts, maps and lists of a YAML tree.
package plain

import (
	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// Of returns what stands at a node of a valid file: texts, in maps and lists, with aliases and merges in their place.
func Of(n *yaml.Node) any {
	switch n.Kind {
	case yaml.AliasNode:
		return Of(n.Alias)
	case yaml.MappingNode:
		return sectionOf(n)
	case yaml.SequenceNode:
		list := []any{}
		for _, item := range n.Content {
			list = append(list, Of(item))
		}
		return list
	}
	if schema.IsNull(n) {
		return nil
	}
	return n.Value
}

// sectionOf returns what stands in a section. What << brings for a key that the section has itself was never read, so that
// it may be without an end.
func sectionOf(n *yaml.Node) map[string]any {
	section := map[string]any{}
	var merged []*yaml.Node
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		if key.ShortTag() == "!!merge" {
			merged = append(merged, value)
			continue
		}
		section[key.Value] = Of(value)
	}
	for _, m := range merged {
		if m.Kind == yaml.AliasNode {
			m = m.Alias
		}
		for i := 0; i+1 < len(m.Content); i += 2 {
			if key := m.Content[i].Value; !has(section, key) {
				section[key] = Of(m.Content[i+1])
			}
		}
	}
	return section
}

func has(section map[string]any, key string) bool {
	_, ok := section[key]
	return ok
}
