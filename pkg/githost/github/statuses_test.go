package github_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/statuses"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
)

func TestStatuses(t *testing.T) {
	statuses.Test(t, statuses.Kind{
		Driver: github.Driver,
		New:    githubtest.New,
		Foreign: func(statusContext, description string) map[string]any {
			return map[string]any{"context": statusContext, "state": "success", "description": description}
		},
		Page:        100,
		Description: 140,
	})
}
