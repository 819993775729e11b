// Package reply reads parts of what GitHub's GraphQL answers.
package reply

import (
	"fmt"
	"strconv"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/jsonstream"
)

// Page is what a page says of the next one.
type Page struct {
	Told, Next bool // hasNextPage, where it was not left out
	Cursor     string
}

// ReadPage reads a pageInfo.
func ReadPage(v *jsonstream.Reader) (p Page) {
	for field := range v.Fields() {
		switch field {
		case "hasNextPage":
			next := v.Scalar()
			p.Told, p.Next = next == "true" || next == "false", next == "true"
		case "endCursor":
			p.Cursor = v.Text()
		}
	}
	return p
}

// ReadTime reads a time, zero for null.
func ReadTime(v *jsonstream.Reader) (time.Time, error) {
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

// Ref is one, by its full name, "" when that is not all told. Kind is that of its object, "" where it was not asked for.
type Ref struct{ Name, Kind, OID string }

// ReadRef reads a ref.
func ReadRef(v *jsonstream.Reader) (r Ref) {
	var prefix string
	for field := range v.Fields() {
		switch field {
		case "prefix":
			prefix = v.Text()
		case "name":
			r.Name = v.Text()
		case "target":
			r.Kind, r.OID = readTarget(v)
		}
	}
	if prefix == "" || r.Name == "" {
		r.Name = ""
		return r
	}
	r.Name = prefix + r.Name
	return r
}

// readTarget reads an object, or what a tag is of.
func readTarget(v *jsonstream.Reader) (kind, oid string) {
	var inner, innerOID string
	for field := range v.Fields() {
		switch field {
		case "__typename":
			kind = v.Text()
		case "oid":
			oid = v.Text()
		case "target":
			inner, innerOID = readTarget(v)
		}
	}
	if inner != "" {
		return inner, innerOID
	}
	return kind, oid
}

// Check fails for a ref of which the answer does not say which it is, as one that is passed over counts as deleted; and for a
// tag of which it does not say the commit.
func (r Ref) Check() error {
	switch {
	case r.Name == "":
		return fmt.Errorf("the answer holds a branch without its name")
	case r.Kind == "Tag":
		return fmt.Errorf("%.80q is a tag of tags, of more than three: GitHub does not tell its commit", r.Name)
	}
	return nil
}

// Points are what an answer says that is left. GitHub Enterprise answers null where nothing is limited.
type Points struct {
	Told            bool
	wrong           bool
	cost, remaining int
	resetAt         time.Time
}

// Bill is what the points mean: a query that costs more than is left would not be answered.
func (p Points) Bill(resource string) githost.Bill {
	b := githost.Bill{Resource: resource, Cost: p.cost}
	if p.remaining < max(1, p.cost) {
		b.Until = p.resetAt
	}
	return b
}

// ReadPoints reads the points, which are not told when they make no sense.
func ReadPoints(v *jsonstream.Reader) (p Points) {
	for field := range v.Fields() {
		var err error
		switch field {
		case "cost":
			p.cost, err = strconv.Atoi(v.Scalar())
		case "remaining":
			p.remaining, err = strconv.Atoi(v.Scalar())
			p.Told = err == nil
		case "resetAt":
			p.resetAt, err = ReadTime(v)
		}
		if err != nil {
			p.wrong = true
		}
	}
	p.Told = p.Told && !p.wrong && v.Shape() == nil
	return p
}
