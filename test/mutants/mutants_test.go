package main

import (
	"os"
	"strings"
	"testing"
)

// Every mutant can be built in, and docs/architecture.md tells of it and of its test.
func TestMutants(t *testing.T) {
	page, err := os.ReadFile("../../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range mutants {
		if _, err := m.mutate("../.."); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
		if row := "| " + m.name + " | `" + m.pkg + "` " + m.test + " |\n"; !strings.Contains(string(page), row) {
			t.Errorf("docs/architecture.md lacks the row %q", row)
		}
	}
}
