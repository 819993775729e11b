package config

import (
	"strings"
	"testing"
)

func TestRenew(t *testing.T) {
	const file = `
repositories:
  - name: rag
    monitor: {repo_url: "https://git.example/o/a", branches: [main], repo_type: github, auth: {username: "${WHO}", token: "${READ}"}}
    deploy:
      qa_repo_url: https://git.example/o/qa
      qa_repo_branch: main
      repo_type: github
      auth: {token: "${CLONE}"}
      commands: ["true"]
    webhook_url: https://hooks.example/${HOOK}
webhooks: {secret: "${SIGN}"}
`
	env := map[string]string{"WHO": "bot", "READ": "r1", "CLONE": "c1", "HOOK": "h1", "SIGN": "0123456789abcdef-1"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	old, err := Parse([]byte(file), Options{Hosts: Known, LookupEnv: lookup})
	if err != nil {
		t.Fatal(err)
	}
	reveal := func(c *Config) string {
		r := c.Repositories[0]
		return strings.Join([]string{r.Monitor.Auth.Username.Reveal(), r.Monitor.Auth.Token.Reveal(), r.Deploy.Auth.Token.Reveal(),
			r.WebhookURL.Reveal(), c.Webhooks.Secret.Reveal()}, " ")
	}
	env["READ"], env["CLONE"], env["HOOK"], env["SIGN"] = "r2", "c2", "h2", "0123456789abcdef-2"
	renewed, err := old.Renew(lookup)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := reveal(renewed), "bot r2 c2 https://hooks.example/h2 0123456789abcdef-2"; got != want {
		t.Errorf("renewed: %s, want %s", got, want)
	}
	if got := renewed.Repositories[0].Deploy.Auth.Token.Variable(); got != "CLONE" {
		t.Errorf("the deployment's token refers to %q now, want CLONE", got)
	}
	for name, tt := range map[string]struct{ value, want string }{
		"empty":      {"", "READ is empty"},
		"line break": {"secret\n", "READ holds a line break"},
		"not UTF-8":  {"secret\xff", "READ holds a line break"},
	} {
		env["READ"] = tt.value
		if _, err := old.Renew(lookup); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
	}
	env["READ"], env["SIGN"] = "r2", "short"
	if _, err := old.Renew(lookup); err == nil || !strings.Contains(err.Error(), "SIGN holds fewer than 16 characters") {
		t.Errorf("a secret that is too short: error %v", err)
	}
	env["SIGN"] = "0123456789abcdef-2"
	delete(env, "READ")
	if _, err := old.Renew(lookup); err == nil || err.Error() != "READ is not set" {
		t.Errorf("unset: error %v", err)
	}
	if got, want := reveal(old), "bot r1 c1 https://hooks.example/h1 0123456789abcdef-1"; got != want {
		t.Errorf("the configuration that was renewed is now %s, want %s", got, want)
	}
}
