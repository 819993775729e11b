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
		"https://github.com/company/rag":                                    "github https://github.com/company/rag",
		"https://www.github.com/company/rag":                                "github https://github.com/company/rag",
		"https://WWW.GitHub.com/www.github.com/rag":                         "github https://github.com/www.github.com/rag",
		"https://company.ghe.com/company/rag":                               "github https://company.ghe.com/company/rag",
		"https://gitlab.com/company/ai/rag":                                 "gitlab https://gitlab.com/company/ai/rag",
		"https://codeberg.org/company/rag.git":                              "gitea https://codeberg.org/company/rag.git",
		"https://gitea.com/company/rag":                                     "gitea https://gitea.com/company/rag",
		"https://bitbucket.org/company/rag":                                 "bitbucket https://bitbucket.org/company/rag",
		"https://www.bitbucket.org/company/rag.git":                         "bitbucket https://bitbucket.org/company/rag.git",
		"https://bitbucket.org/company/rag/src/main":                        "repo_url: is not of the form https://bitbucket.org/WORKSPACE/REPOSITORY; want that, without what follows the repository's name",
		"https://dev.azure.com/company/ai/_git/rag":                         "azure https://dev.azure.com/company/ai/_git/rag",
		"https://dev.azure.com/company/_git/rag":                            "azure https://dev.azure.com/company/_git/rag",
		"https://dev.azure.com/c/My%20AI/_git/r%20g":                        "azure https://dev.azure.com/c/My%20AI/_git/r%20g",
		"https://dev.azure.com/c/My AI/_git/rag":                            "azure https://dev.azure.com/c/My%20AI/_git/rag",
		"https://company.visualstudio.com/ai/_git/rag":                      "azure https://company.visualstudio.com/ai/_git/rag",
		"https://dev.azure.com/company/ai":                                  "repo_url: is not of the form https://dev.azure.com/ORGANISATION/PROJECT/_git/REPOSITORY, as Azure DevOps shows it under Clone; want that",
		"https://co.googlesource.com/a/plat/form/rag":                       "gerrit https://co.googlesource.com/a/plat/form/rag",
		"https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/rag":       "codecommit https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/rag",
		"https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/rag":   "codecommit https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/rag",
		"https://git-codecommit.eu-west-1.amazonaws.com/rag":                "repo_url: is not of the form https://git-codecommit.REGION.amazonaws.com/v1/repos/REPOSITORY; want that",
		"https://git-codecommit.evil.eu-west-1.amazonaws.com/v1/repos/rag":  "repo_type: is missing; want github, ",
		"https://ec2-192-0-2-1.eu-west-1.compute.amazonaws.com/company/rag": "repo_type: is missing; want github, ",
		"https://www.gitlab.example/company/rag":                            "repo_type: is missing; want github, ",
		"https://mygithub.com/company/rag":                                  "repo_type: is missing; want github, ",
		"https://ghe.com/company/rag":                                       "repo_type: is missing; want github, ",
		"https://github.com/company/rag/tree/main":                          "repo_url: is not of the form https://HOST/OWNER/REPOSITORY, as on GitHub; want that, without what follows the repository's name",
		"https://codeberg.org/rag":                                          "repo_url: is not of the form https://HOST/OWNER/REPOSITORY; want that, without what follows the repository's name",
		"https://company@dev.azure.com/company/_git/r":                      "repo_url: holds a user name; want it in auth.username (a token: in auth.token), and the URL without what stands before the @",
		"https://ada:x@dev.azure.com/company/_git/rag":                      "repo_url: holds credentials; want them in auth, and the URL without what stands before the @",
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
		{"https://bitbucket.org/company/rag", "gitea", `is "gitea", and bitbucket.org is not; want bitbucket`},
		{"https://bitbucket.org/company/rag", "git", ""},
		{"https://dev.azure.com/company/ai/_git/rag", "git", ""},
		{"https://git.example.com/scm/AI/rag.git", "bitbucket-dc", ""},
		{"https://git.example.com/bitbucket/scm/~ada/rag", "bitbucket-dc", ""},
		{"https://git.example.com/projects/AI/repos/rag/browse", "bitbucket-dc",
			"is not of the form https://HOST/scm/PROJECT/REPOSITORY, as Bitbucket Data Center shows it under Clone; want that"},
		{"https://tfs.example.com/tfs/Collection/AI/_git/rag", "azure", ""},
		{"https://review.example.com/a/plat/form/rag", "gerrit", ""},
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

// TestUserBesideAToken tries what is sent beside a token, to watch and to clone: what the file says, or what the host wants.
func TestUserBesideAToken(t *testing.T) {
	for _, c := range []struct{ url, kind, auth, want string }{
		{"https://bitbucket.org/company/rag", "bitbucket", "token: '${T}'", "x-token-auth"},
		{"https://bitbucket.org/company/rag", "bitbucket", "username: ada, token: '${T}'", "ada"},
		{"https://bitbucket.org/company/rag", "git", "token: '${T}'", "git"},
		{"https://git.example.com/scm/AI/rag", "bitbucket-dc", "token: '${T}'", "x-token-auth"},
		{"https://dev.azure.com/company/ai/_git/rag", "azure", "token: '${T}'", "git"},
		{"https://review.example.com/a/rag", "gerrit", "username: ada, token: '${T}'", "ada"},
		{"https://review.example.com/a/rag", "gerrit", "token: '${T}'", "auth.username: is missing; want the name that goes with the token, as a host of the type gerrit takes no other"},
		{"https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/rag", "codecommit", "username: rag-at-111122223333, token: '${T}'", "rag-at-111122223333"},
		{"https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/rag", "codecommit", "username: '${U}', token: '${T}'", "of U"},
		{"https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/rag", "codecommit", "token: '${T}'", "auth.username: is missing; want the name that goes with the token, as a host of the type codecommit takes no other"},
	} {
		file := fmt.Sprintf("repositories:\n  - name: rag\n    monitor: {repo_url: %[1]q, repo_type: %[2]s, auth: {%[3]s}, branches: [main]}\n"+
			"    deploy: {qa_repo_url: %[1]q, repo_type: %[2]s, auth: {%[3]s}, commands: [./run]}\n", c.url, c.kind, c.auth)
		cfg, err := config.Parse([]byte(file), hosts.Options(func(name string) (string, bool) { return "of " + name, true }))
		if err != nil {
			if !strings.Contains(err.Error(), "monitor."+c.want) || !strings.Contains(err.Error(), "deploy."+c.want) {
				t.Errorf("%s as %s with %s: %v, want %s of both", c.url, c.kind, c.auth, err, c.want)
			}
			continue
		}
		r := cfg.Repositories[0]
		for _, s := range []config.Source{r.Monitor.Source, r.Deploy.Source} {
			if user, password := s.Auth.Basic(); user != c.want || password != "of T" {
				t.Errorf("%s as %s with %s sends %q and %q, want %q and the token", c.url, c.kind, c.auth, user, password, c.want)
			}
		}
	}
}
