package rule

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

func TestMeant(t *testing.T) {
	for entry, want := range map[string]string{
		"feature/*":               "feature/.*",
		"*":                       "", // no regular expression: an error of its own
		"release-*":               "release-.*",
		"release-*.*":             "release-.*.*",
		"v*":                      "v.*",
		"(feature|fix)/*":         "(feature|fix)/.*",
		"feature/*|fix/*":         "feature/.*|fix/.*",
		"refs/heads/main":         "main",
		"^refs/heads/main$":       "^main$",
		"refs/heads/feature/*":    "feature/.*",
		"heads/main":              "main",
		"origin/main":             "main",
		"origin/release-.*":       "release-.*",
		"remotes/origin/main":     "main",
		"refs/remotes/origin/dev": "dev",
		"{main,dev}":              "(main|dev)",
		"feature/{a,b}-x":         "feature/(a|b)-x",
		"main,dev":                "main and dev",

		// Meant as they are.
		"main": "", "dev.*": "", "release-1.2": "", `release-\d+\.\d*`: "", "feature/.*": "", "(feature|fix)/.+": "", "[a-z/]*": "",
		`v[0-9]{1,2}`: "", `v\d{1,}`: "", "(ab)*": "", `a\*`: "", "origins/x": "", "feature/origin/x": "", "a!b": "", "^main$": "", "ref/s": "",
		"(a|b)-*x": "", ".*": "", "feat/$(x,y)": "",
	} {
		say, got := Meant(entry)
		if got != want || (say == "") != (want == "") {
			t.Errorf("Meant(%q) = %q, %q, want %q", entry, say, got, want)
		}
		if want == "" || strings.Contains(want, " and ") {
			continue
		}
		if _, err := repo.ParsePattern(want); err != nil {
			t.Errorf("what %q was meant to be is no pattern: %v", entry, err)
		}
		if say, again := Meant(want); say != "" {
			t.Errorf("what %q was meant to be is not clear itself: %s: %s", entry, say, again)
		}
	}
	for _, entry := range []string{"!main", "refs/tags/v1", "refs/pull/.*"} {
		if say, want := Meant(entry); say == "" || want != "" {
			t.Errorf("Meant(%q) = %q, %q, want a word on it and no other entry", entry, say, want)
		}
	}
}
