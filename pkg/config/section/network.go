package section

import (
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/rule"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const (
	// maxCA bounds the certificates in bytes of PEM, some 20. They are in a variable of each step, of which Linux
	// allows 128 KiB.
	maxCA       = 32 << 10
	maxNoProxy  = 4 << 10
	wantCA      = "certificates in PEM, together at most 32 KiB"
	wantProxy   = "the URL of an HTTP proxy; with a password, one ${NAME} that holds all of it"
	wantNoProxy = "hosts, addresses and networks with commas between them, as in NO_PROXY"
)

// Proxy is how servers are reached. What is not set is what the environment says.
type Proxy struct {
	HTTP, HTTPS secret.Value // URLs. With a password in it, it is one ${NAME}
	None        string       // what is reached without a proxy, as in NO_PROXY
}

// IsSet reports whether there is a proxy for anything.
func (p Proxy) IsSet() bool { return p.HTTP.IsSet() || p.HTTPS.IsSet() }

// InCluster is what no proxy is asked for, whatever Proxy.None says.
const InCluster = "localhost,127.0.0.1,::1,.svc,.cluster.local"

// ProxyFields is the table of a proxy section.
func ProxyFields(p *Proxy) []schema.Field {
	return []schema.Field{
		proxyURL("http_proxy", &p.HTTP),
		proxyURL("https_proxy", &p.HTTPS),
		schema.Text("no_proxy", &p.None, wantNoProxy, isNoProxy),
	}
}

// CA is a field with certificates. They are read as they are written, since a variable has no line breaks.
func CA(key string, p *string) schema.Field {
	return schema.Field{Key: key, Kind: "text", Want: wantCA,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			text, ok := d.Text(path, n, wantCA)
			if !ok {
				return
			}
			certificates, err := readCertificates(text)
			if err != nil {
				d.Fail(path, "%v; want %s", err, wantCA)
				return
			}
			*p = certificates
		}}
}

// readCertificates returns the certificates of a PEM text and nothing else that is in it. No error repeats any of it.
func readCertificates(text string) (string, error) {
	var all strings.Builder
	rest := []byte(strings.ReplaceAll(text, "\r\n", "\n"))
	blocks := 0
	for n := 1; ; n++ {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		blocks = n
		if block.Type != "CERTIFICATE" {
			return "", fmt.Errorf("has something else than a certificate as block %d, such as a key", n)
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return "", fmt.Errorf("has a block %d that is no certificate", n)
		}
		block.Headers = nil
		if err := pem.Encode(&all, block); err != nil {
			return "", errors.New("cannot be encoded")
		}
	}
	switch {
	case blocks < strings.Count(text, "-----BEGIN "): // Decode passes over what it cannot read
		return "", errors.New("has a block that is cut short or malformed")
	case all.Len() == 0:
		return "", errors.New("holds no certificate")
	case all.Len() > maxCA:
		return "", fmt.Errorf("takes %d bytes", all.Len())
	}
	return all.String(), nil
}

// proxyURL is the URL of a proxy, which no error repeats. A pod takes one with a password from a Secret, where it can
// only be a whole value.
func proxyURL(key string, p *secret.Value) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: wantProxy, Address: true,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) {
			v, ok := d.Secret(path, n, wantProxy)
			if !ok {
				return
			}
			if secret.HasReference(v.Text()) && v.Variable() == "" {
				d.Fail(path, "mixes text and variables or has a default; want %s, as pods take it from the Secret that global.credentials_secret names", wantProxy)
				return
			}
			if v.Reveal() != "" || !d.AllowsUnset() {
				if err := CheckProxy(v); err != nil {
					d.Fail(path, "%v", err)
					return
				}
			}
			*p = v
		}}
}

// CheckProxy says what is wrong with the URL of a proxy, and never repeats it.
func CheckProxy(v secret.Value) error {
	u, err := url.Parse(v.Reveal())
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || !rule.ValidHost(u):
		return fmt.Errorf("is no URL of the form http://HOST:PORT (special characters of a password as %%40 and the like); want %s", wantProxy)
	case u.User != nil && v.Variable() == "":
		return fmt.Errorf("holds a user or a password, and a PipelineRun can be read by many; want %s", wantProxy)
	case u.Path != "" && u.Path != "/" || u.RawQuery != "" || u.Fragment != "":
		return fmt.Errorf("has something after the host and port; want %s", wantProxy)
	}
	return nil
}

var noProxyEntry = regexp.MustCompile(`^[A-Za-z0-9._:/*-]+$`)

func isNoProxy(s string) bool {
	for entry := range strings.SplitSeq(s, ",") {
		if !noProxyEntry.MatchString(strings.TrimSpace(entry)) {
			return false
		}
	}
	return len(s) <= maxNoProxy
}

// What messages ask for.
const (
	WantWebhook = "an http(s) URL"
	WantSecret  = "one ${NAME} whose variable holds at least 16 characters"
)

// ToldField is the URL that is told of runs. It is a secret: whoever knows it can post to it.
func ToldField(key string, p *secret.Value) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: WantWebhook, Hidden: true,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) { webhook(d, path, n, p) }}
}

func webhook(d *schema.Decoder, path string, n *yaml.Node, p *secret.Value) {
	v, ok := d.Secret(path, n, WantWebhook)
	if !ok || v.Reveal() == "" {
		return
	}
	if _, err := rule.ParseURL(v.Reveal(), WantWebhook); err != nil {
		d.Fail(path, "%v", err)
		return
	}
	*p = v
}

// HookSecretField is the secret that hosts sign webhooks with.
func HookSecretField(key string, p *secret.Value) schema.Field {
	return schema.Field{Key: key, Kind: "string", Want: WantSecret, Hidden: true,
		Read: func(d *schema.Decoder, path string, n *yaml.Node) { hookSecret(d, path, n, p) }}
}

func hookSecret(d *schema.Decoder, path string, n *yaml.Node, p *secret.Value) {
	v, ok := d.Secret(path, n, WantSecret)
	switch {
	case !ok:
		return
	case v.Variable() == "":
		d.Fail(path, "does not leave the secret to a variable; want %s", WantSecret)
	case d.AllowsUnset() && v.Reveal() == "":
		*p = v
	default:
		if err := CheckHookSecret(v); err != nil {
			d.Fail(path, "%v", err)
			return
		}
		*p = v
	}
}

// minSecret is how long a secret is at least: who sees one signed delivery can try secrets as fast as they like.
const minSecret = 16

// CheckHookSecret says what is wrong with what hosts are to sign webhooks with.
func CheckHookSecret(v secret.Value) error {
	if len(v.Reveal()) < minSecret {
		return fmt.Errorf("holds fewer than %d characters; want a random text, such as 'openssl rand -hex 32' prints", minSecret)
	}
	return nil
}
