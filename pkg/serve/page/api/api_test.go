package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/serve/page"
	"github.com/tekton-sentry/sentry/pkg/serve/page/api"
	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var now = time.Date(2026, 11, 27, 12, 0, 0, 0, time.UTC)

func clock() time.Time { return now }

// source is a page's with all kinds of things.
func source(t *testing.T) *pagetest.Memory {
	k := pagetest.Small(t, now)
	k.Snapshot.Units["shop"] = state.Unit{Paused: &state.Pause{Since: now, Reason: "an audit", By: "ada"}}
	gone := k.Snapshot.Repositories["web"]
	k.Snapshot.Repositories["gone"] = state.Repository{Branches: gone.Branches.Clone()}
	k.Runs = append(k.Runs, engine.Run{Existing: plan.Existing{Name: "shop-2", Unit: "shop", Created: now.Add(-time.Hour)}, Reason: "Failed"})
	return &pagetest.Memory{Is: k, Out: engine.Outcome{Tasks: []engine.Task{
		{Name: "check", Result: engine.Succeeded, Start: now, End: now.Add(65 * time.Second)},
		{Name: "lib", Result: engine.Running, Start: now, After: []string{"check"}},
		{Name: "undo", RollbackOf: "lib", Result: engine.Skipped},
	}}}
}

// ask asks as curl does.
func ask(p http.Handler, method, target string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, nil)
	r.Host = "localhost:8082"
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	p.ServeHTTP(w, r)
	return w
}

func decode(t *testing.T, w *httptest.ResponseRecorder, status int, into any) {
	t.Helper()
	if err := json.Unmarshal(w.Body.Bytes(), into); err != nil || w.Code != status {
		t.Fatalf("status %d, want %d: %v in\n%s", w.Code, status, err, w.Body)
	}
}

// closed has each object of a schema have no other properties than those that it names.
func closed(value any) any {
	switch v := value.(type) {
	case map[string]any:
		if _, ok := v["properties"].(map[string]any); ok && v["type"] == "object" {
			v["additionalProperties"] = false
		}
		for k := range v {
			v[k] = closed(v[k])
		}
	case []any:
		for i := range v {
			v[i] = closed(v[i])
		}
	}
	return value
}

// spec is the document as it is served, against which answers are held.
type spec struct {
	t        *testing.T
	compiler *jsonschema.Compiler
	Paths    map[string]map[string]struct {
		Parameters []struct {
			Name, In string
			Required bool
			Schema   struct{ Minimum, Maximum *int }
		}
		Responses map[string]json.RawMessage
	}
}

func served(t *testing.T, p http.Handler) *spec {
	w := ask(p, http.MethodGet, "/api/v1/openapi.json")
	s := &spec{t: t, compiler: jsonschema.NewCompiler()}
	decode(t, w, http.StatusOK, s)
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		t.Fatal(err)
	}
	s.compiler.AssertFormat()
	if err := s.compiler.AddResource("openapi.json", closed(doc)); err != nil {
		t.Fatal(err)
	}
	return s
}

// check checks an answer against what the document says of it at a JSON pointer.
func (s *spec) check(w *httptest.ResponseRecorder, what, kind, at string) {
	s.t.Helper()
	if got := w.Header().Get("Content-Type"); got != kind {
		s.t.Errorf("%s: it is %q, want %q", what, got, kind)
	}
	schema, err := s.compiler.Compile("openapi.json#" + at + "/content/" + pointer(kind) + "/schema")
	if err != nil {
		s.t.Fatal(err)
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(w.Body.Bytes()))
	if err != nil {
		s.t.Fatalf("%s: %v in\n%s", what, err, w.Body)
	}
	if err := schema.Validate(value); err != nil {
		s.t.Errorf("%s does not fit the document: %v\n%s", what, err, w.Body)
	}
}

func pointer(part string) string {
	return url.PathEscape(strings.NewReplacer("~", "~0", "/", "~1").Replace(part))
}

