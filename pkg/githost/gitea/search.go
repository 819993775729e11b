package gitea

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
)

// maxPage bounds a page in bytes. A repository takes 2 kB, with a long description and many topics 10.
const maxPage = 4 << 20

// repository is what the list tells of a repository, and we read of it.
type repository struct {
	ID       int64     `json:"id"`
	FullName string    `json:"full_name"`
	Mirror   bool      `json:"mirror"`
	Archived bool      `json:"archived"`
	Updated  time.Time `json:"updated_at"`
}

// list is a page of the server's repositories, in the order of their last change, newest first.
type list struct {
	repositories []repository
	last         bool      // no page follows
	asked        time.Time // not after the server made the list, by its clock; zero when it does not tell its time
}

// oldest returns the time of the last repository of a page that has one.
func (l list) oldest() time.Time { return l.repositories[len(l.repositories)-1].Updated }

// search asks for a page, numbered from 1, of limit repositories.
func (h *host) search(ctx context.Context, page, limit int) (list, error) {
	url := fmt.Sprintf("%s/repos/search?sort=updated&order=desc&limit=%d&page=%d", h.api.Base, limit, page)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	}
	req.Header.Set("Accept", "application/json")
	if h.user != "" {
		req.SetBasicAuth(h.user, h.password)
	}
	start := time.Now()
	resp, err := h.client.Do(req)
	if err != nil {
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	}
	took := time.Since(start)
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxPage+1))
	switch {
	case resp.StatusCode != http.StatusOK:
		return list{}, githost.StatusError(h.api.Host(), resp, body)
	case err != nil:
		return list{}, rest.Failed(ctx, h.api.Host(), err)
	}
	l, err := parse(body)
	if err != nil {
		return list{}, githost.NewError(githost.Invalid, h.api.Host(), "its list of repositories: %w", err)
	}
	link := resp.Header.Get("Link")
	l.last = len(l.repositories) == 0 || link != "" && !strings.Contains(link, `rel="next"`)
	if date, err := http.ParseTime(resp.Header.Get("Date")); err == nil {
		l.asked = date.Add(-took)
	}
	return l, nil
}

// parse reads a page.
func parse(body []byte) (list, error) {
	if len(body) > maxPage {
		return list{}, fmt.Errorf("a page larger than %d MiB", maxPage>>20)
	}
	var answer struct {
		OK   bool         `json:"ok"`
		Data []repository `json:"data"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		return list{}, errors.New("not what a Gitea answers: is this the right type of host, and the right api_url?")
	}
	if !answer.OK {
		return list{}, errors.New("it does not say that it is ok")
	}
	for i, r := range answer.Data {
		// All rests on the order: a server that does not keep it would hide what changed.
		if i > 0 && r.Updated.After(answer.Data[i-1].Updated) {
			return list{}, errors.New("it is not in the order of the last change")
		}
	}
	return list{repositories: answer.Data}, nil
}
