// Package intern keeps one of several values that are the same, so that thousands of repositories that are deployed alike
// share what says how.
package intern

import (
	"hash/maphash"
	"math"
	"reflect"
	"time"
)

// Pool has one of all values of a type that are the same. The zero Pool is empty. It is for one goroutine.
type Pool[T any] struct {
	seed maphash.Seed
	by   map[uint64][]*T
}

// One returns the first value that was given to the Pool and is the same as v, unexported fields included: v itself where
// there was none. From then on nobody may change either. T may not lead back to itself.
func (p *Pool[T]) One(v *T) *T {
	if p.by == nil {
		p.seed, p.by = maphash.MakeSeed(), make(map[uint64][]*T)
	}
	var h maphash.Hash
	h.SetSeed(p.seed)
	sum(&h, reflect.ValueOf(v).Elem())
	key := h.Sum64()
	for _, known := range p.by[key] {
		if reflect.DeepEqual(known, v) {
			return known
		}
	}
	p.by[key] = append(p.by[key], v)
	return v
}

var location = reflect.TypeFor[*time.Location]()

// sum adds what v holds. What it leaves out, such as functions, only makes for more comparisons.
func sum(h *maphash.Hash, v reflect.Value) {
	switch v.Kind() {
	case reflect.String:
		number(h, uint64(v.Len()))
		_, _ = h.WriteString(v.String())
	case reflect.Bool:
		if v.Bool() {
			_ = h.WriteByte(1)
		} else {
			_ = h.WriteByte(0)
		}
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		number(h, uint64(v.Int()))
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Uintptr:
		number(h, v.Uint())
	case reflect.Float32, reflect.Float64:
		number(h, math.Float64bits(v.Float()))
	case reflect.Pointer, reflect.Interface:
		if v.Type() == location { // which holds a hundred years of changes of the clock
			name := (*time.Location)(v.UnsafePointer()).String()
			number(h, uint64(len(name)))
			_, _ = h.WriteString(name)
		} else if !v.IsNil() {
			sum(h, v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			sum(h, v.Field(i))
		}
	case reflect.Slice, reflect.Array:
		number(h, uint64(v.Len()))
		for i := range v.Len() {
			sum(h, v.Index(i))
		}
	case reflect.Map:
		var entries uint64 // in any order
		for e := v.MapRange(); e.Next(); {
			var one maphash.Hash
			one.SetSeed(h.Seed())
			sum(&one, e.Key())
			sum(&one, e.Value())
			entries += one.Sum64()
		}
		number(h, entries)
	}
}

func number(h *maphash.Hash, n uint64) {
	var b [8]byte
	for i := range b {
		b[i] = byte(n >> (8 * i))
	}
	_, _ = h.Write(b[:])
}
