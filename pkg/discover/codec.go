package discover

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

const (
	// version is the format of the document.
	version = 1
	// MaxSize bounds it, compressed, in bytes: it is one ConfigMap.
	MaxSize = 900 << 10
	// maxText bounds it as JSON, in bytes.
	maxText = 32 << 20
	// maxPart bounds each of its texts in bytes, as hosts' lists do.
	maxPart = 1 << 10
	// maxTopics and maxTopicBytes bound the topics of a repository. GitHub allows 20 of 50 bytes, and GitLab any number.
	maxTopics, maxTopicBytes = 100, 2 << 10
	// maxNumber bounds numbers, which are seconds of Unix time: no clock says the year 36812, and there is room for those that rise above it.
	maxNumber = 1 << 40
)

// ErrTooLarge says that so many repositories, or such long names, cannot be kept.
var ErrTooLarge = errors.New("what was found is more than is kept: want fewer owners, or two Sentrys")

type document struct {
	Version int                `json:"version"`
	Number  int64              `json:"number"`
	For     string             `json:"for"`
	Lists   []discover.List    `json:"lists"`
	Failing []discover.Failure `json:"failing,omitempty"`
}

// marshal returns what is kept as JSON.
func marshal(found *discover.Found) ([]byte, error) {
	text, err := json.Marshal(document{version, found.Number, found.For, found.Lists, found.Failing})
	if err != nil {
		return nil, fmt.Errorf("write what was found: %w", err)
	}
	return text, nil
}

// Encode returns what is kept.
func Encode(found *discover.Found) ([]byte, error) {
	all := 0
	for _, l := range found.Lists {
		all += len(l.Repositories)
	}
	if all > discover.Most {
		return nil, ErrTooLarge
	}
	text, err := marshal(found)
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	w := gzip.NewWriter(&b) // memory takes all
	_, _ = w.Write(text)
	_ = w.Close()
	if b.Len() > MaxSize || len(text) > maxText {
		return nil, ErrTooLarge
	}
	return b.Bytes(), nil
}

// Decode reads what Encode wrote.
func Decode(data []byte) (*discover.Found, error) {
	r, err := gzip.NewReader(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("what was found before cannot be read: %w", err)
	}
	text, err := io.ReadAll(io.LimitReader(r, maxText+1))
	if err != nil || len(text) > maxText {
		return nil, fmt.Errorf("what was found before cannot be read: it is cut off or damaged, or has more than %d MiB", maxText>>20)
	}
	var d document
	if err := json.Unmarshal(text, &d); err != nil {
		return nil, fmt.Errorf("what was found before cannot be read: %w", oneline.WrongJSON(err))
	}
	if d.Version != version {
		return nil, fmt.Errorf("what was found before has the format %d, and this Sentry reads %d: use a newer Sentry", d.Version, version)
	}
	if d.Number < 0 || d.Number > maxNumber {
		return nil, fmt.Errorf("what was found before is none of Sentry's: it has the number %d", d.Number)
	}
	all := 0
	for _, l := range d.Lists {
		all += len(l.Repositories)
		for _, r := range l.Repositories {
			if r.Since > maxNumber {
				return nil, fmt.Errorf("what was found before is none of Sentry's: a repository was found at %d", r.Since)
			}
			if !valid(r) || r.ID == "" || r.Name == "" {
				return nil, errors.New("what was found before is none of Sentry's: a repository has no ID or name, or a text without an end")
			}
		}
	}
	if all > discover.Most {
		return nil, fmt.Errorf("what was found before is none of Sentry's: %d repositories", all)
	}
	for _, f := range d.Failing {
		if len(f.Why) > maxPart || len(f.Kind) > maxPart || !utf8.ValidString(f.Why) {
			return nil, errors.New("what was found before is none of Sentry's: why a host gives no list is a text without an end")
		}
	}
	return Of(d.Lists, d.Failing, d.Number, d.For), nil
}

// Of returns lists, and why there are none of some owners, as a configuration takes them. Nobody may change them any more.
func Of(lists []discover.List, failing []discover.Failure, number int64, files string) *discover.Found {
	found := &discover.Found{Lists: lists, Failing: failing, Number: number, For: files}
	if len(lists) > 0 || number > 0 {
		sum := sha256.Sum256(fmt.Appendf(content(lists), "%d %s", number, files))
		found.Hash = hex.EncodeToString(sum[:])
	}
	return found
}

// content returns that of lists from which something follows. What is missing in them for now is known still.
func content(lists []discover.List) []byte {
	lists = slices.Clone(lists)
	for i := range lists {
		lists[i].Repositories = slices.Clone(lists[i].Repositories)
		for j := range lists[i].Repositories {
			lists[i].Repositories[j].Missing, lists[i].Repositories[j].Many = 0, false
		}
	}
	text, _ := json.Marshal(lists) // which can always be written
	return text
}
