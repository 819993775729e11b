package githost

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/giturl"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Driver is all that Sentry knows of a kind of host. Its package has one, and package hosts lists them.
type Driver struct {
	config.Host
	Open Open
	// TokenAlone is for hosts that are not sent a user name beside a token: it is the same account with any name.
	TokenAlone bool
	// DotGit is for hosts that may have two repositories of which one is called as the other, with .git at its end.
	DotGit bool
	// Budgets are what the host counts. A request draws on the one whose Draws reports so, and else on the one without Draws.
	Budgets []Budget
	Pages   Pages
	About   About
}

// Pages are what is behind a repository's URL in the host's own web interface, for people: both with a verb for each commit. The zero
// Pages are those of a host that has none, or of which that is not known.
type Pages struct {
	Commit  string // one commit
	Compare string // what is new from one commit to another; "" = the page of the second is all there is
	// At is the page of a repository, where that is another one than its URL; "" = none is known. nil = it is its URL.
	At func(repoURL string) string
}

// Page returns the address at which the host shows people what is new from one commit to another, or only the second where there
// is no first; "" where it has no such page, or the repository is reached in another way than people's browsers do.
func (d *Driver) Page(repoURL string, from, to repo.SHA) string {
	if d.Pages.Commit == "" || to == "" || !strings.HasPrefix(repoURL, "https://") && !strings.HasPrefix(repoURL, "http://") {
		return ""
	}
	if !d.DotGit {
		repoURL = strings.TrimSuffix(repoURL, ".git")
	}
	if d.Pages.At != nil {
		if repoURL = d.Pages.At(repoURL); repoURL == "" {
			return ""
		}
	}
	if from == "" || from == to || d.Pages.Compare == "" {
		return repoURL + fmt.Sprintf(d.Pages.Commit, to)
	}
	return repoURL + fmt.Sprintf(d.Pages.Compare, from, to)
}

// About is what the documentation says of a kind, a cell of its tables each.
type About struct {
	Servers    string // what servers these are
	API        string // where the API is without an api_url
	Credential string // how a credential is sent
}

// Budget is something that a host counts for each credential, or at least answers for each.
type Budget struct {
	Unit     string                   // what is counted, such as "points"
	Draws    func(*http.Request) bool // nil = what draws on no other does
	Limit    func(token bool) int     // what the host documents, an hour; nil = not known
	Told     func(http.Header) int    // what an answer says of the limit, an hour; 0 = nothing; nil = no answer does
	Free304  bool                     // with a token, an answer that nothing has changed is not counted
	Resource string                   // in a Bill of what a request cost; "" = one each
	Sweep    func(Sweep) float64      // what the sweep costs an hour, beside hints; nil = nothing
}

// Sweep is the reading of every repository within some time, an equal part of them in each cycle, where hints
// tell which to read sooner.
type Sweep struct {
	Repositories int
	All          float64 // what reading all of them counted
	Cycles       float64 // an hour
	Sweeps       float64 // an hour
}

// Whole is the price of a sweep in which each repository costs as much as in a look at all.
func Whole(s Sweep) float64 { return s.All * s.Sweeps }

// Key returns what tells a repository's URL from others of its endpoint, however the host is written.
func (d *Driver) Key(repoURL string) string {
	_, path := giturl.Split(repoURL)
	path = strings.TrimPrefix(path, "/")
	if !d.DotGit {
		path = strings.TrimSuffix(path, ".git")
	}
	return path
}

// Drivers are those of several kinds.
type Drivers []Driver

// Of returns the driver of a type, nil where there is none.
func (ds Drivers) Of(t config.HostType) *Driver {
	for i := range ds {
		if ds[i].Type == t {
			return &ds[i]
		}
	}
	return nil
}

// Config returns what a configuration has to know of them.
func (ds Drivers) Config() []config.Host {
	hosts := make([]config.Host, len(ds))
	for i, d := range ds {
		hosts[i] = d.Host
	}
	return hosts
}
