package state

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/state/internal/object"
)

// What is stored, compared and copied of a type follows from its fields, here and nowhere else. The text is what
// package json makes of the same tags, but for three things: members that no field has are kept, a name must be
// spelled exactly and stand once, and what cannot be read is set aside by the type that knows how.

// maxUnknown bounds what is kept of one entry and not known, in bytes as it is stored. A newer Sentry that has to
// store more beside the fields of today has to take a new format.
const maxUnknown = 1 << 10

// unknown is what a newer Sentry stored in an entry and this one does not know. It is kept as it stands.
type unknown struct {
	members *string // as they are encoded, with a comma before each; never changed, so that copies share it
}

func (u *unknown) kept() *unknown { return u }

type keeper interface{ kept() *unknown }

// asider is a type that holds what cannot be read in its place.
type asider interface {
	setAside(text []byte, why error)
}

// field is one field of a struct, as its JSON object has it.
type field struct {
	name      string
	index     []int
	omitEmpty bool
}

var layouts sync.Map // of reflect.Type to []field

func fieldsOf(t reflect.Type) []field {
	if known, ok := layouts.Load(t); ok {
		return known.([]field)
	}
	var fields []field
	for _, f := range reflect.VisibleFields(t) {
		if name, options, _ := strings.Cut(f.Tag.Get("json"), ","); name != "" && name != "-" {
			fields = append(fields, field{name, f.Index, options == "omitempty"})
		}
	}
	layouts.Store(t, fields)
	return fields
}

// encoded returns the text of what a pointer points to.
func encoded(p any) []byte { return appendValue(nil, reflect.ValueOf(p).Elem(), nil) }

// spill takes what is encoded so far somewhere else, where that is much, and returns what the text goes on from. nil keeps all
// of it.
type spill func(data []byte) []byte

func appendValue(data []byte, v reflect.Value, out spill) []byte {
	switch v.Kind() {
	case reflect.String:
		return appendString(data, v.String())
	case reflect.Bool:
		return strconv.AppendBool(data, v.Bool())
	case reflect.Int, reflect.Int32, reflect.Int64:
		return strconv.AppendInt(data, v.Int(), 10)
	case reflect.Pointer:
		if !v.IsNil() {
			return appendValue(data, v.Elem(), out)
		}
	case reflect.Map, reflect.Struct:
		switch p := v.Addr().Interface().(type) {
		case entries:
			return p.appendTo(data, out)
		case *time.Time:
			return appendTime(data, *p)
		}
		if v.Kind() == reflect.Struct {
			return appendObject(data, v, out)
		}
	}
	text, err := json.Marshal(v.Interface())
	if err != nil { // unreachable with the fields that there are
		text = []byte("null")
	}
	return append(data, text...)
}

// appendString is quick where nothing has to be escaped.
func appendString(data []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			escaped, _ := json.Marshal(text) // a string has no error
			return append(data, escaped...)
		}
	}
	return append(append(append(data, '"'), text...), '"')
}

func appendTime(data []byte, t time.Time) []byte {
	data, _ = writable(t).AppendText(append(data, '"'))
	return append(data, '"')
}

// writable returns t, or no time where it cannot be written: one entry would cost all others their place.
func writable(t time.Time) time.Time {
	if _, err := t.MarshalText(); err != nil {
		return time.Time{}
	}
	return t
}

func appendObject(data []byte, v reflect.Value, out spill) []byte {
	p := v.Addr().Interface()
	if r, ok := p.(*Repository); ok && r.Damaged != nil {
		return append(data, r.Damaged...)
	}
	data = append(data, '{')
	first := true
	for _, f := range fieldsOf(v.Type()) {
		value := v.FieldByIndex(f.index)
		if f.omitEmpty && empty(value) {
			continue
		}
		if !first {
			data = append(data, ',')
		}
		first = false
		data = append(append(append(data, '"'), f.name...), '"', ':')
		data = appendValue(data, value, out)
	}
	if k, ok := p.(keeper); ok && k.kept().members != nil {
		members := *k.kept().members
		if first {
			members = members[1:] // without the comma
		}
		data = append(data, members...)
	}
	return append(data, '}')
}

func empty(v reflect.Value) bool {
	switch v.Kind() {
	case reflect.Map, reflect.Slice:
		return v.Len() == 0
	case reflect.Struct:
		if e, ok := v.Addr().Interface().(entries); ok {
			return e.empty()
		}
	}
	return v.IsZero()
}

// decodeValue reads a value that is valid JSON.
func decodeValue(text []byte, v reflect.Value) error {
	null := string(text) == "null"
	switch v.Kind() {
	case reflect.String:
		if text[0] == '"' {
			v.SetString(object.String(text))
			return nil
		}
	case reflect.Int, reflect.Int32, reflect.Int64:
		if n, err := strconv.ParseInt(string(text), 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
			return nil
		}
	case reflect.Pointer:
		if null {
			return nil
		}
		v.Set(reflect.New(v.Type().Elem()))
		return decodeValue(text, v.Elem())
	case reflect.Map, reflect.Struct:
		switch p := v.Addr().Interface().(type) {
		case entries:
			if null {
				return nil
			}
			return p.decode(text)
		case *time.Time:
			return p.UnmarshalJSON(text)
		}
		if v.Kind() == reflect.Struct {
			return decodeObject(text, v)
		}
	}
	return oneline.WrongJSON(json.Unmarshal(text, v.Addr().Interface()))
}

