package wire

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"
)

// A client that has the body, by any of the ways to say so, is told that it has.
func TestSend(t *testing.T) {
	a, err := Pack([]byte("text"), "text/plain")
	if err != nil {
		t.Fatal(err)
	}
	strong := a.etag[len("W/"):]
	for tags, want := range map[string]int{
		"": 200, `"other"`: 200, a.etag: 304, strong: 304, "*": 304, `"other", ` + a.etag: 304, a.etag + "x": 200, strong[:len(strong)-2] + `"`: 200,
	} {
		for _, method := range []string{http.MethodGet, http.MethodHead} {
			r, w := httptest.NewRequest(method, "/", nil), httptest.NewRecorder()
			r.Header.Set("If-None-Match", tags)
			Send(w, r, http.StatusOK, a)
			body := "text"
			if method == http.MethodHead || want == http.StatusNotModified {
				body = ""
			}
			if w.Code != want || w.Body.String() != body || w.Header().Get("ETag") != a.etag {
				t.Errorf("%s with %s: status %d, %q, %v", method, tags, w.Code, w.Body, w.Header())
			}
		}
	}
	r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
	r.Header.Set("If-None-Match", "*")
	if Send(w, r, http.StatusNotFound, a); w.Code != http.StatusNotFound || w.Body.String() != "text" {
		t.Errorf("of what is not there: status %d, %q", w.Code, w.Body)
	}
}

// What is kept is bounded, in number and in size.
func TestKept(t *testing.T) {
	var k Kept
	noise := make([]byte, maxSize)
	_, _ = rand.Read(noise)
	large, err := Pack(noise, "")
	if err != nil {
		t.Fatal(err)
	}
	if k.Put("large", large); k.answers["large"].gzip != nil {
		t.Error("what is large is kept")
	}
	for i := range 2 * maxKept {
		k.Put(fmt.Sprint(i), Answer{gzip: bytes.Repeat([]byte{1}, i)})
	}
	if a, ok := k.Get("7"); !ok || len(a.gzip) != 7 || len(k.answers) != maxKept {
		t.Errorf("%d are kept, want %d; 7 is %v", len(k.answers), maxKept, a)
	}
}
