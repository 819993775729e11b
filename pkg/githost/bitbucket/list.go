package bitbucket

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

const (
	// pageLength is how many repositories a page has, the most that Bitbucket gives.
	pageLength = 100
	// maxRefusal is how much is read of an answer that is no success.
	maxRefusal = 4 << 10
	// maxUUID is longer than any UUID, in bytes.
	maxUUID = 64
	// order is that of the list: what changed last is last.
	order = "updated_on"
	// fields are what is asked for of a page, some 150 bytes a repository in place of 4 kB.
	fields = "next,values.uuid,values.full_name,values.updated_on"
)

// list is a page of a workspace's repositories, in the order of their last change.
type list struct {
	entries []entry
	more    bool // another one follows
}

// entry is a repository as the list shows it.
type entry struct {
	uuid    string
	path    string // WORKSPACE/REPOSITORY in lower case
	updated time.Time
}

// list asks for a page of the repositories of a workspace.
func (h *host) list(ctx context.Context, workspace string, at cursor) (list, error) {
	values := url.Values{"sort": {order}, "pagelen": {strconv.Itoa(pageLength)}, "fields": {fields}}
	if at.page > 0 {
		values.Set("page", strconv.Itoa(at.page+1))
	}
	if !at.from.IsZero() {
		values.Set("q", order+">="+at.from.UTC().Format("2006-01-02T15:04:05.000000-07:00"))
	}
	u := h.api.Base.JoinPath("repositories", url.PathEscape(workspace))
	u.RawQuery = values.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	}
	req.Header = h.header
	resp, err := h.client.Do(req)
	if err != nil {
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		text, _ := io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
		return list{}, transport.StatusError(h.api.Host(), resp, text)
	}
	l, err := read(resp.Body, workspace, at.from)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, jsonstream.ErrSyntax), errors.Is(err, jsonstream.ErrShape), errors.Is(err, jsonstream.ErrShort), errors.As(err, new(listError)):
		return list{}, githost.NewError(githost.Invalid, h.api.Host(), "its list of repositories: %w", err)
	}
	return list{}, rest.Failed(ctx, h.api.Host(), err)
}

// listError is what is wrong with a list.
type listError string

func (e listError) Error() string { return string(e) }

// read reads a page. All rests on its order, and on that it is of what was asked for: a server that does not keep to these would hide
// what changed.
func read(body io.Reader, workspace string, from time.Time) (list, error) {
	v := jsonstream.New(body)
	var l list
	told := false
	last := from.Truncate(time.Microsecond)
	for field := range v.Fields() {
		switch field {
		case "next":
			l.more = v.Text() != ""
		case "values":
			if told {
				return list{}, listError("it has two parts")
			}
			told = true
			for i := range v.Items() {
				if i >= pageLength {
					return list{}, listError("a page has more than 100 repositories")
				}
				e, err := readEntry(v)
				switch {
				case v.Err() != nil:
					return list{}, v.Err()
				case err != nil:
					return list{}, err
				case !strings.HasPrefix(e.path, workspace+"/"):
					return list{}, listError("it has a repository of another workspace")
				case e.updated.Before(last):
					return list{}, listError("it is not in the order of the last change")
				}
				last = e.updated
				l.entries = append(l.entries, e)
			}
		}
	}
	if err := v.End(); err != nil {
		return list{}, err
	}
	if !told {
		return list{}, listError("it has none: is this the right type of host, and the right api_url?")
	}
	return l, nil
}

func readEntry(v *jsonstream.Reader) (entry, error) {
	var e entry
	updated := ""
	for field := range v.Fields() {
		switch field {
		case "uuid":
			e.uuid = strings.Clone(v.Text())
		case "full_name":
			e.path = strings.ToLower(v.Text())
		case order:
			updated = v.Text()
		}
	}
	at, err := time.Parse(time.RFC3339, updated)
	if err != nil || e.uuid == "" || len(e.uuid) > maxUUID || e.path == "" {
		return entry{}, listError("it has an entry without a name, a UUID or a time")
	}
	e.updated = at
	return e, nil
}
