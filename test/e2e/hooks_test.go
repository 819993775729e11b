package e2e

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

const hookSecret = "the-secret-of-hooks-in-e2e"

// hooked is a Sentry that takes the webhooks of the real Gitea. It polls so seldom that what comes soon came by a hook.
type hooked struct {
	t             *testing.T
	dir, ns, addr string
	account       string
	repository    *gitRepo
	kill          func()
}

// line is what the log says of a webhook, or of a run.
type line struct {
	Time    time.Time `json:"time"`
	Msg     string    `json:"msg"`
	Level   string    `json:"level"`
	Outcome string    `json:"outcome"`
	Changes any       `json:"changes"`
	Why     any       `json:"why"`
	Reason  string    `json:"reason"`
}

func (h *hooked) start(interval string) {
	h.t.Helper()
	out, err := os.OpenFile(filepath.Join(h.dir, "log"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		h.t.Fatal(err)
	}
	cmd := exec.CommandContext(h.t.Context(), env.sentry, "watch", "--interval", interval, "--listen", h.addr, "-c", h.config(), "--env-dir", h.env(), "-n", h.ns,
		"--kubeconfig", h.account, "-v", "--log-format", "json")
	cmd.Stderr = out
	if err := cmd.Start(); err != nil {
		h.t.Fatal(err)
	}
	h.kill = func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		_ = out.Close()
	}
}

func (h *hooked) config() string { return filepath.Join(h.dir, "sentry.yaml") }

func (h *hooked) env() string { return filepath.Join(h.dir, "env") }

func (h *hooked) log() []line {
	text, _ := os.ReadFile(filepath.Join(h.dir, "log"))
	var lines []line
	for text := range bytes.Lines(text) {
		var l line
		if json.Unmarshal(text, &l) == nil {
			lines = append(lines, l)
		}
	}
	return lines
}

// webhooks runs `sentry webhooks` and returns what it did about the one repository.
func (h *hooked) webhooks(command string) string {
	h.t.Helper()
	out := run(h.t, "", env.sentry, "webhooks", command, "-c", h.config(), "--env-dir", h.env(), "--url", "http://"+h.addr, "-o", "json")
	var rows []struct{ Action, Detail string }
	if err := json.Unmarshal([]byte(out), &rows); err != nil || len(rows) != 1 {
		h.t.Fatalf("webhooks %s: %v\n%s", command, err, out)
	}
	return rows[0].Action
}

func (h *hooked) created(branch string) (at time.Time, ok bool) {
	for _, l := range h.log() {
		if l.Msg == "created pipeline run" && strings.Contains(fmt.Sprint(l.Changes), "branch:"+branch+" ") {
			return l.Time, true
		}
	}
	return time.Time{}, false
}

// TestHooks has pushes become PipelineRuns by the webhooks of a real Gitea, refuses what is not from it, and loses nothing
// where a hook is lost.
func TestHooks(t *testing.T) {
	const ns, pushes = "sentry-hooks", 50
	t.Parallel()
	giteaCredentials(t)
	namespace(t, ns)
	run(t, "", "kubectl", "-n", ns, "create", "quota", "none", "--hard=pods=0") // it is about runs that are made, not their pods
	qa := newRepo(t, ns+"-qa", map[string]string{"README": "qa"})
	h := &hooked{t: t, dir: t.TempDir(), ns: ns, addr: reachable(t), account: (&pollerAccount{t: t, ns: ns, role: pollerRole(t)}).kubeconfig("poller"),
		repository: newRepo(t, ns, map[string]string{"README": "an application"})}
	write(t, h.config(), "repositories:"+soakRepository("web", "", "gitea", h.repository.url, qa.url, "true")+soakGlobal()+
		"\nwebhooks: {secret: \"${WEBHOOK_SECRET}\"}\n")
	if err := os.Mkdir(h.env(), 0o700); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(h.env(), "WEBHOOK_SECRET"), hookSecret)
	branches := []string{"push", "--quiet", "origin"}
	for i := range pushes {
		branches = append(branches, fmt.Sprintf("HEAD:refs/heads/dev-%d", i))
	}
	h.repository.git(branches...)
	for i, want := range []string{"created", "unchanged"} {
		if got := h.webhooks("ensure"); got != want {
			t.Fatalf("ensure, call %d: %s, want %s", i+1, got, want)
		}
	}
	h.start("1h")
	defer func() { h.kill() }()
	await(t, time.Minute, "the first look", func() (bool, string) {
		lines := h.log()
		return slices.ContainsFunc(lines, func(l line) bool { return strings.HasPrefix(l.Msg, "first seen") }), fmt.Sprint(lines)
	})
	h.settled()
	h.measure(pushes)
	h.hostile()

	if got := h.webhooks("remove"); got != "removed" {
		t.Fatalf("remove: %s", got)
	}
	h.kill()
	h.start("2s")
	h.repository.push("dev-new", map[string]string{"pushed": "without a hook"})
	sha := h.repository.git("rev-parse", "--short=7", "HEAD")
	await(t, time.Minute, "the push without a hook to be found by polling", func() (bool, string) {
		lines := h.log()
		return slices.ContainsFunc(lines, func(l line) bool {
			return l.Msg == "created pipeline run" && strings.Contains(fmt.Sprint(l.Changes), "sha:"+sha)
		}), fmt.Sprint(lines)
	})
}

