package sshauth

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // as known_hosts has it
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"

	"golang.org/x/crypto/ssh"
)

const (
	// MaxKnownHosts bounds known_hosts in bytes: some two hundred hosts.
	MaxKnownHosts = 64 << 10
	maxHosts      = 1000
)

// WantKnownHosts says what is right.
const WantKnownHosts = "the lines of known_hosts, as ssh-keyscan HOST prints them and the host's owner publishes them"

// KnownHosts are the keys by which hosts are known, by sshd(8): with patterns, hashed names, authorities and revoked keys.
type KnownHosts struct{ entries []entry }

type entry struct {
	marker string // "", "cert-authority" or "revoked"
	names  []string
	key    ssh.PublicKey
}

// ParseKnownHosts reads the text of a known_hosts file. Its errors are the end of a sentence.
func ParseKnownHosts(text string) (*KnownHosts, error) {
	if len(text) > MaxKnownHosts {
		return nil, fmt.Errorf("takes more than %d KiB; want %s", MaxKnownHosts>>10, WantKnownHosts)
	}
	var k KnownHosts
	number := 0
	for line := range bytes.Lines([]byte(text)) {
		number++
		if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
			continue
		}
		marker, names, key, _, _, err := ssh.ParseKnownHosts(line)
		switch {
		case errors.Is(err, io.EOF) || err != nil || !slices.Contains([]string{"", "cert-authority", "revoked"}, marker):
			return nil, fmt.Errorf("has a line %d that names no host and its key; want %s", number, WantKnownHosts)
		case slices.ContainsFunc(names, func(name string) bool { return !validName(name) }):
			return nil, fmt.Errorf("has a line %d with a name of a host that is none; want %s", number, WantKnownHosts)
		}
		if k.entries = append(k.entries, entry{marker, names, key}); len(k.entries) > maxHosts {
			return nil, fmt.Errorf("has more than %d lines; want %s", maxHosts, WantKnownHosts)
		}
	}
	if len(k.entries) == 0 {
		return nil, fmt.Errorf("holds no host; want %s", WantKnownHosts)
	}
	return &k, nil
}

func validName(name string) bool {
	if !strings.HasPrefix(name, "|") {
		return strings.TrimPrefix(name, "!") != ""
	}
	_, _, ok := hashed(name)
	return ok
}

// hashed takes the hash of a name apart: |1|SALT|HASH, both in base64.
func hashed(name string) (salt, hash []byte, ok bool) {
	parts := strings.Split(name, "|")
	if len(parts) != 4 || parts[0] != "" || parts[1] != "1" {
		return nil, nil, false
	}
	salt, err := base64.StdEncoding.DecodeString(parts[2])
	hash, err2 := base64.StdEncoding.DecodeString(parts[3])
	return salt, hash, err == nil && err2 == nil && len(hash) == sha1.Size
}

// nameOf returns how known_hosts names a host: HOST, or [HOST]:PORT where the port is not 22.
func nameOf(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return address
	}
	if host = strings.ToLower(host); port != "22" {
		return "[" + host + "]:" + port
	}
	return host
}

// knows reports whether an entry is about a host, by its name there.
func (e entry) knows(host string) bool {
	found := false
	for _, name := range e.names {
		negated := strings.HasPrefix(name, "!")
		if !matches(strings.TrimPrefix(name, "!"), host) {
			continue
		}
		if negated {
			return false
		}
		found = true
	}
	return found
}

func matches(name, host string) bool {
	if salt, hash, ok := hashed(name); ok {
		mac := hmac.New(sha1.New, salt)
		_, _ = mac.Write([]byte(host))
		return subtle.ConstantTimeCompare(mac.Sum(nil), hash) == 1
	}
	return wildcard(strings.ToLower(name), host)
}

