package plan

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Key is the secret behind the names and signatures of runs, so that only a Sentry that has it makes runs that
// a Sentry believes. The zero Key is for an engine in which nobody else can make runs: names follow from
// the epoch alone then, and no run is signed.
type Key struct {
	Secret string // random, of at least 32 bytes
	// Since is when the key was made, by the clock of the Sentry that made it. In a state that is older, runs that were
	// created before are believed by their names alone: a Sentry that could not sign may have made them.
	Since time.Time
	// Instance is the name of the Sentry, "" for none. It is in all that follows from the key, so that two Sentrys
	// that have the same key make different runs.
	Instance string
}

// String hides the secret from whoever prints a Key.
func (k Key) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return k.String() }

// hiddenKey is a Key in an unexported field, where fmt would print it without asking its String.
type hiddenKey func() Key

func (k Key) hidden() hiddenKey { return func() Key { return k } }

func (h hiddenKey) get() Key {
	if h == nil {
		return Key{}
	}
	return h()
}

// keyed begins each epoch that was made beside a key. The epoch of an older Sentry is hexadecimal digits.
const keyed = "k"

// Epoch returns the epoch of a new state, from a random word. None of its runs is older than the key.
func (k Key) Epoch(word string) string {
	if k.Secret == "" {
		return word
	}
	return keyed + word
}

// digest returns the first n hexadecimal digits of the keyed hash of the parts.
func (k Key) digest(n int, parts ...string) string {
	var h hash.Hash
	if k.Secret == "" {
		h = sha256.New()
	} else {
		h = hmac.New(sha256.New, []byte(k.Secret))
	}
	if k.Instance != "" {
		parts = append(parts, k.Instance)
	}
	// Each part is preceded by its length: no two lists of parts give the same bytes.
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:n]
}

func (k Key) nameHash(epoch, label, manual string, n int) string {
	return k.digest(10, epoch, label, manual, strconv.Itoa(n))
}

// sign returns the signature of a run: of its name, its unit and its trigger, but for the time at which the
// change was seen, which another attempt at the same run has otherwise. The zero Key signs nothing.
func (k Key) sign(epoch, name, label string, t Trigger) string {
	if k.Secret == "" {
		return ""
	}
	parts := []string{"run", epoch, name, label, t.Manual}
	for _, c := range t.Refs {
		parts = append(parts, c.Repository, c.Branch, strconv.Itoa(c.N), string(c.Old), string(c.New))
	}
	return k.digest(64, parts...)
}

// Signature proves that a Sentry with the key made the run. It is "" where there is no key.
func (r Run) Signature() string { return r.key.get().sign(r.epoch, r.Name, r.Unit.Label, r.Trigger) }

// Ours reports whether a Sentry on this state made the run: it is signed, and all that it says of itself fits
// together and into the state. A run from before there was a key is known by its name.
func (r Existing) Ours(k Key, epoch string) bool {
	if !r.sound() {
		return false
	}
	older := r.Created.Before(k.Since) && r.Signature == "" && !strings.HasPrefix(epoch, keyed)
	if k.Secret == "" || older {
		return strings.HasSuffix(r.Name, "-"+Key{}.nameHash(epoch, r.Unit, r.Trigger.Manual, r.number()))
	}
	// A Sentry that got a name later made runs without it, under the key that it kept.
	for _, instance := range []string{k.Instance, ""} {
		k.Instance = instance
		if hmac.Equal([]byte(r.Signature), []byte(k.sign(epoch, r.Name, r.Unit, r.Trigger))) {
			return true
		}
	}
	return false
}

// sound reports whether the state can hold what the run says triggered it, and whether a unit that is one ref was
// triggered by that ref. Members of groups come and go, so that a group's refs are not held to the
// configuration of today.
func (r Existing) sound() bool {
	for _, c := range r.Trigger.Refs {
		_, err := repo.ParseSHA(string(c.New))
		if c.N != r.number() || c.N < 0 || c.N > maxNumber || c.Repository == "" || err != nil || repo.CheckBranch(c.Branch) != nil {
			return false
		}
	}
	// A date beyond these cannot be written as JSON in every time zone.
	if year := r.Trigger.Seen.UTC().Year(); year < 1 || year > 9998 || len(r.Trigger.Refs) == 0 {
		return false
	}
	return !isRefLabel(r.Unit) || len(r.Trigger.Refs) == 1 && refLabel(r.Trigger.Refs[0].Ref) == r.Unit
}