// settled waits until the hooks of what was pushed before have come, and the looks for them are over.
func (h *hooked) settled() {
	h.t.Helper()
	seen, since := 0, time.Now()
	await(h.t, 2*time.Minute, "quiet", func() (bool, string) {
		if n := len(h.log()); n != seen {
			seen, since = n, time.Now()
		}
		return time.Since(since) > 12*time.Second, fmt.Sprint(seen)
	})
}

// measure pushes to one branch after the other.
func (h *hooked) measure(pushes int) {
	var fromHook, fromPush []time.Duration
	for i := range pushes {
		branch := fmt.Sprintf("dev-%d", i)
		h.repository.push(branch, map[string]string{"pushed": branch})
		pushed := time.Now()
		var made time.Time
		await(h.t, time.Minute, "a run of "+branch, func() (ok bool, _ string) {
			made, ok = h.created(branch)
			return ok, fmt.Sprint(h.log())
		})
		var came time.Time // the last hook before
		for _, l := range h.log() {
			if l.Outcome == "accepted" && l.Time.Before(made) {
				came = l.Time
			}
		}
		fromHook, fromPush = append(fromHook, made.Sub(came)), append(fromPush, made.Sub(pushed))
	}
	slices.Sort(fromHook)
	slices.Sort(fromPush)
	h.t.Logf("%d pushes: hook to PipelineRun median %s, most %s; push to PipelineRun median %s, most %s", pushes,
		fromHook[pushes/2], fromHook[pushes-1], fromPush[pushes/2], fromPush[pushes-1])
	if median := fromHook[pushes/2]; median <= 0 || median >= time.Second {
		h.t.Errorf("the median from hook to PipelineRun is %s, want less than a second", median)
	}
}

// hostile sends what no Gitea sends, and what a Gitea sent already.
func (h *hooked) hostile() {
	h.t.Helper()
	before := len(h.log())
	body := fmt.Sprintf(`{"repository":{"clone_url":%q,"full_name":"x/y"}}`, h.repository.url+".git")
	for _, tt := range []struct {
		name, body, key string
		status          int
		outcome         string
	}{
		{"forged", body, "another", http.StatusUnauthorized, "signature"},
		{"fresh", body, hookSecret, http.StatusAccepted, "accepted"},
		{"fresh", body, hookSecret, http.StatusAccepted, "repeated"},
		{"oversized", strings.Repeat(" ", 26<<20), hookSecret, http.StatusRequestEntityTooLarge, "too large"},
		{"unknown", strings.ReplaceAll(body, h.repository.name, "other"), hookSecret, http.StatusAccepted, "unknown"},
	} {
		req, err := http.NewRequestWithContext(h.t.Context(), http.MethodPost, "http://"+h.addr+"/webhooks/gitea", strings.NewReader(tt.body))
		if err != nil {
			h.t.Fatal(err)
		}
		mac := hmac.New(sha256.New, []byte(tt.key))
		mac.Write([]byte(tt.body))
		for name, value := range map[string]string{"Content-Type": "application/json", "X-Gitea-Event": "push", "X-Gitea-Delivery": tt.name,
			"X-Gitea-Signature": hex.EncodeToString(mac.Sum(nil))} {
			req.Header.Set(name, value)
		}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			h.t.Fatalf("%s: %v", tt.name, err)
		}
		resp.Body.Close()
		if resp.StatusCode != tt.status {
			h.t.Errorf("%s: HTTP %d, want %d", tt.name, resp.StatusCode, tt.status)
		}
		await(h.t, 10*time.Second, tt.name+" to be counted as "+tt.outcome, func() (bool, string) {
			lines := h.log()[before:]
			return slices.ContainsFunc(lines, func(l line) bool { return l.Outcome == tt.outcome }), fmt.Sprint(lines)
		})
	}
	await(h.t, 90*time.Second, "the log to tell of what was refused", func() (bool, string) {
		told := map[string]bool{}
		for _, l := range h.log()[before:] {
			for _, why := range []string{"signature: 1", "too large: 1"} {
				told[why] = told[why] || l.Level == "WARN" && strings.Contains(fmt.Sprint(l.Why), why)
			}
		}
		return told["signature: 1"] && told["too large: 1"], fmt.Sprint(told)
	})
}

// reachable returns an address of this machine that Gitea can reach, with a free port.
func reachable(t *testing.T) string {
	t.Helper()
	u, err := url.Parse(env.giteaURL)
	if err != nil {
		t.Fatal(err)
	}
	to, err := net.Dial("udp", u.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	l, err := net.Listen("tcp", net.JoinHostPort(to.LocalAddr().(*net.UDPAddr).IP.String(), "0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}
