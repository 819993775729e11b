package githosttest

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"
)

// LieKind is what a hostile server answers to take memory or time: nothing of it is a fault that an honest one has.
type LieKind string

// The lies. All but the pages, the headers and the refusals go on until the client goes away.
const (
	ManyBranches LieKind = "many branches" // of names that match .*, each once
	Crowd        LieKind = "crowd"         // of 2,000 such branches, and an end: what only a patient liar sends
	ManyPages    LieKind = "many pages"    // of a hundred branches each; over Git one answer
	LongName     LieKind = "long name"     // of 40 MiB; over Git, lines of 60 kB
	LongNumber   LieKind = "long number"
	Wide         LieKind = "wide"       // of the smallest values that there are
	Deep         LieKind = "deep"       // nested
	Packed       LieKind = "packed"     // many branches, in gzip
	Drip         LieKind = "drip"       // a byte every 10 ms
	WideHeader   LieKind = "header"     // of 900 kB
	LongRefusal  LieKind = "refusal"    // a 404 that does not end
	Problems     LieKind = "problems"   // GraphQL's errors; else as Wide
	Attributes   LieKind = "attributes" // of each branch 60 kB, beside it
)

// Lies are all of them.
var Lies = []LieKind{ManyBranches, Crowd, ManyPages, LongName, LongNumber, Wide, Deep, Packed, Drip, WideHeader, LongRefusal, Problems, Attributes}

// Lie puts a lie before next. What the client asks before it asks for heads is answered by next.
func Lie(kind LieKind, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(bytes.NewReader(body))
		if strings.Contains(string(body), "__type") {
			next.ServeHTTP(w, req)
			return
		}
		l := lie{w: w, req: req, form: formOf(req, string(body))}
		w.Header().Set("Content-Type", l.contentType)
		l.tell(kind)
	})
}

// form is what answers to a request for heads look like.
type form struct {
	contentType, start string
	name               string // what stands before a branch's name, at the start of an item
	git, graphQL       bool
}

func formOf(req *http.Request, body string) form {
	switch {
	case strings.HasSuffix(req.URL.Path, "/info/refs"):
		return form{contentType: "application/x-git-upload-pack-advertisement", git: true}
	case strings.HasSuffix(req.URL.Path, "/git-upload-pack"):
		return form{contentType: "application/x-git-upload-pack-result", git: true}
	case strings.Contains(body, "fullPaths"):
		return form{"application/json", `{"data":{"p0":{"nodes":[`, `{"fullPath":"`, false, true}
	case strings.HasSuffix(req.URL.Path, "graphql"):
		return form{"application/json", `{"data":{"r0":{"nameWithOwner":"o/r","pushedAt":null,"refs":{"nodes":[`, `{"prefix":"refs/heads/","name":"`, false, true}
	case strings.HasSuffix(req.URL.Path, "/repos/search"):
		return form{"application/json", `{"ok":true,"data":[`, `{"full_name":"`, false, false}
	case strings.HasSuffix(req.URL.Path, "/repository/branches"):
		return form{contentType: "application/json", start: "[", name: `{"name":"`}
	}
	return form{contentType: "application/json", start: "[", name: `{"ref":"refs/heads/`}
}

type lie struct {
	form
	w   http.ResponseWriter
	req *http.Request
}

