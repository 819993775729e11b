package config

import (
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// sameInChunks checks that a file, cut wherever it can be, reads as it does in one piece, and reports whether
// it was cut.
func sameInChunks(t *testing.T, data []byte, whole *Config, wholeErr error) bool {
	t.Helper()
	var c *Config
	warnings, err, ok := schema.DecodeChunks(Files{{Text: data}}, 1, options().schema(), func(d *schema.Decoder, root *yaml.Node) { c = read(d, root, options()) })
	if !ok {
		return false
	}
	c, err = finish(c, Files{{Text: data}}, nil, warnings, err)
	if !reflect.DeepEqual(c, whole) || !reflect.DeepEqual(err, wholeErr) {
		t.Errorf("in chunks it is %+v, error %v\nwant %+v, error %v\n%s", c, err, whole, wholeErr, data)
	}
	return true
}

func TestChunks(t *testing.T) {
	item := func(indent, name, more string) string {
		return strings.ReplaceAll(fmt.Sprintf(`- name: %s
  monitor: {repo_url: https://github.com/a/b, branches: [main]}%s
  deploy: {qa_repo_url: https://github.com/a/q, commands: ["true"]}
`, name, more), "- name", indent+"- name")
	}
	block := func(indent, name, more string) string {
		return strings.ReplaceAll(item("", name, more), "\n  ", "\n"+indent+"  ")
	}
	two := func(more string) string { return "  " + block("  ", "a", more) + "  " + block("  ", "b", "") }
	for name, test := range map[string]struct {
		text string
		cut  bool
	}{
		"a list":                         {"repositories:\n" + two(""), true},
		"without indentation":            {"repositories:\n" + block("", "a", "") + block("", "b", ""), true},
		"between other keys":             {"polling_interval: 90\nrepositories: # all\n" + two("") + "\n# more\nglobal:\n  timeout: 90\n", true},
		"comments and empty lines":       {"repositories:\n\n# one\n" + two("") + "\n# two\n  " + block("  ", "c", ""), true},
		"errors before, in and after":    {"polling: 1\nrepositories:\n" + two("\n  webhook: x") + "global:\n  timeout: x\n", true},
		"a name twice":                   {"repositories:\n" + two("") + two(""), true},
		"Windows":                        {strings.ReplaceAll("repositories:\n"+two(""), "\n", "\r\n"), true},
		"an anchor within an item":       {"repositories:\n" + two("\n  webhook_url: &u \"\"\n  group: *u"), true},
		"an anchor of another item":      {"repositories:\n  - &a\n    " + block("  ", "a", "")[2:] + "  - *a\n", false},
		"a cut in quotes":                {"repositories:\n" + two("\n  webhook_url: \"x@- name: y\""), false},
		"a cut in brackets":              {"repositories:\n" + two("\n  group: [x,@- name]"), false},
		"a list in quotes":               {"global: {log_level: \"\nrepositories:\n  - name: a\n\"}\n", false},
		"a second document":              {"repositories:\n" + two("") + "---\nrepositories: []\n", false},
		"not YAML at the end":            {"repositories:\n" + two("") + "  - name: [\n", false},
		"repositories twice":             {"repositories:\n" + two("") + "repositories:\n" + two(""), true},
		"a list of lists":                {"repositories:\n  - - name: a\n    - name: b\n  - name: c\n", true},
		"a mapping":                      {"repositories:\n  a: b\n", false},
		"no list":                        {"repositories:\n", false},
		"one line":                       {"repositories: [{name: a}]\n", false},
		"a line break of another system": {"repositories:\n" + two("\n  webhook_url: \"\u2028\""), false},
	} {
		test.text = strings.ReplaceAll(test.text, "@", "\n  ")
		whole, err := Parse([]byte(test.text), options())
		if cut := sameInChunks(t, []byte(test.text), whole, err); cut != test.cut {
			t.Errorf("%s: cut %t, want %t\n%s", name, cut, test.cut, test.text)
		}
		if es := (Errors{}); name == "a list" && errors.As(err, &es) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A file of the size that is claimed loads, and what repositories have in common is in memory once.
func TestManyRepositories(t *testing.T) {
	const n, most = 50_000, 400 // bytes a repository, of which names and URLs take 60
	var b strings.Builder
	b.WriteString("groups: {a: }\nreport: {slack: {url: \"https://chat.example/${GITHUB_TOKEN}\"}}\nrepositories:\n")
	for i := range n {
		fmt.Fprintf(&b, "  - name: app-%05d\n    monitor: {repo_url: https://github.com/a/app-%05d, branches: [main, 'dev.*'], auth: {token: \"${GITHUB_TOKEN}\"}}\n"+
			"    deploy: {qa_repo_url: https://github.com/a/q, commands: [cd .tekton/app, ./verify.sh], auth: {token: \"${GITLAB_TOKEN}\"}}\n", i, i)
	}
	data := []byte(b.String())
	before := live()
	c, err := Parse(data, options())
	if err != nil || len(c.Repositories) != n || c.Repositories[n-1].Name != "app-49999" {
		t.Fatalf("%d repositories: %v", n, err)
	}
	if each := int(live()-before) / n; each > most {
		t.Errorf("a repository takes %d bytes of memory, want at most %d", each, most)
	}
	runtime.KeepAlive(data)
	renewed, err := c.Renew(func(string) (string, bool) { return "another", true })
	if err != nil {
		t.Fatal(err)
	}
	if each := int(live()-before) / n; each > 2*most {
		t.Errorf("a repository takes %d bytes once its credentials were renewed, want at most twice what it took", each)
	}
	runtime.KeepAlive(c)
	runtime.KeepAlive(renewed)
}

// live returns how many bytes of memory are in use.
func live() uint64 {
	runtime.GC()
	runtime.GC() // what weak pointers led to goes at the second
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
