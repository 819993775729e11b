package gitea_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestStatuses(t *testing.T) {
	statuses.Test(t, statuses.Kind{
		Driver: gitea.Driver,
		New:    func() *githosttest.API { return giteatest.New().API },
		Foreign: func(statusContext, description string) map[string]any {
			return map[string]any{"context": statusContext, "status": "success", "description": description}
		},
		Page:        50,
		Description: 255,
		Emoji:       true,
	})
}
