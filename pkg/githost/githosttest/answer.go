package githosttest

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
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

// Populated returns a host whose token is "token", and a configuration of n repositories on it. It takes 15 seconds a
// repository, of a bubble of time: what was pushed to at the same time as the last one is read once more.
func Populated(kind config.HostType, token string, n int) (*API, *config.Config) {
	served := kind
	if kind == config.Git {
		served = config.Gitea // which serves the Git protocol
	}
	api, cfg := NewAPI(served), new(config.Config)
	api.SetToken("token")
	for i := range n {
		path := fmt.Sprintf("o/r%d", i)
		api.Push(path, "main", strings.Repeat("1", 40))
		<-time.After(15 * time.Second)
		source := config.Source{URL: "http://host.example/" + path, Type: kind, Auth: config.Auth{Token: secret.New("${T}", token)}}
		cfg.Repositories = append(cfg.Repositories, config.Repository{Name: path, Monitor: config.Monitor{
			Source: source, Branches: repo.Patterns{repo.ExactPattern("main")}}, Deploy: config.Deploy{Source: source, Branch: "main"}})
	}
	return api, cfg
}
