package githosttest

import (
	"net/http"
	"net/http/httptest"
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
