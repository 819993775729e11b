package hosts_test

import (
	"net/http"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// What a kind says of itself in the configuration is what its hosts offer.
func TestStatusesAreAsTold(t *testing.T) {
	for _, d := range hosts.All {
		account := d.AccountOf(config.Source{URL: "https://host.example/o/r", Type: d.Type, Auth: config.Auth{}})
		host, err := d.Open(githost.Endpoint{Account: account}, http.DefaultClient)
		if err != nil {
			t.Fatal(err)
		}
		if _, offers := host.(githost.Statuses); offers != d.Statuses {
			t.Errorf("%s offers statuses of commits: %v, and says %v", d.Type, offers, d.Statuses)
		}
	}
}