// Each path of the document is there, takes what the document says, and answers as it says, also where it refuses.
func TestDocumentIsTrue(t *testing.T) {
	p := pagetest.New(t, source(t), clock)
	s := served(t, p)
	values := map[string][]string{
		"unit": {"shop", "lib.main", "platform"}, "repository": {"web", "docs", "lib", "gone"}, "run": {"shop-2", "lib-main-7", "platform-70"},
		"name": {"shop", "web", "lib@main"}, "q": {"shop"}, "limit": {"1", "200"},
	}
	if len(s.Paths) < 13 {
		t.Fatalf("the document has %d paths", len(s.Paths))
	}
	for path, operations := range s.Paths {
		get, only := operations["get"]
		if !only || len(operations) != 1 {
			t.Errorf("%s has others than GET", path)
		}
		in := "/paths/" + pointer(path) + "/get/responses/"
		// targets are the path with each value of each parameter, one at a time, and none can be refused that is in bounds.
		base, required := path, url.Values{}
		for _, p := range get.Parameters {
			if p.In == "path" {
				base = strings.ReplaceAll(base, "{"+p.Name+"}", values[p.Name][0])
			} else if p.Required {
				required.Set(p.Name, values[p.Name][0])
			}
		}
		targets := []string{base + "?" + required.Encode()}
		bad := []string{base + "?" + required.Encode() + "&none=1", base + "?%zz"}
		for _, p := range get.Parameters {
			for _, v := range values[p.Name] {
				query := maps.Clone(required)
				if p.In == "path" {
					targets = append(targets, strings.ReplaceAll(path, "{"+p.Name+"}", v))
					continue
				}
				query.Set(p.Name, v)
				targets = append(targets, base+"?"+query.Encode())
			}
			if p.In == "query" {
				query := maps.Clone(required)
				query.Set(p.Name, strings.Repeat("?", 401))
				bad = append(bad, base+"?"+query.Encode())
			}
			if p.Schema.Maximum != nil {
				bad = append(bad, fmt.Sprintf("%s?%s&%s=%d", base, required.Encode(), p.Name, *p.Schema.Maximum+1), fmt.Sprintf("%s?%s&%s=%d", base, required.Encode(), p.Name, *p.Schema.Minimum-1))
			}
		}
		for _, target := range targets {
			w := ask(p, http.MethodGet, target)
			if w.Code != http.StatusOK {
				t.Errorf("%s: status %d\n%s", target, w.Code, w.Body)
				continue
			}
			s.check(w, target, "application/json", in+"200")
			tag := w.Header().Get("ETag")
			if again := ask(p, http.MethodGet, target, "If-None-Match", tag); tag == "" || again.Code != http.StatusNotModified || again.Body.Len() > 0 {
				t.Errorf("%s again: status %d, %d bytes", target, again.Code, again.Body.Len())
			}
			head := ask(p, http.MethodHead, target)
			if head.Code != http.StatusOK || head.Body.Len() > 0 || head.Header().Get("ETag") != tag || head.Header().Get("Content-Type") != "application/json" {
				t.Errorf("HEAD %s: status %d, %d bytes, %v", target, head.Code, head.Body.Len(), head.Header())
			}
		}
		refused := func(target, name string, w *httptest.ResponseRecorder, status int) {
			if w.Code != status {
				t.Errorf("%s: status %d, want %d\n%s", target, w.Code, status, w.Body)
			}
			if _, said := get.Responses[name]; !said {
				t.Errorf("%s: the document says nothing of %s", path, name)
			}
			s.check(w, target, "application/problem+json", "/components/responses/Bad")
			if got := w.Header().Get("Cache-Control"); got != "no-store" {
				t.Errorf("%s: a refusal may be kept: %q", target, got)
			}
		}
		for _, target := range bad {
			name := "400"
			if len(get.Parameters) == 0 {
				name = "default"
			}
			refused(target, name, ask(p, http.MethodGet, target), http.StatusBadRequest)
		}
		if strings.Contains(path, "{") {
			target := strings.NewReplacer("{unit}", "none", "{repository}", "none", "{run}", "none").Replace(path)
			refused(target, "404", ask(p, http.MethodGet, target), http.StatusNotFound)
		} else if slices.ContainsFunc(get.Parameters, func(p struct {
			Name, In string
			Required bool
			Schema   struct{ Minimum, Maximum *int }
		}) bool {
			return p.Name == "name"
		}) {
			refused(path+"?name=none", "404", ask(p, http.MethodGet, path+"?name=none"), http.StatusNotFound)
		}
		w := ask(p, http.MethodPost, base)
		if refused(base, "default", w, http.StatusMethodNotAllowed); w.Header().Get("Allow") != "GET, HEAD" {
			t.Errorf("POST %s: %v", base, w.Header())
		}
	}
}

