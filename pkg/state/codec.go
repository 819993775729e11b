package state

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// MaxSize bounds an encoded snapshot, in bytes (64 MiB). Ten thousand repositories with three branches
// each take about 5 MB.
const MaxSize = 64 << 20

// version is the format that Encode writes. A field that an older Sentry must not lose raises it.
const version = 1

// maxCount bounds the counters, so that adding to what was read cannot overflow.
const maxCount = 1_000_000_000

// remedy ends the errors about a state that cannot be read, since guessing would lose or repeat runs.
const remedy = "restore it from a backup, or delete it: then every repository counts as seen for the first time"

// document is a snapshot as it is stored.
type document struct {
	Version int `json:"version"`
	Snapshot
}

// Encode returns s as JSON with sorted keys: equal snapshots give equal bytes. It fails on what Decode
// would refuse, so that nothing is stored that cannot be read again; the error names the entry.
func Encode(s Snapshot) ([]byte, error) {
	if err := check(s); err != nil {
		return nil, fmt.Errorf("encode the state: %w", err)
	}
	data, err := json.Marshal(document{Version: version, Snapshot: s})
	if err != nil {
		return nil, fmt.Errorf("encode the state: %w", err)
	}
	if len(data) > MaxSize {
		return nil, fmt.Errorf("encode the state: %d bytes, want at most %d: watch fewer branches, or split the configuration between two Sentries", len(data), MaxSize)
	}
	return data, nil
}

// Decode returns the snapshot that data holds. Anything but a whole, valid state of this version is an
// error that says what is wrong and what would mend it; empty data is one too, never an empty snapshot.
func Decode(data []byte) (Snapshot, error) {
	s, err := decode(data)
	if err != nil {
		return Snapshot{}, fmt.Errorf("the stored state cannot be used: %w", err)
	}
	return s, nil
}

func decode(data []byte) (Snapshot, error) {
	if len(data) > MaxSize {
		return Snapshot{}, fmt.Errorf("it has more than %d bytes; %s", MaxSize, remedy)
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return Snapshot{}, fmt.Errorf("it is empty; %s", remedy)
	}
	// The version comes first: a newer format may hold anything.
	var v struct{ Version int }
	if err := json.Unmarshal(data, &v); err != nil {
		return Snapshot{}, fmt.Errorf("%s; %s", oneLine(err.Error()), remedy)
	}
	switch {
	case v.Version > version:
		return Snapshot{}, fmt.Errorf("it has format version %d and this Sentry reads %d: run the newer Sentry that wrote it, or delete the state: then every repository counts as seen for the first time", v.Version, version)
	case v.Version < 1:
		return Snapshot{}, fmt.Errorf("it has no format version; %s", remedy)
	}
	var d document
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&d); err != nil {
		return Snapshot{}, fmt.Errorf("%s; %s", oneLine(err.Error()), remedy)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return Snapshot{}, fmt.Errorf("something follows its end; %s", remedy)
	}
	if err := check(d.Snapshot); err != nil {
		return Snapshot{}, fmt.Errorf("%w; mend this entry, or %s", err, remedy)
	}
	return d.Snapshot, nil
}

// check returns the first invalid entry in sorted order.
func check(s Snapshot) error {
	for _, name := range slices.Sorted(maps.Keys(s.Repositories)) {
		if name == "" {
			return errors.New("a repository without a name")
		}
		if err := s.Repositories[name].check(); err != nil {
			return fmt.Errorf("repository %.80q: %w", name, err)
		}
	}
	return nil
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
	if n < 0 || n > maxCount {
		return fmt.Errorf("%s is %d, want 0 to %d", key, n, maxCount)
	}
	return nil
}
