package gitea_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/hooks"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea"
	"github.com/tekton-sentry/sentry/pkg/githost/gitea/giteatest"
	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

func TestHooks(t *testing.T) {
	hooks.Test(t, hooks.Kind{
		Driver: gitea.Driver,
		New:    func() *githosttest.API { return giteatest.New().API },
		Foreign: func(address string) map[string]any {
			return map[string]any{"type": "gitea", "active": true, "events": []any{"push", "create", "delete"},
				"config": map[string]any{"url": address, "content_type": "json"}}
		},
		Wrong: map[string]func(map[string]any){
			"inactive":      func(b map[string]any) { b["active"] = false },
			"events":        func(b map[string]any) { b["events"] = []any{"push"} },
			"content type":  func(b map[string]any) { b["config"].(map[string]any)["content_type"] = "form" },
			"branch filter": func(b map[string]any) { b["branch_filter"] = "main" },
			"type":          func(b map[string]any) { b["type"] = "slack" },
		},
	})
}
