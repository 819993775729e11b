package state

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"
)

// setAside makes of what is no entry a damaged one.
func (r *Repository) setAside(text []byte, why error) {
	p := NewProblem(Unreadable, fmt.Sprintf("nothing runs until its entry in the state is mended, or deleted to record its heads anew: %v", why),
		time.Time{})
	*r = Repository{Damaged: append([]byte(nil), text...), Problem: &p}
}

// setAside makes a note of what is none: a problem is for people, and one that cannot be read shows as it is.
func (p *Problem) setAside(text []byte, _ error) {
	*p = NewProblem(Unreadable, "the stored note cannot be read: "+string(text), time.Time{})
}

// setAside makes of what is no entry one with such a note.
func (u *Unit) setAside(text []byte, why error) {
	*u = Unit{Problem: new(Problem)}
	u.Problem.setAside(text, why)
}

// Sound returns s as it will be read when it was written: with the entries set aside that Decode sets aside.
// Planning makes no such entry. If it did, that entry's repository would stop, and no other.
func (s Snapshot) Sound() Snapshot {
	bad := make(map[string]Repository)
	for name, r := range s.Repositories {
		if r.Damaged != nil || name != "" && r.check() == nil {
			continue
		}
		var entry Repository
		_ = decodeValue(encoded(&r), reflect.ValueOf(&entry).Elem()) // sets aside what it cannot read
		bad[name] = entry
	}
	if len(bad) == 0 {
		return s
	}
	setAside(bad)
	sound := s.Fork()
	maps.Copy(sound.Repositories, bad)
	return sound
}

// setAside marks the entry under a name that no repository can have.
func setAside(repositories map[string]Repository) {
	if r, ok := repositories[""]; ok && r.Damaged == nil {
		r.setAside(encoded(&r), errors.New("a repository without a name"))
		repositories[""] = r
	}
}
