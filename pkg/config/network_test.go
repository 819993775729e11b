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
	// A reader of PEM passes over what it cannot read, and takes the next one.
	broken := strings.Replace(authority, "MIIB", "M!IB", 1)
	for _, text := range []string{broken + authority, authority + broken + authority} {
		_, err := Parse(minimal("global:\n  ca: |\n    "+indent(text)), options())
		if err == nil || !strings.Contains(err.Error(), "global.ca: has a block that is cut short or malformed") {
			t.Errorf("%v, want that a block is malformed\n%s", err, text)
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

func TestImageRegistry(t *testing.T) {
	const mirror = "registry.example.com/mirror"
	file := "global: {image_registry: '${REGISTRY:-}', git_image: corp.example/git:3}" + string(minimal(""))
	file = strings.Replace(file, "commands: [./run]", "commands: [./run], image: python:3.13", 1)
	for registry, want := range map[string][3]string{
		mirror: {mirror + "/alpine/k8s:1.34.1", mirror + "/git:3", mirror + "/library/python:3.13"},
		"":     {"docker.io/alpine/k8s:1.34.1", "corp.example/git:3", "python:3.13"},
	} {
		c, err := Parse([]byte(file), Options{Hosts: Known, LookupEnv: func(string) (string, bool) { return registry, registry != "" }})
		if err != nil {
			t.Fatal(err)
		}
		if got := [3]string{c.Global.Image, c.Global.GitImage, c.Repositories[0].Deploy.Image}; got != want {
			t.Errorf("on %q the images are %v, want %v", registry, got, want)
		}
	}
	c, err := Parse(minimal("global: {image_registry: "+mirror+"}"), options())
	if want := mirror + "/alpine/k8s:1.34.1"; err != nil || c.Repositories[0].Deploy.Image != want {
		t.Errorf("a repository without an image: %+v, %v, want %s", c, err, want)
	}
}
