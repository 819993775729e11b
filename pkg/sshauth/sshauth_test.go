package sshauth

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh"
)

func TestParseKey(t *testing.T) {
	_, edwards, _ := ed25519.GenerateKey(rand.Reader)
	curve, _ := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	primes, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	openSSH := func(key any) string {
		block, err := ssh.MarshalPrivateKey(key, "ada@example")
		if err != nil {
			t.Fatal(err)
		}
		return string(pem.EncodeToMemory(block))
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(edwards)
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"ed25519": openSSH(edwards), "ecdsa": openSSH(curve), "rsa": openSSH(primes),
		"PEM":            string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(primes)})),
		"PKCS8":          string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8})),
		"CRLF":           strings.ReplaceAll(openSSH(edwards), "\n", "\r\n"),
		"without an end": strings.TrimRight(openSSH(edwards), "\n"),
	} {
		key, err := ParseKey(text, "")
		if err != nil || key.PublicKey() == nil {
			t.Errorf("%s: %v, want the key", name, err)
			continue
		}
		for _, line := range Secrets(text) {
			if strings.Contains(line, "-----") || len(line) < leastSecret {
				t.Errorf("%s: %q counts as a secret", name, line)
			}
		}
		if n := len(Secrets(text)); n < 1 {
			t.Errorf("%s has no secret", name)
		}
	}
	for name, tt := range map[string]struct{ text, want string }{
		"encrypted PEM":   {"-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n-----END RSA PRIVATE KEY-----\n", "encrypted with a passphrase"},
		"encrypted PKCS8": {"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n", "encrypted with a passphrase"},
		"too long":        {strings.Repeat("x", MaxKey+1), "longer than any key"},
		"nothing":         {"", "no private key"},
	} {
		if _, err := ParseKey(tt.text, ""); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A line that is too long for a message is told by what prints it.
func TestLineOfALongKey(t *testing.T) {
	primes, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	key, err := ssh.NewPublicKey(&primes.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	for address, want := range map[string]string{"git.example:22": "ssh-keyscan -t rsa git.example", "git.example:2222": "ssh-keyscan -t rsa -p 2222 git.example"} {
		if err := new(KnownHosts).Check(address, nil, key); err == nil || !strings.HasSuffix(err.Error(), want) {
			t.Errorf("%s: %v, want it to end with %s", address, err, want)
		}
	}
}

func TestWildcard(t *testing.T) {
	for _, tt := range []struct {
		pattern, text string
		want          bool
	}{
		{"*", "", true}, {"*.example", "git.example", true}, {"*.example", "example", false}, {"g?t", "git", true}, {"g?t", "gt", false},
		{"*a*b*c", "xaxbxc", true}, {"*a*b*c", "xaxbx", false}, {"", "", true}, {"", "x", false},
		{strings.Repeat("*a", 200) + "b", strings.Repeat("a", 5000), false},
	} {
		if got := wildcard(tt.pattern, tt.text); got != tt.want {
			t.Errorf("wildcard(%.20q, %.20q) = %t", tt.pattern, tt.text, got)
		}
	}
}

// FuzzKnownHosts: whatever a text says, no host is believed whose key is not in it.
func FuzzKnownHosts(f *testing.F) {
	const key = " ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
	for _, s := range []string{"git.example" + key, "@cert-authority *" + key, "@revoked *" + key, "*,!git.example" + key, "[git.example]:22" + key, "|1|AAAA|AAAA" + key, "# x\n\n"} {
		f.Add(s)
	}
	public, err := ssh.NewPublicKey(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public())
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKnownHosts(text)
		if err != nil {
			return
		}
		if len(k.Algorithms("git.example:22")) == 0 {
			t.Error("no algorithm at all")
		}
		if k.Check("git.example:22", nil, public) == nil {
			t.Errorf("a key is believed that is not in %q", text)
		}
	})
}
