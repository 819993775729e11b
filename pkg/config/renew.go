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
	line(&renewed.Webhooks.Secret, checkHookSecret)
	for i := range renewed.Repositories {
		r := &renewed.Repositories[i]
		for _, v := range []*secret.Value{&r.WebhookURL, &r.Report.Slack.URL, &r.Report.Webhook.URL, &r.Report.CloudEvents.URL} {
			renew(v, section.CheckLine)
		}
		for _, a := range []*Auth{&r.Monitor.Auth, &r.Deploy.Auth} {
			for _, v := range a.Values() {
				renew(v, a.CheckRenewed(v))
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &renewed, nil
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
