package poller

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// plainHost asks one GET a repository, eight at a time. Status 200 means that main is at sha1.
type plainHost struct {
	endpoint githost.Endpoint
	client   *http.Client
}

func openPlain(e githost.Endpoint, c *http.Client) (githost.Host, error) { return plainHost{e, c}, nil }

func (h plainHost) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	answers := make([]repo.Observation, len(want))
	slots := make(chan struct{}, 8)
	var wait sync.WaitGroup
	for i, w := range want {
		slots <- struct{}{}
		wait.Go(func() {
			answers[i] = h.read(ctx, w)
			<-slots
		})
	}
	wait.Wait()
	return answers
}

func (h plainHost) read(ctx context.Context, w githost.Wanted) repo.Observation {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, w.URL, http.NoBody)
	if err != nil {
		return githost.Failed(githost.WrapError(h.endpoint.Host(), err))
	}
	if token := h.endpoint.Auth.Token.Reveal(); token != "" {
		req.Header.Set("Authorization", "Bearer "+token)
	}
	resp, err := h.client.Do(req)
	if err != nil {
		return githost.Failed(githost.WrapError(h.endpoint.Host(), err))
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return githost.Failed(transport.StatusError(h.endpoint.Host(), resp, nil))
	}
	return repo.Observation{Heads: map[string]repo.SHA{"main": sha1}}
}

// internet is a transport to servers that are functions, by host name. It notes when each was asked for what.
type internet struct {
	mu      sync.Mutex
	servers map[string]func(*http.Request) (*http.Response, error)
	times   map[string][]time.Time // by host name
	paths   map[string]int         // by host name and path
}

func newInternet(servers map[string]func(*http.Request) (*http.Response, error)) *internet {
	return &internet{servers: servers, times: make(map[string][]time.Time), paths: make(map[string]int)}
}

func (n *internet) RoundTrip(req *http.Request) (*http.Response, error) {
	n.mu.Lock()
	n.times[req.URL.Host] = append(n.times[req.URL.Host], time.Now())
	n.paths[req.URL.Host+req.URL.Path]++
	serve := n.servers[req.URL.Host]
	n.mu.Unlock()
	time.Sleep(5 * time.Millisecond) // of the bubble's clock: the way there and back
	resp, err := serve(req)
	if resp != nil {
		resp.Request = req
	}
	return resp, err
}

func (n *internet) requests(host string) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.times[host])
}

func status(code int, header ...string) func(*http.Request) (*http.Response, error) {
	return func(*http.Request) (*http.Response, error) {
		resp := &http.Response{StatusCode: code, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(""))}
		for i := 0; i < len(header); i += 2 {
			resp.Header.Set(header[i], header[i+1])
		}
		return resp, nil
	}
}

func refused(*http.Request) (*http.Response, error) {
	return nil, errors.New("dial tcp: connection refused")
}

func hang(req *http.Request) (*http.Response, error) {
	<-req.Context().Done()
	return nil, req.Context().Err()
}

// driver is that of a kind of host, opened by open.
func driver(kind config.HostType, open githost.Open) githost.Driver {
	d := *hosts.All.Of(kind)
	d.Open = open
	return d
}
