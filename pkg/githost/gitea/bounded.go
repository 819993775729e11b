package gitea

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
)

const (
	// maxList bounds an answer of the list in bytes. A page of 50 repositories has 107 kB, and 2 MB more where each
	// description is as long as Gitea allows.
	maxList = 4 << 20
	// maxRefusal is how much is read of an answer that is no success.
	maxRefusal = 16 << 10
)

// bounded reads the answers of the API before the library does, which takes what it is sent for a list as long as
// that is JSON, however large. It hands over what is used of it.
type bounded struct {
	next http.RoundTripper
	name string // host[:port]
}

// entry is what is used of a repository.
type entry struct {
	ID       json.Number `json:"id,omitempty"`
	FullName string      `json:"full_name"`
	Updated  *string     `json:"updated_at"`
	Mirror   bool        `json:"mirror"`
	Archived bool        `json:"archived"`
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	var text []byte
	if resp.StatusCode == http.StatusOK {
		text, err = b.list(resp.Body)
	} else {
		text, err = io.ReadAll(io.LimitReader(resp.Body, maxRefusal))
	}
	_ = resp.Body.Close()
	if err != nil {
		return nil, githost.WrapError(b.name, err)
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// list reads a list of repositories, and returns what is used of it.
func (b *bounded) list(body io.Reader) ([]byte, error) {
	limited := &io.LimitedReader{R: body, N: maxList + 1}
	v := jsonstream.New(limited)
	var list struct {
		Data []*entry `json:"data"`
	}
	for field := range v.Fields() {
		if field != "data" || v.IsNull() {
			continue
		}
		list.Data = []*entry{}
		for range v.Items() {
			if len(list.Data) == mostListed {
				return nil, b.invalid("holds more than was asked for")
			}
			list.Data = append(list.Data, readEntry(v))
		}
	}
	err := v.End()
	switch {
	case limited.N == 0:
		return nil, b.invalid("is larger than a page can be")
	case errors.Is(err, jsonstream.ErrShort), errors.Is(err, jsonstream.ErrSyntax), errors.Is(err, jsonstream.ErrShape),
		err == nil && list.Data == nil:
		return nil, b.invalid("is not what a Gitea answers")
	case err != nil:
		return nil, err
	}
	text, err := json.Marshal(list)
	if err != nil {
		return nil, b.invalid("is not what a Gitea answers")
	}
	return text, nil
}

func (b *bounded) invalid(what string) error {
	return githost.NewError(githost.Invalid, b.name, "its list of repositories %s: is this the right type of host, and the right api_url?", what)
}

// readEntry reads a repository of the list, nil for null.
func readEntry(v *jsonstream.Reader) *entry {
	if v.IsNull() {
		return nil
	}
	var e entry
	for field := range v.Fields() {
		switch field {
		case "id":
			if id := v.Scalar(); id != "null" {
				e.ID = json.Number(id)
			}
		case "full_name":
			e.FullName = v.Text()
		case "updated_at":
			if !v.IsNull() {
				at := v.Text()
				e.Updated = &at
			}
		case "mirror":
			e.Mirror = v.Scalar() == "true"
		case "archived":
			e.Archived = v.Scalar() == "true"
		}
	}
	return &e
}
