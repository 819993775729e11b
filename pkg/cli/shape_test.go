package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/cli/webhooks"
	"github.com/tekton-sentry/sentry/pkg/explain"
	"github.com/tekton-sentry/sentry/pkg/report"
	"github.com/tekton-sentry/sentry/pkg/result/statistics"
	"github.com/tekton-sentry/sentry/pkg/shape"
)

// shapes are what commands print with -o json, by the name of the schema below docs/json that describes it.
var shapes = map[string]any{
	"status":     overview.Status{},
	"history":    overview.History{},
	"statistics": statistics.Statistics{},
	"explain":    explain.Explanations{},
	"webhooks":   []webhooks.Row{},
	// What programs are told of the end of a run, by no command.
	"notification": report.Message{},
}

const shapesDir = "../../docs/json"

// TestShapes writes the schemas with -update, and else checks that they are of today's types. What is in the file is a
// promise to programs: a field may come, and none may go or change its type.
func TestShapes(t *testing.T) {
	for name, value := range shapes {
		s := shape.Shapes{Root: "../..", At: "#/$defs/", Closed: true}
		root, err := s.Of(reflect.TypeOf(value))
		if err != nil {
			t.Fatal(err)
		}
		root["$schema"] = "https://json-schema.org/draft/2020-12/schema"
		root["title"] = "sentry " + name + " -o json"
		switch name {
		case "statistics":
			root["title"] = "sentry history --stats -o json"
		case "webhooks":
			root["title"] = "sentry webhooks ensure -o json"
		case "notification":
			root["title"] = "report.webhook"
		}
		root["$defs"] = s.Defs
		var text bytes.Buffer
		e := json.NewEncoder(&text)
		e.SetEscapeHTML(false)
		e.SetIndent("", "  ")
		if err := e.Encode(root); err != nil {
			t.Fatal(err)
		}
		file := filepath.Join(shapesDir, name+".schema.json")
		if *update {
			if err := os.WriteFile(file, text.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		if got, err := os.ReadFile(file); err != nil || !bytes.Equal(got, text.Bytes()) {
			t.Errorf("%s is not what the types say: go test ./pkg/cli -run TestShapes -update (%v)", file, err)
		}
	}
}

// Without the hosts there is no output of webhooks to try: what its own tests read is such rows.
func TestShapeOfWebhooks(t *testing.T) {
	text, err := json.Marshal([]webhooks.Row{{Names: []string{"web"}, URL: "https://git.example/a", Action: webhooks.Created}, {Names: []string{"api"}, Detail: "why"}})
	if err == nil {
		err = fits("webhooks", string(text))
	}
	if err != nil {
		t.Error(err)
	}
	if err := fits("webhooks", `[{"names": ["web"], "url": "https://git.example/a", "action": "created", "other": 1}]`); err == nil {
		t.Error("what the schema does not have fits it")
	}
}

// fits checks that text is as the schema says.
func fits(name, text string) error {
	schema, err := jsonschema.NewCompiler().Compile(filepath.Join(shapesDir, name+".schema.json"))
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(strings.NewReader(text))
	if err != nil {
		return err
	}
	return schema.Validate(value)
}
