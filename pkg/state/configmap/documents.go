package configmap

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// The formats of the documents here; see state.Version for the others. Every one there ever was is read.
const (
	packedParts   = 5 // as several, but parts that the first names are compressed
	several       = 4 // a first or further document, which hold state documents
	severalBefore = 2 // the same, but the entries of a first stand in it, null for one that is no more
)

// first is the first document where there are further ones. It alone says what counts: Parts names the part that
// each further one contributes, and its own entries go before those of the parts. So one write of it is what
// makes any number of changes, in any number of ConfigMaps, count at once.
type first struct {
	Version int      `json:"version"`
	Parts   []string `json:"parts,omitempty"` // by further document
	// Moving is a random word that a writer puts here before it touches a further document: every other
	// writer's copy is out of date from then on, so that two never prepare parts for one.
	Moving string              `json:"moving,omitempty"`
	Gone   map[string][]string `json:"gone,omitempty"` // by member, the entries of the parts that are no more
	State  json.RawMessage     `json:"state"`          // what goes before the parts

	entries entries // of State
	packed  bool    // whether parts that it names are compressed
}

// further is a further document: the part that counts and one that is to count, by their names. A part is a state
// document.
type further struct {
	Version int                        `json:"version"`
	Epoch   string                     `json:"epoch"`
	Parts   map[string]json.RawMessage `json:"parts"`
}

// readFirst reads a first document, or one that is all of the state.
func readFirst(data []byte) (first, error) {
	v, err := state.Format(data)
	if err != nil {
		return first{}, err
	}
	data = bytes.TrimSpace(data)
	f := first{State: data}
	if v == several || v == packedParts {
		f.State, f.packed = nil, v == packedParts
		err = strictly(data, &f)
	}
	if err == nil {
		f.entries, err = takeApart(f.State)
	}
	if err == nil && v == severalBefore {
		err = f.before()
	}
	if err != nil {
		return first{}, fmt.Errorf("the stored state cannot be used: %w", err)
	}
	return f, nil
}

// before takes out of the entries what stood among them once.
func (f *first) before() error {
	for member, into := range map[string]any{"parts": &f.Parts, "moving": &f.Moving} {
		p := place{member, "", true}
		if text, ok := f.entries[p]; ok {
			if err := json.Unmarshal(text, into); err != nil {
				return oneline.WrongJSON(err)
			}
			delete(f.entries, p)
		}
	}
	for p, text := range f.entries {
		if !p.whole && string(text) == "null" {
			if f.Gone == nil {
				f.Gone = make(map[string][]string)
			}
			f.Gone[p.member] = append(f.Gone[p.member], p.name)
			delete(f.entries, p)
		}
	}
	return nil
}

// text returns the document: the state's own where that is all.
func (f first) text() ([]byte, error) {
	f.State = f.entries.document()
	if len(f.Parts) == 0 && f.Moving == "" {
		return f.State, nil
	}
	if f.Version = several; f.packed {
		f.Version = packedParts
	}
	return json.Marshal(f)
}

// epoch returns the state's epoch, "" where it is not known.
func (f first) epoch() (epoch string) {
	_ = json.Unmarshal(f.entries[epochPlace], &epoch) // what is wrong with it is found by state.Decode
	return epoch
}

var epochPlace = place{"epoch", "", true}

// state returns the document of the whole state, base being the entries of the parts.
func (f first) state(base entries) []byte {
	all := make(entries, len(base)+len(f.entries))
	maps.Copy(all, base)
	for member, names := range f.Gone {
		for _, name := range names {
			delete(all, place{member, name, false})
		}
	}
	for p := range f.entries {
		if p.whole && p != epochPlace {
			maps.DeleteFunc(all, func(q place, _ []byte) bool { return q.member == p.member })
		}
	}
	maps.Copy(all, f.entries)
	return all.document()
}

func readFurther(data []byte) (further, error) {
	var f further
	v, err := state.Format(data)
	if err != nil {
		return further{}, err
	}
	if v != packedParts && v != several && v != severalBefore {
		err = fmt.Errorf("it has format version %d, which does not belong here", v)
	} else {
		err = strictly(data, &f)
	}
	if err != nil {
		return further{}, fmt.Errorf("the stored state cannot be used: %w", err)
	}
	return f, nil
}

func strictly(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		return err
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return errors.New("there is more than one document") // unreachable after state.Format
	}
	return nil
}

// partName returns the name of a part, which follows from its content.
func partName(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16]
}
