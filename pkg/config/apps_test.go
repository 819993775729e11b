package config

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func init() {
	private, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		panic(err)
	}
	text := func(data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: data}))
	}
	environment["GITHUB_APP_KEY"] = text(x509.MarshalPKCS1PrivateKey(private))
	environment["APP_KEY"] = environment["GITHUB_APP_KEY"]
	environment["APP_KEY_OTHER"] = text([]byte("s3cr3t"))
	environment["APP_KEY_ONE_LINE"] = strings.ReplaceAll(environment["APP_KEY"], "\n", " ")
}

const fileOfApp = `
repositories:
  - name: rag
    monitor:
      repo_url: https://github.com/company/rag
      branches: [main]
      auth: {github_app: {id: 12345, installation: 678, private_key: "${APP_KEY}"}}
    deploy: {qa_repo_url: https://github.com/company/qa, commands: [./run]}
`

// A GitHub App stands in place of a token, and its key is taken up as it changes.
func TestGitHubApp(t *testing.T) {
	c, err := Parse([]byte(fileOfApp), options())
	if err != nil {
		t.Fatal(err)
	}
	a := c.Repositories[0].Monitor.Auth
	if app := a.App; app.ID != "12345" || app.Installation != "678" || app.Key.Reveal() != environment["APP_KEY"] || !a.HasToken() || a.Label() != "$APP_KEY" {
		t.Errorf("the App is %q, %q, and its key %q", app.ID, app.Installation, a.Label())
	}
	changed := func(text string) error {
		_, err := c.Renew(func(string) (string, bool) { return text, true })
		return err
	}
	if err := changed(environment["APP_KEY"] + "\n"); err != nil {
		t.Errorf("another text of the key is not taken: %v", err)
	}
	if err := changed(environment["APP_KEY_ONE_LINE"]); err == nil || strings.Contains(err.Error(), "MII") || !strings.Contains(err.Error(), "APP_KEY is no private key") {
		t.Errorf("a broken key gives %v", err)
	}
}
