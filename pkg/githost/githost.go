// Package githost is the contract between what polls Git hosts and what speaks to one kind of them: what is wanted,
// what a Host answers, and the kinds of errors. Package transport above it is the HTTP client of all hosts, and package
// poller above that asks them in batches. The packages that package hosts lists speak to one kind of
// server each; githosttest has what servers for tests have in common.
package githost

import (
	"context"
	"net/http"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Wanted is one repository whose heads are wanted.
type Wanted struct {
	URL      string // as in sentry.yaml: http(s), no credentials
	Patterns repo.Patterns
	// Validator is that of the last observation of this URL with these patterns that had one; nil = none.
	Validator repo.Validator
	// Room is what the heads may take; nil = as much as if nothing else were read.
	Room *Room
}

// Host reads the heads of many repositories of one server with one credential.
type Host interface {
	// Heads returns one observation for each wanted repository, in their order: the heads of the
	// branches that match its patterns, or an error that errors.As finds an *Error in. A repository
	// none of whose branches match is an error of kind NoBranch, never an empty map. With heads, and with NoBranch, the
	// Validator is the one for the next question, or nil. An error of another kind leaves the last one as it is, unless
	// it comes with one.
	Heads(ctx context.Context, want []Wanted) []repo.Observation
}

// Prefilter is what a Host may offer beside: a way to tell in a request or a few which repositories may have
// changed.
type Prefilter interface {
	// Changed reports for each wanted repository, in their order, whether its heads may have changed since
	// Heads last read it without an error, as the server tells it now. It is a hint: false may be wrong, and
	// the Reader reads every repository within a bounded time all the same. An error means that the server
	// does not tell, and that everything has to be read.
	Changed(ctx context.Context, want []Wanted) ([]bool, error)
}

// Glancer is what a Host may offer beside: a look, in a request or a few, at what was pushed to lately, so often that reading all
// would cost too much.
type Glancer interface {
	// Glance reports for each wanted repository, in their order, whether the server tells that it was pushed to since Heads last
	// read it without an error, or that only now a look at it would show the next push. What the server does not tell of counts
	// as unchanged: who reads everything in turn finds it. An error means that it does not tell, or not cheaply.
	Glance(ctx context.Context, want []Wanted) ([]bool, error)
}

// Hooks is what a Host may offer beside: the webhooks of a repository. Its credential needs the rights of an administrator
// for them.
type Hooks interface {
	// Hooks returns all webhooks of a repository, or an error where they are more than are read.
	Hooks(ctx context.Context, repoURL string) ([]Hook, error)
	// SaveHook makes a webhook that tells the address of pushes, signed with the secret. With the ID of one, it makes
	// that one so, or replaces it where the host does not change the secret of one that there is. An error may leave both,
	// and never none of them.
	SaveHook(ctx context.Context, repoURL string, id int64, address, secret string) error
	// DeleteHook deletes a webhook.
	DeleteHook(ctx context.Context, repoURL string, id int64) error
}

// Hook is a webhook that there is.
type Hook struct {
	ID      int64
	Address string
	Wrong   []string // what keeps Sentry from taking what it tells, such as "inactive"
}

// Statuses is what a Host may offer beside: the statuses of a commit, one for each context. Its credential needs the right to
// write them.
type Statuses interface {
	// StatusOf returns the newest status of a commit with a context; not ok when there is none, which takes all pages. It is an
	// error of kind TooLarge where they are more than are read, and of kind NotFound where there is no such commit.
	StatusOf(ctx context.Context, repoURL, sha, statusContext string) (s Status, ok bool, err error)
	// SetStatus makes a status the newest one of its context. Texts that are longer than the host takes are cut, and an address
	// that is too long or no web page's is left out. What the host has already is no error.
	SetStatus(ctx context.Context, repoURL, sha string, s Status) error
}

// Commits is what a Host may offer beside: what commits hold.
type Commits interface {
	// Messages returns what the authors of commits wrote, in their order, as far as 16 KiB of each.
	Messages(ctx context.Context, repoURL string, commits []repo.SHA) ([]string, error)
	// Diff calls differs with the path of each file that is not the same in two commits, of whatever history they are, until it
	// returns false: what `git diff --name-only --no-renames` prints, in another order. The path of a submodule ends with a slash.
	// Where they are more than are read it is an error of kind TooLarge, after some of them.
	Diff(ctx context.Context, repoURL string, before, after repo.SHA, differs func(path string) bool) error
}

// Owners is what a Host may offer beside: which repositories an owner has.
type Owners interface {
	// Owned lists the repositories of an organisation, a user, or a group with its subgroups. With the last answer to the same
	// question it asks only for what may have changed since, where the host tells, and may return that answer itself. A list is
	// whole or none: one that was cut short, or that holds more than is read, is an error. An owner that is not there, or that the
	// credential may not see, is an error of kind NotFound, and never an empty list.
	Owned(ctx context.Context, q OwnedBy, last *Owned) (*Owned, error)
}

// OwnedBy is what is asked of Owners.
type OwnedBy struct {
	Owner string // as the host's addresses name it, such as "company" or "company/platform"
	File  string // path of the file in each repository's default branch that is wanted, such as ".sentry.yaml"; "" = none
}

// Owned is a whole list. Nobody changes one.
type Owned struct {
	Repositories []OwnedRepository // sorted by ID
	Mark         string            // what the host needs for the next question; means nothing to others
}

// OwnedRepository is one repository of a list. Its texts are the host's, and hostile but for their size.
type OwnedRepository struct {
	ID            string // stays when it is renamed or moved
	Path          string // such as "company/platform/web"
	URL, SSH      string // by which it is cloned; SSH may be empty
	DefaultBranch string // "" while it is empty
	Topics        []string
	Archived      bool
	Fork          bool
	Empty         bool   // has no commit
	File          []byte // what the wanted file holds, MaxOwnedFile at most; nil = there is none; empty for what is no text
}

// MaxOwnedFile is how many bytes of a file Owners read: of a larger one as many as this.
const MaxOwnedFile = 64 << 10

// Status is what a commit is told to have come to.
type Status struct {
	Context     string      // which of a commit's statuses it is, such as "sentry/shop"
	State       CommitState // "" for one that was read and is none of these
	Description string
	TargetURL   string // where more is to be read; may be empty
}

// CommitState is what a Status says. Hosts have names of their own for some.
type CommitState string

// The states of a commit.
const (
	Pending CommitState = "pending"
	Success CommitState = "success"
	Failure CommitState = "failure"
	Errored CommitState = "error"
)

// Endpoint is what a Host is opened for: an Account, with its credential as it stands in sentry.yaml.
type Endpoint struct {
	Account
	Auth   config.Auth
	Space  *Space             // for what is read of commits, of all endpoints together; nil = its own
	Minted func(token string) // takes a credential that was made of Auth, before it is sent; may be nil
	Billed func(Bill)         // takes what the body of an answer says; its headers are read without the Host; may be nil
}

// Bill is what the body of an answer says of a budget of the host.
type Bill struct {
	Resource string    // as in Budget
	Cost     int       // of the request
	Until    time.Time // nothing is left before; zero when something is
}

// Open makes the Host of an endpoint. The client is the endpoint's own: it retries, bounds bodies, and
// follows no redirect to another origin.
type Open func(Endpoint, *http.Client) (Host, error)