// What is no path is said to be none, in the API's words.
func TestNoPath(t *testing.T) {
	p := pagetest.New(t, source(t), clock)
	s := served(t, p)
	for _, target := range []string{"/api/", "/api/v1", "/api/v1/", "/api/v1/none", "/api/v1/units/shop/more", "/api/v2/units", "/api/v1/runs/", "/api/v1/units/%00"} {
		w := ask(p, http.MethodGet, target)
		if w.Code != http.StatusNotFound {
			t.Errorf("%s: status %d", target, w.Code)
			continue
		}
		s.check(w, target, "application/problem+json", "/components/responses/Missing")
	}
}

// The page's protections are the API's.
func TestProtections(t *testing.T) {
	p := pagetest.New(t, source(t), clock)
	s := served(t, p)
	for name, c := range map[string]struct {
		status int
		change func(r *http.Request)
	}{
		"another name": {http.StatusMisdirectedRequest, func(r *http.Request) { r.Host = "evil.example" }},
		"another site": {http.StatusForbidden, func(r *http.Request) {
			r.Header.Set("Sec-Fetch-Site", "cross-site")
			r.Header.Set("Sec-Fetch-Mode", "cors")
		}},
		"a long address": {http.StatusRequestURITooLong, func(r *http.Request) { r.RequestURI = "/api/v1/units?from=" + strings.Repeat("a", 4<<10) }},
		"a body":         {http.StatusBadRequest, func(r *http.Request) { r.ContentLength = 1 }},
		"a preflight":    {http.StatusMethodNotAllowed, func(r *http.Request) { r.Method = http.MethodOptions; r.Header.Set("Origin", "https://evil.example") }},
		"as it should":   {http.StatusOK, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/v1/units", nil)
		r.Host = "localhost"
		c.change(r)
		w := httptest.NewRecorder()
		if p.ServeHTTP(w, r); w.Code != c.status {
			t.Errorf("%s: status %d, want %d", name, w.Code, c.status)
		}
		if c.status != http.StatusOK {
			s.check(w, name, "application/problem+json", "/components/responses/Refused")
		}
		if got := w.Header().Get("X-Content-Type-Options"); got != "nosniff" {
			t.Errorf("%s: nosniff is %q", name, got)
		}
		for header := range w.Header() {
			if strings.HasPrefix(header, "Access-Control-") {
				t.Errorf("%s: it lets other sites read it: %s", name, header)
			}
		}
	}
	if got := ask(p, http.MethodGet, "/api/v1/units").Header().Get("Cache-Control"); got != "private, no-cache" {
		t.Errorf("what is known may be kept by others: %q", got)
	}
}

// A part begins where the one before ended, though runs come and go meanwhile, and those of one second are in one order.
func TestParts(t *testing.T) {
	m := source(t)
	for i := range m.Is.Past { // four of each second, and their names are in no order
		m.Is.Past[i].Created = now.Add(-time.Duration(i/4) * time.Second)
	}
	now := now
	p := pagetest.New(t, m, func() time.Time { return now })
	before := map[string]bool{}
	for _, r := range m.Is.Past {
		before[r.Name] = true
	}
	var names []string
	from := ""
	for i := range 100 {
		target := "/api/v1/runs?limit=7"
		if from != "" {
			target += "&from=" + from
		}
		var part api.Runs
		decode(t, ask(p, http.MethodGet, target), http.StatusOK, &part)
		for _, r := range part.Runs {
			names = append(names, r.Name)
		}
		if from = part.Next; from == "" {
			break
		}
		// A run comes, the last one that was told of goes, and the page has read that.
		k := *m.Is
		k.Past = append([]result.Result{{Name: fmt.Sprintf("new-%d", i), Unit: "new", Created: now.Add(time.Hour), Verdict: result.Succeeded}}, k.Past...)
		k.Past = slices.DeleteFunc(k.Past, func(r result.Result) bool { return r.Name == names[len(names)-1] })
		m.Is, now = &k, now.Add(time.Minute)
	}
	told := map[string]bool{}
	for _, name := range names {
		if told[name] || !before[name] {
			t.Errorf("%s is told of twice, or came after the first part", name)
		}
		told[name] = true
	}
	if len(told) != len(before) {
		t.Errorf("%d of %d runs are told of", len(told), len(before))
	}
}

// All parts together are what one is.
func TestAllParts(t *testing.T) {
	p := pagetest.New(t, source(t), clock)
	for path, list := range map[string]string{
		"/units": "units", "/problems": "problems", "/repositories": "repositories", "/repositories/lib": "branches", "/explain?name=platform": "branches",
		"/runs?name=platform": "runs", "/active": "runs",
	} {
		entries := func(limit string) []string {
			var all []string
			from := url.Values{"limit": {limit}}
			for range 1000 {
				var part map[string]json.RawMessage
				query := "?"
				if strings.Contains(path, "?") {
					query = "&"
				}
				decode(t, ask(p, http.MethodGet, "/api/v1"+path+query+from.Encode()), http.StatusOK, &part)
				var some []json.RawMessage
				if err := json.Unmarshal(part[list], &some); err != nil || limit == "1" && len(some) > 1 {
					t.Fatalf("%s: %v, %d entries", path, err, len(some))
				}
				for _, e := range some {
					all = append(all, string(e))
				}
				if part["next"] == nil {
					return all
				}
				from.Set("from", strings.Trim(string(part["next"]), `"`))
			}
			t.Errorf("%s does not end", path)
			return nil
		}
		whole, parts := entries("200"), entries("1")
		if len(whole) == 0 || !slices.Equal(whole, parts) {
			t.Errorf("%s: %d entries at once, %d one by one", path, len(whole), len(parts))
		}
	}
}

// Of a large installation what is no list is refused whole, and a list has fewer entries than asked for where they are large.
func TestBounds(t *testing.T) {
	m := &pagetest.Memory{Is: pagetest.Large(t, now, 6000, 100)}
	for i := range m.Is.Past {
		m.Is.Past[i].Members[0].Output = []string{strings.Repeat("x", 100_000)}
	}
	p := pagetest.New(t, m, clock)
	var problem api.Problem
	if decode(t, ask(p, http.MethodGet, "/api/v1/status"), http.StatusBadRequest, &problem); !strings.Contains(problem.Detail, "?name=") {
		t.Errorf("all of it: %q", problem.Detail)
	}
	if w := ask(p, http.MethodGet, "/api/v1/status?name=service-00000"); w.Code != http.StatusOK {
		t.Errorf("one of them: status %d\n%s", w.Code, w.Body)
	}
	var part api.Runs
	w := ask(p, http.MethodGet, "/api/v1/runs?limit=100")
	decode(t, w, http.StatusOK, &part)
	if w.Body.Len() > 2<<20 || len(part.Runs) < 10 || part.Next == "" {
		t.Errorf("%d bytes, %d runs, next %q", w.Body.Len(), len(part.Runs), part.Next)
	}
}

// crowded is a source that answers how runs go when it is told to, and counts who waits for that.
type crowded struct {
	*pagetest.Memory
	waiting atomic.Int32
	goOn    chan struct{}
}

func (c *crowded) Outcome(ctx context.Context, run string) (engine.Outcome, error) {
	c.waiting.Add(1)
	<-c.goOn
	return c.Memory.Outcome(ctx, run)
}

// However many ask at once, few answers are made at a time: each may be of all that is known. Who waits for too long is told.
func TestManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most, more = 4, 3
		c := &crowded{Memory: source(t), goOn: make(chan struct{})}
		p := pagetest.New(t, c, clock)
		statuses := make(chan int, most+more)
		for range most + more {
			go func() { statuses <- ask(p, http.MethodGet, "/api/v1/runs/lib-main-7").Code }()
		}
		synctest.Wait()
		if n := c.waiting.Load(); n != most {
			t.Errorf("%d answers are made at once, want %d", n, most)
		}
		for range more {
			if status := <-statuses; status != http.StatusServiceUnavailable {
				t.Errorf("who waited too long has the status %d", status)
			}
		}
		close(c.goOn)
		for range most {
			if status := <-statuses; status != http.StatusOK {
				t.Errorf("status %d", status)
			}
		}
	})
}

