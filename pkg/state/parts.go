package state

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"slices"
)

// Top is the first document of a snapshot that is stored in several. It alone says what counts: Parts names
// the part that each further document contributes, and its own entries go before those of the parts. So
// one write of the top is what makes any number of changes, in any number of documents, count at once.
type Top struct {
	Epoch        string                 `json:"epoch,omitempty"`
	Repositories map[string]*Repository `json:"repositories,omitempty"` // nil for one that is no more
	Problems     map[string]*Problem    `json:"problems,omitempty"`     // the same
	Parts        []string               `json:"parts,omitempty"`        // by document; none: the top is all
	// Moving is a random word that a writer puts here before it touches a further document: every other
	// writer's top is out of date from then on, so that two never prepare parts for one top.
	Moving string `json:"moving,omitempty"`
}

// Part is what one further document contributes.
type Part struct {
	Repositories map[string]Repository `json:"repositories,omitempty"`
	Problems     map[string]Problem    `json:"problems,omitempty"`
}

// Further is a further document: the part that counts and one that is to count, by their names.
type Further struct {
	Epoch string          `json:"epoch"`
	Parts map[string]Part `json:"parts"`
}

type topDocument struct {
	Version int `json:"version"`
	Top
}

type furtherDocument struct {
	Version int `json:"version"`
	Further
}

// Name returns the name of a part, which follows from its content, and its size in bytes.
func (p Part) Name() (name string, size int, err error) {
	text, err := json.Marshal(p)
	if err != nil {
		return "", 0, fmt.Errorf("encode the state: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])[:16], len(text), nil
}

// Encode returns the top as JSON: in the format of a whole snapshot when it is one.
func (t Top) Encode() ([]byte, error) {
	if len(t.Parts) == 0 && t.Moving == "" {
		return Encode(t.over(nil))
	}
	return json.Marshal(topDocument{parts, t})
}

// DecodeTop reads a top, or a whole snapshot, which is a top without parts.
func DecodeTop(data []byte) (Top, error) {
	var d topDocument
	if err := decode(data, &d, whole, parts); err != nil {
		return Top{}, err
	}
	if d.Version == whole {
		s, err := Decode(data) // which knows neither parts nor entries that are no more
		return Over(s, nil), err
	}
	if r, ok := d.Repositories[""]; ok && r != nil {
		one := map[string]Repository{"": *r}
		setAside(one)
		*r = one[""]
	}
	return d.Top, nil
}

// Encode returns the document as JSON.
func (f Further) Encode() ([]byte, error) { return json.Marshal(furtherDocument{parts, f}) }

// DecodeFurther reads a further document.
func DecodeFurther(data []byte) (Further, error) {
	var d furtherDocument
	if err := decode(data, &d, parts); err != nil {
		return Further{}, err
	}
	for _, p := range d.Parts {
		setAside(p.Repositories)
	}
	return d.Further, nil
}

// Over returns the top that together with the parts is s: it holds what differs from them.
func Over(s Snapshot, parts []Part) Top {
	base := Top{}.over(parts)
	return Top{
		Epoch:        s.Epoch,
		Repositories: differing(s.Repositories, base.Repositories, Repository.equal),
		Problems:     differing(s.Problems, base.Problems, Problem.equal),
	}
}

// With returns the snapshot that the top and the parts that it names are.
func (t Top) With(parts []Part) Snapshot { return t.over(parts) }

func (t Top) over(parts []Part) Snapshot {
	s := Snapshot{Epoch: t.Epoch}
	for _, p := range parts {
		s.Repositories = joined(s.Repositories, p.Repositories)
		s.Problems = joined(s.Problems, p.Problems)
	}
	s.Repositories = laid(s.Repositories, t.Repositories)
	s.Problems = laid(s.Problems, t.Problems)
	return s
}

// Split returns s in n parts of at most room bytes. An entry lies in the part that a hash of its name chooses, or
// in the emptiest where that one is full: reading does not look for it in a certain place. An entry for which no part
// has room is in none; left says that one of them fits an empty part.
func Split(s Snapshot, n, room int) (split []Part, left bool) {
	split = make([]Part, n)
	used := make([]int, n)
	room -= len(`{"repositories":{},"problems":{}}`)
	choose := func(e sized) (*Part, bool) {
		i := place(e.name, n)
		if used[i]+e.size > room {
			i = slices.Index(used, slices.Min(used))
		}
		if used[i]+e.size > room {
			left = left || e.size <= room
			return nil, false
		}
		used[i] += e.size
		return &split[i], true
	}
	for _, e := range bySize(s.Repositories) {
		if p, ok := choose(e); ok {
			p.Repositories = joined(p.Repositories, map[string]Repository{e.name: s.Repositories[e.name]})
		}
	}
	for _, e := range bySize(s.Problems) {
		if p, ok := choose(e); ok {
			p.Problems = joined(p.Problems, map[string]Problem{e.name: s.Problems[e.name]})
		}
	}
	return split, left
}

func place(name string, n int) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name)) // never fails: see hash.Hash
	return int(h.Sum32() % uint32(n))
}

// differing returns the entries of s that base does not have, and nil for those that only base has.
func differing[T any](s, base map[string]T, equal func(a, b T) bool) map[string]*T {
	var top map[string]*T
	put := func(name string, entry *T) {
		if top == nil {
			top = map[string]*T{}
		}
		top[name] = entry
	}
	for name, entry := range s {
		if old, ok := base[name]; !ok || !equal(entry, old) {
			put(name, &entry)
		}
	}
	for name := range base {
		if _, ok := s[name]; !ok {
			put(name, nil)
		}
	}
	return top
}

// joined adds the entries of more to all. What is in both stays as it is in all.
func joined[T any](all, more map[string]T) map[string]T {
	for name, entry := range more {
		if _, ok := all[name]; ok {
			continue
		}
		if all == nil {
			all = make(map[string]T, len(more))
		}
		all[name] = entry
	}
	return all
}

// laid puts the entries of top over base.
func laid[T any](base map[string]T, top map[string]*T) map[string]T {
	for name, entry := range top {
		switch {
		case entry == nil:
			delete(base, name)
			continue
		case base == nil:
			base = make(map[string]T, len(top))
		}
		base[name] = *entry
	}
	return base
}
