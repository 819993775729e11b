package rest

import (
	"slices"

	"github.com/tekton-sentry/sentry/pkg/githost"
)

// maxHookPages bounds the pages of a repository's webhooks. GitLab allows 100 of them, GitHub 20 of each event.
const maxHookPages = 20

// HookPages reads pages, numbered from 1, until none follows. next is the number of the one after, 0 for none.
func HookPages(host string, page func(number int) (hooks []githost.Hook, next int, err error)) ([]githost.Hook, error) {
	var all []githost.Hook
	err := list(host, "webhooks", maxHookPages, func(number int) (int, error) {
		hooks, next, err := page(number)
		all = append(all, hooks...)
		return next, err
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// WrongHook says what is wrong with a webhook, of what the hosts have in common.
func WrongHook(active, asJSON, verified bool, events, want []string) []string {
	var wrong []string
	for what, ok := range map[string]bool{"inactive": active, "content type": asJSON, "TLS not verified": verified} {
		if !ok {
			wrong = append(wrong, what)
		}
	}
	slices.Sort(wrong)
	all := slices.Contains(events, "*")
	if !all && slices.ContainsFunc(want, func(e string) bool { return !slices.Contains(events, e) }) {
		wrong = append(wrong, "events")
	}
	return wrong
}
