package githost

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// Two repositories share an account exactly when the server cannot tell who reads them.
func TestAccountOf(t *testing.T) {
	source := func(kind config.HostType, url, api, user, token string) config.Source {
		return config.Source{Type: kind, URL: url, APIURL: api, Auth: config.Auth{
			Username: secret.New(user, user), Token: secret.New("${"+token+"}", strings.TrimSuffix(token, "'"))}}
	}
	const url = "https://a.example/x/y"
	for name, test := range map[string]struct {
		a, b config.Source
		same bool
	}{
		"other repository, host's other spelling": {source(config.Git, url, "", "", ""), source(config.Git, "HTTPS://A.example:443/z.git", "", "", ""), true},
		"http":                       {source(config.Git, "http://a.example:80/x", "", "", ""), source(config.Git, "http://a.example/x", "", "", ""), true},
		"http and https":             {source(config.Git, "http://a.example/x", "", "", ""), source(config.Git, url, "", "", ""), false},
		"ports":                      {source(config.Git, "https://a.example:8443/x", "", "", ""), source(config.Git, url, "", "", ""), false},
		"types":                      {source(config.Git, url, "", "", "t"), source(config.Gitea, url, "", "", "t"), false},
		"API":                        {source(config.GitHub, url, "https://a.example/api", "", "t"), source(config.GitHub, url, "", "", "t"), false},
		"tokens":                     {source(config.GitHub, url, "", "", "t"), source(config.GitHub, url, "", "", "u"), false},
		"no token":                   {source(config.GitHub, url, "", "", "t"), source(config.GitHub, url, "", "", ""), false},
		"one token, two variables":   {source(config.Git, url, "", "", "t"), source(config.Git, url, "", "", "t'"), true},
		"GitHub, user names":         {source(config.GitHub, url, "", "a", "t"), source(config.GitHub, url, "", "b", "t"), true},
		"GitLab, user names":         {source(config.GitLab, url, "", "a", "t"), source(config.GitLab, url, "", "", "t"), true},
		"Gitea, user names":          {source(config.Gitea, url, "", "a", "t"), source(config.Gitea, url, "", "b", "t"), false},
		"Git, user names":            {source(config.Git, url, "", "a", "t"), source(config.Git, url, "", "", "t"), false},
		"Gitea, the usual user name": {source(config.Gitea, url, "", "git", "t"), source(config.Gitea, url, "", "", "t"), true},
		"Git, the usual user name":   {source(config.Git, url, "", "git", "t"), source(config.Git, url, "", "", "t"), true},
	} {
		a, b := AccountOf(test.a), AccountOf(test.b)
		if (a == b) != test.same {
			t.Errorf("%s: the same account: %t, want %t", name, a == b, test.same)
		}
	}
	a := AccountOf(source(config.Git, "https://A.example:443/x", "", "hush1", "hush2"))
	if a.Origin != "https://a.example" || a.Host() != "a.example" {
		t.Errorf("origin %q, host %q", a.Origin, a.Host())
	}
	if text := fmt.Sprintf("%v %+v %#v %s %d", a, a, a, a, a); strings.Contains(text, "hush") {
		t.Errorf("an account prints its credential: %s", text)
	}
	if a := AccountOf(config.Source{URL: "://"}); a != (Account{}) {
		t.Errorf("no URL: %+v, want no account", a)
	}
}
