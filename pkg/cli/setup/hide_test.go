package setup_test

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func TestHider(t *testing.T) {
	var h setup.Hider
	if got := h.Hide("hunter2"); got != "hunter2" {
		t.Errorf("without credentials: %q", got)
	}
	h.Use(&config.Config{Repositories: []config.Repository{{Deploy: config.Deploy{Source: config.Source{Auth: config.Auth{Token: secret.New("${T}", "hunter2")}}}}}})
	if got := h.Hide("the password is hunter2"); got != "the password is [redacted]" {
		t.Errorf("got %q", got)
	}
}
