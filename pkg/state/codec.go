package state

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// MaxSize bounds an encoded snapshot, in bytes (64 MiB). Ten thousand repositories with three branches
// each take about 5 MB.
const MaxSize = 64 << 20

// The formats; decision 043 says when there is a new one. Every one there ever was is read. Those that are missing here
// are of the documents in which package configmap keeps a snapshot: a number stands for one format, wherever it lies.
const (
	Version      = 3 // what is written
	withProblems = 1 // the problems of units stand for their entries
	newest       = 5
)

// MaxNumber bounds the numbers of runs: one a second reaches it in 31 years. An entry with a higher one is damaged.
const MaxNumber = 999_000_000

// remedy ends the errors about a state that cannot be read, since guessing would lose or repeat runs.
const remedy = "restore it from a backup, or delete it: then every repository counts as seen for the first time"

// document is a snapshot as it is stored.
type document struct {
	Version int `json:"version"`
	Snapshot
	Problems Entries[Problem] `json:"problems,omitempty"` // by the unit's label; only in the first format
}

// Encode returns s as JSON with sorted keys: equal snapshots give equal bytes. It fails with ErrTooLarge on what
// Decode would refuse. An entry that Decode sets aside is written as it is, and costs no other one its place.
func Encode(s Snapshot) ([]byte, error) {
	data := bytes.NewBuffer(make([]byte, 0, s.size())) // a buffer that grows is in memory twice
	err := Write(data, s)
	if err != nil {
		return nil, err
	}
	return data.Bytes(), nil
}

// written is how much of a snapshot Write gives away at once, in bytes.
const written = 64 << 10

// Write writes what Encode returns, and has a small part of it in memory at a time. After an error a part of it is written.
func Write(w io.Writer, s Snapshot) error {
	size := 0
	var err error
	out := func(data []byte) []byte {
		size += len(data)
		if err == nil && size <= MaxSize {
			_, err = w.Write(data)
		}
		return data[:0]
	}
	out(appendValue(nil, reflect.ValueOf(&document{Version: Version, Snapshot: s}).Elem(), func(data []byte) []byte {
		if len(data) < written {
			return data
		}
		return out(data)
	}))
	if size > MaxSize {
		return fmt.Errorf("%w: it takes %d bytes, want at most %d: watch fewer branches, or split the configuration between two Sentries; the largest repositories are %s",
			ErrTooLarge, size, MaxSize, Largest(s, 3))
	}
	return err
}

// size is about what the encoded snapshot takes, in bytes.
func (s Snapshot) size() int {
	const entry, branch = 64, 128
	size := entry*(1+len(s.Repositories)) + (entry+maxMessage)*len(s.Units)
	for _, r := range s.Repositories {
		size += branch*r.Branches.Len() + len(r.Damaged)
	}
	return size
}

// Decode returns the snapshot that data holds. What is no JSON object of a known format is an error that
// says what is wrong and what would mend it; empty data is one too, never an empty snapshot. An entry that
// is not one of Sentry's costs that entry alone: see Repository.Damaged. What a newer Sentry added is kept.
func Decode(data []byte) (Snapshot, error) {
	v, err := Format(data)
	if err != nil {
		return Snapshot{}, err
	}
	if v != Version && v != withProblems {
		return Snapshot{}, unusable(fmt.Errorf("it has format version %d, which does not belong here", v))
	}
	var d document
	if err := decodeValue(bytes.TrimSpace(data), reflect.ValueOf(&d).Elem()); err != nil {
		return Snapshot{}, unusable(err)
	}
	for label, p := range d.Problems {
		u, known := d.Units[label]
		if d.Units == nil {
			d.Units = make(Entries[Unit])
		}
		if !known || u.Problem == nil {
			u.Problem = &p
			d.Units[label] = u
		}
	}
	setAside(d.Repositories)
	return d.Snapshot, nil
}

func unusable(err error) error {
	return fmt.Errorf("the stored state cannot be used: %s; %s", oneline.Of(err.Error(), maxMessage), remedy)
}

// Format returns the format of data, which must be one JSON document and have one that is known. It comes before all
// else, since a newer format may hold anything.
func Format(data []byte) (int, error) {
	if len(data) > MaxSize {
		return 0, unusable(fmt.Errorf("it has more than %d bytes", MaxSize))
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return 0, unusable(errors.New("it is empty"))
	}
	var v struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(data, &v); err != nil {
		return 0, unusable(oneline.WrongJSON(err))
	}
	switch {
	case v.Version > newest:
		return 0, fmt.Errorf("the stored state cannot be used: it has format version %d and this Sentry reads %d: run the newer Sentry that wrote it, or delete the state: then every repository counts as seen for the first time", v.Version, newest)
	case v.Version < withProblems:
		return 0, unusable(errors.New("it has no format version"))
	}
	return v.Version, nil
}

func (r Repository) check() error {
	if err := checkCount("floor", r.Floor); err != nil {
		return err
	}
	if r.Unseen && r.Branches.Len() > 0 {
		return errors.New("it is unseen and has branches")
	}
	for branch, b := range r.Branches.All() {
		if err := repo.CheckBranch(branch); err != nil {
			return fmt.Errorf("branch %w", err)
		}
		if err := b.check(); err != nil {
			return fmt.Errorf("branch %.80q: %w", branch, err)
		}
	}
	return nil
}

func (b Branch) check() error {
	if _, err := repo.ParseSHA(string(b.SHA)); err != nil {
		return fmt.Errorf("sha: %w", err)
	}
	passed := 0
	if b.Passed != nil {
		if _, err := repo.ParseSHA(string(b.Passed.SHA)); err != nil {
			return fmt.Errorf("passed: sha: %w", err)
		}
		if _, err := repo.ParseSHA(string(cmp.Or(b.Passed.Same, b.SHA))); err != nil {
			return fmt.Errorf("passed: same: %w", err)
		}
		passed = b.Passed.N
	}
	return errors.Join(checkCount("n", b.N), checkCount("missing", int(b.Missing)), checkCount("passed: n", passed))
}

func checkCount(key string, n int) error {
	if n < 0 || n > MaxNumber {
		return fmt.Errorf("%s is %d, want 0 to %d", key, n, MaxNumber)
	}
	return nil
}
