package e2e

import (
	"strings"
	"testing"
	"time"
)

// TestAnswers asks about a push before its run, while it works, after it failed, and when its pod is gone.
func TestAnswers(t *testing.T) {
	t.Parallel()
	p := newPodTrial(t, "sentry-answers")
	file := p.file("{}", `commands: ['echo "it begins"', 'sleep 8; echo "it ends"; exit 3']`)
	ask := func(args ...string) string {
		t.Helper()
		return run(t, "", env.sentry, append(args, "-c", file, "-n", p.ns)...)
	}
	says := func(text string, want ...string) {
		t.Helper()
		for _, w := range want {
			if !strings.Contains(text, w) {
				t.Errorf("nothing says %q:\n%s", w, text)
			}
		}
	}
	says(ask("explain", "web"), "No look at web has succeeded yet")
	ask("watch", "--once")
	says(ask("explain", "web", "--ask"), "was recorded at", "nothing is due")
	sha := p.repo.push("main", map[string]string{"pushed": "once"})[:7]
	says(ask("explain", "web@main", "--ask"), "Its head is "+sha+" now.", "A run of web.main is due: the next cycle makes it.")
	ask("watch", "--once")
	says(ask("explain", "web.main", "--ask"), "was acted upon at "+sha, "The run is active since", "nothing is due")
	p.repo.push("main", map[string]string{"pushed": "twice"})
	says(ask("explain", "web.main", "--ask"), "It waits for the end of web-main-")

	printed := ask("logs", "web", "-f")
	says(printed, "[web : clone] ", "[web : deploy] it begins\n", "[web : deploy] it ends\n")
	await(t, time.Minute, "the run to have ended", func() (bool, string) {
		said := ask("explain", "web")
		return strings.Contains(said, "failed"), said
	})
	says(ask("logs", "web", "--failed"), "[web : deploy] it ends\n")
	says(ask("history"), "web.main   failed")
	says(ask("status"), "web.main   web/main@"+sha+"   failed")
	kubectl(t, "-n", p.ns, "delete", "pods", "--all", "--wait")
	says(ask("logs", "web"), "[web] its pod is gone")
}
