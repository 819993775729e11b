package config_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

// TestMain gives the tests the kinds of hosts that Sentry has.
func TestMain(m *testing.M) {
	config.Known = hosts.All.Config()
	os.Exit(m.Run())
}

func TestKnownHosts(t *testing.T) {
	for repoURL, want := range map[string]string{
		"https://github.com/company/rag":               "github https://github.com/company/rag",
		"https://www.github.com/company/rag":           "github https://github.com/company/rag",
		"https://WWW.GitHub.com/www.github.com/rag":    "github https://github.com/www.github.com/rag",
		"https://company.ghe.com/company/rag":          "github https://company.ghe.com/company/rag",
		"https://gitlab.com/company/ai/rag":            "gitlab https://gitlab.com/company/ai/rag",
		"https://codeberg.org/company/rag.git":         "gitea https://codeberg.org/company/rag.git",
		"https://gitea.com/company/rag":                "gitea https://gitea.com/company/rag",
		"https://bitbucket.org/company/rag":            "git https://bitbucket.org/company/rag",
		"https://dev.azure.com/company/ai/_git/rag":    "git https://dev.azure.com/company/ai/_git/rag",
		"https://www.gitlab.example/company/rag":       "repo_type: is missing; want github, ",
		"https://mygithub.com/company/rag":             "repo_type: is missing; want github, ",
		"https://ghe.com/company/rag":                  "repo_type: is missing; want github, ",
		"https://github.com/company/rag/tree/main":     "repo_url: is not of the form https://HOST/OWNER/REPOSITORY, as on GitHub; want that, without what follows the repository's name",
		"https://codeberg.org/rag":                     "repo_url: is not of the form https://HOST/OWNER/REPOSITORY; want that, without what follows the repository's name",
		"https://company@dev.azure.com/company/_git/r": "repo_url: holds a user name; want it in auth.username (a token: in auth.token), and the URL without what stands before the @",
		"https://ada:x@dev.azure.com/company/_git/rag": "repo_url: holds credentials; want them in auth, and the URL without what stands before the @",
	} {
		file := fmt.Sprintf("repositories:\n  - name: rag\n    monitor: {repo_url: %q, branches: [main]}\n"+
			"    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}\n", repoURL)
		c, err := config.Parse([]byte(file), hosts.Options(nil))
		if err != nil {
			if !strings.Contains(err.Error(), "monitor."+want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("%s: %v, want %s", repoURL, err, want)
			}
			continue
		}
		if s := c.Repositories[0].Monitor; string(s.Type)+" "+s.URL != want {
			t.Errorf("%s is read as %s %s, want %s", repoURL, s.Type, s.URL, want)
		}
	}
}

// TestKindOfAKnownHost tries what repo_type may say of a host whose name tells its kind.
func TestKindOfAKnownHost(t *testing.T) {
	for _, c := range []struct{ repoURL, kind, want string }{
		{"https://codeberg.org/company/rag", "git", ""},
		{"https://codeberg.org/company/rag", "github", `is "github", and codeberg.org is not; want gitea`},
		{"https://bitbucket.org/company/rag", "gitea", `is "gitea", and bitbucket.org is not; want git`},
		{"https://www.github.com/company/rag", "git", ""},
	} {
		file := fmt.Sprintf("repositories:\n  - name: rag\n    monitor: {repo_url: %q, repo_type: %s, branches: [main]}\n"+
			"    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}\n", c.repoURL, c.kind)
		_, err := config.Parse([]byte(file), hosts.Options(nil))
		if got := fmt.Sprint(err); (err != nil) != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s as %s: %v, want %q", c.repoURL, c.kind, err, c.want)
		}
	}
}
