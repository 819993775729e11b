package cli

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

func (l *lines) text() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.Buffer.String()
}

// hookFile is a configuration of one repository at the server.
func hookFile(t *testing.T, server, more string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, fmt.Sprintf(`repositories:
  - name: app
    monitor: {repo_url: %[1]s/team/app, branches: [main], repo_type: github, api_url: %[1]s}
    deploy: {qa_repo_url: %[1]s/team/qa, repo_type: github, api_url: %[1]s, commands: ["true"]}
%[2]s`, server, more))
	return file
}

// TestListen has a Sentry that polls once an hour look at once for a webhook, and for no other request. It ends well.
func TestListen(t *testing.T) {
	const theSecret = "a-secret-of-the-hooks"
	t.Setenv("WEBHOOK_SECRET", theSecret)
	looks := make(chan struct{}, 100)
	host := newGitHub()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host.ServeHTTP(w, r)
		looks <- struct{}{}
	}))
	defer server.Close()
	ctx, stop := context.WithCancel(t.Context())
	out, code := &lines{}, make(chan int)
	go func() {
		code <- Main(ctx, []string{"watch", "--local", "--interval", "1h", "--listen", "127.0.0.1:0",
			"--config", hookFile(t, server.URL, "webhooks: {secret: \"${WEBHOOK_SECRET}\"}\n"), "--state", filepath.Join(t.TempDir(), "state.json")},
			Streams{Out: out, Err: out})
	}()
	<-looks // the first one, before which it listens
	at := regexp.MustCompile(`address=(\S+)\]`).FindStringSubmatch(out.text())
	if at == nil {
		t.Fatalf("the log does not say where it listens:\n%s", out.text())
	}
	send := func(signedWith string) int {
		t.Helper()
		body := fmt.Sprintf(`{"repository": {"clone_url": "%s/team/app.git"}}`, server.URL)
		mac := hmac.New(sha256.New, []byte(signedWith))
		mac.Write([]byte(body))
		req, err := http.NewRequest(http.MethodPost, "http://"+at[1]+"/webhooks/github", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header = http.Header{"Content-Type": {"application/json"}, "X-Github-Event": {"push"}, "X-Hub-Signature-256": {"sha256=" + hex.EncodeToString(mac.Sum(nil))}}
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		return resp.StatusCode
	}
	if got := send("another secret"); got != http.StatusUnauthorized {
		t.Errorf("a forged webhook gets %d, want 401", got)
	}
	if len(looks) > 0 {
		t.Error("a forged webhook made Sentry look")
	}
	if got := send(theSecret); got != http.StatusAccepted {
		t.Errorf("a webhook gets %d, want 202", got)
	}
	<-looks
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d, want 0:\n%s", got, out.text())
	}
	if text := out.text(); strings.Contains(text, theSecret) || !strings.Contains(text, "webhooks were refused") {
		t.Errorf("the log holds the secret, or does not say that a webhook was refused:\n%s", text)
	}
}

func TestListenIsRefused(t *testing.T) {
	t.Setenv("WEBHOOK_SECRET", "a-secret-of-the-hooks")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	const section = "webhooks: {secret: \"${WEBHOOK_SECRET}\"}\n"
	for want, tt := range map[string]struct {
		section string
		args    []string
		code    int
	}{
		"write \"webhooks: {secret: ${WEBHOOK_SECRET}}\" into the configuration": {"", []string{"--listen", "127.0.0.1:0"}, exitUsage},
		"--listen does not go with --once":                                       {section, []string{"--listen", "127.0.0.1:0", "--once"}, exitUsage},
		"address already in use":                                                 {section, []string{"--listen", taken.Addr().String()}, exitFailed},
	} {
		out := &lines{}
		args := append([]string{"watch", "--local", "--config", hookFile(t, "http://127.0.0.1:1", tt.section), "--state", filepath.Join(t.TempDir(), "state.json")}, tt.args...)
		if code := Main(t.Context(), args, Streams{Out: out, Err: out}); code != tt.code || !strings.Contains(out.text(), want) {
			t.Errorf("%v: exit code %d, want %d and %q:\n%s", tt.args, code, tt.code, want, out.text())
		}
	}
}
