package setup

import (
	"io"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/section"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Hider takes the credentials of the configuration out of what commands print, and of what is said of why they failed. Any
// goroutine may use it. It cannot know the secrets that the commands have of their own.
type Hider struct{ secrets atomic.Pointer[[]string] }

// maxEarlier bounds the credentials that are hidden beside those of the configuration that was read last. What a server or a run says
// of one that was replaced comes after that, and the old one may be valid still.
const maxEarlier = 200

// leastHeader is how many bytes a header has at least that is hidden: shorter ones are the name of a tenant, and in every other word.
const leastHeader = 8

// Use makes the credentials of cfg the ones to hide, beside those of earlier ones. A user name beside a token is none.
func (h *Hider) Use(cfg *config.Config) {
	secrets := []string{cfg.Webhooks.Secret.Reveal(), password(cfg.Global.Proxy.HTTP), password(cfg.Global.Proxy.HTTPS)}
	headers, _ := section.HeadersOf(cfg.Global.Traces.Headers) // checked when they were read
	for _, h := range headers {
		_, credential, _ := strings.Cut(h.Value, " ") // behind Bearer and the like
		for _, s := range []string{h.Value, credential} {
			if len(s) >= leastHeader {
				secrets = append(secrets, s)
			}
		}
	}
	for _, c := range cfg.Clusters {
		secrets = append(secrets, kube.SecretsIn(c.Kubeconfig.Reveal())...)
	}
	seen := map[config.Auth]bool{}
	hide := func(auths ...config.Auth) {
		for _, auth := range auths {
			if !seen[auth] {
				secrets = append(secrets, githost.Endpoint{Auth: auth}.Secrets()...)
			}
			seen[auth] = true
		}
	}
	for i := range cfg.Discover {
		hide(cfg.Discover[i].Auth)
	}
	for i := range cfg.Repositories {
		r := &cfg.Repositories[i]
		hide(r.Monitor.Auth, r.Deploy.Auth)
		if r.WebhookURL.IsSet() {
			secrets = append(secrets, r.WebhookURL.Reveal())
		}
		for _, to := range r.Report.Receivers() {
			secrets = append(secrets, to.URL.Reveal())
		}
	}
	slices.Sort(secrets)
	secrets = slices.DeleteFunc(slices.Compact(secrets), func(s string) bool { return s == "" })
	now := len(secrets)
	if before := h.secrets.Load(); before != nil { // the newest are the first
		for _, s := range *before {
			if _, known := slices.BinarySearch(secrets[:now], s); !known && len(secrets) < now+maxEarlier {
				secrets = append(secrets, s)
			}
		}
	}
	h.secrets.Store(&secrets)
}

// password returns what is secret of a proxy's address: its password, or all of it where it cannot be taken apart.
func password(proxy secret.Value) string {
	u, err := url.Parse(proxy.Reveal())
	if err != nil {
		return proxy.Reveal()
	}
	password, _ := u.User.Password()
	return password
}

// Hide returns the text without them. Of one that is longer than secret.Redact takes, those are found in each part that are
// written as they are, wherever it is cut.
func (h *Hider) Hide(text string) string {
	secrets := h.secrets.Load()
	if secrets == nil || len(*secrets) == 0 {
		return text
	}
	if len(text) <= secret.MaxRedacted {
		return secret.Redact(text, *secrets...)
	}
	for _, s := range *secrets {
		text = strings.ReplaceAll(text, s, secret.Redacted)
	}
	var hidden strings.Builder
	for part := range slices.Chunk([]byte(text), secret.MaxRedacted) {
		hidden.WriteString(secret.Redact(string(part), *secrets...))
	}
	return hidden.String()
}

// Over returns a writer that writes to w without them. Each write must be of whole lines.
func (h *Hider) Over(w io.Writer) io.Writer { return hiding{h, w} }

type hiding struct {
	*Hider
	io.Writer
}

func (h hiding) Write(b []byte) (int, error) {
	if _, err := io.WriteString(h.Writer, h.Hide(string(b))); err != nil {
		return 0, err
	}
	return len(b), nil
}

// past returns how runs ended, without them: an earlier Sentry may have written what this one hides.
func (h *Hider) past(results []result.Result) []result.Result {
	for i, r := range results {
		results[i] = r.Redacted(h.Hide)
	}
	return results
}
