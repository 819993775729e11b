// Package renewal expands values again whose variables have changed since they were read.
package renewal

import (
	"cmp"
	"errors"
	"fmt"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Renewal goes from value to value.
type Renewal struct {
	Lookup func(string) (string, bool) // of variables, by name
	failed map[string]bool             // texts of values that are told of already
	errs   []error
}

// Value expands v again. It stays as it is where a variable is unset, or where check refuses what it holds now.
func (r *Renewal) Value(v *secret.Value, check func(secret.Value) error) {
	fresh, err := expand(*v, r.Lookup)
	if err == nil && v.IsSet() {
		if err = check(fresh); err != nil {
			err = fmt.Errorf("%s %w", strings.Join(v.Variables(), " or "), err)
		}
	}
	if err == nil {
		*v = fresh
	} else if !r.failed[v.Text()] {
		if r.failed == nil {
			r.failed = map[string]bool{}
		}
		r.failed[v.Text()] = true
		r.errs = append(r.errs, err)
	}
}

// Line expands v again, which is a line that check accepts.
func (r *Renewal) Line(v *secret.Value, check func(secret.Value) error) {
	r.Value(v, func(v secret.Value) error { return cmp.Or(section.CheckLine(v), check(v)) })
}

// Err names the variables that are unset or hold what their values cannot.
func (r *Renewal) Err() error { return errors.Join(r.errs...) }

// expand returns a value as it is now.
func expand(v secret.Value, lookup func(string) (string, bool)) (secret.Value, error) {
	value, unset, err := secret.Expand(v.Text(), lookup)
	switch {
	case err != nil:
		return v, err
	case len(unset) > 0:
		return v, fmt.Errorf("%s is not set", strings.Join(unset, ", "))
	case value == "" && v.Reveal() != "":
		return v, fmt.Errorf("%s is empty", strings.Join(v.Variables(), " or "))
	}
	return secret.New(v.Text(), value), nil
}

// Once returns a copy of old that was changed: the same one each time.
func Once[T any](done map[*T]*T, old *T, change func(*T)) *T {
	if old == nil || done[old] != nil {
		return done[old]
	}
	copied := *old
	change(&copied)
	done[old] = &copied
	return &copied
}
