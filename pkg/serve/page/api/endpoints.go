package api

import (
	"cmp"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/serve/page/facts"
)

const (
	// maxName bounds a text that is asked for, in bytes, and maxNames how many there are.
	maxName, maxNames = 400, 20
	maxLimit          = 200
	usualLimit        = 50
	latestRuns        = 20 // that `sentry status` shows
)

// param is something that a path takes.
type param struct {
	name, about string
	place       string // path or query
	required    bool
	many        bool // it may be given several times
	// Of a number, its bounds, and what it is where it is not given.
	least, most, usual int
}

// endpoint is a path, with what it answers.
type endpoint struct {
	path, id string
	about    string
	params   []param
	value    any  // of the type that it answers
	missing  bool // what is asked for may not be there
	answer   func(*asked) (any, error)
}

var (
	limitParam = param{name: "limit", place: "query", least: 1, most: maxLimit, usual: usualLimit, about: "How many entries are answered at most. Fewer come where they are large."}
	fromParam  = param{name: "from", place: "query", about: "The next of the answer before, for the entries behind those."}
	namesParam = param{name: "name", place: "query", many: true, about: "A repository, group or unit, or REPOSITORY@BRANCH: only what concerns it. It may be given several times."}
)

func pathParam(name, about string) param {
	return param{name: name, about: about, place: "path", required: true}
}

// endpoints are all paths that answer with what is known.
var endpoints = []endpoint{
	{
		path: "/status", id: "getStatus", value: overview.Status{}, missing: true, answer: (*asked).status,
		about:  "How each unit stands, what keeps things from running, the remembered branches and the latest runs, as sentry status -o json prints it. Of a large installation it has to be asked for by names.",
		params: []param{namesParam, {name: "limit", place: "query", least: 0, most: maxLimit, usual: latestRuns, about: "How many runs are answered at most."}},
	},
	{
		path: "/units", id: "listUnits", value: Units{}, answer: (*asked).units, params: []param{limitParam, fromParam},
		about: "The units, in the order of their names.",
	},
	{
		path: "/units/{unit}", id: "getUnit", value: overview.Status{}, missing: true, answer: (*asked).unit, params: []param{pathParam("unit", "The label of a unit.")},
		about: "A unit, as sentry status UNIT -o json prints it.",
	},
	{
		path: "/problems", id: "listProblems", value: Problems{}, answer: (*asked).problems, params: []param{limitParam, fromParam},
		about: "What keeps repositories and units from running, in the order of their names.",
	},
	{
		path: "/repositories", id: "listRepositories", value: Repositories{}, answer: (*asked).repositories, params: []param{limitParam, fromParam},
		about: "The repositories that are watched or remembered, in the order of their names.",
	},
	{
		path: "/repositories/{repository}", id: "getRepository", value: RepositoryAnswer{}, missing: true, answer: (*asked).repository,
		params: []param{pathParam("repository", "The name of a repository."), limitParam, fromParam},
		about:  "A repository, with what there is to say of each of its branches, a part at a time.",
	},
	{
		path: "/explain", id: "explain", value: Explanations{}, missing: true, answer: (*asked).explain,
		params: []param{{name: "name", place: "query", required: true, about: "A repository, group or unit, or REPOSITORY@BRANCH, whether or not such a branch was ever seen."}, limitParam, fromParam},
		about:  "Why branches were deployed or not, and what happens next, as sentry explain NAME -o json prints it.",
	},
	{
		path: "/runs", id: "listRuns", value: Runs{}, missing: true, answer: (*asked).runs, params: []param{namesParam, limitParam, fromParam},
		about: "How runs ended, newest first, as sentry history -o json prints it.",
	},
	{
		path: "/runs/{run}", id: "getRun", value: RunAnswer{}, missing: true, answer: (*asked).run, params: []param{pathParam("run", "The name of a run.")},
		about: "A run: how it ended, or how its tasks go.",
	},
	{
		path: "/active", id: "listActive", value: Active{}, answer: (*asked).active, params: []param{limitParam, fromParam},
		about: "The runs that have not ended, newest first.",
	},
	{
		path: "/statistics", id: "getStatistics", value: statistics.Statistics{}, missing: true, answer: (*asked).statistics, params: []param{namesParam},
		about: "What the runs say in numbers, as sentry history --stats -o json prints it. Of a large installation it has to be asked for by names.",
	},
	{
		path: "/hosts", id: "listHosts", value: Hosts{}, answer: (*asked).hosts,
		about: "How the Git hosts stand that a running Sentry asks.",
	},
	{
		path: "/replicas", id: "listReplicas", value: Replicas{}, answer: (*asked).replicas,
		about: "The replicas that share the work, and how much each has, as a running Sentry that is one of them sees them.",
	},
	{
		path: "/search", id: "search", value: Search{}, answer: (*asked).search,
		params: []param{{name: "q", place: "query", required: true, about: fmt.Sprintf("Words that are all in the name, of %d bytes at most.", facts.MaxQuery)}, limitParam},
		about:  "Repositories, units and runs by words of their names: those first that begin with them.",
	},
}

