// Package repo holds the small values that the rest of Sentry speaks in: a commit's SHA, a ref, the
// patterns that choose branches, and what one look at a repository's branches gave. It is a leaf: it
// imports only the standard library.
package repo

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// SHA is a commit's object name: 40 (SHA-1) or 64 (SHA-256) lower-case hexadecimal digits.
type SHA string

// ParseSHA returns s as a SHA. It refuses any other length or digit, and the all-zero name that Git
// uses for "no object".
func ParseSHA(s string) (SHA, error) {
	if len(s) != 40 && len(s) != 64 {
		return "", fmt.Errorf("object name of %d characters, want 40 or 64 hexadecimal digits", len(s))
	}
	if strings.Trim(s, "0123456789abcdef") != "" {
		return "", fmt.Errorf("object name %.80q, want lower-case hexadecimal digits", s)
	}
	if strings.Trim(s, "0") == "" {
		return "", fmt.Errorf("object name of zeros names no commit")
	}
	return SHA(s), nil
}

// Short returns the first seven digits, as Git prints them, or "" for no SHA.
func (s SHA) Short() string { return string(s[:min(7, len(s))]) }

// Ref is one branch, one tag, or the head of one pull or merge request, of one configured repository.
type Ref struct {
	Repository string `json:"repository"` // the name in sentry.yaml
	Branch     string `json:"branch"`     // what it is called; see Called
}

// String returns repository@branch. A repository's name holds no @, so it names one Ref only.
func (r Ref) String() string { return r.Repository + "@" + r.Branch }

// Compare orders refs by repository, then branch.
func (r Ref) Compare(o Ref) int {
	return cmp.Or(cmp.Compare(r.Repository, o.Repository), cmp.Compare(r.Branch, o.Branch))
}

// Observation is what one look at a repository's branches and tags gave: the heads of those that were
// asked for, or the error that kept them from being read. With an error there are no heads: an
// incomplete answer is never a partial result.
type Observation struct {
	// Heads are commits by what their branch or tag is called; only of those that match what was asked.
	Heads  map[string]SHA
	Err    error
	Status Status
	// Validator is for the next question about the same branches. Whoever reads heads keeps it, and nobody else sees it.
	Validator Validator
	Passed    map[string]Pass // by branch: heads that run nothing
	// Requests says of each head of a request what else the host does; nil where none are watched.
	Requests map[string]Request
}

// Pass is why a head that moved runs nothing.
type Pass string

// Ignored is a head whose message matches monitor.ignore; Untouched is one with nothing new that monitor.paths match.
const (
	Ignored   Pass = "ignored"
	Untouched Pass = "untouched"
)

// Status says how an observation came about.
type Status int

// The ways in which an observation comes about.
const (
	Fresh    Status = iota // the host answered just now: a branch that is not among the heads is missing once more
	Cached                 // of an earlier look: nothing has changed since, or it was acted upon already
	NotAsked               // nothing was sent: Err is of what kept it from being sent
	Late                   // a cycle's time was up before the answer: Err says so, and nothing is known to be wrong
	Pending                // the answer is still to come
	Skipped                // this cycle does not look at the repository
)

// ErrUnsent is found by errors.Is in an error of a question that no host was asked: nothing follows from it for what was asked about.
var ErrUnsent = errors.New("nothing was sent")

// Validator is what a host wants to be told again with the next question, such as an ETag and what it stands for. It
// means something to the host alone.
type Validator interface {
	Cost() int // bytes that it takes, about
}

// maxBranch bounds a branch name in bytes. Git's files keep a ref as a path whose parts are file names.
const maxBranch = 255

// CheckBranch says why name is no branch name by the rules of git-check-ref-format(1), or is longer than
// 255 bytes or not UTF-8. Names that mean something to a shell or to Tekton, such as x$(HOME) or a'b, are legal.
func CheckBranch(name string) error { return checkName("branch", name) }

// checkName is CheckBranch for names of other things too.
func checkName(noun, name string) error {
	bad := func(why string) error { return fmt.Errorf("%.80q is not a %s name: %s", name, noun, why) }
	switch {
	case name == "":
		return bad("it is empty")
	case len(name) > maxBranch:
		return bad("it is longer than 255 bytes")
	case !utf8.ValidString(name):
		return bad("it is not UTF-8")
	case name == "@" || name == "HEAD" || strings.HasPrefix(name, "-"):
		return bad("Git reserves it")
	case strings.Contains(name, ".."), strings.Contains(name, "@{"):
		return bad("it contains .. or @{")
	case strings.HasSuffix(name, "."):
		return bad("it ends with a dot")
	}
	for _, c := range []byte(name) {
		if c < ' ' || c == 0x7f || strings.IndexByte(" ~^:?*[\\", c) >= 0 {
			return bad(fmt.Sprintf("it contains %q", c))
		}
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == "" || part[0] == '.' || strings.HasSuffix(part, ".lock") {
			return bad("a part between slashes is empty, starts with a dot or ends with .lock")
		}
	}
	return nil
}
