package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"
)

// plainRepository is a Repository that is encoded by its fields alone.
type plainRepository Repository

// MarshalJSON returns a damaged entry as it was found.
func (r Repository) MarshalJSON() ([]byte, error) {
	if r.Damaged != nil {
		return r.Damaged, nil
	}
	return json.Marshal(plainRepository(r))
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
	r, ok := repositories[""]
	if !ok || r.Damaged != nil {
		return
	}
	text, err := json.Marshal(r)
	if err != nil {
		text = []byte(`{}`) // unreachable: it was decoded just now
	}
	repositories[""] = setAsideFor(asWritten(text), errors.New("a repository without a name"))
}