// Units are a part of the units.
type Units struct {
	Units []overview.Unit `json:"units"`
	Next  string          `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Problems are a part of the problems.
type Problems struct {
	Problems []overview.Problem `json:"problems"`
	Next     string             `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Repositories are a part of the repositories.
type Repositories struct {
	Repositories []Repository `json:"repositories"`
	Next         string       `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Repository is a repository that is watched or remembered.
type Repository struct {
	Repository string             `json:"repository"`
	Watched    bool               `json:"watched"` // it is in the configuration
	Group      string             `json:"group,omitempty"`
	URL        string             `json:"url,omitempty"`      // of what is watched
	Type       string             `json:"type,omitempty"`     // as repo_type names it, such as github
	Patterns   []string           `json:"patterns,omitempty"` // the entries of branches and of tags
	Remembered int                `json:"remembered"`         // branches that are remembered
	Problems   []overview.Problem `json:"problems,omitempty"`
}

// RepositoryAnswer is a repository with a part of its branches.
type RepositoryAnswer struct {
	Repository
	Measures []statistics.Measures `json:"measures,omitempty"` // of its deployments
	Branches []Branch              `json:"branches"`
	Next     string                `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Branch is what there is to say of a branch.
type Branch struct {
	explain.Subject
	Remembered *overview.Branch `json:"remembered,omitempty"`
}

// Explanations are a part of what there is to say of a name.
type Explanations struct {
	explain.Explanations
	Next string `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Runs are a part of the runs that have ended.
type Runs struct {
	overview.History
	Next string `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Active are a part of the runs that have not ended.
type Active struct {
	Runs []overview.Run `json:"runs"`           // newest first
	Next string         `json:"next,omitempty"` // what from is for the next part; absent from the last one
}

// Hosts are how the hosts stand.
type Hosts struct {
	Asks  bool         `json:"asks"` // whether this process asks hosts, which that of sentry page does not
	Hosts []facts.Host `json:"hosts"`
}

// Replicas are those that share the work.
type Replicas struct {
	Shares   bool            `json:"shares"`   // whether this process is one of several
	Replicas []facts.Replica `json:"replicas"` // those first that are alive, the oldest of them before the others
}

// Search is what was found.
type Search struct {
	Found []facts.Found `json:"found"`
	All   int           `json:"all"` // how many there are
}

// isList reports whether a part is answered.
func (e *endpoint) isList() bool {
	return slices.ContainsFunc(e.params, func(p param) bool { return p.name == fromParam.name })
}

// read takes a request apart.
func (e *endpoint) read(r *http.Request) (*asked, *Problem) {
	bad := func(format string, a ...any) (*asked, *Problem) {
		return nil, refusal(http.StatusBadRequest, fmt.Sprintf(format, a...))
	}
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return bad("What follows the ? cannot be read.")
	}
	for name := range query {
		if !slices.ContainsFunc(e.params, func(p param) bool { return p.place == "query" && p.name == name }) {
			return bad("Nothing is taken here that is called %.80q.", name)
		}
	}
	a := &asked{}
	for _, p := range e.params {
		values := query[p.name]
		if p.place == "path" {
			values = []string{r.PathValue(p.name)}
		}
		switch {
		case p.required && len(values) == 0:
			return bad("%s= is missing.", p.name)
		case len(values) > 1 && !p.many:
			return bad("%s= is given more than once.", p.name)
		case len(values) > maxNames:
			return bad("%s= is given more than %d times.", p.name, maxNames)
		}
		for _, v := range values {
			if v == "" || len(v) > maxName && p.name != fromParam.name || !utf8.ValidString(v) {
				return bad("%s is empty, or longer than %d bytes, or no UTF-8.", p.name, maxName)
			}
		}
		value := ""
		if len(values) > 0 {
			value = values[0]
		}
		switch {
		case p.place == "path":
			a.name = value
		case p.name == namesParam.name:
			a.names = values
		case p.name == fromParam.name:
			from, err := base64.RawURLEncoding.DecodeString(value)
			if err != nil {
				return bad("from= is not the next of an answer.")
			}
			a.from = string(from)
		case p.name == limitParam.name:
			n, err := strconv.Atoi(cmp.Or(value, strconv.Itoa(p.usual)))
			if err != nil || n < p.least || n > p.most {
				return bad("limit= wants a number from %d to %d.", p.least, p.most)
			}
			a.limit = n
		default:
			a.query = value
		}
	}
	return a, nil
}
