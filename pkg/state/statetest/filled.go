package statetest

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 123, time.UTC)

// SHA returns a valid one that consists of the digit.
func SHA(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

// Many returns a state of n repositories, each of some 230 bytes, all of whose branches are at the SHA of the digit.
func Many(n int, digit string) state.Snapshot {
	s := state.Snapshot{Epoch: "e1", Repositories: map[string]state.Repository{}}
	for i := range n {
		r := state.Repository{Branches: state.NewBranches(nil)}
		for b := range 2 {
			r.Branches.Set(fmt.Sprintf("branch-%d", b), state.Branch{SHA: SHA(digit), N: 1, Time: noon.Truncate(time.Second)})
		}
		s.Repositories[fmt.Sprintf("repository-%d", i)] = r
	}
	return s
}

// Filled returns a state in which every field of every type is set, also one that was added after this was written, with
// n entries of each kind. Half of the repositories are unseen, and so have no branches.
func Filled(n int) state.Snapshot {
	var s state.Snapshot
	fill(reflect.ValueOf(&s).Elem(), n)
	for i, name := range slices.Sorted(maps.Keys(s.Repositories)) {
		r := s.Repositories[name]
		if r.Damaged = nil; i%2 == 0 {
			r.Branches = state.Branches{}
		} else {
			r.Unseen = false
		}
		s.Repositories[name] = r
	}
	return s
}

func nameOf(i int) string { return fmt.Sprintf("name-%d.x", i) }

func fill(v reflect.Value, n int) {
	switch p := v.Addr().Interface().(type) {
	case *time.Time:
		*p = noon
		return
	case *repo.SHA:
		*p = SHA("a")
		return
	case *state.Branches:
		*p = state.NewBranches(nil)
		for i := range n {
			var b state.Branch
			fill(reflect.ValueOf(&b).Elem(), 2)
			p.Set(nameOf(i), b)
		}
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString("text <\"ä\">")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint8:
		v.SetUint('1')
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem(), n)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0), n)
	case reflect.Map:
		v.Set(reflect.MakeMap(v.Type()))
		for i := range n {
			entry := reflect.New(v.Type().Elem()).Elem()
			fill(entry, 2)
			v.SetMapIndex(reflect.ValueOf(nameOf(i)).Convert(v.Type().Key()), entry)
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() {
				fill(f, n)
			}
		}
	default:
		panic(fmt.Sprintf("statetest cannot fill a field of type %s yet", v.Type()))
	}
}
