package config

import (
	"crypto/ed25519"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

// knownHost is a line of known_hosts, of a key whose other half nobody has.
const knownHost = "git.example.com ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"

func init() {
	private := ed25519.NewKeyFromSeed([]byte(strings.Repeat("s3cr3t-s", 4)))
	plain, err := ssh.MarshalPrivateKey(private, "s3cr3t")
	if err != nil {
		panic(err)
	}
	encrypted, err := ssh.MarshalPrivateKeyWithPassphrase(private, "s3cr3t", []byte("s3cr3t"))
	if err != nil {
		panic(err)
	}
	environment["SSH_KEY"] = string(pem.EncodeToMemory(plain))
	environment["SSH_KEY_ENCRYPTED"] = string(pem.EncodeToMemory(encrypted))
	environment["SSH_KEY_CUT"] = environment["SSH_KEY"][:200]
	environment["SSH_KEY_PUTTY"] = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\ns3cr3t\n"
	environment["SSH_KEY_OTHER"] = "-----BEGIN PRIVATE KEY-----\nczNjcjN0\n-----END PRIVATE KEY-----\n"
	environment["SSH_KEY_PUBLIC"] = strings.TrimPrefix(knownHost, "git.example.com ") + " s3cr3t\n"
	environment["KNOWN_HOSTS"] = knownHost + "\n"
	environment["KNOWN_HOSTS_GARBAGE"] = knownHost + "\ngit.example.com s3cr3t\n"
}

const fileOverSSH = `
repositories:
  - name: rag
    monitor:
      repo_url: git@GitHub.com:company/rag.git
      branches: [main]
      auth: {ssh_key: "${SSH_KEY}", known_hosts: "${KNOWN_HOSTS}"}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
  - name: web
    monitor:
      repo_url: ssh://git.example.com:2222/srv/web.git
      branches: [main]
      auth:
        ssh_key: ${SSH_KEY}
        known_hosts: |
          # the one and only
          ` + knownHost + `
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
`

func TestSSH(t *testing.T) {
	c, err := Parse([]byte(fileOverSSH), options())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"git@github.com:company/rag.git", "ssh://git@git.example.com:2222/srv/web.git"} {
		m := c.Repositories[i].Monitor
		if m.URL != want || m.Type != Git || m.Auth.SSHKey.Reveal() != environment["SSH_KEY"] || !strings.Contains(m.Auth.KnownHosts.Reveal(), knownHost) || m.Auth.Label() != "$SSH_KEY" {
			t.Errorf("%+v, want %s by the key and the known host", m, want)
		}
	}
	env := map[string]string{"SSH_KEY": environment["SSH_KEY"], "KNOWN_HOSTS": "*.example.com " + strings.TrimPrefix(knownHost, "git.example.com ")}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	renewed, err := c.Renew(lookup)
	if err != nil || renewed.Repositories[0].Monitor.Auth.KnownHosts.Reveal() != env["KNOWN_HOSTS"] {
		t.Errorf("known_hosts is not renewed: %v", err)
	}
	for name, tt := range map[string]struct{ variable, value, want string }{
		"another passphrase": {"SSH_KEY", environment["SSH_KEY_ENCRYPTED"], "SSH_KEY is encrypted with a passphrase"},
		"garbage":            {"KNOWN_HOSTS", environment["KNOWN_HOSTS_GARBAGE"], "KNOWN_HOSTS has a line 2 that names no host"},
		"empty":              {"SSH_KEY", "", "SSH_KEY is empty"},
	} {
		before := env[tt.variable]
		env[tt.variable] = tt.value
		if _, err := c.Renew(lookup); err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "s3cr3t") {
			t.Errorf("%s: error %v, want %q", name, err, tt.want)
		}
		env[tt.variable] = before
	}
}
