// Package githubapp reads the private keys of GitHub Apps, and signs by them what an App proves itself with.
package githubapp

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"time"
)

// ParseKey reads the private key of an App, as the file has it that GitHub makes. Its error holds nothing of it.
func ParseKey(text string) (*rsa.PrivateKey, error) {
	block, _ := pem.Decode([]byte(text))
	if block == nil {
		return nil, errors.New("is no private key in PEM; want the whole file that GitHub made, with its line breaks")
	}
	if key, err := x509.ParsePKCS1PrivateKey(block.Bytes); err == nil {
		return key, nil
	}
	key, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if rsaKey, ok := key.(*rsa.PrivateKey); err == nil && ok {
		return rsaKey, nil
	}
	return nil, errors.New("is no RSA private key without a passphrase; want the whole file that GitHub made")
}

// GitHub takes a proof for ten minutes at most, and none from the future: clocks differ.
const (
	before = time.Minute
	after  = 9 * time.Minute
)

// Sign returns the JWT by which an App, named by its ID or its client ID, proves itself for some minutes:
// https://docs.github.com/apps/creating-github-apps/authenticating-with-a-github-app/generating-a-json-web-token-jwt-for-a-github-app
func Sign(key *rsa.PrivateKey, app string, now time.Time) (string, error) {
	claims, err := json.Marshal(struct {
		IssuedAt int64  `json:"iat"`
		Expires  int64  `json:"exp"`
		Issuer   string `json:"iss"`
	}{now.Add(-before).Unix(), now.Add(after).Unix(), app})
	if err != nil {
		return "", err
	}
	encode := base64.RawURLEncoding.EncodeToString
	text := encode([]byte(`{"alg":"RS256","typ":"JWT"}`)) + "." + encode(claims)
	sum := sha256.Sum256([]byte(text))
	signature, err := rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:])
	return text + "." + encode(signature), err
}
