package state

import (
	"fmt"
	"maps"
	"reflect"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/state/internal/object"
)

// Entries are entries by their names. Every map of a stored type is one, but for Branches, which are too many for maps: the codec
// asks both for what it does not need to know of the entries' type.
type Entries[T any] map[string]T

type entries interface {
	appendTo(data []byte, out spill) []byte
	decode(text []byte) error
	empty() bool
	equal(other any) bool
	unshare()
}

// slot returns a place for one entry at a time, and the place as a value.
func slot[T any]() (*T, reflect.Value) {
	p := new(T)
	return p, reflect.ValueOf(p).Elem()
}

func (e *Entries[T]) appendTo(data []byte, out spill) []byte {
	entry, v := slot[T]()
	data = append(data, '{')
	for i, name := range slices.Sorted(maps.Keys(*e)) {
		if i > 0 {
			data = append(data, ',')
		}
		*entry = (*e)[name]
		data = appendValue(append(appendString(data, name), ':'), v, nil)
		if out != nil {
			data = out(data)
		}
	}
	return append(data, '}')
}

func (e *Entries[T]) decode(text []byte) error {
	if err := isObject(text); err != nil {
		return err
	}
	entry, v := slot[T]()
	*e = make(Entries[T])
	for name, value := range object.Members(text) {
		if _, ok := (*e)[name]; ok {
			return fmt.Errorf("%.80q is there twice", name)
		}
		v.SetZero()
		if err := decodeValue(value, v); err != nil {
			return fmt.Errorf("%.80q: %w", name, err)
		}
		(*e)[name] = *entry
	}
	return nil
}

func (e *Entries[T]) equal(other any) bool {
	o := *other.(*Entries[T])
	if len(*e) != len(o) {
		return false
	}
	mine, v := slot[T]()
	theirs, w := slot[T]()
	for name, entry := range *e {
		var ok bool
		if *theirs, ok = o[name]; !ok {
			return false
		}
		if *mine = entry; !equal(v, w) {
			return false
		}
	}
	return true
}

func (e *Entries[T]) empty() bool { return len(*e) == 0 }

// fork makes a map of its own for the same entries.
func (e *Entries[T]) fork() {
	if *e = maps.Clone(*e); *e == nil {
		*e = make(Entries[T])
	}
}

// unshare makes a map of its own for copies of the entries.
func (e *Entries[T]) unshare() {
	entry, v := slot[T]()
	*e = maps.Clone(*e)
	for name := range *e {
		*entry = (*e)[name]
		unshare(v)
		(*e)[name] = *entry
	}
}
