package gitlab

import (
	"fmt"
	"net/url"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxPaths is how many full paths one projects() takes.
	maxPaths = 50
	// maxExact is how many branches of a project are asked for by name; above it, REST reads them.
	maxExact = 20
	// maxComplexity is what we let a query cost. GitLab allows 250 with a token and 200 without; our count
	// is on the safe side of its, and some servers may allow less: those refuse, and get smaller queries.
	maxComplexity = 180
)

// target is one project that GraphQL is asked for.
type target struct {
	index int      // of what is wanted
	path  string   // full path of the project
	names []string // exact branch names, sorted, each once
	rank  int      // place of those with the same names in the order of asking
	// branches is how many were found last time.
	branches int
}

func (t *target) set() string { return strings.Join(t.names, "\n") }

// newTarget returns what to ask for a project, and false when GraphQL cannot answer its patterns.
func newTarget(index int, path string, patterns repo.Patterns) (*target, bool) {
	names, exact := patterns.Names()
	// GitLab reads a ref as Git does a revision, in which other names have a meaning of their own.
	if !exact || slices.ContainsFunc(names, func(name string) bool { return repo.CheckBranch(name) != nil }) {
		return nil, false
	}
	return &target{index: index, path: path, names: names}, len(names) > 0 && len(names) <= maxExact
}

// part is one projects() of a query: projects of which the same branches are wanted.
type part struct {
	names   []string
	targets []*target
}

// complexity is what GitLab counts for a part, or more: three for each commit by a ref, one for a field,
// and a hundredth of all for each project that may be answered.
func (p part) complexity() int {
	return (4*len(p.names)+5)*(100+len(p.targets))/100 + 1
}

// split makes parts of targets that are sorted by their branches.
func split(targets []*target) []part {
	var parts []part
	for _, t := range targets {
		last := len(parts) - 1
		if last < 0 || len(parts[last].targets) >= maxPaths || !slices.Equal(parts[last].names, t.names) {
			parts = append(parts, part{names: t.names})
			last++
		}
		parts[last].targets = append(parts[last].targets, t)
	}
	return parts
}

// fitting returns how many targets from the start one query can ask for, at most size.
func fitting(targets []*target, size int) int {
	targets = targets[:min(size, len(targets))]
	total, n := 0, 0
	for _, p := range split(targets) {
		if total += p.complexity(); total > maxComplexity {
			break
		}
		n += len(p.targets)
	}
	return max(1, n)
}

// headsQuery asks for parts: p0, p1, … and in them the branches b0, b1, … of the part. Names from outside
// travel in variables.
func headsQuery(parts []part) (string, map[string]any) {
	var declared, fields strings.Builder
	variables, known := make(map[string]any), make(map[string]string)
	for i, p := range parts {
		paths := make([]string, len(p.targets))
		for k, t := range p.targets {
			paths[k] = t.path
		}
		variables[fmt.Sprintf("p%d", i)] = paths
		fmt.Fprintf(&declared, "$p%d:[String!] ", i)
		fmt.Fprintf(&fields, "p%d:projects(fullPaths:$p%d,first:%d){nodes{fullPath repository{", i, i, len(paths))
		for k, name := range p.names {
			if known[name] == "" {
				known[name] = fmt.Sprintf("b%d", len(known))
				variables[known[name]] = repo.Full(name)
				fmt.Fprintf(&declared, "$%s:String! ", known[name])
			}
			fmt.Fprintf(&fields, "b%d:commit(ref:$%s){sha} ", k, known[name])
		}
		fields.WriteString("}}}")
	}
	return "query(" + declared.String() + "){" + fields.String() + "}", variables
}

// partAnswer is what an answer says of a part.
type partAnswer struct {
	told  bool
	nodes []node
	err   error
}

// node is what it says of a project.
type node struct {
	path    string
	commits []commit // of each branch of the part
}

type commit struct {
	found bool
	sha   string
}

// read reads what an answer says of a part. More projects than were asked for are passed over.
func (p part) read(v *jsonstream.Reader) partAnswer {
	answer := partAnswer{told: true}
	for field := range v.Fields() {
		if field != "nodes" {
			continue
		}
		for i := range v.Items() {
			if i == len(p.targets) {
				break
			}
			answer.nodes = append(answer.nodes, p.readNode(v))
		}
	}
	answer.err = v.Shape()
	return answer
}

func (p part) readNode(v *jsonstream.Reader) node {
	n := node{commits: make([]commit, len(p.names))}
	for field := range v.Fields() {
		switch field {
		case "fullPath":
			n.path = strings.ToLower(v.Text())
		case "repository":
			for alias := range v.Fields() {
				if k := graphql.Numbered(alias, "b", len(p.names)); k >= 0 {
					n.commits[k] = readCommit(v)
				}
			}
		}
	}
	return n
}

// maxSHA bounds what is kept of an object name, in bytes: one more than any has.
const maxSHA = 65

func readCommit(v *jsonstream.Reader) (c commit) {
	c.found = !v.IsNull()
	for field := range v.Fields() {
		if field == "sha" {
			sha := v.Text()
			c.sha = strings.Clone(sha[:min(len(sha), maxSHA)])
		}
	}
	return c
}

// heads returns, by the path in lower case, the heads that an answer to a part holds. A project is left
// out when it is missing in the answer, may not be read, has a problem, or has none of the branches: a GitLab whose
// repositories are out of reach answers so, too.
func (p part) heads(answer partAnswer, problems []graphql.Problem) (map[string][]rest.Head, error) {
	if !answer.told {
		return nil, fmt.Errorf("the answer leaves projects out")
	}
	if answer.err != nil {
		return nil, answer.err
	}
	heads := make(map[string][]rest.Head)
	for i, n := range answer.nodes {
		if slices.ContainsFunc(problems, func(p graphql.Problem) bool { return p.Concerns(i) }) {
			continue
		}
		for k, c := range n.commits {
			if c.found {
				heads[n.path] = append(heads[n.path], rest.Head{Branch: p.names[k], Name: c.sha})
			}
		}
	}
	return heads, nil
}

// graphQLURL returns the endpoint beside the REST API at base, …/api/v4.
func graphQLURL(base *url.URL) string {
	u := *base
	u.Path = strings.TrimSuffix(u.Path, "/v4") + "/graphql"
	return u.String()
}
