package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"time"
)

// plainRepository is a Repository that is encoded by its fields alone.
type plainRepository Repository

// MarshalJSON returns a damaged entry as it was found. It does not fail: one entry would cost all others their place.
func (r Repository) MarshalJSON() ([]byte, error) {
	if r.Damaged != nil {
		return r.Damaged, nil
	}
	text, err := json.Marshal(plainRepository(r))
	if err != nil {
		text, err = json.Marshal(plainRepository(r.timely()))
	}
	return text, err
}

// timely returns the entry without the times that package json cannot write, which is all that it cannot.
func (r Repository) timely() Repository {
	r.Branches = maps.Clone(r.Branches)
	for name, b := range r.Branches {
		b.Time = writable(b.Time)
		r.Branches[name] = b
	}
	if r.Problem != nil {
		p := *r.Problem
		p.Since = writable(p.Since)
		r.Problem = &p
	}
	return r
}

// writable returns t, or no time where package json cannot write it.
func writable(t time.Time) time.Time {
	if _, err := t.MarshalJSON(); err != nil {
		return time.Time{}
	}
	return t
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
		_ = entry.UnmarshalJSON(encoded(r)) // takes anything
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

// UnmarshalJSON takes anything: what is not a valid entry becomes a damaged one.
func (r *Repository) UnmarshalJSON(data []byte) error {
	entry, err := decodeEntry(data)
	if err != nil {
		entry = damaged(data)
	}
	*r = entry
	return nil
}

func decodeEntry(data []byte) (Repository, error) {
	var plain plainRepository
	if err := strictly(data, &plain); err != nil {
		return Repository{}, err
	}
	return Repository(plain), Repository(plain).check()
}

// plainProblem is a Problem that is decoded by its fields alone.
type plainProblem Problem

// UnmarshalJSON takes anything: a problem is a note for people, and one that cannot be read shows as it is.
func (p *Problem) UnmarshalJSON(data []byte) error {
	var plain plainProblem
	if err := strictly(data, &plain); err != nil {
		plain = plainProblem(NewProblem(Unreadable, "the stored note cannot be read: "+string(data), time.Time{}))
	}
	*p = Problem(plain)
	return nil
}

func strictly(data []byte, into any) error {
	if bytes.Equal(data, []byte("null")) {
		return errors.New("it is null")
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	return decoder.Decode(into)
}

// damaged returns the entry for what cannot be read.
func damaged(data []byte) Repository {
	text := asWritten(data)
	_, why := decodeEntry(text) // of this form, so that a load and a save change nothing
	return setAsideFor(text, why)
}

// asWritten returns JSON in the form in which it is written.
func asWritten(data []byte) json.RawMessage {
	text, err := json.Marshal(json.RawMessage(data))
	if err != nil {
		return json.RawMessage(`"unreadable"`) // unreachable: the decoder hands over valid JSON
	}
	return text
}

func setAsideFor(text json.RawMessage, why error) Repository {
	p := NewProblem(Unreadable, fmt.Sprintf("nothing runs until its entry in the state is mended, or deleted to record its heads anew: %v", why),
		time.Time{})
	return Repository{Damaged: text, Problem: &p}
}

// setAside marks the entries under a name that no repository can have.
func setAside(repositories map[string]Repository) {
	if r, ok := repositories[""]; ok && r.Damaged == nil {
		repositories[""] = setAsideFor(asWritten(encoded(r)), errors.New("a repository without a name"))
	}
}

func encoded(r Repository) []byte {
	text, err := json.Marshal(r)
	if err != nil {
		return []byte(`{}`) // unreachable: see MarshalJSON
	}
	return text
}
