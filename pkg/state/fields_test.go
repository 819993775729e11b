package state_test

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/statetest"
)

// fields calls f with each field that is stored, of all types and entries below v, and with a way to change it.
func fields(path string, v reflect.Value, f func(path string, v reflect.Value)) {
	switch {
	case v.Kind() == reflect.Pointer:
		fields(path, v.Elem(), f)
	case v.Kind() == reflect.Map:
		for _, key := range v.MapKeys() {
			entry := reflect.New(v.Type().Elem()).Elem()
			entry.Set(v.MapIndex(key))
			fields(path+"["+key.String()+"]", entry, func(path string, field reflect.Value) {
				f(path, field)
				v.SetMapIndex(key, entry)
			})
		}
	case v.Type() == reflect.TypeFor[state.Branches]():
		all := v.Addr().Interface().(*state.Branches)
		for name, b := range all.All() {
			entry := reflect.New(reflect.TypeFor[state.Branch]()).Elem()
			entry.Set(reflect.ValueOf(b))
			fields(path+"["+name+"]", entry, func(path string, field reflect.Value) {
				f(path, field)
				all.Set(name, entry.Interface().(state.Branch))
			})
		}
	case v.Kind() == reflect.Struct && v.Type().PkgPath() == reflect.TypeFor[state.Snapshot]().PkgPath():
		for i := range v.NumField() {
			if field := v.Field(i); field.CanSet() {
				name := path + "." + v.Type().Field(i).Name
				fields(name, field, f)
				f(name, field)
			}
		}
	}
}

// Whatever a field is, a snapshot in which it is another is not Equal, is read back as written, and a clone and a fork of
// it are its own. So a field that is added is stored, or a test here or in a store fails.
func TestEveryField(t *testing.T) {
	var paths []string
	whole := statetest.Filled(2)
	fields("", reflect.ValueOf(&whole).Elem(), func(path string, _ reflect.Value) { paths = append(paths, path) })
	for _, path := range paths {
		changed := statetest.Filled(2).Clone()
		clone, fork := changed.Clone(), changed.Fork()
		fields("", reflect.ValueOf(&changed).Elem(), func(at string, v reflect.Value) {
			if at == path {
				v.SetZero()
			}
		})
		if reflect.DeepEqual(changed, statetest.Filled(2)) {
			continue // unset in this half of the repositories
		}
		if changed.Equal(clone) || clone.Equal(changed) {
			t.Errorf("%s: Equal does not see that it is another", path)
		}
		if !reflect.DeepEqual(clone, statetest.Filled(2)) {
			t.Errorf("%s: a clone changes with its original", path)
		}
		text, err := state.Encode(clone)
		if err != nil {
			t.Fatal(err)
		}
		if back, err := state.Decode(text); err != nil || !reflect.DeepEqual(back, clone) {
			t.Errorf("%s: %s is read back as %+v, %v", path, text, back, err)
		}
		for i := range reflect.TypeFor[state.Snapshot]().NumField() {
			if f := reflect.ValueOf(&fork).Elem().Field(i); f.Kind() == reflect.Map && f.Len() != 2 {
				t.Errorf("%s: a fork loses entries with its original", path)
			}
		}
	}
	if len(paths) < 30 {
		t.Errorf("%d fields were looked at, want all: %v", len(paths), paths)
	}
}

// Each type keeps what a newer Sentry stored in it.
func TestUnknownIsKept(t *testing.T) {
	const at = `"time":"2026-03-01T12:00:00Z"`
	for what, object := range map[string]string{
		"snapshot":   `{"version":3,%s"epoch":"e"}`,
		"repository": `{"version":3,"repositories":{"a":{%s"floor":1}}}`,
		"branch":     `{"version":3,"repositories":{"a":{"branches":{"main":{%s"sha":"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",` + at + `}}}}}`,
		"problem":    `{"version":3,"repositories":{"a":{"problem":{%s"kind":"x","message":"y","since":"2026-03-01T12:00:00Z"}}}}`,
		"unit":       `{"version":3,"units":{"a.main":{%s"problem":{"kind":"x","message":"y","since":"2026-03-01T12:00:00Z"}}}}`,
		"its note":   `{"version":3,"units":{"a.main":{"problem":{%s"kind":"x","message":"y","since":"2026-03-01T12:00:00Z"}}}}`,
	} {
		read := func(unknown string) state.Snapshot {
			t.Helper()
			s, err := state.Decode(fmt.Appendf(nil, object, unknown))
			if err != nil {
				t.Fatalf("%s: %v", what, err)
			}
			return s
		}
		s := read(` "b" : [ 1.50 , "<" ], "a":{"sha":null},`)
		for how, kept := range map[string]state.Snapshot{"clone": s.Clone(), "fork": s.Fork(), "sound": s.Sound()} {
			text, err := state.Encode(kept)
			if err != nil {
				t.Fatal(err)
			}
			back, err := state.Decode(text)
			if err != nil || !back.Equal(s) {
				t.Errorf("%s: its %s is read back as %s, %v, want all that was there", what, how, text, err)
			}
			if back.Equal(read("")) || back.Equal(read(`"b":[1.5,"<"],"a":{"sha":null},`)) {
				t.Errorf("%s: Equal does not see what is not known", what)
			}
		}
		text, err := state.Encode(s)
		if want, again := fmt.Sprintf(object, ""), read(`"a":{"sha":null},"b":[1.50,"\u003c"],`); err != nil || !again.Equal(s) || len(text) <= len(want) {
			t.Errorf("%s: written as %s, %v, want it beside %s", what, text, err, want)
		}
	}
}
