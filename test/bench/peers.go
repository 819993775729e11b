package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"sync"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// The peers here do the least that their way of polling needs: no queue, no objects in a cluster, no log. What
// is measured of them is the cost of the way, not of a program.

// getter asks for each branch by a conditional GET of the host's API, as tekton-polling-operator and
// gitpoller-controller do.
type getter struct {
	client http.Client
	urls   []string // one a branch
	known  []answer
	header http.Header
}

type answer struct{ etag, sha string }

func newGetter(s settings, transport http.RoundTripper) *getter {
	g := &getter{client: http.Client{Transport: transport}, header: http.Header{"Authorization": {"Bearer " + token}}}
	for i := range s.n {
		for _, b := range branches {
			u := s.url + "/api/v3/repos/" + path(i) + "/git/matching-refs/heads/" + b
			if s.host == config.GitLab {
				u = s.url + "/api/v4/projects/" + url.PathEscape(path(i)) + "/repository/branches?regex=^" + b + "$"
			}
			g.urls = append(g.urls, u)
		}
	}
	g.known = make([]answer, len(g.urls))
	return g
}

// cycle implements way.
func (g *getter) cycle(ctx context.Context) (int, error) {
	return each(ctx, len(g.urls), func(i int) (bool, error) {
		header := g.header
		if g.known[i].etag != "" {
			header = header.Clone()
			header.Set("If-None-Match", g.known[i].etag)
		}
		resp, body, err := get(ctx, &g.client, g.urls[i], header)
		if err != nil || resp.StatusCode == http.StatusNotModified {
			return false, err
		}
		var refs []struct {
			Object struct{ SHA string } // GitHub
			Commit struct{ ID string }  // GitLab
		}
		if err := json.Unmarshal(body, &refs); err != nil || resp.StatusCode != http.StatusOK || len(refs) != 1 {
			return false, fmt.Errorf("%s: %s, %d branches, %w", g.urls[i], resp.Status, len(refs), err)
		}
		now := answer{resp.Header.Get("ETag"), refs[0].Object.SHA + refs[0].Commit.ID}
		changed := g.known[i].sha != "" && g.known[i].sha != now.sha
		g.known[i] = now
		return changed, nil
	})
}

// advertised asks for each repository's advertisement of version 0, as Argo CD and Flux, whose library knows no
// other, do.
type advertised struct {
	client http.Client
	urls   []string // one a repository
	known  [][]byte
}

func newAdvertised(s settings, transport http.RoundTripper) *advertised {
	a := &advertised{client: http.Client{Transport: transport}, known: make([][]byte, s.n)}
	for i := range s.n {
		a.urls = append(a.urls, s.url+"/"+path(i)+"/info/refs?service=git-upload-pack")
	}
	return a
}

// cycle implements way.
func (a *advertised) cycle(ctx context.Context) (int, error) {
	return each(ctx, len(a.urls), func(i int) (bool, error) {
		resp, body, err := get(ctx, &a.client, a.urls[i], nil)
		if err != nil {
			return false, err
		}
		if resp.StatusCode != http.StatusOK {
			return false, fmt.Errorf("%s: %s", a.urls[i], resp.Status)
		}
		changed := a.known[i] != nil && !bytes.Equal(a.known[i], body)
		a.known[i] = body
		return changed, nil
	})
}

func get(ctx context.Context, client *http.Client, url string, header http.Header) (*http.Response, []byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, nil, err
	}
	if header != nil {
		req.Header = header
	}
	resp, err := client.Do(req)
	if err != nil {
		return nil, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp, body, err
}

// each calls ask for 0 to n-1, several at a time, and returns how often it said yes, and its first error.
func each(ctx context.Context, n int, ask func(int) (bool, error)) (int, error) {
	var (
		mu    sync.Mutex
		yes   int
		first error
		wait  sync.WaitGroup
	)
	next := make(chan int)
	for range parallelism {
		wait.Go(func() {
			for i := range next {
				ok, err := ask(i)
				mu.Lock()
				if ok {
					yes++
				}
				if first == nil {
					first = err
				}
				mu.Unlock()
			}
		})
	}
	for i := range n {
		if ctx.Err() != nil {
			break
		}
		next <- i
	}
	close(next)
	wait.Wait()
	if first == nil {
		first = ctx.Err()
	}
	return yes, first
}
