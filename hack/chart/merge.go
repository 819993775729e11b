package main

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"
)

// change is what a condition of the chart makes of a value. It is absent where the condition takes the value away.
type change struct {
	when   string // an operand of the template language
	value  any
	absent bool
}

// merged writes an object as a template that gives, for each condition alone, what it makes of the object.
type merged struct {
	lines []string
	err   error
}

func (m *merged) line(indent int, text string) {
	m.lines = append(m.lines, strings.Repeat(" ", indent)+text)
}

// plain writes a value that no condition changes below a key, or as an item of a list ("- ").
func (m *merged) plain(indent int, head string, value any) {
	text, err := yaml.Marshal(value)
	if err != nil {
		m.err = err
		return
	}
	// Texts may hold braces of their own: Prometheus has templates, too.
	lines := strings.Split(strings.TrimSuffix(strings.ReplaceAll(string(text), "{{", `{{ "{{" }}`), "\n"), "\n")
	below := false
	switch v := value.(type) {
	case map[string]any:
		below = len(v) > 0
	case []any:
		below = len(v) > 0
	}
	first, deeper := lines[0], indent
	switch {
	case head == "- ":
		deeper = indent + 2
	case below:
		m.line(indent, head)
		if _, list := value.([]any); !list {
			deeper = indent + 2
		}
		m.line(deeper, first)
		first = ""
	default:
		head += " "
	}
	if first != "" {
		m.line(indent, head+first)
	}
	for _, l := range lines[1:] {
		if l == "" { // inside of a text
			m.line(0, "")
			continue
		}
		m.line(deeper, l)
	}
}

// mapping writes the entries of a section.
func (m *merged) mapping(indent int, base map[string]any, changes []change) {
	keys := maps.Clone(base)
	for _, c := range changes {
		section, ok := c.value.(map[string]any)
		if !ok {
			m.err = fmt.Errorf("with %s a section is %v", c.when, c.value)
			return
		}
		maps.Copy(keys, section)
	}
	for _, key := range slices.Sorted(maps.Keys(keys)) {
		value, there := base[key]
		var of []change
		for _, c := range changes {
			v, ok := c.value.(map[string]any)[key]
			if ok != there || !reflect.DeepEqual(v, value) {
				of = append(of, change{c.when, v, !ok})
			}
		}
		m.entry(indent, key+":", value, there, of)
	}
}

// entry writes one entry of a section or of a list.
func (m *merged) entry(indent int, head string, base any, there bool, changes []change) {
	if there && (len(changes) == 0 || !slices.ContainsFunc(changes, func(c change) bool { return c.absent || reflect.TypeOf(c.value) != reflect.TypeOf(base) })) {
		switch b := base.(type) {
		case map[string]any:
			if len(changes) > 0 {
				m.line(indent, strings.TrimSuffix(head, " "))
				m.mapping(indent+2, b, changes)
				return
			}
		case []any:
			if len(changes) > 0 {
				m.line(indent, head)
				m.list(indent, b, changes)
				return
			}
		}
	}
	if len(changes) == 0 {
		m.plain(indent, head, base)
		return
	}
	var gone []string
	word := "if"
	for _, c := range changes {
		if c.absent {
			gone = append(gone, c.when)
			continue
		}
		m.line(0, "{{- "+word+" "+c.when+" }}")
		m.plain(indent, head, c.value)
		word = "else if"
	}
	switch {
	case there && len(gone) > 0:
		m.line(0, "{{- "+word+" "+none(gone)+" }}")
		m.plain(indent, head, base)
	case there:
		m.line(0, "{{- else }}")
		m.plain(indent, head, base)
	}
	m.line(0, "{{- end }}")
}

// list writes the items of a list: those of the base, and behind them what each change adds.
func (m *merged) list(indent int, base []any, changes []change) {
	more := make([][]any, len(changes))
	of := make([][]change, len(base))
	for n, c := range changes {
		list := c.value.([]any)
		taken := make([]bool, len(list))
		for i, item := range base {
			switch at := same(base, i, list); {
			case at < 0:
				of[i] = append(of[i], change{c.when, nil, true})
			case !reflect.DeepEqual(list[at], item):
				of[i] = append(of[i], change{c.when, list[at], false})
				taken[at] = true
			default:
				taken[at] = true
			}
		}
		for at, item := range list {
			if !taken[at] {
				more[n] = append(more[n], item)
			}
		}
	}
	for i, item := range base {
		m.entry(indent, "- ", item, true, of[i])
	}
	for n, items := range more {
		for _, item := range items {
			m.entry(indent, "- ", nil, false, []change{{changes[n].when, item, false}})
		}
	}
}

// same returns the place in list of what is base[i] there: the item of the same name, or an equal one, or the one in the same place
// where none comes or goes; -1 where there is none.
func same(base []any, i int, list []any) int {
	name := func(item any) any {
		section, _ := item.(map[string]any)
		return section["name"]
	}
	at := slices.IndexFunc(list, func(item any) bool {
		if n := name(base[i]); n != nil {
			return name(item) == n
		}
		return reflect.DeepEqual(item, base[i])
	})
	if _, section := base[i].(map[string]any); at < 0 && section && len(list) == len(base) {
		return i
	}
	return at
}

// none is the condition that none of these holds.
func none(conditions []string) string {
	if len(conditions) == 1 {
		return "not " + conditions[0]
	}
	return "not (or " + strings.Join(conditions, " ") + ")"
}
