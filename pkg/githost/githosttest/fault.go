package githosttest

import (
	"bytes"
	"compress/gzip"
	"context"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"
)

// FaultKind is a way in which a server can be broken or lie.
type FaultKind string

// The faults. A fault that says next's answer works on the answer of the healthy server.
const (
	ShortBody       FaultKind = "short body"        // half of next's answer, then the connection is cut
	Truncated       FaultKind = "truncated"         // half of next's answer, as if it were all
	Garbage         FaultKind = "garbage"           // the type of next's answer, and bytes that are nothing
	WrongJSON       FaultKind = "wrong json"        // JSON of a shape that no API answers
	EndlessBody     FaultKind = "endless body"      // until the client goes away
	GzipBomb        FaultKind = "gzip bomb"         // under 1 MiB that unpacks to more than 128 MiB
	Hang            FaultKind = "hang"              // no answer until the client goes away
	TooManyRequests FaultKind = "too many requests" // 429, Retry-After: 120
	Unauthorized    FaultKind = "unauthorized"      // 401
	ServerError     FaultKind = "server error"      // 500
)

const redirect = "redirect to "

// RedirectTo redirects every request to the same path at another origin (scheme://host[:port]).
func RedirectTo(origin string) FaultKind { return FaultKind(redirect + origin) }

// Fault puts a fault before next. It panics for a kind that it does not know.
func Fault(kind FaultKind, next http.Handler) http.Handler {
	if origin, ok := strings.CutPrefix(string(kind), redirect); ok {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			http.Redirect(w, req, origin+req.URL.RequestURI(), http.StatusFound)
		})
	}
	fault, ok := faults[kind]
	if !ok {
		panic("githosttest: unknown fault " + string(kind))
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { fault(w, req, next) })
}

var faults = map[FaultKind]func(http.ResponseWriter, *http.Request, http.Handler){
	ShortBody: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		halve(w, req, next)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	},
	Truncated: halve,
	Garbage: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		w.WriteHeader(answer(w, req, next).Code)
		_, _ = io.WriteString(w, "\x00\xff<html>\x1b[31m$(reboot)")
	},
	WrongJSON: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `[[{"name":{"name":[]},"data":7,"commit":[null]}],"x",-1e400]`)
	},
	EndlessBody: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		w.WriteHeader(answer(w, req, next).Code)
		start, unit := filler(w)
		_, err := io.WriteString(w, start)
		for err == nil && req.Context().Err() == nil {
			_, err = w.Write(unit)
		}
	},
	GzipBomb: func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		code := answer(w, req, next).Code
		w.Header().Set("Content-Encoding", "gzip")
		w.WriteHeader(code)
		start, unit := filler(w)
		_, err := w.Write(zip([]byte(start)))
		// Gzip streams one after the other unpack as one.
		for mebibyte, n := zip(bytes.Repeat(unit, 16)), 0; err == nil && n < 192; n++ {
			_, err = w.Write(mebibyte)
		}
	},
	Hang: func(_ http.ResponseWriter, req *http.Request, _ http.Handler) {
		// Only after the body was read does the server notice that the client has gone.
		_, _ = io.Copy(io.Discard, req.Body)
		<-req.Context().Done()
	},
	TooManyRequests: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		w.Header().Set("Retry-After", "120")
		http.Error(w, "slow down", http.StatusTooManyRequests)
	},
	Unauthorized: func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
		// A server that echoes what it was sent must not get it into an error.
		http.Error(w, "bad credential "+req.Header.Get("Authorization")+req.Header.Get("Private-Token"), http.StatusUnauthorized)
	},
	ServerError: func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		http.Error(w, "oops", http.StatusInternalServerError)
	},
}

// answer asks next and takes over the headers of its answer, but not its length.
func answer(w http.ResponseWriter, req *http.Request, next http.Handler) *httptest.ResponseRecorder {
	rec := httptest.NewRecorder()
	next.ServeHTTP(rec, req)
	maps.Copy(w.Header(), rec.Header())
	w.Header().Del("Content-Length")
	return rec
}

func halve(w http.ResponseWriter, req *http.Request, next http.Handler) {
	rec := answer(w, req, next)
	w.WriteHeader(rec.Code)
	_, _ = w.Write(rec.Body.Bytes()[:rec.Body.Len()/2])
}

func zip(text []byte) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	_, _ = w.Write(text)
	_ = w.Close()
	return b.Bytes()
}

// filler returns how an answer of w's type starts that never makes sense only at its end, and 64 KiB to
// go on with for ever.
func filler(w http.ResponseWriter) (start string, unit []byte) {
	if strings.HasPrefix(w.Header().Get("Content-Type"), "application/x-git-") {
		ref := "003d1111111111111111111111111111111111111111 refs/heads/fill\n"
		return "", bytes.Repeat([]byte(ref), 1<<10)
	}
	return "[", bytes.Repeat([]byte(" "), 64<<10)
}

// Answer has a handler answer a client's request without a network, for a transport that runs in a bubble of
// testing/synctest.
func Answer(h http.Handler, req *http.Request) *http.Response {
	served := req.Clone(req.Context())
	served.RequestURI, served.Host = req.URL.RequestURI(), req.URL.Host
	if served.Body == nil {
		served.Body = http.NoBody
	}
	rec := httptest.NewRecorder()
	h.ServeHTTP(rec, served)
	resp := rec.Result()
	resp.Request = req
	return resp
}

// Delayed is a transport to a handler without a network, so that it runs in a bubble of time.
type Delayed struct {
	http.Handler
	Latency time.Duration
}

// RoundTrip implements http.RoundTripper.
func (d Delayed) RoundTrip(req *http.Request) (*http.Response, error) {
	select {
	case <-time.After(d.Latency):
	case <-req.Context().Done():
		return nil, context.Cause(req.Context()) // as net/http does
	}
	return Answer(d, req), nil
}
