package setup

import (
	"slices"
	"sync/atomic"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Hider takes the credentials of the configuration out of what commands print. Any goroutine may use it. It cannot know the
// secrets that the commands have of their own.
type Hider struct{ tokens atomic.Pointer[[]string] }

// Use makes the credentials of cfg the ones to hide. A user name is none by itself.
func (h *Hider) Use(cfg *config.Config) {
	var tokens []string
	for _, r := range cfg.Repositories {
		for _, v := range []secret.Value{r.Monitor.Auth.Token, r.Deploy.Auth.Token, r.WebhookURL} {
			if token := v.Reveal(); token != "" {
				tokens = append(tokens, token)
			}
		}
	}
	slices.Sort(tokens)
	tokens = slices.Compact(tokens)
	h.tokens.Store(&tokens)
}

// Hide returns the line without them.
func (h *Hider) Hide(line string) string {
	if tokens := h.tokens.Load(); tokens != nil {
		return secret.Redact(line, *tokens...)
	}
	return line
}