// wildcard reports whether a pattern with * and ? is that of a text. It looks back to the last * alone, so that no pattern takes long.
func wildcard(pattern, text string) bool {
	p, t, star, mark := 0, 0, -1, 0
	for t < len(text) {
		switch {
		case p < len(pattern) && pattern[p] == '*':
			star, mark = p, t
			p++
		case p < len(pattern) && (pattern[p] == '?' || pattern[p] == text[t]):
			p++
			t++
		case star >= 0:
			mark++
			p, t = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(pattern[p:], "*") == ""
}

// signatures are the algorithms by which a host proves that it has a key of a type, and preferred the types, the best first. A line of
// an ed25519 key fits into a message.
var (
	signatures = map[string][]string{ssh.KeyAlgoRSA: {ssh.KeyAlgoRSASHA256, ssh.KeyAlgoRSASHA512}}
	preferred  = []string{ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521, ssh.KeyAlgoRSA}
	certified  = []string{ssh.CertAlgoED25519v01, ssh.CertAlgoECDSA256v01, ssh.CertAlgoECDSA384v01, ssh.CertAlgoECDSA521v01,
		ssh.CertAlgoRSASHA256v01, ssh.CertAlgoRSASHA512v01}
)

// Algorithms returns by which algorithms a host at HOST:PORT is to prove its key, the ones that it is known by first. The others
// follow, so that a host that has another key now is told from one that speaks no SSH.
func (k *KnownHosts) Algorithms(address string) []string {
	host, types, certificates := nameOf(address), map[string]bool{}, false
	for _, e := range k.entries {
		if e.marker != "revoked" && e.knows(host) {
			types[e.key.Type()] = types[e.key.Type()] || e.marker == ""
			certificates = certificates || e.marker == "cert-authority"
		}
	}
	var known, rest []string
	if certificates {
		known = slices.Clone(certified)
	}
	for _, t := range preferred {
		of := signatures[t]
		if of == nil {
			of = []string{t}
		}
		if types[t] {
			known = append(known, of...)
		} else {
			rest = append(rest, of...)
		}
	}
	return append(known, rest...)
}

// HostKeyError is why a host is not believed to be the one that is meant.
type HostKeyError struct{ text string }

func (e *HostKeyError) Error() string { return e.text }

// Check is an ssh.HostKeyCallback: it believes no key that is not known. Its errors are of type *HostKeyError.
func (k *KnownHosts) Check(address string, _ net.Addr, key ssh.PublicKey) error {
	host := nameOf(address)
	if k.revoked(key) {
		return &HostKeyError{"its host key " + ssh.FingerprintSHA256(key) + " is @revoked in known_hosts: do not trust it, ask the host's owner"}
	}
	known := ""
	for _, e := range k.entries {
		if e.marker != "" || !e.knows(host) {
			continue
		}
		if bytes.Equal(e.key.Marshal(), key.Marshal()) {
			return nil
		}
		if known == "" || e.key.Type() == key.Type() {
			known = ssh.FingerprintSHA256(e.key)
		}
	}
	if certificate, ok := key.(*ssh.Certificate); ok {
		err := k.certificate(address, host, certificate)
		if err == nil {
			return nil
		}
		return &HostKeyError{"its host certificate is not accepted: " + err.Error()}
	}
	if known != "" {
		return &HostKeyError{fmt.Sprintf("its host key is not the one in known_hosts: it has %s, and known is %s. Somebody may be in between: "+
			"ask the host's owner before you replace the line", ssh.FingerprintSHA256(key), known)}
	}
	return &HostKeyError{fmt.Sprintf("its host key %s is not in known_hosts. If the host's owner publishes the same, add: %s", ssh.FingerprintSHA256(key), line(host, key))}
}

// line returns the line of known_hosts for a key, or, where that is too long for a message, what prints it.
func line(host string, key ssh.PublicKey) string {
	const most = 160
	text := host + " " + key.Type() + " " + base64.StdEncoding.EncodeToString(key.Marshal())
	if len(text) <= most {
		return text
	}
	name, port, err := net.SplitHostPort(host)
	if err != nil {
		return "the output of ssh-keyscan -t rsa " + host
	}
	return "the output of ssh-keyscan -t rsa -p " + port + " " + name
}

func (k *KnownHosts) revoked(key ssh.PublicKey) bool {
	return slices.ContainsFunc(k.entries, func(e entry) bool {
		certificate, ok := key.(*ssh.Certificate)
		return e.marker == "revoked" && (bytes.Equal(e.key.Marshal(), key.Marshal()) ||
			ok && (bytes.Equal(e.key.Marshal(), certificate.SignatureKey.Marshal()) || bytes.Equal(e.key.Marshal(), certificate.Key.Marshal())))
	})
}

// certificate checks that of a host.
func (k *KnownHosts) certificate(address, host string, certificate *ssh.Certificate) error {
	checker := ssh.CertChecker{IsHostAuthority: func(authority ssh.PublicKey, _ string) bool {
		return slices.ContainsFunc(k.entries, func(e entry) bool {
			return e.marker == "cert-authority" && e.knows(host) && bytes.Equal(e.key.Marshal(), authority.Marshal())
		})
	}}
	return checker.CheckHostKey(address, nil, certificate)
}
