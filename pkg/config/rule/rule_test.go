package rule

import (
	"encoding/json"
	"os"
	"testing"
)

func TestRepositoryURL(t *testing.T) {
	for in, want := range map[string]string{
		"https://github.com/company/rag":            "https://github.com/company/rag",
		"https://github.com/company/rag.git/":       "https://github.com/company/rag.git",
		"HTTP://Git.Example.COM:3000/Company/Rag":   "http://git.example.com:3000/Company/Rag",
		"https://gitlab.com/a/b/c/d":                "https://gitlab.com/a/b/c/d",
		"http://127.0.0.1:3000/x":                   "http://127.0.0.1:3000/x",
		"http://[::1]:3000/x":                       "http://[::1]:3000/x",
		"https://dev.example.com/o/My%20P/_git/rag": "https://dev.example.com/o/My%20P/_git/rag",
		"https://git.example.com/~ada/rag":          "https://git.example.com/~ada/rag",
		"https://git.example.com/a b":               "https://git.example.com/a%20b",
		"https://git.example.com//a":                "",
		"https://git.example.com/a/%2e%2e/b":        "",
		"https://git.example.com/./a":               "",
		"https://git.example.com/a'b":               "",
		"https://git.example.com/a`b`":              "https://git.example.com/a%60b%60",
		"https://git.example.com:/a":                "",
		"https://git.example.com:0/a":               "",
		"https://[fe80::1%25eth0]/a":                "",
		"https://exa mple.com/a":                    "",
		"https://":                                  "",
		"https://git.example.com":                   "",
		"https://git.example.com/a?":                "",
		"https://git.example.com/a#":                "",
		"https:git.example.com/a":                   "",
		"//git.example.com/a":                       "",
		"/srv/git/a":                                "",
		"javascript:alert(1)":                       "",
		"":                                          "",
	} {
		got, err := RepositoryURL(in)
		if got != want && err == nil || (err != nil) != (want == "") {
			t.Errorf("repositoryURL(%q) = %q, %v, want %q", in, got, err, want)
		}
	}
}

func TestWords(t *testing.T) {
	for name, c := range map[string]struct {
		ok        func(string) bool
		good, bad []string
	}{
		"image": {IsImage,
			[]string{"alpine", "alpine:3", "localhost:5000/a/b_c__d", "docker.io/alpine/git:2.49.1", "Registry.example.com/x:Tag_1",
				"a/b@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"},
			[]string{"", "a b", "a:", "a@", "a/B", "/a", "a//b", "a:b:c", "a\n", "$(x)", "a@sha256:12"}},
		"directory": {IsMountable,
			[]string{"/tmp", "/tmp/sentry", "/tmp/sentry/", "/libs", "/a.b/c_d-e", "/var/lib/x", "/..."},
			[]string{"", "/", "//", "tmp", "/tmp//x", "/tmp/./x", "/tmp/..", "/lib", "/lib/", "/lib64/x", "/etc/x", "/proc",
				"/workspace", "/run/secrets", "/var/run/x", "/tmp/a b", "/tmp/$(x)", "/tmp/é", "/" + string(make([]byte, 101))}},
		"registry": {IsRegistry, []string{"", "localhost", "localhost:5000", "registry:5000/a", "registry.example.com", "registry.example.com:443/mirror/of_all"},
			[]string{"registry", "registry/a", "registry.example.com/", "registry.example.com/A", "https://registry.example.com", "a.b:c", "a.b:1:2:3"}},
		"label":    {IsLabel, []string{"a", "0", "a-b", "a--b"}, []string{"", "-", "a-", "-a", "A", "a.b", "a_b", "a\n", "é"}},
		"dns name": {IsDNSName, []string{"a", "a.b-c.d"}, []string{"", ".", "a.", "a..b", "A", "a.-b"}},
	} {
		for _, s := range c.good {
			if !c.ok(s) {
				t.Errorf("%q is refused as a %s", s, name)
			}
		}
		for _, s := range c.bad {
			if c.ok(s) {
				t.Errorf("%q is taken for a %s", s, name)
			}
		}
	}
}

// The chart of hack/chart goes by the same file.
func TestOnRegistry(t *testing.T) {
	var cases struct {
		Registry string
		Images   map[string]string // the image on the registry, by the image
	}
	text, err := os.ReadFile("testdata/on-registry.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &cases); err != nil || len(cases.Images) == 0 {
		t.Fatalf("%d cases, %v", len(cases.Images), err)
	}
	cases.Images[""] = ""
	for image, want := range cases.Images {
		if got := OnRegistry(cases.Registry, image); got != want {
			t.Errorf("%s on the mirror is %s, want %s", image, got, want)
		}
		if got := OnRegistry("", image); got != image {
			t.Errorf("without a registry %s is %s", image, got)
		}
	}
}
