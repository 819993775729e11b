package githost

import (
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// maxHeads bounds the branches of one repository that are watched: twice as many as the state keeps of one. A server
// that invents branches must not fill the memory.
const maxHeads = 10_000

// MaxRequests bounds the open requests of one repository that are watched: whoever may open one can open many.
const MaxRequests = 500

// Heads collects the heads that a server answers for one repository, one at a time. The server is not trusted:
//
//   - A branch that does not match is passed over, whatever was asked for.
//   - A branch whose name Git would not allow, or that is over 255 bytes or not UTF-8, is passed over: it
//     cannot be cloned by that name or written into a PipelineRun, and must not blind the repository's
//     other branches.
//   - A matching branch whose object name is malformed, or that is answered twice with different object
//     names, fails the whole repository as Invalid: an answer that lies in one place is not trusted in another.
//   - More matching branches than 10,000, or than there is room for beside those of the endpoint's other
//     repositories, fail it as TooLarge.
//   - No branch left is an error of kind NoBranch that names the patterns.
type Heads struct {
	host     string
	patterns repo.Patterns
	room     *Room
	taken    int                 // of room, in bytes
	heads    map[string]repo.SHA // by what they are called
	enough   int                 // how many heads are all that match; 0 = not known
	requests map[string]repo.Request
	skipped  int
	err      *Error
}

// NewHeads returns a Heads without heads, for what is wanted of a host.
func NewHeads(host string, w Wanted) *Heads {
	room := w.Room
	if room == nil {
		room = NewRoom(1, 0)
	}
	names, _ := w.Patterns.Names()
	return &Heads{host: host, patterns: w.Patterns, room: room, enough: len(names), heads: make(map[string]repo.SHA)}
}

// Add adds what a branch or a tag is called, and the name of its commit, and reports whether there is a use for more: not after an error, and not
// when all patterns are exact names that were found.
func (h *Heads) Add(branch, name string) bool {
	if h.err != nil {
		return false
	}
	if !h.patterns.Match(branch) {
		return true
	}
	if repo.CheckBranch(branch) != nil {
		h.skipped++
		return true
	}
	sha, err := repo.ParseSHA(name)
	if err != nil {
		return h.fail(NewError(Invalid, h.host, "it answers for %s %.80q: %w", repo.Noun(branch), branch, err))
	}
	if old, twice := h.heads[branch]; twice {
		if old != sha {
			return h.fail(NewError(Invalid, h.host, "it answers %s %.80q twice, at %s and at %s", repo.Noun(branch), branch, old, sha))
		}
		return true
	}
	cost := Cost(branch)
	switch {
	case len(h.heads) == maxHeads:
		return h.fail(NewError(TooLarge, h.host, "more than %d %s match: narrow %s", maxHeads, h.nouns(), h.keys()))
	case !h.room.Take(cost):
		return h.fail(NewError(TooLarge, h.host, "more %s match than there is room for beside those of the host's "+
			"other repositories: narrow %s", h.nouns(), h.keys()))
	}
	h.taken += cost
	h.heads[branch] = sha
	return len(h.heads) != h.enough
}

// AddRequest adds what an open request is called and its head, as Add does, where it is one that is watched.
func (h *Heads) AddRequest(name, head string, r repo.Request) bool {
	pattern, _ := h.patterns.Requests()
	switch {
	case h.err != nil:
		return false
	case !pattern.Takes(r) || repo.CheckBranch(r.Target) != nil:
		return true
	case len(h.requests) == MaxRequests:
		return h.fail(NewError(TooLarge, h.host, "more than %d open requests match: narrow monitor.pull_requests", MaxRequests))
	}
	if _, err := repo.ParseSHA(string(r.TargetSHA)); err != nil {
		r.TargetSHA = ""
	}
	if old, twice := h.requests[name]; twice && old != r {
		return h.fail(NewError(Invalid, h.host, "it answers %.80q twice, and not the same", name))
	}
	if h.requests == nil {
		h.requests = make(map[string]repo.Request)
	}
	h.requests[name] = r
	return h.Add(name, head)
}

// nouns returns what is watched, and keys the keys that choose it.
func (h *Heads) nouns() string {
	if len(h.patterns.Tags()) > 0 {
		return "branches and tags"
	}
	return "branches"
}

func (h *Heads) keys() string {
	if len(h.patterns.Tags()) > 0 {
		return "monitor.branches and monitor.tags"
	}
	return "monitor.branches"
}

func (h *Heads) fail(err *Error) bool {
	h.Drop()
	h.err = err
	return false
}

// Err returns the error that made all further heads useless, nil while there is none.
func (h *Heads) Err() error {
	if h.err == nil {
		return nil // and not an error that holds nil
	}
	return h.err
}

// Drop forgets the heads, of an answer that counts as none.
func (h *Heads) Drop() {
	h.room.Give(h.taken)
	h.taken, h.heads, h.requests, h.skipped, h.err = 0, make(map[string]repo.SHA), nil, 0, nil
}

// Observation returns what was collected, or the error that it makes.
func (h *Heads) Observation() repo.Observation {
	switch {
	case h.err != nil:
		return Failed(h.err)
	case len(h.heads) > 0:
		return repo.Observation{Heads: h.heads, Requests: h.requests}
	case h.skipped > 0:
		return Failed(NewError(NoBranch, h.host, "%d %s match %.150s, and none has a name that Git allows", h.skipped, h.nouns(), h.patterns))
	}
	what := "no branch matches"
	if _, requests := h.patterns.Requests(); requests {
		what = "nothing open matches"
	} else if len(h.patterns.Tags()) > 0 {
		what = "no branch and no tag matches"
	}
	return Failed(NewError(NoBranch, h.host, "%s %.200s", what, h.patterns))
}
