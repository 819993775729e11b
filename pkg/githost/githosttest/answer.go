package githosttest

import (
	"context"
	"net/http"
	"net/http/httptest"
	"time"
)

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
