package config

import (
	"strings"
	"testing"
)

// TestRequestsOfStrangersWarn: what lets strangers in says so, and nothing else does.
func TestRequestsOfStrangersWarn(t *testing.T) {
	for section, want := range map[string]string{
		"{}":                           "",
		"{target: main}":               "",
		"{target: main, from: anyone}": "pull_requests.from: is anyone: on a public repository every stranger can have code of their own run in this cluster",
		"{secrets: exposed-to-forks}":  "means nothing while requests of forks are not watched",
		"{from: anyone, secrets: exposed-to-forks}": "pull_requests.secrets: is exposed-to-forks: whoever can open a request has code of their own run here with the secrets",
		"{target: refs/heads/main}":                 "begins with refs/heads/",
	} {
		text := strings.Replace(string(minimal("")), "branches: [main]", "pull_requests: "+section, 1)
		c, err := Parse([]byte(text), options())
		if err != nil {
			t.Errorf("%s: %v", section, err)
			continue
		}
		if _, ok := c.Repositories[0].Monitor.Branches.Requests(); !ok || c.Repositories[0].Monitor.Exposed != strings.Contains(section, "exposed") {
			t.Errorf("%s: %+v is watched", section, c.Repositories[0].Monitor)
		}
		switch {
		case want == "" && len(c.Warnings) > 0, want != "" && (len(c.Warnings) != 1 || !strings.Contains(c.Warnings[0].String(), want)):
			t.Errorf("%s: the warnings are %v, want one with %q", section, c.Warnings, want)
		}
	}
}
