package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

const manyRepositories, manyResults = 10_000, 50_000

// BenchmarkFacts is what it costs that something has changed, and somebody looks.
func BenchmarkFacts(b *testing.B) {
	k := pagetest.Large(b, now, manyRepositories, manyResults)
	for b.Loop() {
		facts.Of(*k)
	}
}

// BenchmarkView is each view as it is made first, and as it is there already, which is what a tab costs that is told of a change which
// concerns another view.
func BenchmarkView(b *testing.B) {
	k := pagetest.Large(b, now, manyRepositories, manyResults)
	p := newPage(b, &pagetest.Memory{Is: k})
	for name, target := range map[string]func(i int) string{
		"units":         func(i int) string { return fmt.Sprintf("/?page=%d", 1+i%80) },
		"unit":          func(i int) string { return fmt.Sprintf("/unit/group-%04d", i%1000) },
		"repository":    func(i int) string { return fmt.Sprintf("/repository/service-%05d", i%manyRepositories) },
		"runs":          func(i int) string { return fmt.Sprintf("/runs?page=%d", 1+i%1000) },
		"run":           func(i int) string { return "/run/" + k.Past[i%manyResults].Name },
		"repositories":  func(i int) string { return fmt.Sprintf("/repositories?page=%d", 1+i%50) },
		"configuration": func(i int) string { return fmt.Sprintf("/configuration?page=%d", 1+i%100) },
		"search":        func(i int) string { return fmt.Sprintf("/search?q=service-0%03d", i%1000) },
	} {
		size := 0
		view := func(b *testing.B, target string) {
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, target, nil)
			r.Host = "localhost"
			r.Header.Set("Accept-Encoding", "gzip")
			if p.ServeHTTP(w, r); w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
			size = w.Body.Len()
		}
		view(b, "/unit/group-0999") // for the statistics, which are worked out once
		b.Run(name+"/first", func(b *testing.B) {
			i := 0
			for b.Loop() {
				view(b, target(i))
				i += 7
			}
			b.ReportMetric(float64(size), "wire-bytes")
		})
	}
	b.Run("units/ready", func(b *testing.B) {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = "localhost"
		for b.Loop() {
			p.ServeHTTP(httptest.NewRecorder(), r)
		}
	})
}

// A view takes less than 100 kB on the wire, of how many repositories and results it may be.
func TestWeight(t *testing.T) {
	k := pagetest.Large(t, now, 2000, 5000)
	p := newPage(t, &pagetest.Memory{Is: k})
	for _, target := range []string{"/", "/unit/group-0007", "/repository/service-00071", "/runs", "/repositories", "/search?q=service", "/hosts", "/replicas", "/problems", "/configuration", "/configuration?page=7"} {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Host = "localhost"
		r.Header.Set("Accept-Encoding", "gzip")
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Code != http.StatusOK || w.Body.Len() > 100_000 {
			t.Errorf("%s: status %d, %d bytes", target, w.Code, w.Body.Len())
		}
	}
}
