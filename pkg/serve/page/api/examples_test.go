package api_test

import (
	"fmt"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/serve/page/pagetest"
)

// The examples of docs/api.md print what they say, of a small Sentry. They are read here as curl reads them, so that no curl is needed.
func TestExamples(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/api.md")
	if err != nil {
		t.Fatal(err)
	}
	p := pagetest.New(t, &pagetest.Memory{Is: pagetest.Small(t, now)}, clock)
	const prompt = "    $ curl "
	n := 0
	for rest := string(text); ; n++ {
		_, after, found := strings.Cut(rest, prompt)
		if !found {
			break
		}
		line, after, _ := strings.Cut(after, "\n")
		rest = after
		var want strings.Builder
		for l := range strings.Lines(after) {
			printed, isPrinted := strings.CutPrefix(l, "    ")
			if !isPrinted || strings.HasPrefix(l, prompt) {
				break
			}
			want.WriteString(printed)
		}
		var words []string
		for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(line, -1) {
			words = append(words, m[1]+m[2])
		}
		target, format := "", ""
		var header []string
		for i := 0; i < len(words); i++ {
			switch words[i] {
			case "-s":
			case "-o":
				i++
			case "-w":
				i++
				format = words[i]
			case "-H":
				i++
				name, value, _ := strings.Cut(words[i], ": ")
				header = append(header, name, value)
			default:
				var isOurs bool
				if target, isOurs = strings.CutPrefix(words[i], "http://127.0.0.1:8082"); !isOurs {
					t.Fatalf("curl %s: %s is not known here", line, words[i])
				}
			}
		}
		w := ask(p, http.MethodGet, target, header...)
		got := w.Body.String()
		if format != "" {
			got = strings.ReplaceAll(format, "%{http_code}", fmt.Sprint(w.Code)) + "\n"
		}
		if got != want.String() {
			t.Errorf("curl %s prints\n%s\nand the page says\n%s", line, got, want.String())
		}
	}
	if n < 6 {
		t.Errorf("only %d examples were found", n)
	}
}
