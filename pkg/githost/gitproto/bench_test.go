package gitproto

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// BenchmarkManyRefs reads the advertisement of a version 0 server with 100,000 branches, of which the last
// is wanted.
func BenchmarkManyRefs(b *testing.B) {
	name := strings.Repeat("1", 40)
	var refs []byte
	for i := range 100_000 {
		refs = appendPkt(refs, fmt.Sprintf("%s refs/heads/a%06d\n", name, i))
	}
	text := string(append(appendPkt(refs, name+" refs/heads/main\n"), "0000"...))
	h := &host{name: "example.com"}
	b.SetBytes(int64(len(text)))
	b.ReportAllocs()
	for b.Loop() {
		o := h.collect(repo.Patterns{repo.ExactPattern("main")}, func(yield func(ref, name string) bool) error {
			_, err := readAdvert(newPktReader(strings.NewReader(text)), yield)
			return err
		})
		if len(o.Heads) != 1 {
			b.Fatalf("got %v, want main", o)
		}
	}
}
