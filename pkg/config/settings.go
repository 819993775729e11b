package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/schema/plain"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Setting is what a file says at one key: as it is written, or the default where the key is absent.
type Setting struct {
	Text  string // for people; what may be a secret is hidden
	Long  bool   // more than a word: a list, a map, or a text with blanks or line breaks
	whole string
}

// Same reports whether two settings say the same.
func (s Setting) Same(other Setting) bool { return s.whole == other.whole }

// Settings returns what valid files say, by key. Repositories are named, as in repositories.rag.monitor.branches.
func Settings(texts Files, known []Host) (map[string]Setting, error) {
	root, err := schema.Root(texts, Options{}.schema())
	if err != nil {
		return nil, fmt.Errorf("read the settings: %w", err)
	}
	w := settings{newTables(known), map[string]Setting{}}
	w.section("", w.file(&Config{}), plain.Of(root))
	return w.found, nil
}

type settings struct {
	*tables
	found map[string]Setting
}

// section notes what a section says; value is nil where it is absent.
func (w settings) section(path string, fields []schema.Field, value any) {
	values, _ := value.(map[string]any)
	for _, f := range fields {
		sub := schema.JoinKey(path, f.Key)
		switch v := values[f.Key]; {
		case sub == "groups", sub == "clusters":
			of := groupFields(&Group{})
			if sub == "clusters" {
				of = place.Fields(&Cluster{})
			}
			entries, _ := v.(map[string]any)
			for name, entry := range entries {
				w.section(schema.JoinKey(sub, name), of, entry)
			}
		case sub == "repositories":
			list, _ := v.([]any)
			for _, r := range list {
				repository, _ := r.(map[string]any)
				w.section(schema.JoinKey(sub, fmt.Sprint(repository["name"])), w.repository(newRepository()), r)
			}
		case sub == "discover":
			list, _ := v.([]any)
			for i, entry := range list {
				discovery, _ := entry.(map[string]any)
				at := fmt.Sprintf("%s[%d]", sub, i)
				w.section(at, w.discovery(&Discovery{}, nil), entry)
				w.section(at+".template", w.template(newRepository()), discovery["template"])
			}
		case f.Key == "template":
		case f.Key == "pod" && v != nil:
			w.section(sub, section.PodFields(Pod{}), v)
		case (f.Key == "task" || f.Key == "pipeline") && v != nil:
			w.section(sub, section.ReferenceFields(&Reference{}), v)
		case f.Fields != nil:
			w.section(sub, f.Fields, v)
		case v != nil:
			w.found[sub] = setting(f, v)
		case f.Default != "":
			w.found[sub] = setting(f, f.Default)
		}
	}
}

func setting(f schema.Field, value any) Setting {
	text, ok := value.(string)
	if !ok {
		var b bytes.Buffer
		e := json.NewEncoder(&b)
		e.SetEscapeHTML(false)
		_ = e.Encode(value) // texts in maps and lists can always be encoded
		text = string(bytes.TrimSpace(b.Bytes()))
	}
	s := Setting{Text: text, whole: text, Long: !ok || len(strings.Fields(text)) > 1}
	if f.Hidden && secret.New(text, text).Variable() == "" {
		s.Text = "[hidden]"
	}
	return s
}

// Keys are the keys of a file by their names, wherever they stand.
type Keys struct {
	Known  map[string]bool
	Hidden map[string]bool // the values of some that are called so are shown to nobody, but for whole references
	// Addresses are URLs, which no message repeats.
	Addresses map[string]bool
	Sections  map[string]bool // all that are called so are sections
	Lists     map[string]bool // or lists
}

// AllKeys returns the keys that files have.
func AllKeys() Keys {
	k := Keys{map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}, map[string]bool{}}
	kinds := map[string]string{}
	var add func(fields []schema.Field)
	add = func(fields []schema.Field) {
		for _, f := range fields {
			k.Known[f.Key] = true
			if f.Hidden {
				k.Hidden[f.Key] = true
			}
			if f.Address {
				k.Addresses[f.Key] = true
			}
			if kind, ok := kinds[f.Key]; ok && kind != f.Kind {
				kinds[f.Key] = "any"
			} else {
				kinds[f.Key] = f.Kind
			}
			add(f.Fields)
		}
	}
	t := newTables(nil)
	for _, fields := range [][]schema.Field{
		t.file(&Config{}), groupFields(&Group{}), t.repository(newRepository()), section.PodFields(Pod{}),
		section.ReferenceFields(&Reference{}), section.ObjectFields(&section.Object{}), place.Fields(&Cluster{}), t.discovery(&Discovery{}, nil), t.template(newRepository()),
	} {
		add(fields)
	}
	for key, kind := range kinds {
		k.Sections[key], k.Lists[key] = kind == "section", kind == "list"
	}
	return k
}
