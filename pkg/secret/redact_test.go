package secret

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
)

func TestRedact(t *testing.T) {
	const secret = "ghp_S3cr+et/ Ké&\"\\x%41"
	var percent, twice strings.Builder
	for _, c := range []byte(secret) {
		fmt.Fprintf(&percent, "%%%02x", c)
		fmt.Fprintf(&twice, "%%25%02X", c)
	}
	quoted, _ := json.Marshal(secret)
	for _, form := range []string{
		secret, strings.ToUpper(secret), strings.ToLower(secret), url.QueryEscape(secret), url.PathEscape(secret), strings.ToLower(url.QueryEscape(secret)),
		url.PathEscape(url.PathEscape(secret)), percent.String(), twice.String(), fmt.Sprintf("%q", secret)[1 : len(fmt.Sprintf("%q", secret))-1],
		string(quoted[1 : len(quoted)-1]), secret + secret, secret[:12] + "…",
	} {
		text := "it says: <" + form
		if got := Redact(text, "other", secret, ""); strings.TrimSuffix(got, "…") != "it says: <[redacted]" {
			t.Errorf("Redact(%q) = %q, want the secret hidden and nothing else", text, got)
		}
		if strings.HasSuffix(form, "…") {
			continue
		}
		if got := Redact(form+"> and more", secret); got != "[redacted]> and more" {
			t.Errorf("Redact(%q) = %q, want the secret hidden and nothing else", form+"> and more", got)
		}
	}
	for _, text := range []string{"", "ghp_S3c", "no secret, 100% \\", "%4", "%25", `\u00`, "\xff…", strings.Repeat("ghp_S3c ", 20)} {
		if got := Redact(text, secret, ""); got != text {
			t.Errorf("Redact(%q) = %q, want it as it is", text, got)
		}
	}
	if got := Redact("a41b %41b", "41b"); got != "a[redacted] %[redacted]" {
		t.Errorf("a secret that looks encoded: %q", got)
	}
}

// However a secret is written, it is not in the text any more.
// layers returns how often a text reads as encoded.
func layers(text string) int {
	n := 0
	for raw := []byte(text); ; n++ {
		next, _ := unescape(raw, make([]int, len(raw)))
		if len(next) == len(raw) {
			return n
		}
		raw = next
	}
}

func FuzzRedact(f *testing.F) {
	for _, s := range []string{"hush-hush", "%41%42", `\x41\u0042`, "é…", "\xff\\", "+ +", "%2525"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, secret string) {
		secret = secret[:min(len(secret), 300)]
		if layers(secret) >= maxLayers {
			return // it is not promised to be found where it is encoded once more
		}
		for _, form := range []string{secret, url.QueryEscape(secret), url.PathEscape(secret), strings.ToUpper(url.PathEscape(secret))} {
			got := Redact("it says: "+form+" and more", secret)
			if len(secret) > 4 && (!strings.Contains(got, Redacted) || strings.Contains(strings.ReplaceAll(got, Redacted, ""), form)) {
				t.Errorf("Redact of %q, written %q, is %q", secret, form, got)
			}
		}
	})
}
