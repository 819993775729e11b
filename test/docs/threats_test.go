package docs

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// TestThreatsHaveTests finds each test that docs/threat-model.md names, in the package before it.
func TestThreatsHaveTests(t *testing.T) {
	page, err := os.ReadFile("../../docs/threat-model.md")
	if err != nil {
		t.Fatal(err)
	}
	found := 0
	for line := range strings.Lines(string(page)) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 || !strings.Contains(cells[3], "Test") {
			continue
		}
		dir := ""
		for _, word := range regexp.MustCompile("`[a-z0-9/]+`|Test[A-Za-z]+").FindAllString(cells[3], -1) {
			if word[0] == '`' {
				dir = strings.Trim(word, "`")
				continue
			}
			found++
			files, err := filepath.Glob(filepath.Join("../..", dir, "*_test.go"))
			if err != nil || dir == "" {
				t.Fatalf("%s is in %q, %v", word, dir, err)
			}
			there := false
			for _, file := range files {
				text, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				there = there || strings.Contains(string(text), "\nfunc "+word+"(")
			}
			if !there {
				t.Errorf("%s has no %s, which docs/threat-model.md names", dir, word)
			}
		}
	}
	if found < 30 {
		t.Errorf("docs/threat-model.md names %d tests only", found)
	}
}
