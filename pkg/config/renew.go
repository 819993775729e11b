package config

import (
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/renewal"
	"github.com/tekton-sentry/sentry/pkg/config/section"
)

// Renew returns the configuration with its credentials and webhook addresses expanded again, for variables
// that have changed since it was loaded. All else is as it was read. The error names the variables that are unset
// or hold what a credential cannot; c stays as it is.
func (c *Config) Renew(lookup func(string) (string, bool)) (*Config, error) {
	renewed, values := *c, renewal.Renewal{Lookup: lookup}
	values.Line(&renewed.Global.Proxy.HTTP, section.CheckProxy)
	values.Line(&renewed.Global.Proxy.HTTPS, section.CheckProxy)
	values.Line(&renewed.Global.Traces.Headers, section.CheckHeaders)
	values.Line(&renewed.Webhooks.Secret, section.CheckHookSecret)
	renewed.Clusters = place.Renew(c.Clusters, values.Value)
	credential := func(a *Auth) {
		for _, v := range a.Values() {
			values.Value(v, a.CheckRenewed(v))
		}
	}
	renewed.Discover = slices.Clone(c.Discover)
	for i := range renewed.Discover {
		credential(&renewed.Discover[i].Auth)
	}
	deploys, reports := map[*Deploy]*Deploy{}, map[*Report]*Report{} // what repositories share, they go on sharing
	renewed.Repositories = slices.Clone(c.Repositories)
	for i := range renewed.Repositories {
		r := &renewed.Repositories[i]
		values.Value(&r.WebhookURL, section.CheckLine)
		credential(&r.Monitor.Auth)
		r.Deploy = renewal.Once(deploys, r.Deploy, func(p *Deploy) { credential(&p.Auth) })
		r.Report = renewal.Once(reports, r.Report, func(p *Report) {
			for _, to := range p.Receivers() {
				values.Value(&to.URL, section.CheckLine)
			}
		})
	}
	if err := values.Err(); err != nil {
		return nil, err
	}
	return &renewed, nil
}
