package setup_test

import (
	"bytes"
	"fmt"
	"strings"
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
	value := func(text string) secret.Value { return secret.New("${T}", text) }
	cfg := &config.Config{Repositories: []config.Repository{{
		Monitor:    config.Monitor{Source: config.Source{Auth: config.Auth{Username: value("jane"), Token: value("m0nitor")}}},
		Deploy:     &config.Deploy{Source: config.Source{Auth: config.Auth{Token: value("hunter2")}}},
		WebhookURL: value("https://chat.example/hooks/t0k"),
	}}}
	cfg.Webhooks.Secret = value("h00k-secret")
	cfg.Global.Proxy.HTTP = value("http://user:pr%40xy1@proxy.example:3128")
	cfg.Global.Proxy.HTTPS = value("http://user:pr0xy2@proxy.example:3128")
	h.Use(cfg)
	for _, s := range []string{
		"hunter2", "m0nitor", "https://chat.example/hooks/t0k", "h00k-secret", "pr@xy1", "pr%40xy1", "pr0xy2",
		"amFuZTptMG5pdG9y", // jane:m0nitor, as a header has it
	} {
		if got := h.Hide("the password is " + s); got != "the password is [redacted]" {
			t.Errorf("%s: got %q", s, got)
		}
	}
	traced := *cfg
	traced.Global.Traces.Headers = value("Authorization=Bearer%20sp4n-secret,X-Scope-OrgID=jane")
	traced.Repositories = nil
	h.Use(&traced)
	for _, s := range []string{"Bearer sp4n-secret", "sp4n-secret", "hunter2", "h00k-secret", "pr0xy2"} { // some of which were replaced
		if got := h.Hide("the password is " + s); got != "the password is [redacted]" {
			t.Errorf("after another configuration, %s: got %q", s, got)
		}
	}
	for i := range 1000 {
		traced.Webhooks.Secret = value(fmt.Sprintf("h00k-secret-%d", i))
		h.Use(&traced)
	}
	if got := h.Hide("h00k-secret-998 h00k-secret-999 hunter2"); got != "[redacted] [redacted] hunter2" {
		t.Errorf("after a thousand, got %q, want only the last hundreds hidden", got)
	}
	h.Use(cfg)
	if got := h.Hide("jane asked proxy.example"); got != "jane asked proxy.example" {
		t.Errorf("a name is hidden: %q", got)
	}
	for at := range 40 {
		long := strings.Repeat("x", secret.MaxRedacted-20+at) + "hunter2" + strings.Repeat("y", secret.MaxRedacted)
		if got := h.Hide(long); strings.Contains(got, "hunter2") || !strings.HasSuffix(got, "yyy") || len(got) < len(long) {
			t.Fatalf("a long text with a secret at %d is %.40q… of %d bytes, want all but the secret", secret.MaxRedacted-20+at, got, len(got))
		}
	}
	var out bytes.Buffer
	if n, err := fmt.Fprintf(h.Over(&out), "it is %s\n", "hunter2"); err != nil || n != len("it is hunter2\n") || out.String() != "it is [redacted]\n" {
		t.Errorf("written: %q, %d, %v", &out, n, err)
	}
}
