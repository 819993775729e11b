package githubapp

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"strings"
	"testing"
)

func TestParseKey(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs1 := x509.MarshalPKCS1PrivateKey(private)
	text := func(kind string, data []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: data}))
	}
	for what, tt := range map[string]struct {
		text string
		ok   bool
	}{
		"as GitHub has it": {text("RSA PRIVATE KEY", pkcs1), true},
		"PKCS 8":           {text("PRIVATE KEY", pkcs8), true},
		"on one line":      {strings.ReplaceAll(text("RSA PRIVATE KEY", pkcs1), "\n", " "), false},
		"a token":          {"ghp_x", false},
		"half of it":       {text("RSA PRIVATE KEY", pkcs1[:500]), false},
		"nothing":          {"", false},
	} {
		got, err := ParseKey(tt.text)
		if tt.ok != (err == nil) || tt.ok && !got.Equal(private) {
			t.Errorf("%s: %v", what, err)
		}
	}
}
