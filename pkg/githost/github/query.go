package github

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
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
	heads     *githost.Heads
	said      said
}

// said is what an answer says of a target.
type said struct {
	told, null bool
	more       bool // another page follows
	err        error
}

// newTarget returns what to ask for a repository, and false when its patterns name more branches than is
// good for a query.
func newTarget(index int, owner, name string, patterns repo.Patterns) (*target, bool) {
	const maxExact = 20
	names, _ := patterns.Names()
	return &target{index: index, owner: owner, name: name, exact: names}, len(names) <= maxExact
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

// page is what a page says of the next one.
type page struct {
	told, next bool // hasNextPage, where it was not left out
	cursor     string
}

func readPage(v *jsonstream.Reader) (p page) {
	for field := range v.Fields() {
		switch field {
		case "hasNextPage":
			next := v.Scalar()
			p.told, p.next = next == "true" || next == "false", next == "true"
		case "endCursor":
			p.cursor = v.Text()
		}
	}
	return p
}

// readTime reads a time, zero for null.
func readTime(v *jsonstream.Reader) (time.Time, error) {
	text := v.Text()
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return t, fmt.Errorf("the time %.40q is none", text)
	}
	return t, nil
}

// read takes what a server says of the repository.
func (t *target) read(v *jsonstream.Reader) {
	t.said = said{told: true}
	if v.IsNull() {
		t.said.null = true
		return
	}
	t.said.more, t.said.err = t.readFields(v)
	if err := v.Shape(); err != nil {
		t.said.err = err
	}
}

func (t *target) readFields(v *jsonstream.Reader) (more bool, err error) {
	var canonical string
	var pushed time.Time // zero: nothing was pushed yet
	var next page
	listed, answered := false, make([]bool, len(t.exact))
	for field := range v.Fields() {
		var wrong error
		switch {
		case field == "nameWithOwner":
			canonical = strings.ToLower(v.Text())
		case field == "pushedAt":
			pushed, wrong = readTime(v)
		case field == "refs" && t.exact == nil:
			next, listed, wrong = t.readRefs(v)
		default:
			if k := graphql.Numbered(field, "h", len(t.exact)); k >= 0 && !answered[k] {
				answered[k] = true
				wrong = t.readExact(v, t.exact[k])
			}
		}
		err = cmp.Or(err, wrong)
	}
	if t.canonical == "" { // of later pages it may tell of a push that the first did not show
		t.canonical, t.pushed = canonical, pushed
	}
	switch {
	case err != nil:
		return false, err
	case t.exact != nil:
		if k := slices.Index(answered, false); k >= 0 {
			err = fmt.Errorf("the answer leaves out branch %.80q", t.exact[k])
		}
		return false, err
	case !listed:
		return false, fmt.Errorf("the answer holds no refs")
	case !next.told:
		return false, fmt.Errorf("the answer does not say whether there are more branches")
	case !next.next:
		return false, nil
	case next.cursor == "" || next.cursor == t.after:
		return false, fmt.Errorf("the page after %.40q is followed by itself", t.after)
	}
	t.after = next.cursor
	return true, nil
}

// readRefs reads a page of branches.
func (t *target) readRefs(v *jsonstream.Reader) (next page, listed bool, err error) {
	for field := range v.Fields() {
		switch field {
		case "nodes":
			if v.IsNull() {
				continue
			}
			listed = true
			for range v.Items() {
				if err != nil {
					continue
				}
				name, oid := readRef(v)
				if err = checkRef(name); err != nil {
					continue
				}
				if branch, ok := strings.CutPrefix(name, headsPrefix); ok {
					t.heads.Add(branch, oid)
				}
			}
		case "pageInfo":
			next = readPage(v)
		}
	}
	return next, listed, err
}

// readExact reads a branch that was asked for by name, null where there is none.
func (t *target) readExact(v *jsonstream.Reader, branch string) error {
	if v.IsNull() {
		return nil
	}
	name, oid := readRef(v)
	// GitHub falls back on other refs that end alike when there is no branch of that name.
	if name == headsPrefix+branch {
		t.heads.Add(branch, oid)
	}
	return checkRef(name)
}

// readRef reads a ref, and returns its full name, "" when it does not say all of it.
func readRef(v *jsonstream.Reader) (name, oid string) {
	var prefix string
	for field := range v.Fields() {
		switch field {
		case "prefix":
			prefix = v.Text()
		case "name":
			name = v.Text()
		case "target":
			for field := range v.Fields() {
				if field == "oid" {
					oid = v.Text()
				}
			}
		}
	}
	if prefix == "" || name == "" {
		return "", oid
	}
	return prefix + name, oid
}

// checkRef fails for a ref of which the answer does not say which it is: a branch that is passed over counts as deleted.
func checkRef(name string) error {
	if name == "" {
		return fmt.Errorf("the answer holds a branch without its name")
	}
	return nil
}
