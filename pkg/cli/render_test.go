package cli

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestPatternsOfTheManual holds that each entry of the table of branches is valid and has an example.
func TestPatternsOfTheManual(t *testing.T) {
	manual, err := os.ReadFile("../../docs/configuration.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(manual), "| entry | matches | does not match |")
	table, _, _ = strings.Cut(table, "\n\n")
	entries := regexp.MustCompile("(?m)^\\| `(.*?)` \\|").FindAllStringSubmatch(table, -1)
	if len(entries) < 5 {
		t.Fatalf("%d entries, want the five of the table:\n%s", len(entries), table)
	}
	for _, m := range entries {
		entry := strings.ReplaceAll(m[1], `\|`, "|")
		file := filepath.Join(t.TempDir(), "sentry.yaml")
		text := fmt.Sprintf(`repositories:
  - name: a
    monitor: {repo_url: https://github.com/o/r, branches: ['%s']}
    deploy: {qa_repo_url: https://github.com/o/qa, commands: [x]}
`, entry)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, args := range [][]string{{"validate"}, {"render", "--offline"}} {
			var out, errs bytes.Buffer
			if code := Main(t.Context(), append(args, "-c", file), Streams{Out: &out, Err: &errs}); code != exitDone || errs.Len() > 0 {
				t.Errorf("%v with the branches [%s]: exit code %d, want 0 and silence:\n%s", args, entry, code, &errs)
			}
		}
	}
}
