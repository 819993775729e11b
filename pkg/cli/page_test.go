package cli

import (
	"context"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestPage has a Sentry at work show what it remembers and how its host stands, and a person's page the same state; neither shows a
// credential.
func TestPage(t *testing.T) {
	file, host := secretFile(t, "PAGE_TOKEN")
	memory := filepath.Join(t.TempDir(), "state.json")
	change := func() {} // is done once the page is served
	// serve runs a command until what is at the path has all words.
	serve := func(path string, words []string, at string, args ...string) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		out, code := &lines{}, make(chan int)
		go func() {
			code <- Main(ctx, append(args, "--config", file, "--state", memory), Streams{Out: out, Err: out})
		}()
		shown := ""
		has := func() bool {
			for _, w := range words {
				if !strings.Contains(shown, w) {
					return false
				}
			}
			return true
		}
		for end := time.Now().Add(time.Minute); !has() && time.Now().Before(end); {
			if address := regexp.MustCompile(at).FindStringSubmatch(out.text()); address != nil {
				change()
				change = func() {}
				resp, err := http.Get("http://" + address[1] + path)
				if err != nil {
					t.Fatal(err)
				}
				page, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if shown = string(page); err != nil {
					t.Fatal(err)
				}
			}
		}
		if !has() {
			t.Errorf("%v show no %q:\n%s\n%s", args, words, shown, out.text())
		}
		if strings.Contains(shown, theToken) {
			t.Error("the page shows a credential")
		}
		stop()
		if got := <-code; got != exitDone {
			t.Errorf("exit code %d, want 0:\n%s", got, out.text())
		}
	}
	const served = `serving the page.*address=(\S+)\]`
	serve("/", []string{`href="/unit/app.main"`, `href="/repository/app"`}, served, "watch", "--local", "--interval", "1s", "--page", "127.0.0.1:0")
	serve("/hosts", []string{strings.TrimPrefix(host, "http://"), "$PAGE_TOKEN"}, served, "watch", "--local", "--interval", "1s", "--page", "127.0.0.1:0")
	serve("/configuration", []string{"- name: app", "line 3"}, served, "watch", "--local", "--interval", "1s", "--page", "127.0.0.1:0")
	serve("/repository/app", []string{"app@main is watched", "for the first time"}, `http://(\S+)/`, "page", "--local", "--address", "127.0.0.1:0")

	was, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	change = func() {
		wrong := strings.Replace(string(was), "repositories:", "polling_interval: soon\nrepositories:", 1)
		if err := os.WriteFile(file, []byte(strings.Replace(wrong, "${PAGE_TOKEN}", theToken, 1)), 0o600); err != nil {
			t.Error(err)
		}
	}
	refused := []string{"This is not used", "polling_interval: soon</code>", "seconds as a whole number"}
	serve("/configuration/refused", refused, served, "watch", "--local", "--interval", "1s", "--page", "127.0.0.1:0")
	serve("/configuration/refused", refused, `http://(\S+)/`, "page", "--local", "--address", "127.0.0.1:0")
}

// What would show more than is asked for, or to others, is refused.
func TestPageIsRefused(t *testing.T) {
	for _, c := range []struct{ args, want string }{
		{"page --address 0.0.0.0:8082", "one of this machine alone"},
		{"page --address :8082", "one of this machine alone"},
		{"page --address 8082", "such as 127.0.0.1:8082"},
		{"page --state x", "--state goes with --local"},
		{"page --local --page-host a/b", "a host name without a port"},
		{"watch --page :1 --once", "--page does not go with --once"},
		{"watch --page :1 --health :1", "an address of its own"},
		{"watch --page :1 --listen :1", "an address of its own"},
		{"watch --page-host a", "--page-host goes with --page"},
		{"watch --page-tokens", "--page-tokens goes with --page"},
		{"watch --page :1 --page-tokens --local", "--page-tokens goes with --page, on a cluster"},
		{"watch --page :1 --page-host a:1", "a host name without a port"},
	} {
		out := &lines{}
		if got := Main(t.Context(), strings.Fields(c.args), Streams{Out: out, Err: out}); got != exitUsage || !strings.Contains(out.text(), c.want) {
			t.Errorf("%s: exit code %d, want 2 and %q:\n%s", c.args, got, c.want, out.text())
		}
	}
}

// Who has the address with the key pauses a unit on the page, as 'sentry pause' does; the key is in nothing else that is printed.
func TestPageActs(t *testing.T) {
	file, _ := secretFile(t, "PAGE_TOKEN")
	memory := filepath.Join(t.TempDir(), "state.json")
	common := []string{"--local", "--config", file, "--state", memory}
	out := &lines{}
	if got := Main(t.Context(), append([]string{"watch", "--once"}, common...), Streams{Out: out, Err: out}); got != exitDone {
		t.Fatalf("watch: exit code %d\n%s", got, out.text())
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	code := make(chan int)
	served := &lines{}
	go func() {
		code <- Main(ctx, append([]string{"page", "--address", "127.0.0.1:0"}, common...), Streams{Out: served, Err: served})
	}()
	var address, key string
	for end := time.Now().Add(time.Minute); key == "" && time.Now().Before(end); {
		if m := regexp.MustCompile(`^http://(\S+)/\nTo act as well: http://sentry-[0-9a-f]{16}\.localhost:\d+/enter\?key=([0-9a-f]{32})\n`).FindStringSubmatch(served.text()); m != nil {
			address, key = m[1], m[2]
		}
	}
	if key == "" {
		t.Fatalf("it printed\n%s", served.text())
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Jar: jar}
	read := func(resp *http.Response, err error) string {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusOK {
			t.Fatalf("%s: status %d, %v\n%s", resp.Request.URL, resp.StatusCode, err, text)
		}
		return string(text)
	}
	read(client.Get("http://" + address + "/enter?key=" + key))
	shown := read(client.Get("http://" + address + "/act/pause?unit=app.main"))
	form := regexp.MustCompile(`name="form" value="([^"]*)"`).FindStringSubmatch(shown)
	if form == nil {
		t.Fatalf("no form in\n%s", shown)
	}
	after := read(client.PostForm("http://"+address+"/act/pause", url.Values{"form": {form[1]}, "reason": {"the database moves"}}))
	if !strings.Contains(after, "/act/resume?unit=app.main") || !strings.Contains(after, "the database moves") {
		t.Errorf("then it shows\n%s", after)
	}
	status := &lines{}
	if got := Main(t.Context(), append([]string{"status"}, common...), Streams{Out: status, Err: status}); got != exitDone || !strings.Contains(status.text(), "the database moves") {
		t.Errorf("status says\n%s", status.text())
	}
	stop()
	if got := <-code; got != exitDone || strings.Count(served.text(), key) != 1 {
		t.Errorf("exit code %d:\n%s", got, served.text())
	}
}
