package monitoring

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

const token = "a-token-that-nobody-sees"

// trial is a Sentry that deploys what is pushed to a Git server of its own, and a Prometheus that scrapes it, all on this machine.
type trial struct {
	*testing.T
	dir                    string // of the repositories
	sentry, hooks, scraper string // addresses
}

func TestDashboard(t *testing.T) {
	tr := &trial{T: t, dir: t.TempDir(), sentry: free(t), hooks: free(t), scraper: free(t)}
	tr.commit("a", "price.txt", "9 EUR")
	tr.commit("b", "price.txt", "9 EUR")
	tr.commit("qa", "deploy.sh", `test "$SENTRY_REPO" != a && test "$SENTRY_REPO" != b`)
	tr.start("../../bin/sentry", "watch", "--local", "--interval", "1s", "--state", filepath.Join(t.TempDir(), "state.json"),
		"-c", tr.configuration(tr.serve()), "--health", tr.sentry, "--listen", tr.hooks)
	tr.until("a first cycle", func() bool { return strings.Contains(tr.metrics(), `sentry_cycle_duration_seconds_count{scope="all"}`) })
	tr.start(program(t, "prometheus"), "--config.file", tr.scrapes(), "--storage.tsdb.path", t.TempDir(), "--web.listen-address", tr.scraper)
	tr.until("a first scrape", func() bool { return tr.query("up") == nil })

	for _, step := range []struct{ qa, push, until string }{
		{"", "a", `sentry_runs_total{verdict="failed"} 1`},
		{"", "b", `sentry_runs_total{verdict="failed"} 2`},
		{`test "$SENTRY_REPO" != b`, "a", `sentry_runs_total{verdict="succeeded"} 1`},
		{"", "a", `sentry_runs_total{verdict="succeeded"} 2`},
	} {
		if step.qa != "" {
			tr.commit("qa", "deploy.sh", step.qa)
		}
		tr.commit(step.push, "price.txt", step.until)
		tr.until(step.until, func() bool { return strings.Contains(tr.metrics(), step.until+"\n") })
	}
	tr.postHook()

	queries := dashboard(t)
	if len(queries) < 40 {
		t.Errorf("the dashboard has %d queries, want at least 40", len(queries))
	}
	_, load := load(t, `job="sentry"`)
	for _, q := range append(queries, append(documented(t), load)...) {
		var err error
		if !tr.eventually(func() bool { err = tr.query(q); return err == nil }) {
			t.Errorf("%s: %v", q, err)
		}
	}
	tr.until("every rule is evaluated", func() bool { return tr.rules() == nil })
	if err := tr.rules(); err != nil {
		t.Error(err)
	}
	if strings.Contains(tr.metrics(), token) {
		t.Error("the metrics show a credential")
	}
}

