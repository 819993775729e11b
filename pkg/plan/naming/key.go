package naming

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"strconv"
	"strings"
	"time"
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
	cluster  string // of In
}

// In returns the key of the runs of a cluster, "" for the one that Sentry runs in. All that follows from it is of that cluster alone: a run
// that somebody copies from one to another proves nothing there.
func (k Key) In(cluster string) Key {
	k.cluster = cluster
	return k
}

// String hides the secret from whoever prints a Key.
func (k Key) String() string { return "[redacted]" }

// GoString hides the secret from %#v.
func (k Key) GoString() string { return k.String() }

// keyed begins each epoch that was made beside a key. The epoch of an older Sentry is hexadecimal digits.
const keyed = "k"

// Epoch returns the epoch of a new state, from a random word. None of its runs is older than the key.
func (k Key) Epoch(word string) string {
	if k.Secret == "" {
		return word
	}
	return keyed + word
}

// Keyed reports whether an epoch was made beside a key.
func Keyed(epoch string) bool { return strings.HasPrefix(epoch, keyed) }

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
	if k.cluster != "" {
		parts = append(parts, "in "+k.cluster) // no instance has a blank in its name
	}
	// Each part is preceded by its length: no two lists of parts give the same bytes.
	for _, part := range parts {
		fmt.Fprintf(h, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(h.Sum(nil))[:n]
}

// RunHash returns what follows the unit's prefix and a dash in the name of its nth run; manual is the random word of
// one that was asked for by hand.
func (k Key) RunHash(epoch, label, manual string, n int) string {
	return k.digest(10, epoch, label, manual, strconv.Itoa(n))
}

// Sign returns the signature of what the parts say. The zero Key signs nothing.
func (k Key) Sign(parts ...string) string {
	if k.Secret == "" {
		return ""
	}
	return k.digest(64, parts...)
}

// Signed reports whether a Sentry that has the key signed what the parts say.
func (k Key) Signed(signature string, parts ...string) bool {
	if k.Secret == "" {
		return false
	}
	// A Sentry that got a name later made runs without it, under the key that it kept.
	for _, instance := range []string{k.Instance, ""} {
		k.Instance = instance
		if hmac.Equal([]byte(signature), []byte(k.Sign(parts...))) {
			return true
		}
	}
	return false
}
