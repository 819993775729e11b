package webhooks

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/serve/hook"
)

// base checks the address under which hosts reach Sentry.
func base(address string) (*url.URL, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, errors.New("want the address at which hosts reach Sentry, such as https://sentry.example.com, without a user, ? and #")
	}
	return u, nil
}

// addressOf returns where the hooks of a kind of host go. No host tells the secret of a webhook that there is, so a mark of it
// is in the address: by that a later call knows whether the secret is still the same. Only with the secret can it be made, and
// it does not lead back to it.
func addressOf(base *url.URL, t config.HostType, secret string) string {
	u := base.JoinPath(hook.Path, string(t))
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("the mark of a webhook's secret"))
	u.RawQuery = url.Values{"key": {hex.EncodeToString(mac.Sum(nil)[:4])}}.Encode()
	return u.String()
}

// ours returns the webhooks that lead to the host and path of the address.
func ours(hooks []githost.Hook, address string) []githost.Hook {
	var same []githost.Hook
	want := place(address)
	for _, h := range hooks {
		if place(h.Address) == want {
			same = append(same, h)
		}
	}
	return same
}

// place is what tells one Sentry's address from another's. http and https at the ports that they have anyway are one place.
func place(address string) string {
	u, err := url.Parse(address)
	if err != nil {
		return ""
	}
	return githost.HostOf(u) + "/" + strings.Trim(u.Path, "/")
}

// decide returns the webhook to keep, and what is wrong with it; nil where one is to be made. more are the others that lead to
// the same place: each tells of every push again, and one with an earlier secret is refused each time.
func decide(hooks []githost.Hook, address string) (keep *githost.Hook, wrong []string, more []githost.Hook) {
	same := ours(hooks, address)
	if len(same) == 0 {
		return nil, nil, nil
	}
	at := max(0, slices.IndexFunc(same, func(h githost.Hook) bool { return h.Address == address }))
	keep, more = &same[at], slices.Concat(same[:at], same[at+1:])
	wrong = keep.Wrong
	if keep.Address != address {
		what := "address"
		if bare(keep.Address) == bare(address) {
			what = "secret"
		}
		wrong = append([]string{what}, wrong...)
	}
	return keep, wrong, more
}

// bare is an address without the mark of the secret.
func bare(address string) string {
	address, _, _ = strings.Cut(address, "?")
	return address
}