// dashboard returns the queries of the panels, as Grafana sends them.
func dashboard(t *testing.T) (queries []string) {
	t.Helper()
	var d struct {
		Panels []struct {
			Title   string
			Targets []struct{ Expr string }
		}
	}
	if err := json.Unmarshal([]byte(read(t, manifests+"/dashboard.json")), &d); err != nil {
		t.Fatal(err)
	}
	for _, p := range d.Panels {
		for _, target := range p.Targets {
			queries = append(queries, strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", "$job", "sentry", "$unit", ".*").Replace(target.Expr))
		}
	}
	return queries
}

// documented returns the queries of the page about metrics.
func documented(t *testing.T) (queries []string) {
	t.Helper()
	_, section, _ := strings.Cut(read(t, "../../docs/metrics.md"), "\n## Statistics\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, q := range regexp.MustCompile("\\| `(.+)` \\|\n").FindAllStringSubmatch(section, -1) {
		queries = append(queries, strings.ReplaceAll(q[1], `\|`, "|"))
	}
	if len(queries) < 4 {
		t.Errorf("%d queries were found in docs/metrics.md, want at least 4", len(queries))
	}
	return queries
}

// free returns an address at which nothing listens.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// serve serves the repositories, by a server that tells of a budget.
func (t *trial) serve() string {
	left, git := 600, githosttest.GitHandler(t.dir)
	turn := make(chan struct{}, 1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		turn <- struct{}{}
		left--
		w.Header().Set("RateLimit-Limit", "600")
		w.Header().Set("RateLimit-Remaining", strconv.Itoa(max(left, 300)))
		w.Header().Set("RateLimit-Reset", strconv.FormatInt(time.Now().Add(time.Hour).Unix(), 10))
		<-turn
		git.ServeHTTP(w, req)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func (t *trial) configuration(server string) string {
	text := "polling_interval: 60\nwebhooks: {secret: \"${WEBHOOK_SECRET}\"}\nrepositories:\n"
	for _, name := range []string{"a", "b", "missing"} {
		text += fmt.Sprintf(`  - name: %[2]s
    monitor: {repo_url: "%[1]s/%[2]s", branches: [main], repo_type: git, auth: {token: "${TOKEN}"}}
    deploy: {qa_repo_url: "%[1]s/qa", repo_type: git, commands: [sh deploy.sh]}
`, server, name)
	}
	return t.file("sentry.yaml", text)
}

func (t *trial) scrapes() string {
	rules, err := filepath.Abs(manifests + "/rules.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return t.file("prometheus.yaml", fmt.Sprintf(`global: {scrape_interval: 1s, evaluation_interval: 1s}
rule_files: [%q]
scrape_configs:
- job_name: sentry
  static_configs: [{targets: [%q]}]
`, rules, t.sentry))
}

func (t *trial) file(name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// commit writes a file into a repository, which it makes if there is none.
func (t *trial) commit(repository, file, text string) {
	t.Helper()
	dir := filepath.Join(t.dir, repository)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, file), []byte(text+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "."}, {"-c", "user.name=t", "-c", "user.email=t@example.com", "commit", "-q", "-m", "x"}} {
		cmd := exec.CommandContext(t.Context(), "git", args...)
		cmd.Dir = dir
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("git %s: %v\n%s", args, err, out)
		}
	}
}

// start starts a program, which ends with the test. What it printed is told where the test fails.
func (t *trial) start(program string, args ...string) {
	t.Helper()
	var out bytes.Buffer
	ctx, cancel := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, program, args...)
	cmd.Env = append(os.Environ(), "TOKEN="+token, "WEBHOOK_SECRET=a-secret-of-the-hooks")
	cmd.Stdout, cmd.Stderr = &out, &out
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 30 * time.Second
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		cancel()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s:\n%s", program, &out)
		}
	})
}

// eventually waits until something holds, for a minute at most.
func (t *trial) eventually(holds func() bool) bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		if holds() {
			return true
		}
	}
	return false
}

func (t *trial) until(what string, holds func() bool) {
	t.Helper()
	if !t.eventually(holds) {
		t.Fatalf("in a minute there was not: %s\n%s", what, t.metrics())
	}
}

func get(address string) (string, error) {
	resp, err := http.Get(address)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.300s", resp.Status, text)
	}
	return string(text), err
}

// metrics returns what Sentry tells, "" while it does not.
func (t *trial) metrics() string {
	text, err := get("http://" + t.sentry + "/metrics")
	if err != nil {
		return ""
	}
	return text
}

// query asks Prometheus, and returns why there is no value that is a number.
func (t *trial) query(expr string) error {
	text, err := get("http://" + t.scraper + "/api/v1/query?query=" + url.QueryEscape(expr))
	if err != nil {
		return err
	}
	var answer struct {
		Data struct{ Result []struct{ Value [2]any } }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return err
	}
	for _, r := range answer.Data.Result {
		if v, err := strconv.ParseFloat(fmt.Sprint(r.Value[1]), 64); err == nil && !math.IsNaN(v) {
			return nil
		}
	}
	return fmt.Errorf("no number in %s", text)
}

// rules returns which of the rules is not evaluated well.
func (t *trial) rules() error {
	text, err := get("http://" + t.scraper + "/api/v1/rules")
	if err != nil {
		return err
	}
	var answer struct {
		Data struct {
			Groups []struct {
				Rules []struct{ Name, Health, LastError string }
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return err
	}
	n := 0
	for _, g := range answer.Data.Groups {
		for _, r := range g.Rules {
			if n++; r.Health != "ok" {
				err = errors.Join(err, fmt.Errorf("rule %s is %s: %s", r.Name, r.Health, r.LastError))
			}
		}
	}
	if n == 0 {
		return errors.New("no rules")
	}
	return err
}

// postHook sends a webhook that nobody signed.
func (t *trial) postHook() {
	t.Helper()
	resp, err := http.Post("http://"+t.hooks+"/webhooks/github", "application/json", strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusUnauthorized {
		t.Errorf("a webhook that nobody signed gets %d, want 401", resp.StatusCode)
	}
}
