package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Renew returns the configuration with its credentials and webhook addresses expanded again, for variables
// that have changed since it was loaded. All else is as it was read. The error names the variables that are unset
// or hold what a credential cannot; c stays as it is.
func (c *Config) Renew(lookup func(string) (string, bool)) (*Config, error) {
	renewed := *c
	renewed.Repositories = slices.Clone(c.Repositories)
	var errs []error
	failed := map[string]bool{}
	renew := func(v *secret.Value, check func(secret.Value) error) {
		fresh, err := expandAgain(*v, lookup)
		if err == nil && v.IsSet() {
			if err = check(fresh); err != nil {
				err = fmt.Errorf("%s %w", strings.Join(v.Variables(), " or "), err)
			}
		}
		if err == nil {
			*v = fresh
		} else if !failed[v.Text()] {
			failed[v.Text()] = true
			errs = append(errs, err)
		}
	}
	line := func(v *secret.Value, check func(secret.Value) error) {
		renew(v, func(v secret.Value) error { return cmp.Or(section.CheckLine(v), check(v)) })
	}
	line(&renewed.Global.Proxy.HTTP, section.CheckProxy)
	line(&renewed.Global.Proxy.HTTPS, section.CheckProxy)
	line(&renewed.Global.Traces.Headers, section.CheckHeaders)
	line(&renewed.Webhooks.Secret, section.CheckHookSecret)
	credential := func(a *Auth) {
		for _, v := range a.Values() {
			renew(v, a.CheckRenewed(v))
		}
	}
	renewed.Discover = slices.Clone(c.Discover)
	for i := range renewed.Discover {
		credential(&renewed.Discover[i].Auth)
	}
	deploys, reports := map[*Deploy]*Deploy{}, map[*Report]*Report{} // what repositories share, they go on sharing
	for i := range renewed.Repositories {
		r := &renewed.Repositories[i]
		renew(&r.WebhookURL, section.CheckLine)
		credential(&r.Monitor.Auth)
		r.Deploy = once(deploys, r.Deploy, func(p *Deploy) { credential(&p.Auth) })
		r.Report = once(reports, r.Report, func(p *Report) {
			for _, to := range p.Receivers() {
				renew(&to.URL, section.CheckLine)
			}
		})
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &renewed, nil
}

// once returns a copy of old that was changed: the same one each time.
func once[T any](done map[*T]*T, old *T, change func(*T)) *T {
	if old == nil || done[old] != nil {
		return done[old]
	}
	copied := *old
	change(&copied)
	done[old] = &copied
	return &copied
}

// expandAgain returns a value as it is now.
func expandAgain(v secret.Value, lookup func(string) (string, bool)) (secret.Value, error) {
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
