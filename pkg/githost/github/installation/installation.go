// Package installation sends requests to GitHub as an installation of a GitHub App: with tokens that it has made by the App's private
// key, and renews before they end.
package installation

import (
	"bytes"
	"context"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/githubapp"
)

const (
	// GitHub's tokens live for an hour. One that has less than renewBefore left is renewed, and is used until usableUntil before its end
	// while that fails.
	renewBefore = 10 * time.Minute
	usableUntil = 30 * time.Second
	maxLifetime = time.Hour
	// retryAfter is how long a renewal that failed is not tried again while the token of before is still good.
	retryAfter = time.Minute
	maxAnswer  = 64 << 10
)

// Options say who asks, and where. All but Made must be set.
type Options struct {
	Next         http.RoundTripper
	API          string // of REST, with a slash at its end
	Host         string // what errors call it
	App          string // its ID or its client ID
	Installation string // the ID
	Key          *rsa.PrivateKey
	Made         func(token string) // is told of each token before it is used
	Now          func() time.Time
}

// Transport adds the token of an installation to requests, in place of whatever credential they have.
type Transport struct {
	Options
	turn    chan struct{} // holds one for who uses what follows
	token   string
	until   time.Time // when it ends
	taken   string    // the last that the server took
	notThen time.Time // no renewal is tried before
}

// New returns a Transport that has made no token yet.
func New(o Options) *Transport { return &Transport{Options: o, turn: make(chan struct{}, 1)} }

// Client returns a client like c that asks as an installation. base is the API of REST, with a slash at its end.
func Client(c *http.Client, base *url.URL, app config.App, made func(token string)) (*http.Client, error) {
	key, err := githubapp.ParseKey(app.Key.Reveal())
	if err != nil {
		return nil, fmt.Errorf("auth.github_app.private_key %w", err)
	}
	next := *c
	next.Transport = New(Options{Next: c.Transport, API: base.String(), Host: githost.HostOf(base), App: app.ID, Installation: app.Installation,
		Key: key, Made: made, Now: time.Now})
	return &next, nil
}

// RoundTrip implements http.RoundTripper.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	token, err := t.current(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := t.send(req, token)
	if err != nil || !t.judge(token, resp.StatusCode != http.StatusUnauthorized) {
		return resp, err
	}
	again := req
	if req.Body != nil && req.Body != http.NoBody {
		if req.GetBody == nil {
			return resp, nil
		}
		again = req.Clone(req.Context())
		body, err := req.GetBody()
		if err != nil {
			return resp, nil //nolint:nilerr // it was answered, if not well
		}
		again.Body = body
	}
	renewed, err := t.current(req.Context())
	if err != nil {
		return resp, nil //nolint:nilerr // it was answered, if not well
	}
	token = renewed
	_ = resp.Body.Close()
	if resp, err = t.send(again, token); err == nil {
		t.judge(token, resp.StatusCode != http.StatusUnauthorized)
	}
	return resp, err
}

func (t *Transport) send(req *http.Request, token string) (*http.Response, error) {
	signed := *req
	if signed.Header = req.Header.Clone(); signed.Header == nil {
		signed.Header = http.Header{}
	}
	signed.Header.Set("Authorization", "Bearer "+token)
	return t.Next.RoundTrip(&signed)
}

// judge learns whether a token was taken. One that was not is forgotten, and the next request has another one made. It reports whether
// that may help at once: the token was taken before, as those are that somebody took back, or another request has had it replaced.
func (t *Transport) judge(token string, taken bool) (again bool) {
	t.turn <- struct{}{}
	defer func() { <-t.turn }()
	replaced := t.token != "" && t.token != token
	switch {
	case taken && !replaced:
		t.taken = token
	case t.token == token:
		t.token, t.notThen = "", time.Time{}
	}
	return !taken && (t.taken == token || replaced)
}

// current returns the token to use. All requests that need a new one wait for the same.
func (t *Transport) current(ctx context.Context) (string, error) {
	select {
	case t.turn <- struct{}{}:
		defer func() { <-t.turn }()
	case <-ctx.Done():
		return "", rest.Failed(ctx, t.Host, ctx.Err())
	}
	now := t.Now()
	left := t.until.Sub(now)
	if t.token != "" && left > renewBefore {
		return t.token, nil
	}
	usable := t.token != "" && left > usableUntil
	if usable && now.Before(t.notThen) {
		return t.token, nil
	}
	token, lifetime, err := t.renew(ctx, now)
	switch {
	case err == nil:
		t.token, t.until, t.notThen = token, now.Add(lifetime), now.Add(retryAfter)
		if t.Made != nil {
			t.Made(token)
		}
	case !usable:
		return "", err
	default:
		t.notThen = now.Add(retryAfter)
	}
	return t.token, nil
}

// tokens are what GitHub sends as one. It stands in a header.
var tokens = regexp.MustCompile(`^[A-Za-z0-9_.~+/=-]+$`)

// renew has a token made, and returns how long it lives.
func (t *Transport) renew(ctx context.Context, now time.Time) (token string, lifetime time.Duration, err error) {
	jwt, err := githubapp.Sign(t.Key, t.App, now)
	if err != nil {
		return "", 0, githost.NewError(githost.Invalid, t.Host, "sign for the GitHub App: %w", err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, t.API+"app/installations/"+t.Installation+"/access_tokens", nil)
	if err != nil {
		return "", 0, githost.NewError(githost.Invalid, t.Host, "the address of the API is none")
	}
	req.Header.Set("Accept", "application/vnd.github+json")
	resp, err := t.send(req, jwt)
	if err != nil {
		return "", 0, rest.Failed(ctx, t.Host, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	switch {
	case resp.StatusCode == http.StatusCreated && err == nil:
		return t.read(body, resp, now)
	case resp.StatusCode == http.StatusCreated:
		return "", 0, rest.Failed(ctx, t.Host, err)
	}
	e := transport.StatusError(t.Host, resp, bytes.ReplaceAll(body, []byte(jwt), nil))
	switch resp.StatusCode {
	case http.StatusUnauthorized:
		e.Err = errors.New("HTTP 401: the GitHub App was refused: check id and private_key of auth.github_app, and the clock of this machine")
	case http.StatusNotFound:
		e.Kind, e.Err = githost.Denied, fmt.Errorf("HTTP 404: the GitHub App has no installation %s: check auth.github_app, and whether it was uninstalled", t.Installation)
	}
	return "", 0, e
}

// read reads the answer that has the token. Its time is told by the server's clock.
func (t *Transport) read(body []byte, resp *http.Response, now time.Time) (string, time.Duration, error) {
	var made struct {
		Token     string    `json:"token"`
		ExpiresAt time.Time `json:"expires_at"`
	}
	if err := json.Unmarshal(body, &made); err != nil || !tokens.MatchString(made.Token) {
		return "", 0, githost.NewError(githost.Invalid, t.Host, "the answer holds no token of the installation")
	}
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		now = date
	}
	return made.Token, min(max(made.ExpiresAt.Sub(now), usableUntil), maxLifetime), nil
}
