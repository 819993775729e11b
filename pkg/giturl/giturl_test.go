package giturl

import (
	"strings"
	"testing"
)

func TestParseSSH(t *testing.T) {
	for in, want := range map[string]string{
		"git@github.com:company/rag.git":                 "git@github.com:company/rag.git",
		"git@GitHub.com:company/rag.git/":                "git@github.com:company/rag.git",
		"git@git.example.com:/srv/git/a.git":             "ssh://git@git.example.com/srv/git/a.git",
		"git@git.example.com:~ada/a.git":                 "ssh://git@git.example.com/~ada/a.git",
		"git@[2001:db8::1]:a/b":                          "git@[2001:db8::1]:a/b",
		"ssh://git.example.com/a":                        "ssh://git@git.example.com/a",
		"SSH://git@git.example.com:22/a/b.git":           "ssh://git@git.example.com/a/b.git",
		"ssh://ada@git.example.com:2222/~/a":             "ssh://ada@git.example.com:2222/~/a",
		"ssh://git@[2001:db8::1]:2222/a":                 "ssh://git@[2001:db8::1]:2222/a",
		"ssh://git@git.example.com/o/My%20P/a":           "ssh://git@git.example.com/o/My%20P/a",
		"git@ssh.dev.azure.com:v3/o/p/r":                 "git@ssh.dev.azure.com:v3/o/p/r",
		"ssh://APKAEXAMPLE@git-codecommit.aws.example/a": "ssh://APKAEXAMPLE@git-codecommit.aws.example/a",

		"ssh://git:hush@git.example.com/a":        "",
		"ssh://git@-oProxyCommand=x/a":            "",
		"git@-oProxyCommand=x:a":                  "",
		"-oProxyCommand=x@git.example.com:a":      "",
		"ssh://-oProxyCommand=x@git.example.com/": "",
		"git@git.example.com:-x":                  "",
		"git@git.example.com:a/../b":              "",
		"git@git.example.com:a//b":                "",
		"ssh://git@git.example.com//a":            "",
		"ssh://git@git.example.com/a/%2e%2e/b":    "",
		"ssh://git@git.example.com/a%0ab":         "",
		"git@git.example.com:":                    "",
		"ssh://git@git.example.com":               "",
		"ssh://git@git.example.com/":              "",
		"ssh://git@git.example.com:0/a":           "",
		"ssh://git@git.example.com:/a":            "",
		"ssh://git@git.example.com:x/a":           "",
		"ssh://git@git.example.com/a?b":           "",
		"ssh://git@git.example.com/a#b":           "",
		"ssh://git@[fe80::1%25eth0]/a":            "",
		"ssh://git@exa mple.com/a":                "",
		"ssh:git.example.com/a":                   "",
		"@git.example.com:a":                      "",
		"a b@git.example.com:a":                   "",
	} {
		a, err := ParseSSH(in)
		got := ""
		if err == nil {
			got = a.String()
		} else if strings.Contains(err.Error(), "hush") {
			t.Errorf("the error of %q repeats it: %v", in, err)
		}
		if got != want {
			t.Errorf("ParseSSH(%q) = %q, %v, want %q", in, got, err, want)
		}
		if want == "" {
			continue
		}
		if !IsSSH(in) {
			t.Errorf("%q is not taken for an address over SSH", in)
		}
		if again, err := ParseSSH(got); err != nil || again != a {
			t.Errorf("%q is %+v, and %+v, %v once it was written", in, a, again, err)
		}
	}
	for _, s := range []string{"https://github.com/a/b", "https://git@github.com:443/a", "/srv/git@a:b", "a/b@c:d", "github.com:a/b", ""} {
		if IsSSH(s) {
			t.Errorf("%q is taken for an address over SSH", s)
		}
	}
}

func TestSplit(t *testing.T) {
	for s, want := range map[string][2]string{
		"https://git.example.com:8443/a/b":   {"https://git.example.com:8443", "/a/b"},
		"ssh://git@git.example.com:2222/a/b": {"ssh://git@git.example.com:2222", "/a/b"},
		"git@git.example.com:a/b":            {"git@git.example.com", ":a/b"},
		"git@[2001:db8::1]:a/b":              {"git@[2001:db8::1]", ":a/b"},
		"https://git.example.com":            {"https://git.example.com", ""},
		"no address":                         {"", "no address"},
	} {
		if server, rest := Split(s); server != want[0] || rest != want[1] {
			t.Errorf("Split(%q) = %q, %q, want %q", s, server, rest, want)
		}
	}
}

func FuzzParseSSH(f *testing.F) {
	for _, s := range []string{"git@h:a/b", "ssh://u@h:1/~/a%20b", "ssh://[::1]/a", "git@h:/a", "u@h:~a", "ssh://h/~%2fa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseSSH(s)
		if err != nil {
			return
		}
		if strings.HasPrefix(a.Path, "-") || strings.HasPrefix(a.Host, "-") || strings.HasPrefix(a.User, "-") {
			t.Errorf("%q has what a program takes for an option: %+v", s, a)
		}
		if again, err := ParseSSH(a.String()); err != nil || again.String() != a.String() {
			t.Errorf("%q is written %q, and that is %+v, %v", s, a, again, err)
		}
	})
}
