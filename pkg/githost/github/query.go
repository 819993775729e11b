package github

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/github/internal/reply"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/graphql"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// target is one repository that GraphQL is asked for.
type target struct {
	index       int // of what is wanted
	owner, name string
	exact       []string // what is asked for by name, by what it is called
	pages       []pages  // what is asked for page by page

	canonical string // owner/name as the server writes it: where a renamed repository is now
	pushed    time.Time
	heads     *githost.Heads
	said      said
}

// pages are all branches, all tags, or all open requests.
type pages struct {
	alias, prefix, fragment string
	field, of, total        string     // how a query asks for them
	after                   string     // cursor of the page before
	next                    reply.Page // what the last one says of the next one
	listed                  bool       // the last one was answered
}

var (
	ofBranches = pages{alias: "refs", field: "refs", of: `refPrefix:"refs/heads/"`, prefix: repo.Heads, fragment: "head"}
	ofTags     = pages{alias: "tags", field: "tags:refs", of: `refPrefix:"refs/tags/"`, prefix: repo.Tags, fragment: "tag"}
	ofRequests = pages{alias: "pulls", field: "pulls:pullRequests", of: "states:OPEN", total: "totalCount ", prefix: repo.Pulls, fragment: "pull"}
)

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
	t := &target{index: index, owner: owner, name: name}
	add := func(patterns repo.Patterns, all pages) {
		if names, known := patterns.Names(); known {
			t.exact = append(t.exact, names...)
		} else {
			t.pages = append(t.pages, all)
		}
	}
	add(patterns.Branches(), ofBranches)
	add(patterns.Tags(), ofTags)
	add(patterns.OfRequests(), ofRequests)
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
	r.branches[name] = r.variable(fmt.Sprintf("b%d", len(r.branches)), repo.Full(name))
	return r.branches[name]
}

func (r *request) text(fragments string) string {
	return "query(" + r.declared.String() + "){rateLimit{cost remaining resetAt}" + r.fields.String() + "}" + fragments
}

// The fragments say what a branch and a tag are. A tag may be of a tag again.
const (
	headFragment = "fragment head on Ref{prefix name target{oid}}"
	tagFragment  = "fragment tag on Ref{prefix name target{__typename oid ...on Tag{target{__typename oid ...on Tag{target{__typename oid ...on Tag{target{__typename oid}}}}}}}}"
)

// fragments returns those that the query has.
func (r *request) fragments() string {
	var text string
	for fragment, use := range map[string]string{headFragment: "{...head}", tagFragment: "{...tag}", reply.PullFragment: "{...pull}"} {
		if strings.Contains(r.fields.String(), use) {
			text += fragment
		}
	}
	return text
}

// headsRequest asks for the heads of targets: r0, r1, … in their order. A ref that is asked for by its
// full name is no connection, so exact names cost GitHub nothing beyond the query. Pages are always those
// of all branches: that "query" and longer prefixes leave out no branch that begins alike is nowhere said.
func headsRequest(targets []*target) *request {
	r := newRequest()
	for i, t := range targets {
		owner := r.variable(fmt.Sprintf("o%d", i), t.owner)
		name := r.variable(fmt.Sprintf("n%d", i), t.name)
		fmt.Fprintf(&r.fields, "r%d:repository(owner:%s,name:%s){nameWithOwner pushedAt ", i, owner, name)
		for _, p := range t.pages {
			after := ""
			if p.after != "" {
				after = ",after:" + r.variable(fmt.Sprintf("%s%d", p.alias, i), p.after)
			}
			fmt.Fprintf(&r.fields, p.field+"(%s,first:100%s){%snodes{...%s} pageInfo{hasNextPage endCursor}}", p.of, after, p.total, p.fragment)
		}
		for k, name := range t.exact {
			fragment := ofBranches.fragment
			if _, tag := repo.Tag(name); tag {
				fragment = ofTags.fragment
			}
			fmt.Fprintf(&r.fields, "h%d:ref(qualifiedName:%s){...%s} ", k, r.branch(name), fragment)
		}
		r.fields.WriteString("}")
	}
	return r
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
	answered := make([]bool, len(t.exact))
	for field := range v.Fields() {
		var wrong error
		of := slices.IndexFunc(t.pages, func(p pages) bool { return p.alias == field })
		switch {
		case field == "nameWithOwner":
			canonical = strings.ToLower(v.Text())
		case field == "pushedAt":
			pushed, wrong = reply.ReadTime(v)
		case of >= 0 && t.pages[of].prefix == repo.Pulls:
			t.pages[of].next, t.pages[of].listed, wrong = reply.ReadPulls(v, t.pages[of].after == "", t.heads.AddRequest)
		case of >= 0:
			t.pages[of].next, t.pages[of].listed, wrong = t.readRefs(v, t.pages[of].prefix)
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
	if err != nil {
		return false, err
	}
	if k := slices.Index(answered, false); k >= 0 {
		return false, fmt.Errorf("the answer leaves out %s %.80q", repo.Noun(t.exact[k]), t.exact[k])
	}
	for _, p := range t.pages {
		switch {
		case !p.listed:
			return false, fmt.Errorf("the answer holds no %s", p.alias)
		case !p.next.Told:
			return false, fmt.Errorf("the answer does not say whether there are more %s", p.noun())
		case p.next.Next && (p.next.Cursor == "" || p.next.Cursor == p.after):
			return false, fmt.Errorf("the page after %.40q is followed by itself", p.after)
		}
	}
	t.exact = nil
	t.pages = slices.DeleteFunc(t.pages, func(p pages) bool { return !p.next.Next })
	for i, p := range t.pages {
		t.pages[i].after, t.pages[i].listed = p.next.Cursor, false
	}
	return len(t.pages) > 0, nil
}

// noun returns what is on them.
func (p pages) noun() string {
	switch p.prefix {
	case repo.Tags:
		return "tags"
	case repo.Pulls:
		return "requests"
	}
	return "branches"
}

// readRefs reads a page of branches or tags.
func (t *target) readRefs(v *jsonstream.Reader, prefix string) (next reply.Page, listed bool, err error) {
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
				r := reply.ReadRef(v)
				if err = r.Check(); err == nil && strings.HasPrefix(r.Name, prefix) {
					t.add(r)
				}
			}
		case "pageInfo":
			next = reply.ReadPage(v)
		}
	}
	return next, listed, err
}

// readExact reads what was asked for by name, null where there is none.
func (t *target) readExact(v *jsonstream.Reader, name string) error {
	if v.IsNull() {
		return nil
	}
	r := reply.ReadRef(v)
	// GitHub falls back on other refs that end alike when there is none of that name.
	if r.Name == repo.Full(name) {
		t.add(r)
	}
	return r.Check()
}

// add takes a ref that has a commit.
func (t *target) add(r reply.Ref) {
	if name, ok := repo.Called(r.Name); ok && r.Kind != "Tree" && r.Kind != "Blob" {
		t.heads.Add(name, r.OID)
	}
}
