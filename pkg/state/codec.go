package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// MaxSize bounds an encoded snapshot, in bytes (64 MiB). Ten thousand repositories with three branches
// each take about 5 MB.
const MaxSize = 64 << 20

// The formats. A field that an older Sentry must not lose makes a new one; every one there ever was is read.
const (
	whole = 1 // a whole snapshot
	parts = 2 // one of several documents; see Top and Part
)

// MaxNumber bounds the numbers of runs: one a second reaches it in 31 years. An entry with a higher one is damaged.
const MaxNumber = 999_000_000

// remedy ends the errors about a state that cannot be read, since guessing would lose or repeat runs.
const remedy = "restore it from a backup, or delete it: then every repository counts as seen for the first time"

// document is a snapshot as it is stored.
type document struct {
	Version int `json:"version"`
	Snapshot
}

// Encode returns s as JSON with sorted keys: equal snapshots give equal bytes. It fails with ErrTooLarge on what
// Decode would refuse. An entry that Decode sets aside is written as it is, and costs no other one its place.
func Encode(s Snapshot) ([]byte, error) {
	data, err := s.append(fmt.Appendf(make([]byte, 0, s.size()), `{"version":%d`, whole))
	if err != nil {
		return nil, fmt.Errorf("encode the state: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("%w: it takes %d bytes, want at most %d: watch fewer branches, or split the configuration between two Sentries; the largest repositories are %s",
			ErrTooLarge, len(data), MaxSize, Largest(s, 3))
	}
	return data, nil
}

// append appends the fields of s and the end of their object, as package json would write them. That has a second
// copy of all in memory, and some to spare, which at 10,000 repositories is most of what a cycle needs.
func (s Snapshot) append(data []byte) ([]byte, error) {
	var err error
	if s.Epoch != "" {
		if data, err = appendValue(append(data, `,"epoch":`...), s.Epoch); err != nil {
			return nil, err
		}
	}
	if data, err = appendMap(data, `,"repositories":`, s.Repositories); err != nil {
		return nil, err
	}
	if data, err = appendMap(data, `,"problems":`, s.Problems); err != nil {
		return nil, err
	}
	return append(data, '}'), nil
}

func appendMap[T any](data []byte, key string, entries map[string]T) ([]byte, error) {
	var err error
	for i, name := range slices.Sorted(maps.Keys(entries)) {
		if i == 0 {
			data = append(append(data, key...), '{')
		} else {
			data = append(data, ',')
		}
		if data, err = appendValue(data, name); err != nil {
			return nil, err
		}
		if data, err = appendValue(append(data, ':'), entries[name]); err != nil {
			return nil, err
		}
	}
	if len(entries) > 0 {
		data = append(data, '}')
	}
	return data, nil
}

func appendValue(data []byte, value any) ([]byte, error) {
	text, err := json.Marshal(value)
	return append(data, text...), err
}

// size is about what the encoded snapshot takes, in bytes.
func (s Snapshot) size() int {
	const entry, branch = 64, 128
	size := entry*(1+len(s.Repositories)) + (entry+maxMessage)*len(s.Problems)
	for _, r := range s.Repositories {
		size += branch*len(r.Branches) + len(r.Damaged)
	}
	return size
}

// Decode returns the snapshot that data holds. What is no JSON object of a known format is an error that
// says what is wrong and what would mend it; empty data is one too, never an empty snapshot. An entry that
// is not one of Sentry's costs that entry alone: see Repository.Damaged.
func Decode(data []byte) (Snapshot, error) {
	var d document
	if err := decode(data, &d, whole); err != nil {
		return Snapshot{}, err
	}
	setAside(d.Repositories)
	return d.Snapshot, nil
}

// decode decodes one document, which must have one of the formats.
func decode(data []byte, into any, formats ...int) error {
	v, err := formatOf(data)
	if err == nil && !slices.Contains(formats, v) {
		err = fmt.Errorf("it has format version %d, which does not belong here; %s", v, remedy)
	}
	if err == nil {
		decoder := json.NewDecoder(bytes.NewReader(data))
		decoder.DisallowUnknownFields()
		if err = decoder.Decode(into); err != nil {
			err = fmt.Errorf("%s; %s", oneLine(err.Error()), remedy)
		}
	}
	if err != nil {
		return fmt.Errorf("the stored state cannot be used: %w", err)
	}
	return nil
}

// formatOf checks that data is one JSON document with a format that is known. The version comes before all
// else, since a newer format may hold anything.
func formatOf(data []byte) (int, error) {
	if len(data) > MaxSize {
		return 0, fmt.Errorf("it has more than %d bytes; %s", MaxSize, remedy)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return 0, fmt.Errorf("it is empty; %s", remedy)
	}
	var v struct{ Version int }
	if err := json.Unmarshal(data, &v); err != nil {
		return 0, fmt.Errorf("%s; %s", oneLine(err.Error()), remedy)
	}
	switch {
	case v.Version > parts:
		return 0, fmt.Errorf("it has format version %d and this Sentry reads %d: run the newer Sentry that wrote it, or delete the state: then every repository counts as seen for the first time", v.Version, parts)
	case v.Version < whole:
		return 0, fmt.Errorf("it has no format version; %s", remedy)
	}
	return v.Version, nil
}

func (r Repository) check() error {
	if err := checkCount("floor", r.Floor); err != nil {
		return err
	}
	if r.Unseen && len(r.Branches) > 0 {
		return errors.New("it is unseen and has branches")
	}
	for _, branch := range slices.Sorted(maps.Keys(r.Branches)) {
		if err := repo.CheckBranch(branch); err != nil {
			return fmt.Errorf("branch %w", err)
		}
		if err := r.Branches[branch].check(); err != nil {
			return fmt.Errorf("branch %.80q: %w", branch, err)
		}
	}
	return nil
}

func (b Branch) check() error {
	if _, err := repo.ParseSHA(string(b.SHA)); err != nil {
		return fmt.Errorf("sha: %w", err)
	}
	return errors.Join(checkCount("n", b.N), checkCount("missing", b.Missing))
}

func checkCount(key string, n int) error {
	if n < 0 || n > MaxNumber {
		return fmt.Errorf("%s is %d, want 0 to %d", key, n, MaxNumber)
	}
	return nil
}
