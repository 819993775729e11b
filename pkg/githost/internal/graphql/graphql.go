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
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const (
	// maxAnswer bounds an answer in bytes: a hundred repositories with a hundred branches each, whose
	// names have the 255 bytes that are allowed, and room to spare.
	maxAnswer = 8 << 20
	// maxProblems bounds those of an answer: more than one for each of a hundred repositories.
	maxProblems = 1_000
	// maxText bounds what is kept of each text of a problem, in bytes, beyond what is shown of it.
	maxText = 300
	// maxPath bounds the steps of a problem's path, beyond those that are looked at.
	maxPath = 8
	// maxRefusal is how much is read of an answer that is no success.
	maxRefusal = 16 << 10
)

// ErrTooMuch is in the chain of an error that a query for fewer repositories may not have: the server ran
// out of time or of what it allows for a query.
var ErrTooMuch = errors.New("the query asks for too much at once")

// Client asks one server with one credential.
type Client struct {
	URL      string // of the GraphQL endpoint
	Host     string // host[:port], for errors
	Token    string // sent as Bearer
	Resource string // as in transport.Marks
	HTTP     *http.Client
}

// Answer is what a server says to a query beside the data. It may hold data and problems at once.
type Answer struct {
	Problems []Problem
	Header   http.Header
	Data     bool // there is any
	told     bool // if only that there is none
}

// Field reads the value of an outermost field, by its alias. Whatever is wrong with that value alone is for it to
// remember: the answer is read on.
type Field func(alias string, v *jsonstream.Reader)

// Problem is one entry of an answer's "errors".
type Problem struct {
	Type    string // GitHub's: NOT_FOUND, FORBIDDEN, RATE_LIMITED, …
	Message string
	Path    []any  // of the field that is missing for it, texts and numbers; empty when it is of the whole query
	Code    string // of a query that the server does not understand
}

// Alias returns the alias of the outermost field that a problem is of, "" when it is of the whole query.
func (p Problem) Alias() string {
	if len(p.Path) == 0 {
		return ""
	}
	alias, _ := p.Path[0].(string)
	return alias
}

// Numbered returns the number behind the letter of an alias, -1 unless it is one of so many, from 0.
func Numbered(alias, letter string, many int) int {
	number, ok := strings.CutPrefix(alias, letter)
	if !ok {
		return -1
	}
	i, err := strconv.Atoi(number)
	if err != nil || i < 0 || i >= many {
		return -1
	}
	return i
}

// Concerns reports whether a problem below an outermost field with a list of nodes is one of the node at an index, or
// of all of them.
func (p Problem) Concerns(node int) bool {
	if len(p.Path) < 3 || p.Path[1] != "nodes" {
		return true
	}
	at, ok := p.Path[2].(int)
	return !ok || at == node
}

// Ask sends a query, and has field read the data as it comes. What came from outside of the program belongs into variables, never into query. An
// error has an *githost.Error in its chain; it has ErrTooMuch there, too, where a smaller query may do.
// An answer that holds problems is no error. With an error, what field has read is of no use.
//
// The client does not retry: it would send again what took the server too long.
func (c Client) Ask(ctx context.Context, query string, variables map[string]any, field Field) (Answer, error) {
	body, err := json.Marshal(map[string]any{"query": query, "variables": variables})
	if err != nil {
		return Answer{}, githost.WrapError(c.Host, err)
	}
	req, err := http.NewRequestWithContext(transport.ForMany(ctx, c.Resource), http.MethodPost, c.URL, bytes.NewReader(body))
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
		return Answer{}, tooMuchStatus(transport.StatusError(c.Host, resp, start))
	}
	return c.read(ctx, resp, field)
}

func (c Client) read(ctx context.Context, resp *http.Response, field Field) (Answer, error) {
	body := &io.LimitedReader{R: resp.Body, N: maxAnswer + 1}
	v := jsonstream.New(body)
	answer := Answer{Header: resp.Header}
	for part := range v.Fields() {
		switch part {
		case "data":
			answer.told = !v.IsNull()
			for alias := range v.Fields() {
				answer.Data = true
				field(alias, v)
			}
		case "errors":
			if err := c.problems(v, &answer); err != nil {
				return Answer{}, err
			}
		}
	}
	err := v.End()
	switch {
	case body.N == 0:
		return Answer{}, c.tooMuch("larger than %d MiB", maxAnswer>>20)
	case err != nil:
		return Answer{}, c.failed(ctx, err)
	case !answer.told && len(answer.Problems) == 0:
		return Answer{}, githost.NewError(githost.Invalid, c.Host, "the answer is not GraphQL: is this the right type of host?")
	}
	return answer, nil
}

func (c Client) problems(v *jsonstream.Reader, answer *Answer) error {
	for range v.Items() {
		if len(answer.Problems) == maxProblems {
			return c.tooMuch("full of more than %d problems", maxProblems)
		}
		var p Problem
		for field := range v.Fields() {
			switch field {
			case "type":
				p.Type = c.short(v)
			case "message":
				p.Message = c.short(v)
			case "path":
				p.Path = c.path(v)
			case "extensions":
				for field := range v.Fields() {
					if field == "code" {
						p.Code = c.short(v)
					}
				}
			}
		}
		answer.Problems = append(answer.Problems, p)
	}
	return nil
}

func (c Client) path(v *jsonstream.Reader) (steps []any) {
	for i := range v.Items() {
		switch {
		case i == maxPath:
			return steps
		case v.IsText():
			steps = append(steps, c.short(v))
		default:
			n, _ := strconv.Atoi(v.Scalar())
			steps = append(steps, n)
		}
	}
	return steps
}

// short reads the beginning of a text, without the credential.
func (c Client) short(v *jsonstream.Reader) string {
	text := secret.Redact(v.Text(), c.Token)
	return strings.Clone(text[:min(len(text), maxText)])
}

func (c Client) tooMuch(format string, args ...any) error {
	return fmt.Errorf("%w: %w", ErrTooMuch, githost.NewError(githost.Invalid, c.Host, "its GraphQL answer is "+format, args...))
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
	told := transport.StatusError(c.Host, &http.Response{StatusCode: http.StatusTooManyRequests, Header: a.Header}, nil)
	e.Until, e.Status = told.Until, http.StatusOK
	return e
}
