// Package requests reads what REST APIs say of open requests.
package requests

import (
	"errors"
	"strconv"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// ReadPulls reads a list of requests as GitHub and Gitea write it, and adds them. It returns how many there are. own says which are of the repository itself.
func ReadPulls(v *jsonstream.Reader, host string, own func(Pull) bool, add func(rest.Head) error) (found int, err error) {
	if v.IsNull() || errors.Is(v.Err(), jsonstream.ErrShort) {
		return 0, githost.NewError(githost.Invalid, host, "its list of requests is empty: is this the right type of host?")
	}
	for range v.Items() {
		p := readPull(v)
		r := repo.Request{Target: p.base.ref, TargetSHA: repo.SHA(p.base.sha), Own: own(p)}
		if err := Add(v, host, repo.Pulls, p.number, p.head.sha, r, add); err != nil {
			return found, err
		}
		found++
	}
	return found, v.End()
}

// Pull is a request as GitHub and Gitea write one.
type Pull struct {
	number int64
	head   end
	base   end
}

// end is a branch, and the number of the repository that has it, "" where none has.
type end struct{ label, ref, sha, repository string }

// readPull reads a request.
func readPull(v *jsonstream.Reader) (p Pull) {
	for field := range v.Fields() {
		switch field {
		case "number":
			p.number = Number(v)
		case "head":
			p.head = readEnd(v)
		case "base":
			p.base = readEnd(v)
		}
	}
	return p
}

func readEnd(v *jsonstream.Reader) (e end) {
	for field := range v.Fields() {
		switch field {
		case "label":
			e.label = Short(v)
		case "ref":
			e.ref = Short(v)
		case "sha":
			e.sha = Short(v)
		case "repo":
			for field := range v.Fields() {
				if field == "id" {
					e.repository = id(v)
				}
			}
		}
	}
	return e
}

// id reads the number of a repository, "" where it is none.
func id(v *jsonstream.Reader) string {
	if text := v.Scalar(); strings.Trim(text, "0123456789") == "" && len(text) < 20 {
		return strings.Clone(text)
	}
	return ""
}

// Number reads a number, 0 where it is none.
func Number(v *jsonstream.Reader) int64 {
	n, _ := strconv.ParseInt(v.Scalar(), 10, 64)
	return n
}

// Short reads a text of which no more is wanted than the name of a branch is long.
func Short(v *jsonstream.Reader) string {
	const most = 300
	if !v.IsText() {
		return ""
	}
	text := v.Text()
	return strings.Clone(text[:min(len(text), most)])
}

// Own reports whether both ends are in the same repository.
func (p Pull) Own() bool { return p.head.repository != "" && p.head.repository == p.base.repository }

// OfBranch reports whether the head is told to be a branch. Gitea takes requests by a push without one (AGit) from whoever may read,
// and says that their head is in the repository.
func (p Pull) OfBranch() bool { return p.head.label != "" && p.head.ref == p.head.label }

// Add adds the request that was just read. One without a head counts for the list, too.
func Add(v *jsonstream.Reader, host, start string, number int64, head string, r repo.Request, add func(rest.Head) error) error {
	name, ok := repo.RequestName(start, number)
	if !ok || r.Target == "" {
		name = ""
	}
	if err := rest.CheckItem(v, host, name); err != nil {
		return err
	}
	return add(rest.Head{Branch: name, Name: head, Request: &r})
}
