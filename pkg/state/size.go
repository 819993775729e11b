package state

import "sync/atomic"

// Size is how large a state is.
type Size struct {
	Bytes                         int // as it is encoded
	Most                          int // bytes for which its store has room
	Repositories, Branches, Units int // that have an entry
}

// Meter keeps how large the state is that a store read or wrote last. Any goroutine may ask it.
type Meter struct{ size atomic.Pointer[Size] }

// Measure notes a snapshot that takes so many bytes, in a store that has room for most.
func (m *Meter) Measure(s Snapshot, bytes, most int) {
	size := Size{Bytes: bytes, Most: most, Repositories: len(s.Repositories), Units: len(s.Units)}
	for _, r := range s.Repositories {
		size.Branches += r.Branches.Len()
	}
	m.size.Store(&size)
}

// Size returns how large the state is; false before the store read or wrote one.
func (m *Meter) Size() (Size, bool) {
	if size := m.size.Load(); size != nil {
		return *size, true
	}
	return Size{}, false
}
