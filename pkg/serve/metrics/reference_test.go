package metrics

import (
	"flag"
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
)

var update = flag.Bool("update", false, "write the table of docs/metrics.md")

// The page has a row for each metric, with its type, its labels and its help.
func TestReference(t *testing.T) {
	const page, head, end = "../../../docs/metrics.md", "| metric | type | labels | what it tells |\n| --- | --- | --- | --- |\n", "\n\n"
	var want strings.Builder
	for _, row := range New("v1", configuration(), time.Minute).Reference() {
		labels := "none"
		if len(row.Labels) > 0 {
			labels = "`" + strings.Join(row.Labels, "`, `") + "`"
		}
		fmt.Fprintf(&want, "| `%s` | %s | %s | %s |\n", row.Name, row.Type, labels, row.Help)
	}
	data, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(data), head)
	table, after, closed := strings.Cut(rest, end)
	if !ok || !closed {
		t.Fatalf("%s has no table that begins with\n%s", page, head)
	}
	if table+"\n" == want.String() {
		return
	}
	if !*update {
		t.Fatalf("%s has another table than the metrics: go test ./pkg/serve/metrics -update", page)
	}
	if err := os.WriteFile(page, []byte(before+head+strings.TrimSuffix(want.String(), "\n")+end+after), 0o644); err != nil {
		t.Fatal(err)
	}
}

// What the dashboard and the rules ask for is there. Whether Prometheus understands them, test/monitoring tells.
func TestDashboardAndRulesAskForWhatThereIs(t *testing.T) {
	known := map[string]bool{}
	for name, f := range families(t, full(t)) {
		known[name] = true
		if f.GetType() == dto.MetricType_HISTOGRAM {
			known[name] = false // it is asked for by its parts
			known[name+"_bucket"], known[name+"_sum"], known[name+"_count"] = true, true, true
		}
	}
	asked := map[string]bool{}
	for _, file := range []string{"dashboard.json", "rules.yaml"} {
		text, err := os.ReadFile("../../../manifests/monitoring/" + file)
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range regexp.MustCompile(`\b(sentry|go|process)_[a-z0-9_]+`).FindAllString(string(text), -1) {
			if asked[name] = true; !known[name] {
				t.Errorf("%s asks for %s, which there is not", file, name)
			}
		}
	}
	for _, row := range New("v1", configuration(), time.Minute).Reference() {
		if !asked[row.Name] && !asked[row.Name+"_bucket"] && !asked[row.Name+"_count"] {
			t.Errorf("neither the dashboard nor a rule asks for %s", row.Name)
		}
	}
}
