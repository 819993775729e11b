package github

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/internal/rest"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// headsPrefix is what the full name of each branch begins with.
const headsPrefix = "refs/heads/"

// target is one repository that GraphQL is asked for.
type target struct {
	index       int // of what is wanted
	owner, name string
	exact       []string // the branches that are asked for by name; nil = all, page by page
	after       string   // cursor of the page before

	canonical string // owner/name as the server writes it: where a renamed repository is now
	pushed    time.Time
	heads     []rest.Head
}

// newTarget returns what to ask for a repository, and false when its patterns name more branches than is
// good for a query.
func newTarget(index int, owner, name string, patterns repo.Patterns) (*target, bool) {
	const maxExact = 20
	t := &target{index: index, owner: owner, name: name}
	for _, p := range patterns {
		branch, exact := p.Exact()
		if !exact {
			t.exact = nil
			return t, true
		}
		t.exact = append(t.exact, branch)
	}
	return t, len(t.exact) <= maxExact
}

// request is a query under construction. What comes from outside travels in variables; the text holds
// aliases and variable names made of numbers.
type request struct {
	declared, fields strings.Builder
	variables        map[string]any
	branches         map[string]string // variable names, by branch
}

func newRequest() *request {
	return &request{variables: make(map[string]any), branches: make(map[string]string)}
}

// variable declares a variable of type String! and returns how the query names it.
func (r *request) variable(name, value string) string {
	fmt.Fprintf(&r.declared, "$%s:String! ", name)
	r.variables[name] = value
	return "$" + name
}

func (r *request) branch(name string) string {
	if known, ok := r.branches[name]; ok {
		return known
	}
	r.branches[name] = r.variable(fmt.Sprintf("b%d", len(r.branches)), headsPrefix+name)
	return r.branches[name]
}

func (r *request) text(fragments string) string {
	return "query(" + r.declared.String() + "){rateLimit{cost remaining resetAt}" + r.fields.String() + "}" + fragments
}

const headFragment = "fragment head on Ref{prefix name target{oid}}"

// headsRequest asks for the heads of targets: r0, r1, … in their order. A ref that is asked for by its
// full name is no connection, so exact names cost GitHub nothing beyond the query. Pages are always those
// of all branches: that "query" and longer prefixes leave out no branch that begins alike is nowhere said.
func headsRequest(targets []*target) *request {
	r := newRequest()
	for i, t := range targets {
		owner := r.variable(fmt.Sprintf("o%d", i), t.owner)
		name := r.variable(fmt.Sprintf("n%d", i), t.name)
		fmt.Fprintf(&r.fields, "r%d:repository(owner:%s,name:%s){nameWithOwner pushedAt ", i, owner, name)
		if t.exact == nil {
			after := ""
			if t.after != "" {
				after = ",after:" + r.variable(fmt.Sprintf("a%d", i), t.after)
			}
			fmt.Fprintf(&r.fields, "refs(refPrefix:%q,first:100%s){nodes{...head} pageInfo{hasNextPage endCursor}}", headsPrefix, after)
		}
		for k, branch := range t.exact {
			fmt.Fprintf(&r.fields, "h%d:ref(qualifiedName:%s){...head} ", k, r.branch(branch))
		}
		r.fields.WriteString("}")
	}
	return r
}

type ref struct {
	Prefix string `json:"prefix"`
	Name   string `json:"name"`
	Target struct {
		OID string `json:"oid"`
	} `json:"target"`
}

type page struct {
	HasNextPage *bool  `json:"hasNextPage"` // nil when it was left out
	EndCursor   string `json:"endCursor"`
}

// read takes what a server says of the repository, and returns whether another page follows.
func (t *target) read(text json.RawMessage) (more bool, err error) {
	var said struct {
		NameWithOwner string    `json:"nameWithOwner"`
		PushedAt      time.Time `json:"pushedAt"` // zero for null: nothing was pushed yet
		Refs          *struct {
			Nodes    []*ref `json:"nodes"`
			PageInfo page   `json:"pageInfo"`
		} `json:"refs"`
	}
	if err := json.Unmarshal(text, &said); err != nil {
		return false, err
	}
	if t.canonical == "" { // of later pages it may tell of a push that the first did not show
		t.canonical, t.pushed = strings.ToLower(said.NameWithOwner), said.PushedAt
	}
	if t.exact != nil {
		return false, t.readExact(text)
	}
	if said.Refs == nil || said.Refs.Nodes == nil {
		return false, fmt.Errorf("the answer holds no refs")
	}
	for _, r := range said.Refs.Nodes {
		if err := t.add(r); err != nil {
			return false, err
		}
	}
	switch next := said.Refs.PageInfo.HasNextPage; {
	case next == nil:
		return false, fmt.Errorf("the answer does not say whether there are more branches")
	case !*next:
		return false, nil
	}
	if next := said.Refs.PageInfo.EndCursor; next != "" && next != t.after {
		t.after = next
		return true, nil
	}
	return false, fmt.Errorf("the page after %.40q is followed by itself", t.after)
}

func (t *target) readExact(text json.RawMessage) error {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(text, &fields); err != nil {
		return err
	}
	for k, branch := range t.exact {
		answer, ok := fields[fmt.Sprintf("h%d", k)]
		if !ok {
			return fmt.Errorf("the answer leaves out branch %.80q", branch)
		}
		var r *ref // nil: no such branch
		if err := json.Unmarshal(answer, &r); err != nil {
			return err
		}
		if r == nil {
			continue
		}
		if err := r.check(); err != nil {
			return err
		}
		// GitHub falls back on other refs that end alike when there is no branch of that name.
		if r.Prefix+r.Name == headsPrefix+branch {
			t.heads = append(t.heads, rest.Head{Branch: branch, Name: r.Target.OID})
		}
	}
	return nil
}

func (t *target) add(r *ref) error {
	if err := r.check(); err != nil {
		return err
	}
	if branch, ok := strings.CutPrefix(r.Prefix+r.Name, headsPrefix); ok {
		t.heads = append(t.heads, rest.Head{Branch: branch, Name: r.Target.OID})
	}
	return nil
}

// check fails for a ref of which the answer does not say which it is: a branch that is passed over counts as deleted.
func (r *ref) check() error {
	if r == nil || r.Prefix == "" || r.Name == "" {
		return fmt.Errorf("the answer holds a branch without its name")
	}
	return nil
}
