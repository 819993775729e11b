package docs

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	notProse = regexp.MustCompile("(?ms)^```.*?^```$|^(?:\\||#|<!--| {4}).*?$")
	item     = regexp.MustCompile(`(?m)^\s*(?:[-*]|\d+\.) `)
	sentence = regexp.MustCompile(`[.!?:]\s+`)
)

// TestSentencesAreShort counts the words of sentences on the pages that people read in a hurry.
func TestSentencesAreShort(t *testing.T) {
	const most = 40
	for _, page := range []string{"README", "configuration", "migrating", "operations", "polling", "testing", "troubleshooting", "tutorial", "upgrading"} {
		text := lists.ReplaceAllString(read(t, filepath.Join(root, "docs", page+".md")), "")
		text = item.ReplaceAllString(notProse.ReplaceAllString(text, "\n"), "\n\n")
		sentences := 0
		for paragraph := range strings.SplitSeq(text, "\n\n") {
			for _, s := range sentence.Split(paragraph, -1) {
				sentences++
				if n := len(strings.Fields(s)); n > most {
					t.Errorf("docs/%s.md: a sentence of %d words, want at most %d: make two of\n%s", page, n, most, s)
				}
			}
		}
		if sentences < 10 {
			t.Errorf("docs/%s.md: %d sentences were found, want more", page, sentences)
		}
	}
}
