// Package wire is how answers of the page and of its API go out: compressed once for all who ask, with a tag by which a client
// that has one already is told so.
package wire

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"io"
	"net/http"
	"strings"
	"sync"
)

// Answer is a body that is ready to be sent.
type Answer struct {
	kind string // its content type
	gzip []byte
	etag string
}

// Digest returns a name of bytes, in 64 hex digits.
func Digest(text []byte) string {
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// Pack makes an answer of a body and its content type.
func Pack(text []byte, kind string) (Answer, error) {
	var packed bytes.Buffer
	z, err := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	if err != nil {
		return Answer{}, err
	}
	if _, err := z.Write(text); err != nil {
		return Answer{}, err
	}
	if err := z.Close(); err != nil {
		return Answer{}, err
	}
	// Weak, as it is the same for both encodings.
	return Answer{kind, packed.Bytes(), `W/"` + Digest(text)[:16] + `"`}, nil
}

// Send answers a GET or a HEAD, with 304 in place of 200 where the client has the body.
func Send(w http.ResponseWriter, r *http.Request, status int, a Answer) {
	h := w.Header()
	h.Set("Content-Type", a.kind)
	h.Set("ETag", a.etag)
	if status == http.StatusOK && a.isAt(r.Header.Values("If-None-Match")) {
		h.Del("Content-Type")
		w.WriteHeader(http.StatusNotModified)
		return
	}
	packed := strings.Contains(r.Header.Get("Accept-Encoding"), "gzip")
	if packed {
		h.Set("Content-Encoding", "gzip")
	}
	w.WriteHeader(status)
	if r.Method == http.MethodHead {
		return
	}
	if packed {
		_, _ = w.Write(a.gzip) // who has left misses nothing
		return
	}
	if z, err := gzip.NewReader(bytes.NewReader(a.gzip)); err == nil {
		_, _ = io.Copy(w, z) //nolint:gosec // it is what was packed a moment ago
	}
}

// isAt reports whether a client has the answer, by the tags that it sends.
func (a Answer) isAt(tags []string) bool {
	for _, line := range tags {
		for tag := range strings.SplitSeq(line, ",") {
			tag = strings.TrimSpace(tag)
			if tag == "*" || strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(a.etag, "W/") {
				return true
			}
		}
	}
	return false
}

const (
	// maxKept bounds the answers that a Kept has.
	maxKept = 128
	// maxSize bounds each of them, in bytes on the wire. What is larger is made anew.
	maxSize = 64 << 10
)

// Kept are answers that are ready, of one state of things. The zero value has none. Any goroutine may use it.
type Kept struct {
	mu      sync.Mutex
	answers map[string]Answer
}

// Get returns the answer of a key, if it is there.
func (k *Kept) Get(key string) (Answer, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	a, ok := k.answers[key]
	return a, ok
}

// Put keeps an answer where there is room.
func (k *Kept) Put(key string, a Answer) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(a.gzip) > maxSize || len(k.answers) >= maxKept {
		return
	}
	if k.answers == nil {
		k.answers = map[string]Answer{}
	}
	k.answers[key] = a
}
