package cli

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// theToken is the token of secretFile.
const theToken = "a-token-that-nobody-sees"

// secretFile writes a configuration with a host that wants a token, which the variable holds. It returns where the host is, too.
func secretFile(t *testing.T, variable string) (file, host string) {
	t.Helper()
	t.Setenv(variable, theToken)
	api := newGitHub()
	api.SetToken(theToken)
	server := httptest.NewServer(api)
	t.Cleanup(server.Close)
	file = hookFile(t, server.URL, "")
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	write(t, file, strings.ReplaceAll(string(text), "repo_type: github,", "repo_type: github, auth: {token: \"${"+variable+"}\"},"))
	return file, server.URL
}

// TestMetrics has a Sentry tell what it asked its host and what it remembers, and no credential.
func TestMetrics(t *testing.T) {
	file, host := secretFile(t, "METRICS_TOKEN")
	ctx, stop := context.WithCancel(t.Context())
	out, code := &lines{}, make(chan int)
	go func() {
		code <- Main(ctx, []string{"watch", "--local", "--interval", "1s", "--health", "127.0.0.1:0", "--config", file, "--state", filepath.Join(t.TempDir(), "state.json")},
			Streams{Out: out, Err: out})
	}()
	scrape := func() string {
		address := regexp.MustCompile(`answering probes.*address=(\S+)\]`).FindStringSubmatch(out.text())
		if address == nil {
			return ""
		}
		resp, err := http.Get("http://" + address[1] + "/metrics")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	var told string
	const cycles = `sentry_cycle_duration_seconds_count{scope="all"} 2`
	for end := time.Now().Add(time.Minute); !strings.Contains(told, cycles) && time.Now().Before(end); {
		told = scrape()
	}
	at := `host="` + strings.TrimPrefix(host, "http://") + `"`
	for _, want := range []string{
		cycles,
		`sentry_build_info{goversion="`, `sentry_host_request_duration_seconds_count{code="2xx",` + at, `sentry_host_asked{credential="$METRICS_TOKEN",` + at + `} 1`,
		`sentry_repositories{status="ok"} 1`, `sentry_state_entries{kind="repository"} 1`, "go_goroutines ", "process_cpu_seconds_total ",
	} {
		if !strings.Contains(told, want) {
			t.Errorf("%s is missing in\n%s", want, told)
		}
	}
	if strings.Contains(told, theToken) {
		t.Error("the metrics show a credential")
	}
	stop()
	if got := <-code; got != exitDone {
		t.Errorf("exit code %d, want 0:\n%s", got, out.text())
	}
}
