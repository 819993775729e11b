package github_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost/conformance/hooks"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
)

func TestHooks(t *testing.T) {
	hooks.Test(t, hooks.Kind{
		Driver: github.Driver,
		New:    githubtest.New,
		Foreign: func(address string) map[string]any {
			return map[string]any{"active": true, "events": []any{"push", "create", "delete", "star"},
				"config": map[string]any{"url": address, "content_type": "json", "insecure_ssl": "0"}}
		},
		Wrong: map[string]func(map[string]any){
			"inactive":         func(b map[string]any) { b["active"] = false },
			"events":           func(b map[string]any) { b["events"] = []any{"push"} },
			"content type":     func(b map[string]any) { b["config"].(map[string]any)["content_type"] = "form" },
			"TLS not verified": func(b map[string]any) { b["config"].(map[string]any)["insecure_ssl"] = "1" },
		},
	})
}
