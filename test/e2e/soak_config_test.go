package e2e

import (
	"fmt"
	"os"
	"testing"
)

// soakRepository is one entry of `repositories` with one command; group may be "".
func soakRepository(name, group, hostType, url, qaURL, command string) string {
	if group != "" {
		name += "\n    group: " + group
	}
	return fmt.Sprintf(`
  - name: %s
    monitor: {repo_url: %s, branches: [main, "dev.*"], repo_type: %s, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}}
    deploy: {qa_repo_url: %s, repo_type: gitea, auth: {username: "${GITEA_USERNAME}", token: "${GITEA_TOKEN}"}, commands: [%q]}
`, name, url, hostType, qaURL, command)
}

// soakGlobal is the section `global`, for the images of the test cluster; no run is pruned.
func soakGlobal() string {
	return fmt.Sprintf("\nglobal: {image: %s, git_image: %s, cleanup: false}\n", env.deployImage, env.gitImage)
}

// giteaCredentials sets the variables that soakRepository names. They stay, since tests that run side
// by side share them.
func giteaCredentials(t *testing.T) {
	t.Helper()
	for name, value := range map[string]string{"GITEA_USERNAME": env.giteaUser, "GITEA_TOKEN": env.giteaToken} {
		if err := os.Setenv(name, value); err != nil {
			t.Fatal(err)
		}
	}
}
