package change

import (
	"fmt"
	"slices"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// More people read a log than the file: it shows no command, no variable's value and no certificate, which people write secrets
// into.
func TestKeysInBrief(t *testing.T) {
	const base = `polling_interval: 60
global: {env: {A: one}}
repositories:
  - name: web
    monitor: {repo_url: https://github.com/a/web, branches: [main], auth: {token: "${A}"}}
    deploy: {qa_repo_url: https://github.com/a/qa, commands: ["curl -u me:hush"], timeout: 60}
    webhook_url: https://hooks.example.com/hush
`
	const changed = `polling_interval: 90
global: {env: {A: hush}, image: "example.com/tools:2", proxy: {no_proxy: "a.example, b.example"}}
groups: {shop: {}}
repositories:
  - name: web
    group: shop
    monitor: {repo_url: https://github.com/a/web, branches: [main], auth: {token: "${B}"}}
    deploy: {qa_repo_url: https://github.com/a/qa, commands: ["curl -u me:hush2"]}
    webhook_url: https://hooks.example.com/hush2
`
	settings := func(text string) map[string]config.Setting {
		s, err := config.Settings(config.Files{{Text: []byte(text)}}, hosts.All.Config())
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	want := []string{
		"global.env: changed", "global.image: docker.io/alpine/k8s:1.34.1 -> example.com/tools:2", "global.proxy.no_proxy: changed", "+ groups.shop", "polling_interval: 60 -> 90",
		"repositories.web.deploy.commands: changed", "repositories.web.deploy.timeout: 60 -> (none)", "repositories.web.group: (none) -> shop",
		"repositories.web.monitor.auth.token: ${A} -> ${B}", "repositories.web.webhook_url: [hidden] -> [hidden]",
	}
	if got := KeysInBrief(settings(base), settings(changed)); !slices.Equal(got, want) {
		t.Errorf("got %q\nwant %q", got, want)
	}
}

// A text with line breaks is on one line in a difference, too.
func TestKeysAreLines(t *testing.T) {
	setting := func(text string) map[string]config.Setting {
		return map[string]config.Setting{"global.ca": {Text: text}}
	}
	want := []string{"  global.ca: -----BEGIN -> (none)"}
	if got := Keys(setting("-----BEGIN\r\n\x1b\n"), nil); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestFew(t *testing.T) {
	var names []string
	for i := range 7 {
		names = append(names, fmt.Sprint(i))
	}
	if got, want := Few(names), "0, 1, 2, 3, 4 and 2 more"; got != want {
		t.Errorf("Few(%v) = %q, want %q", names, got, want)
	}
}
