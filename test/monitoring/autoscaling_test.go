package monitoring

import (
	"bytes"
	"fmt"
	"strings"
	"testing"
	"text/template"

	autoscaling "k8s.io/api/autoscaling/v2"
	"sigs.k8s.io/yaml"

	goyaml "gopkg.in/yaml.v3"
)

// adapterRules is what prometheus-adapter reads, as far as the rule has it: docs/config.md and docs/externalmetrics.md of
// kubernetes-sigs/prometheus-adapter.
type adapterRules struct {
	ExternalRules []struct {
		SeriesQuery string `yaml:"seriesQuery"`
		Resources   struct {
			Overrides map[string]struct {
				Resource string `yaml:"resource"`
			} `yaml:"overrides"`
		} `yaml:"resources"`
		Name struct {
			As string `yaml:"as"`
		} `yaml:"name"`
		MetricsQuery string `yaml:"metricsQuery"`
	} `yaml:"externalRules"`
}

// load returns the metric that the adapter's rule makes, and the query behind it with these matchers in it.
func load(t *testing.T, matchers string) (metric, query string) {
	t.Helper()
	var rules adapterRules
	d := goyaml.NewDecoder(strings.NewReader(read(t, "../../manifests/autoscaling/adapter.yaml")))
	d.KnownFields(true)
	if err := d.Decode(&rules); err != nil || len(rules.ExternalRules) != 1 {
		t.Fatalf("adapter.yaml has %d rules, %v; want 1", len(rules.ExternalRules), err)
	}
	r := rules.ExternalRules[0]
	series, _, _ := strings.Cut(r.SeriesQuery, "{")
	if r.Resources.Overrides["namespace"].Resource != "namespace" {
		t.Errorf("the label namespace is that of %v", r.Resources.Overrides)
	}
	made, err := template.New("query").Delims("<<", ">>").Option("missingkey=error").Parse(r.MetricsQuery)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	if err := made.Execute(&text, map[string]string{"Series": series, "LabelMatchers": matchers}); err != nil {
		t.Fatal(err)
	}
	return r.Name.As, text.String()
}

// TestAutoscaling holds the autoscaler to the adapter's rule, and that to a story of rules_test.yaml, which TestRules has promtool play.
func TestAutoscaling(t *testing.T) {
	metric, query := load(t, `namespace="sentry"`)
	if !strings.Contains(read(t, "rules_test.yaml"), fmt.Sprintf("  - expr: '%s'\n", query)) {
		t.Errorf("rules_test.yaml has no story of\n%s", query)
	}
	var hpa autoscaling.HorizontalPodAutoscaler
	if err := yaml.UnmarshalStrict([]byte(read(t, "../../manifests/autoscaling/hpa.yaml")), &hpa); err != nil {
		t.Fatal(err)
	}
	if of := hpa.Spec.ScaleTargetRef; of.Kind != "Deployment" || of.Name != "sentry" || hpa.Namespace != "sentry" {
		t.Errorf("it scales %+v in %s", of, hpa.Namespace)
	}
	if len(hpa.Spec.Metrics) != 1 || hpa.Spec.Metrics[0].External == nil || hpa.Spec.Metrics[0].External.Metric.Name != metric {
		t.Errorf("it goes by %+v, want %s", hpa.Spec.Metrics, metric)
	}
}
