package hosts

import (
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Where the hosts show people what is new, and no address of a repository that no browser reaches.
func TestPages(t *testing.T) {
	const from, to = repo.SHA("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"), repo.SHA("bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb")
	for _, c := range []struct {
		kind     config.HostType
		url      string
		from, to repo.SHA
		want     string
	}{
		{config.GitHub, "https://github.com/a/b", from, to, "https://github.com/a/b/compare/" + string(from) + "..." + string(to)},
		{config.GitHub, "https://github.com/a/b.git", "", to, "https://github.com/a/b/commit/" + string(to)},
		{config.GitHub, "https://github.com/a/b", to, to, "https://github.com/a/b/commit/" + string(to)},
		{config.GitLab, "https://gitlab.com/a/c/b", from, to, "https://gitlab.com/a/c/b/-/compare/" + string(from) + "..." + string(to)},
		{config.GitLab, "https://gitlab.com/a/b", "", to, "https://gitlab.com/a/b/-/commit/" + string(to)},
		{config.Gitea, "http://git.example:3000/a/b", from, to, "http://git.example:3000/a/b/compare/" + string(from) + "..." + string(to)},
		{"bitbucket", "https://bitbucket.org/a/b.git", from, to, "https://bitbucket.org/a/b/branches/compare/" + string(to) + ".." + string(from)},
		{"bitbucket", "https://bitbucket.org/a/b", "", to, "https://bitbucket.org/a/b/commits/" + string(to)},
		{"bitbucket-dc", "https://git.example/bb/scm/TEAM/app.git", from, to,
			"https://git.example/bb/projects/TEAM/repos/app/compare/commits?targetBranch=" + string(from) + "&sourceBranch=" + string(to)},
		{"bitbucket-dc", "https://git.example/scm/~ada/app", "", to, "https://git.example/users/ada/repos/app/commits/" + string(to)},
		{"azure", "https://dev.azure.com/org/My%20Project/_git/app", from, to,
			"https://dev.azure.com/org/My%20Project/_git/app/branchCompare?baseVersion=GC" + string(from) + "&targetVersion=GC" + string(to)},
		{"azure", "https://dev.azure.com/org/p/_git/app.git", "", to, "https://dev.azure.com/org/p/_git/app.git/commit/" + string(to)},
		{"gerrit", "https://gerrit.example/a/plat/form/build", from, to,
			"https://gerrit.example/plugins/gitiles/plat/form/build/+log/" + string(from) + ".." + string(to)},
		{"gerrit", "https://x.googlesource.com/a/build", "", to, "https://x.googlesource.com/build/+/" + string(to)},
		{"codecommit", "https://git-codecommit.eu-west-1.amazonaws.com/v1/repos/app", from, to,
			"https://eu-west-1.console.aws.amazon.com/codesuite/codecommit/repositories/app/commit/" + string(to)},
		{"codecommit", "https://git-codecommit.cn-north-1.amazonaws.com.cn/v1/repos/app", from, to, ""},
		{"azure", "git@ssh.dev.azure.com:v3/org/p/app", from, to, ""},
		{config.Git, "https://git.example/a/b", from, to, ""},
		{config.GitHub, "git@github.com:a/b", from, to, ""},
		{config.GitHub, "ssh://git@github.com/a/b", from, to, ""},
		{config.GitHub, "https://github.com/a/b", from, "", ""},
	} {
		if got := All.Of(c.kind).Page(c.url, c.from, c.to); got != c.want {
			t.Errorf("%s %s from %.7s to %.7s: got %q, want %q", c.kind, c.url, c.from, c.to, got, c.want)
		}
	}
}