func (l lie) tell(kind LieKind) {
	switch kind {
	case ManyBranches:
		l.branches(l.w, "")
	case Crowd:
		l.list(0, 2_000, `],"pageInfo":{"hasNextPage":false}}}}}`)
	case ManyPages:
		l.page()
	case LongName:
		l.endless(l.name, strings.Repeat("n", 1<<16), 40<<20)
		_, _ = io.WriteString(l.w, `"}]`)
	case LongNumber:
		l.endless(`{"ref":`, strings.Repeat("1", 1<<16), 1<<30)
	case Wide:
		l.endless("", strings.Repeat("{},", 1<<14), 1<<30)
	case Deep:
		l.endless("", strings.Repeat("[", 1<<16), 1<<30)
	case Packed:
		l.w.Header().Set("Content-Encoding", "gzip")
		zip, _ := gzip.NewWriterLevel(l.w, gzip.BestSpeed)
		l.branches(zip, "")
	case Drip:
		l.drip()
	case WideHeader:
		for i := range 60_000 {
			l.w.Header().Add(fmt.Sprintf("A%d", i), "x")
		}
		l.branches(l.w, "")
	case LongRefusal:
		l.w.WriteHeader(http.StatusNotFound)
		l.endless(`{"message":`, strings.Repeat("[],", 1<<14), 1<<30)
	case Problems:
		l.start = `{"errors":[`
		l.endless("", strings.Repeat(`{"message":"`+strings.Repeat("m", 4000)+`","path":["r0"]},`, 16), 1<<30)
	case Attributes:
		l.branches(l.w, strings.Repeat("a", 60_000))
	default:
		panic("githosttest: unknown lie " + string(kind))
	}
}

// branch is one of many, with a name of 60 bytes. beside is text that nobody asked for.
func (l lie) branch(i int, beside string) string {
	const sha = "1111111111111111111111111111111111111111"
	name := fmt.Sprintf("branch-with-a-name-of-sixty-bytes-as-people-give-them-%06d", i)
	if l.git {
		line := sha + " refs/heads/" + name + " " + beside + "\n"
		return fmt.Sprintf("%04x%s", len(line)+4, line)
	}
	return fmt.Sprintf(`{"ref":"refs/heads/%[1]s","prefix":"refs/heads/","name":"%[1]s","object":{"sha":"%[2]s"},"target":{"oid":"%[2]s"},"commit":{"id":"%[2]s","message":%[3]q}},`,
		name, sha, beside)
}

func (l lie) branches(out io.Writer, beside string) {
	_, err := io.WriteString(out, l.start)
	for i := 0; err == nil && l.req.Context().Err() == nil; i++ {
		_, err = io.WriteString(out, l.branch(i, beside))
	}
}

// page is one of pages without an end.
func (l lie) page() {
	if l.git {
		l.branches(l.w, "")
		return
	}
	number := int(time.Now().UnixNano() % 1e12)
	l.w.Header().Set("X-Next-Page", fmt.Sprint(number))
	l.w.Header().Set("Link", fmt.Sprintf(`<http://%s%s?page=%d>; rel="next"`, l.req.Host, l.req.URL.Path, number))
	l.w.Header().Set("ETag", fmt.Sprintf(`"%d"`, number))
	l.list(number/1000*100, 100, fmt.Sprintf(`],"pageInfo":{"hasNextPage":true,"endCursor":"%d"}}}}}`, number))
}

// list is a whole answer of n branches. end is that of GraphQL.
func (l lie) list(first, n int, end string) {
	items := make([]string, n)
	for i := range items {
		items[i] = l.branch(first+i, "")
	}
	text := strings.Join(items, "")
	switch {
	case l.git:
		text += "0000"
	case l.graphQL:
		text = strings.TrimSuffix(text, ",") + end
	default:
		text = strings.TrimSuffix(text, ",") + "]"
	}
	_, _ = io.WriteString(l.w, l.start+text)
}

// endless goes on with a unit up to a size; over Git, with lines of 60 kB.
func (l lie) endless(start, unit string, size int) {
	if l.git {
		l.branches(l.w, strings.Repeat("a", 60_000))
		return
	}
	_, err := io.WriteString(l.w, l.start+start)
	for n := 0; err == nil && n < size; n += len(unit) {
		_, err = io.WriteString(l.w, unit)
	}
}

func (l lie) drip() {
	text := l.start
	if l.git {
		text = l.branch(0, "")[:20]
	}
	_, err := io.WriteString(l.w, text)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for err == nil {
		_ = http.NewResponseController(l.w).Flush()
		select {
		case <-tick.C:
			_, err = io.WriteString(l.w, " ")
		case <-l.req.Context().Done():
			return
		}
	}
}