func decodeObject(text []byte, v reflect.Value) error {
	err := decodeMembers(text, v)
	p := v.Addr().Interface()
	if r, ok := p.(*Repository); ok && err == nil {
		err = r.check()
	}
	a, ok := p.(asider)
	if err == nil || !ok {
		return err
	}
	v.SetZero()
	if written := asWritten(text); !bytes.Equal(written, text) {
		return decodeObject(written, v) // of this form, so that a load and a save change nothing
	}
	a.setAside(text, err)
	return nil
}

func decodeMembers(text []byte, v reflect.Value) error {
	if err := isObject(text); err != nil {
		return err
	}
	fields, seen := fieldsOf(v.Type()), 0
	var others []string
	for name, value := range object.Members(text) {
		i := slices.IndexFunc(fields, func(f field) bool { return f.name == name })
		if i < 0 {
			if slices.ContainsFunc(fields, func(f field) bool { return strings.EqualFold(f.name, name) }) {
				return fmt.Errorf("%.80q is spelled otherwise", name)
			}
			others = append(others, string(append(append(appendString([]byte{','}, name), ':'), asWritten(value)...)))
			continue
		}
		if seen&(1<<i) != 0 {
			return fmt.Errorf("%q is there twice", name)
		}
		seen |= 1 << i
		if err := decodeValue(value, v.FieldByIndex(fields[i].index)); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	if others == nil {
		return nil
	}
	return keep(others, v.Addr().Interface())
}

// keep puts members that are not known into the entry.
func keep(members []string, entry any) error {
	k, ok := entry.(keeper)
	if !ok {
		return fmt.Errorf("it has more than its fields: %.80q", members[0])
	}
	slices.Sort(members)
	for i, m := range members[1:] {
		if nameOf(m) == nameOf(members[i]) {
			return fmt.Errorf("%.80q is there twice", nameOf(m))
		}
	}
	all := strings.Join(members, "")
	if _, whole := entry.(*document); !whole && len(all) > maxUnknown {
		return fmt.Errorf("it has %d bytes that this Sentry does not know, want at most %d", len(all), maxUnknown)
	}
	k.kept().members = &all
	return nil
}

// nameOf returns the name of an encoded member with a comma before it.
func nameOf(member string) (name string) {
	for name = range object.Members([]byte("{" + member[1:] + "}")) {
		break
	}
	return name
}

func isObject(text []byte) error {
	switch {
	case string(text) == "null":
		return fmt.Errorf("it is null")
	case text[0] != '{':
		return fmt.Errorf("it is no JSON object")
	}
	return nil
}

// asWritten returns JSON in the form in which it is written.
func asWritten(data []byte) json.RawMessage {
	text, err := json.Marshal(json.RawMessage(data))
	if err != nil {
		return json.RawMessage(`"unreadable"`) // unreachable: what is decoded is valid JSON
	}
	return text
}

// equal compares times as instants, and takes a missing map for an empty one. What both share is not looked at.
func equal(a, b reflect.Value) bool {
	switch a.Kind() {
	case reflect.Map:
		return a.UnsafePointer() == b.UnsafePointer() || a.Addr().Interface().(entries).equal(b.Addr().Interface())
	case reflect.Pointer:
		return a.UnsafePointer() == b.UnsafePointer() || !a.IsNil() && !b.IsNil() && equal(a.Elem(), b.Elem())
	case reflect.Slice:
		same := a.Len() == b.Len()
		for i := 0; same && i < a.Len(); i++ {
			same = equal(a.Index(i), b.Index(i))
		}
		return same
	case reflect.Struct:
		if a.CanInterface() {
			switch p := a.Addr().Interface().(type) {
			case entries:
				return p.equal(b.Addr().Interface())
			case *time.Time:
				return p.Equal(*b.Addr().Interface().(*time.Time))
			}
		}
		for i := range a.NumField() {
			if !equal(a.Field(i), b.Field(i)) {
				return false
			}
		}
		return true
	}
	return a.Equal(b)
}

// unshare replaces what v shares with another value by a copy.
func unshare(v reflect.Value) {
	switch v.Kind() {
	case reflect.Map:
		v.Addr().Interface().(entries).unshare()
	case reflect.Pointer:
		if !v.IsNil() {
			c := reflect.New(v.Type().Elem())
			c.Elem().Set(v.Elem())
			unshare(c.Elem())
			v.Set(c)
		}
	case reflect.Slice:
		if !v.IsNil() {
			c := reflect.MakeSlice(v.Type(), v.Len(), v.Len())
			reflect.Copy(c, v)
			v.Set(c)
		}
	case reflect.Struct:
		if e, ok := v.Addr().Interface().(entries); ok {
			e.unshare()
			return
		}
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() { // not within a time, or what is unknown, which never change
				unshare(f)
			}
		}
	}
}
