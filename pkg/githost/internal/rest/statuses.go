package rest

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxStatusPages bounds the pages of a commit's statuses. GitHub allows 1,000 statuses of each context, ten pages.
	maxStatusPages = 50
	// maxContext bounds a context, in characters.
	maxContext = 255
)

// StatusPages calls page for the pages of a commit's statuses, numbered from 1, until none follows, or none has to be read: next is
// the number of the one after, 0 for none.
func StatusPages(host string, page func(number int) (next int, err error)) error {
	return list(host, "statuses of the commit", maxStatusPages, page)
}

// StatusRules are what a host takes of a status.
type StatusRules struct {
	Description int  // characters at most
	TargetURL   int  // characters at most
	Narrow      bool // no character beyond U+FFFF
}

// Fit returns a status as the host takes it. A text that is too long is cut, and an address that is too long or no web page's is
// left out: half of one leads nowhere.
func (r StatusRules) Fit(s githost.Status) githost.Status {
	s.Context = r.Context(s.Context)
	if s.Description = r.plain(s.Description); len([]rune(s.Description)) > r.Description {
		s.Description = string([]rune(s.Description)[:r.Description-1]) + "…"
	}
	u, err := url.Parse(s.TargetURL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" || len(s.TargetURL) > r.TargetURL {
		s.TargetURL = ""
	}
	return s
}

// Told returns what a host told of the status with a context, in no more text than it takes itself.
func (r StatusRules) Told(statusContext string, state githost.CommitState, description, targetURL string) githost.Status {
	s := r.Fit(githost.Status{State: state, Description: description, TargetURL: targetURL})
	s.Context = statusContext
	return s
}

// Context returns a context as the host takes it. One that is cut ends in a hash: it shall not become another one.
func (r StatusRules) Context(of string) string {
	text := []rune(r.plain(of))
	if len(text) <= maxContext {
		return string(text)
	}
	hash := fmt.Sprintf("-%x", sha256.Sum256([]byte(of)))[:9]
	return string(text[:maxContext-len(hash)]) + hash
}

// plain returns a text without what hosts or their databases refuse.
func (r StatusRules) plain(text string) string {
	return strings.TrimSpace(strings.Map(func(c rune) rune {
		switch {
		case unicode.IsControl(c):
			return ' '
		case r.Narrow && c > 0xffff:
			return unicode.ReplacementChar
		}
		return c // and RuneError for what is no UTF-8
	}, text))
}

// CheckStatus returns what is wrong with a question about a status before it is asked.
func CheckStatus(host, sha, statusContext string) error {
	if _, err := repo.ParseSHA(sha); err != nil {
		return githost.NewError(githost.Invalid, host, "%w", err)
	}
	if strings.TrimSpace(statusContext) == "" {
		return githost.NewError(githost.Invalid, host, "a status without a context")
	}
	return nil
}

// State returns a state by the name that GitHub and Gitea have for it, too; "" for those of which there is none here.
func State(name string) githost.CommitState {
	states := []githost.CommitState{githost.Pending, githost.Success, githost.Failure, githost.Errored}
	if i := slices.Index(states, githost.CommitState(name)); i >= 0 {
		return states[i]
	}
	return ""
}

// Settle returns what became of a status that a host refused to take with err, where it may be for a reason that does no harm:
// nil when it is there all the same. sent is as the host takes it, and read reads it back.
func Settle(err error, sent githost.Status, read func() (githost.Status, bool, error)) error {
	said, ok := errors.AsType[*githost.Error](err)
	if !ok || said.Status != http.StatusBadRequest && said.Status != http.StatusInternalServerError {
		return err
	}
	there, ok, readErr := read()
	if missing, is := errors.AsType[*githost.Error](readErr); is && missing.Kind == githost.NotFound {
		return readErr
	}
	there.Context = sent.Context
	if readErr == nil && ok && there == sent {
		return nil
	}
	return err
}
