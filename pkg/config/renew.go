package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

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
	for i := range renewed.Repositories {
		r := &renewed.Repositories[i]
		for _, v := range []*secret.Value{
			&r.Monitor.Auth.Username, &r.Monitor.Auth.Token, &r.Deploy.Auth.Username, &r.Deploy.Auth.Token, &r.WebhookURL,
		} {
			value, unset, err := secret.Expand(v.Text(), lookup)
			switch {
			case err != nil:
			case len(unset) > 0:
				err = fmt.Errorf("%s is not set", strings.Join(unset, ", "))
			case value == "" && v.Reveal() != "":
				err = fmt.Errorf("%s is empty", strings.Join(v.Variables(), " or "))
			case !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl):
				err = fmt.Errorf("%s holds a line break, another control character or broken UTF-8", strings.Join(v.Variables(), " or "))
			}
			if err == nil {
				*v = secret.New(v.Text(), value)
			} else if !failed[v.Text()] {
				failed[v.Text()] = true
				errs = append(errs, err)
			}
		}
	}
	if len(errs) > 0 {
		return nil, errors.Join(errs...)
	}
	return &renewed, nil
}
