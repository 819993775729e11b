// Package sshauth reads what an SSH client goes by: the private key that it logs in with, and the keys by which it knows hosts. No
// error of it repeats any of a private key.
package sshauth

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

const (
	// MaxKey bounds a private key and a certificate in bytes: an RSA key of 16,384 bits has 12 KiB.
	MaxKey = 32 << 10
	// minRSA is the least size of RSA keys in bits: what OpenSSH asks for since 9.1.
	minRSA = 1024
)

// Key is what a client logs in with.
type Key struct {
	ssh.Signer
	certificate *ssh.Certificate // nil = none
}

// ParseKey reads a private key, in OpenSSH's format or in PEM, and the certificate of an authority for it, as it is in the file
// key-cert.pub; "" = none. Its errors are the end of a sentence that begins with where the key is.
func ParseKey(private, certificate string) (*Key, error) {
	signer, err := parsePrivate(Lines(private))
	if err != nil || certificate == "" {
		return &Key{Signer: signer}, err
	}
	public, _, _, _, err := ssh.ParseAuthorizedKey([]byte(certificate))
	if err != nil || len(certificate) > MaxKey {
		return nil, errNoCertificate
	}
	cert, ok := public.(*ssh.Certificate)
	if !ok || cert.CertType != ssh.UserCert {
		return nil, errNoCertificate
	}
	certified, err := ssh.NewCertSigner(cert, signer)
	if err != nil {
		return nil, errOtherKey
	}
	return &Key{Signer: certified, certificate: cert}, nil
}

var (
	errNoCertificate = certificateError("is no certificate for users; want the line in the file KEY-cert.pub that ssh-keygen -s makes")
	errOtherKey      = certificateError("is the certificate of another key")
)

// certificateError is about the certificate, and not the key.
type certificateError string

func (e certificateError) Error() string { return string(e) }

// IsCertificate reports whether an error of ParseKey is about the certificate.
func IsCertificate(err error) bool {
	_, ok := errors.AsType[certificateError](err)
	return ok
}

const wantKey = "want the private key of a deploy key, as the file has it that ssh-keygen -t ed25519 -N '' makes"

func parsePrivate(text string) (ssh.Signer, error) {
	block, _ := pem.Decode([]byte(text))
	switch {
	case len(text) > MaxKey:
		return nil, fmt.Errorf("is longer than any key: %s", wantKey)
	case strings.HasPrefix(text, "PuTTY-User-Key-File"):
		return nil, fmt.Errorf("is a key of PuTTY; want it as OpenSSH has it: puttygen KEY.ppk -O private-openssh -o KEY")
	case block == nil && isPublic(text):
		return nil, fmt.Errorf("is a public key; %s", wantKey)
	case block == nil:
		return nil, fmt.Errorf("is no private key, or one that is cut short; %s", wantKey)
	}
	signer, err := ssh.ParsePrivateKey([]byte(text))
	_, encrypted := errors.AsType[*ssh.PassphraseMissingError](err)
	switch {
	case encrypted || strings.HasPrefix(block.Type, "ENCRYPTED"):
		return nil, errors.New("is encrypted with a passphrase, which nobody is there to type; want a deploy key without one: ssh-keygen -p -N '' -f KEY takes it away")
	case err != nil:
		return nil, fmt.Errorf("is no private key of a type that is known, which are ed25519, ecdsa and rsa; %s", wantKey)
	case signer.PublicKey().Type() == ssh.InsecureKeyAlgoDSA: //nolint:staticcheck // to refuse it
		return nil, fmt.Errorf("is a DSA key, which servers take no more; %s", wantKey)
	}
	if public, ok := signer.PublicKey().(ssh.CryptoPublicKey); ok {
		if rsa, ok := public.CryptoPublicKey().(interface{ Size() int }); ok && rsa.Size()*8 < minRSA {
			return nil, fmt.Errorf("is an RSA key of fewer than %d bits; %s", minRSA, wantKey)
		}
	}
	return signer, nil
}

func isPublic(text string) bool {
	_, _, _, _, err := ssh.ParseAuthorizedKey([]byte(text))
	return err == nil
}

// Lines returns a text with the ends of lines that SSH wants: all of them LF, the last one, too.
func Lines(text string) string {
	return strings.TrimRight(strings.ReplaceAll(text, "\r\n", "\n"), "\r\n") + "\n"
}

// Fingerprint returns that of the key without its certificate, as ssh-keygen -l prints it.
func (k *Key) Fingerprint() string {
	if k.certificate != nil {
		return ssh.FingerprintSHA256(k.certificate.Key)
	}
	return ssh.FingerprintSHA256(k.PublicKey())
}

// Ended returns when the certificate of the key ended, if it did.
func (k *Key) Ended(now time.Time) (at time.Time, ended bool) {
	if k.certificate == nil || k.certificate.ValidBefore == ssh.CertTimeInfinity || k.certificate.ValidBefore > uint64(now.Unix()) {
		return time.Time{}, false
	}
	return time.Unix(int64(k.certificate.ValidBefore), 0), true
}

// leastSecret is the length in bytes from which on a line of a key is a secret of its own: shorter ones are the end of its comment.
const leastSecret = 16

// Secrets returns the lines of a private key, each of which is to be hidden: what prints it prints lines.
func Secrets(private string) []string {
	var secrets []string
	for line := range bytes.Lines([]byte(private)) {
		line = bytes.TrimSpace(line)
		if len(line) >= leastSecret && !bytes.HasPrefix(line, []byte("-----")) {
			secrets = append(secrets, string(line))
		}
	}
	return secrets
}
