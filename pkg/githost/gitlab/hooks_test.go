package gitlab_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/hooks"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab"
	"github.com/tekton-sentry/sentry/pkg/githost/gitlab/gitlabtest"
)

func TestHooks(t *testing.T) {
	hooks.Test(t, hooks.Kind{
		Driver: gitlab.Driver,
		New:    func() *githosttest.API { return gitlabtest.New().API },
		Foreign: func(address string) map[string]any {
			return map[string]any{"url": address, "push_events": true, "tag_push_events": true, "enable_ssl_verification": true, "issues_events": true}
		},
		Wrong: map[string]func(map[string]any){
			"events":           func(b map[string]any) { b["push_events_branch_filter"] = "main" },
			"TLS not verified": func(b map[string]any) { b["enable_ssl_verification"] = false },
		},
	})
}
