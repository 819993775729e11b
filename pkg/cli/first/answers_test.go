package first

import (
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// ambiguous are texts that YAML takes for something else where they have no quotes.
var ambiguous = []string{"main", "true", "No", "1.10", ".5", "0x10", "~", "null", "- a", "a: b", "a #b", "#a", "*a", "&a", "!a", "a\nb", "\"", "'", "é\u2028", "<a>", "${X}", "a ", " a", "./deploy.sh", "/bin/x", "@a", "%a", "`a`", "{a", "[a", "2024-01-01", "a:", "x\\y", "https://a.example/b", "y"}

func TestQuote(t *testing.T) {
	for _, s := range ambiguous {
		var n yaml.Node
		if err := yaml.Unmarshal([]byte("- k: "+quote(s)+" # comment\n"), &n); err != nil {
			t.Errorf("%q is written %s, which is no YAML: %v", s, quote(s), err)
			continue
		}
		v := n.Content[0].Content[0].Content[1]
		if v.Value != s || v.ShortTag() != "!!str" {
			t.Errorf("%q is written %s, which is %s %q", s, quote(s), v.ShortTag(), v.Value)
		}
	}
}

// Whatever the answers are, the file says that and nothing else, or there is an error.
func TestAnswersAreInTheFile(t *testing.T) {
	valid := 0
	for _, s := range ambiguous {
		a := answers{branches: []string{s, "other"}, commands: []string{s}, monitor: source{url: "https://github.com/a/b"},
			deploy: source{url: "https://github.com/a/c", branch: "main", token: "T"}}
		text, wrongs := a.check()
		if len(wrongs) > 0 {
			continue
		}
		valid++
		cfg, err := config.Parse(text, config.Options{Hosts: hosts.All.Config(), LookupEnv: func(string) (string, bool) { return "x", true }})
		if err != nil {
			t.Errorf("%q: %v\n%s", s, err, text)
			continue
		}
		r := cfg.Repositories[0]
		if got := r.Deploy.Commands; len(got) != 1 || got[0] != s {
			t.Errorf("the command %q is in the file as %q\n%s", s, got, text)
		}
		if got := r.Monitor.Branches.String(); s != "${X}" && got != s+", other" {
			t.Errorf("the branch %q is in the file as %q\n%s", s, got, text)
		}
		if r.Name != "b" || r.Deploy.Auth.Token.Variable() != "T" || r.Monitor.Auth.Token.IsSet() || len(cfg.Repositories) != 1 {
			t.Errorf("%q: got %+v\n%s", s, r, text)
		}
	}
	if valid < 10 {
		t.Errorf("%d of the texts were valid: this shows little", valid)
	}
}

func TestNameOf(t *testing.T) {
	for url, want := range map[string]string{
		"https://github.com/company/RAG.git":    "rag",
		"https://github.com/company/My_App.v2/": "my-app-v2",
		"https://a.example/-":                   "app",
		"":                                      "app",
		"https://a.example/b/" + "abcdefghijklmnopqrstuvwxyzabcdefghijklm-z": "abcdefghijklmnopqrstuvwxyzabcdefghijklm",
	} {
		if got := nameOf(url); got != want {
			t.Errorf("nameOf(%q) = %q, want %q", url, got, want)
		}
	}
}
