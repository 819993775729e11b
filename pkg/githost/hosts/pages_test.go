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
