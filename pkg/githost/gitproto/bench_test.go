package gitproto

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
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
		o := h.collect(githost.Wanted{Patterns: repo.Patterns{repo.ExactPattern("main")}}, func(yield func(ref, name string) bool) error {
			_, err := readAdvert(newPktReader(strings.NewReader(text)), yield)
			return err
		})
		if len(o.Heads) != 1 {
			b.Fatalf("got %v, want main", o)
		}
	}
}

// canned answers every request with the same refs, without a network.
type canned []byte

func (c canned) RoundTrip(req *http.Request) (*http.Response, error) {
	header := http.Header{"Content-Type": {typeResult}}
	return &http.Response{StatusCode: http.StatusOK, Header: header, Body: io.NopCloser(bytes.NewReader(c)), Request: req}, nil
}

// BenchmarkHeads is what one repository costs above the HTTP transport.
func BenchmarkHeads(b *testing.B) {
	var answer canned
	for _, branch := range []string{"develop", "main", "release"} {
		answer = appendPkt(answer, strings.Repeat("1", 40)+" refs/heads/"+branch+"\n")
	}
	answer = append(answer, "0000"...)
	e := githost.Endpoint{Account: githost.Account{Type: config.Git, Origin: "https://git.example"}, Auth: config.Auth{Token: secret.New("secret", "secret")}}
	h, err := Open(e, transport.NewClient(answer, "1", 0))
	if err != nil {
		b.Fatal(err)
	}
	want := make([]githost.Wanted, 1000)
	for i := range want {
		want[i] = githost.Wanted{URL: fmt.Sprintf("https://git.example/team/app-%d", i),
			Patterns: repo.Patterns{repo.ExactPattern("main"), repo.ExactPattern("develop"), repo.ExactPattern("release")}}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		if n%len(want) != 0 {
			continue // an iteration is one repository
		}
		for _, o := range h.Heads(b.Context(), want) {
			if len(o.Heads) != 3 {
				b.Fatalf("got %v, want three heads", o)
			}
		}
	}
}
