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
	// maxPart bounds each of its texts, in bytes, and maxTopics how many a repository has.
	maxPart, maxTopics = 1000, 100
)

// ErrTooLarge says that so many repositories, or such long names, cannot be kept.
var ErrTooLarge = errors.New("what was found is more than is kept: want fewer owners, or two Sentrys")

type document struct {
	Version int             `json:"version"`
	Lists   []discover.List `json:"lists"`
}

// Encode returns what is kept of lists.
func Encode(lists []discover.List) ([]byte, error) {
	all := 0
	for _, l := range lists {
		all += len(l.Repositories)
	}
	if all > discover.Most {
		return nil, ErrTooLarge
	}
	text, err := json.Marshal(document{version, lists})
	if err != nil {
		return nil, fmt.Errorf("write what was found: %w", err)
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
	all := 0
	for _, l := range d.Lists {
		all += len(l.Repositories)
		for _, r := range l.Repositories {
			if !valid(r) || r.ID == "" || r.Name == "" {
				return nil, errors.New("what was found before is none of Sentry's: a repository has no ID or name, or a text without an end")
			}
		}
	}
	if all > discover.Most {
		return nil, fmt.Errorf("what was found before is none of Sentry's: %d repositories", all)
	}
	return Of(d.Lists), nil
}

// Of returns lists as a configuration takes them. Nobody may change them any more.
func Of(lists []discover.List) *discover.Found {
	if len(lists) == 0 {
		return &discover.Found{}
	}
	text, _ := json.Marshal(lists) // which can always be written
	sum := sha256.Sum256(text)
	return &discover.Found{Lists: lists, Hash: hex.EncodeToString(sum[:])}
}

// valid reports whether the texts of a repository are short enough to be kept, and UTF-8.
func valid(r discover.Repository) bool {
	if len(r.Topics) > maxTopics {
		return false
	}
	for _, s := range append([]string{r.ID, r.Name, r.Path, r.Branch}, r.Topics...) {
		if len(s) > maxPart || !utf8.ValidString(s) {
			return false
		}
	}
	return true
}
