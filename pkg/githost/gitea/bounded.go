package gitea

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

const (
	// maxList bounds an answer of the list in bytes. A page of 50 repositories has 107 kB, and 2 MB more where each
	// description is as long as Gitea allows.
	maxList = 4 << 20
	// maxObjects bounds the JSON objects of an answer, of which a repository has about ten. The library makes
	// nearly a kilobyte of each, were it empty.
	maxObjects = 10_000
)

// bounded reads the answers of the API before the library does, which takes what it is sent for a list as long as
// that is JSON, however large.
type bounded struct {
	next http.RoundTripper
	name string // host[:port]
}

// RoundTrip implements http.RoundTripper.
func (b *bounded) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := b.next.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxList+1))
	_ = resp.Body.Close()
	if err != nil {
		return nil, githost.WrapError(b.name, err)
	}
	if resp.StatusCode == http.StatusOK {
		if err := checkList(text); err != "" {
			return nil, githost.NewError(githost.Invalid, b.name, "its list of repositories %s: is this the right type of host, and the right api_url?", err)
		}
	}
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(text)), int64(len(text))
	return resp, nil
}

// checkList returns in what an answer is no list of repositories, "" when it may be one.
func checkList(text []byte) string {
	var list struct {
		Data []json.RawMessage `json:"data"`
	}
	switch {
	case len(text) > maxList, bytes.Count(text, []byte("{")) > maxObjects:
		return "is larger than a page can be"
	case json.Unmarshal(text, &list) != nil || list.Data == nil:
		return "is not what a Gitea answers"
	case len(list.Data) > mostListed:
		return "holds more than was asked for"
	}
	return ""
}
