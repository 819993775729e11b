package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

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
		if err == nil && v.IsSet() && check != nil {
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
	renew(&renewed.Global.Proxy.HTTP, section.CheckProxy)
	renew(&renewed.Global.Proxy.HTTPS, section.CheckProxy)
	renew(&renewed.Global.Traces.Headers, section.CheckHeaders)
	renew(&renewed.Webhooks.Secret, checkHookSecret)
	for i := range renewed.Repositories {
		for _, v := range renewed.Repositories[i].secrets() {
			renew(v, nil)
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &renewed, nil
}

// secrets returns what of a repository is taken from variables that no step sees.
func (r *Repository) secrets() []*secret.Value {
	return []*secret.Value{
		&r.Monitor.Auth.Username, &r.Monitor.Auth.Token, &r.Deploy.Auth.Username, &r.Deploy.Auth.Token, &r.WebhookURL,
		&r.Report.Slack.URL, &r.Report.Webhook.URL, &r.Report.CloudEvents.URL,
	}
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
	case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
		return v, fmt.Errorf("%s holds a line break, another control character or broken UTF-8", strings.Join(v.Variables(), " or "))
	}
	return secret.New(v.Text(), value), nil
}
