// Package monitoring holds the alert rules and the dashboard of manifests/monitoring to a real Prometheus, which scrapes a
// real Sentry.
package monitoring

import (
	"bytes"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const manifests = "../../manifests/monitoring"

var update = flag.Bool("update", false, "write prometheusrule.yaml")

// program returns the path of one of Prometheus' programs, which are downloaded where they are not installed.
func program(t *testing.T, name string) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), "./programs.sh")
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("programs.sh: %v\n%s", err, &stderr)
	}
	return filepath.Join(strings.TrimSpace(string(out)), name)
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestRules has promtool read the rules and play their stories, in which every alert fires.
func TestRules(t *testing.T) {
	for _, args := range [][]string{{"check", "rules", manifests + "/rules.yaml"}, {"test", "rules", "rules_test.yaml"}} {
		if out, err := exec.CommandContext(t.Context(), program(t, "promtool"), args...).CombinedOutput(); err != nil {
			t.Errorf("promtool %s: %v\n%s", strings.Join(args, " "), err, out)
		}
	}
	stories := read(t, "rules_test.yaml")
	for _, alert := range regexp.MustCompile(`(?m)^  - alert: (\w+)$`).FindAllStringSubmatch(read(t, manifests+"/rules.yaml"), -1) {
		if !strings.Contains(stories, `alertname="`+alert[1]+`"`) {
			t.Errorf("%s fires in no story of rules_test.yaml", alert[1])
		}
	}
}

// TestPrometheusRule holds the object for the Prometheus operator to the rules.
func TestPrometheusRule(t *testing.T) {
	const head = `# The rules of rules.yaml for the Prometheus operator. go test ./test/monitoring -run TestPrometheusRule -update writes it.
apiVersion: monitoring.coreos.com/v1
kind: PrometheusRule
metadata:
  name: sentry
  namespace: sentry
spec:
`
	_, groups, ok := strings.Cut(read(t, manifests+"/rules.yaml"), "\ngroups:\n")
	if !ok {
		t.Fatal("rules.yaml has no groups")
	}
	want := head
	for line := range strings.Lines("groups:\n" + groups) {
		want += "  " + line
	}
	path := manifests + "/prometheusrule.yaml"
	if *update {
		if err := os.WriteFile(path, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if read(t, path) != want {
		t.Errorf("%s is not the rules: go test ./test/monitoring -run TestPrometheusRule -update", path)
	}
}
