package config

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/secret"
)

// authority is a certificate that nobody has the key of.
const authority = `-----BEGIN CERTIFICATE-----
MIIBQDCB86ADAgECAhRVLUSaHXmnUo0LVvBCeSCmtAyfwjAFBgMrZXAwFTETMBEG
A1UEAwwKQ29tcGFueSBDQTAgFw0yNjExMjYxNzQ1MDVaGA8yMTI2MTEwMjE3NDUw
NVowFTETMBEGA1UEAwwKQ29tcGFueSBDQTAqMAUGAytlcAMhAAN8AWaYW/RolTfX
rAxY2tgV/YO8Bqu2SW4MjuQaiTF4o1MwUTAdBgNVHQ4EFgQUdDLG2GNLIIxdTdXG
xsrBthInR6cwHwYDVR0jBBgwFoAUdDLG2GNLIIxdTdXGxsrBthInR6cwDwYDVR0T
AQH/BAUwAwEB/zAFBgMrZXADQQCfFYMS/9JAGRiOR3zJP3f6oxNTm0M3JQyA0xTD
scOW9mWCLhIC0QL1om0vf+b5tk+g25AWu8YTI3olUskQC30I
-----END CERTIFICATE-----
`

func TestCA(t *testing.T) {
	indent := func(text string) string { return strings.ReplaceAll(text, "\n", "\n    ") }
	for name, tt := range map[string]struct{ text, want string }{
		"one":                             {authority, authority},
		"two":                             {authority + authority, authority + authority},
		"with what tools write around it": {"subject=CN = $(id)\n" + authority + "# end\n", authority},
		"from Windows":                    {strings.ReplaceAll(authority, "\n", "\r\n"), authority},
	} {
		c, err := Parse(minimal("global:\n  ca: |\n    "+indent(tt.text)), options())
		if err != nil || c.Global.CA != tt.want {
			t.Errorf("%s: %q, %v, want %q", name, c.Global.CA, err, tt.want)
		}
	}
	for name, text := range map[string]string{
		"the last is cut short":                  authority + authority[:200],
		"the first is cut short":                 authority[:200] + "\n" + authority,
		"the first has a letter that is no PEM":  strings.Replace(authority, "MIIBQ", "MII!Q", 1) + authority,
		"the second has a letter that is no PEM": authority + strings.Replace(authority, "MIIBQ", "MII!Q", 1) + authority,
	} {
		_, err := Parse(minimal("global:\n  ca: |\n    "+indent(text)), options())
		if err == nil || !strings.Contains(err.Error(), "has a block that is cut short or malformed") {
			t.Errorf("%s: %v, want an error that says so", name, err)
		}
	}
	_, err := Parse(minimal("global:\n  ca: |\n    "+indent(strings.Repeat(authority, 70))), options())
	if err == nil || !strings.Contains(err.Error(), "bytes; want certificates in PEM, together at most 32 KiB") {
		t.Errorf("70 certificates: %v", err)
	}
}

func TestProxy(t *testing.T) {
	const file = "global: {proxy: {http_proxy: 'http://proxy.example:3128', https_proxy: '${P}', no_proxy: 'a.example, 10.0.0.0/8'}}"
	env := map[string]string{"P": "http://ada:s3cr3t@proxy.example"}
	lookup := func(name string) (string, bool) { v, ok := env[name]; return v, ok }
	c, err := Parse(minimal(file), Options{Hosts: Known, LookupEnv: lookup})
	want := Proxy{HTTP: secret.New("http://proxy.example:3128", "http://proxy.example:3128"), HTTPS: secret.New("${P}", env["P"]), None: "a.example, 10.0.0.0/8"}
	if err != nil || c.Global.Proxy != want {
		t.Fatalf("%s: %#v, %v, want %#v", file, c, err, want)
	}
	// Without the credentials, for whoever only wants to see what would run.
	delete(env, "P")
	bare, err := Parse(minimal(file), Options{Hosts: Known, LookupEnv: lookup, AllowUnsetAuth: true})
	if err != nil || bare.Global.Proxy.HTTPS.Variable() != "P" {
		t.Errorf("without P: %v, want that it is P all the same", err)
	}
	// The password changes.
	env["P"] = "http://ada:n3w@proxy.example"
	renewed, err := c.Renew(lookup)
	if err != nil || renewed.Global.Proxy.HTTPS.Reveal() != env["P"] || renewed.Global.Proxy.HTTP != want.HTTP {
		t.Errorf("renewed: %#v, %v, want %q", renewed, err, env["P"])
	}
	env["P"] = "s3cr3t"
	if _, err := c.Renew(lookup); err == nil || !strings.Contains(err.Error(), "P is no URL of the form http://HOST:PORT") || strings.Contains(err.Error(), "s3cr3t") {
		t.Errorf("renewed by something else: %v", err)
	}
}
