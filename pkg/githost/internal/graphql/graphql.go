// Package graphql holds what the Git hosts with a GraphQL API have in common: how a query is sent, how
// its answer is read, which may be a success that says it failed, and how many repositories are asked
// for at once.
package graphql

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

const (
	// maxAnswer bounds an answer in bytes: a hundred repositories with a hundred branches each, whose
	// names have the 255 bytes that are allowed, and room to spare. Four answers are read at once.
	maxAnswer = 8 << 20
	// maxValues bounds the JSON values of an answer, of which such branches have fifty thousand. A value can take
	// two bytes to send and a hundred to keep.
	maxValues = 250_000
	// maxRefusal is how much is read of an answer that is no success.
	maxRefusal = 64 << 10
)

// ErrTooMuch is in the chain of an error that a query for fewer repositories may not have: the server ran
// out of time or of what it allows for a query.
var ErrTooMuch = errors.New("the query asks for too much at once")

// Client asks one server with one credential.
type Client struct {
	URL   string // of the GraphQL endpoint
	Host  string // host[:port], for errors
	Token string // sent as Bearer
	HTTP  *http.Client
}

// Answer is what a server says to a query. It may hold data and problems at once.
type Answer struct {
	Data     map[string]json.RawMessage // by alias of the outermost fields
	Problems []Problem
	Header   http.Header
}

// Problem is one entry of an answer's "errors".
type Problem struct {
	Type       string `json:"type"` // GitHub's: NOT_FOUND, FORBIDDEN, RATE_LIMITED, …
	Message    string `json:"message"`
	Path       []any  `json:"path"` // of the field that is missing for it; empty when it is of the whole query
	Extensions struct {
		Code string `json:"code"` // of a query that the server does not understand
	} `json:"extensions"`
}

// Alias returns the alias of the outermost field that a problem is of, "" when it is of the whole query.
func (p Problem) Alias() string {
	if len(p.Path) == 0 {
		return ""
	}
	alias, _ := p.Path[0].(string)
	return alias
}

// Concerns reports whether a problem below an outermost field with a list of nodes is one of the node at an index, or
// of all of them.
func (p Problem) Concerns(node int) bool {
	if len(p.Path) < 3 || p.Path[1] != "nodes" {
		return true
	}
	at, ok := p.Path[2].(float64)
	return !ok || int(at) == node
}

// Ask sends a query. What came from outside of the program belongs into variables, never into query. An
// error has an *githost.Error in its chain; it has ErrTooMuch there, too, where a smaller query may do.
// An answer that holds problems is no error.
//
// The client does not retry: it would send again what took the server too long.
func (c Client) Ask(ctx context.Context, query string, variables map[string]any) (Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return Answer{}, githost.WrapError(c.Host, err)
	}
	req, err := http.NewRequestWithContext(githost.ForMany(ctx), http.MethodPost, c.URL, bytes.NewReader(body))
	if err != nil {
		return Answer{}, githost.WrapError(c.Host, err)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Accept", "application/json")
	req.Header.Set("Authorization", "Bearer "+c.Token)
	// A query may go twice over a connection that the server closed meanwhile; without a value, net/http
	// sends no such header.
	req.Header["Idempotency-Key"] = nil
	resp, err := c.HTTP.Do(req)
	if err != nil {
		return Answer{}, c.failed(ctx, err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		start, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		return Answer{}, tooMuchStatus(githost.StatusError(c.Host, resp, start))
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	if err != nil {
		return Answer{}, c.failed(ctx, err)
	}
	if len(text) > maxAnswer || rest.Values(text) > maxValues {
		return Answer{}, fmt.Errorf("%w: %w", ErrTooMuch,
			githost.NewError(githost.Invalid, c.Host, "its GraphQL answer is larger than %d MiB, or has more than %d values", maxAnswer>>20, maxValues))
	}
	return c.read(resp.Header, text)
}

func (c Client) read(header http.Header, text []byte) (Answer, error) {
	var said struct {
		Data   map[string]json.RawMessage `json:"data"`
		Errors []Problem                  `json:"errors"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		if e, ok := errors.AsType[*json.SyntaxError](err); ok && e.Offset >= int64(len(text)) {
			err = io.ErrUnexpectedEOF
		}
		return Answer{}, githost.WrapError(c.Host, err)
	}
	if said.Data == nil && len(said.Errors) == 0 {
		return Answer{}, githost.NewError(githost.Invalid, c.Host, "the answer is not GraphQL: is this the right type of host?")
	}
	for i := range said.Errors {
		said.Errors[i].Message = config.Redact(said.Errors[i].Message, c.Token)
	}
	return Answer{Data: said.Data, Problems: said.Errors, Header: header}, nil
}

// failed makes an error of a request without an answer. A server that took too long may answer less in
// time, unless it is our own time that is over.
func (c Client) failed(ctx context.Context, err error) error {
	var timeout net.Error
	e := rest.Failed(ctx, c.Host, err)
	if ctx.Err() == nil && errors.As(err, &timeout) && timeout.Timeout() {
		return fmt.Errorf("%w: %w", ErrTooMuch, e)
	}
	return e
}

// tooMuchStatus marks the statuses by which GitHub, GitLab and the proxies before them end a query that
// takes too long. 503 is none of them: it is how a server says that it is down.
func tooMuchStatus(e *githost.Error) error {
	switch e.Status {
	case http.StatusInternalServerError, http.StatusBadGateway, http.StatusGatewayTimeout,
		http.StatusRequestEntityTooLarge, http.StatusRequestTimeout:
		return fmt.Errorf("%w: %w", ErrTooMuch, e)
	}
	return e
}

// Absent reports whether an error is that of a server without GraphQL.
func Absent(err error) bool {
	e, ok := errors.AsType[*githost.Error](err)
	return ok && (e.Status == http.StatusNotFound || e.Status == http.StatusMethodNotAllowed || e.Status == http.StatusGone)
}

// Gone returns the error of a server that has GraphQL, and answers as one without: it is in trouble, or a proxy before
// it is, and says nothing about the repositories.
func (c Client) Gone(err error) *githost.Error {
	return githost.NewError(githost.Temporary, c.Host, "its GraphQL answered before, and is not there now (%w)", errors.Unwrap(githost.WrapError(c.Host, err)))
}

// Limited returns the error of a rate limit that an answer tells of with the status of a success.
func (c Client) Limited(a Answer, p Problem) *githost.Error {
	e := githost.NewError(githost.RateLimited, c.Host, "asked too often (it says: %.120s)", p.Message)
	told := githost.StatusError(c.Host, &http.Response{StatusCode: http.StatusTooManyRequests, Header: a.Header}, nil)
	e.Until, e.Status = told.Until, http.StatusOK
	return e
}
