package gitlab_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

func TestStatuses(t *testing.T) {
	statuses.Test(t, statuses.Kind{
		Driver: gitlab.Driver,
		New:    func() *githosttest.API { return gitlabtest.New().API },
		Foreign: func(statusContext, description string) map[string]any {
			return map[string]any{"name": statusContext, "status": "success", "description": description, "pipeline_id": 1}
		},
		Description: 255,
		Emoji:       true,
	})
}