// What an answer lacks is said beside it, and what cannot be answered is said to be so, without a credential.
func TestTrouble(t *testing.T) {
	m := source(t)
	now := now
	p := page.New(page.Options{Source: m, Now: func() time.Time { return now }, Hide: func(text string) string { return strings.ReplaceAll(text, "hunter2", "[redacted]") }})
	defer p.Close()
	if w := ask(p, http.MethodGet, "/api/v1/units"); w.Code != http.StatusOK || w.Header().Get("Sentry-Trouble") != "" || w.Header().Get("Sentry-Gap") != "" {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	now = now.Add(time.Minute)
	m.Err = errors.New("no route; hunter2\r\nX: y\u00e9")
	if w := ask(p, http.MethodGet, "/api/v1/units"); w.Code != http.StatusOK || w.Header().Get("Sentry-Trouble") != `"no route; [redacted] X: y\u00e9"` {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	var run api.RunAnswer
	if decode(t, ask(p, http.MethodGet, "/api/v1/runs/lib-main-7"), http.StatusOK, &run); !strings.Contains(run.Unread, "[redacted]") || run.Run == nil {
		t.Errorf("%+v", run)
	}
	now = now.Add(time.Minute)
	k := *m.Is
	k.Gap, k.Past, m.Is, m.Err = "no history: hunter2", nil, &k, nil
	if w := ask(p, http.MethodGet, "/api/v1/units"); w.Code != http.StatusOK || w.Header().Get("Sentry-Gap") != `"no history: [redacted]"` {
		t.Errorf("status %d, %v", w.Code, w.Header())
	}
	for _, target := range []string{"/api/v1/runs", "/api/v1/statistics"} {
		if w := ask(p, http.MethodGet, target); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "no history: [redacted]") {
			t.Errorf("%s: status %d\n%s", target, w.Code, w.Body)
		}
	}
	unread := pagetest.New(t, &pagetest.Memory{Err: errors.New("refused")}, clock)
	w := ask(unread, http.MethodGet, "/api/v1/units")
	served(t, p).check(w, "unread", "application/problem+json", "/components/responses/Unread")
	if w.Code != http.StatusServiceUnavailable || w.Header().Get("Retry-After") != "10" || !strings.Contains(w.Body.String(), "refused") {
		t.Errorf("status %d, %v\n%s", w.Code, w.Header(), w.Body)
	}
}

// The document that is served is the file.
func TestDocumentIsServed(t *testing.T) {
	text, err := os.ReadFile("openapi.json")
	w := ask(pagetest.New(t, source(t), clock), http.MethodGet, "/api/v1/openapi.json")
	if err != nil || !bytes.Equal(text, w.Body.Bytes()) || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("%v, %v", err, w.Header())
	}
}
