package pipelinerun

import (
	"math/rand/v2"
	"os/exec"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/shell"
)

// hostile are strings that mean something to a shell, to Tekton or to the kubelet.
var hostile = []string{
	"", " ", "'", "''", `'\''`, `"`, `\`, `\\`, "\\\n", "a\nb", "\n", "\n\n", "\r\n", "\t",
	"$", "$$", "$(", "$$(", "$($(", "$'(", "$''(", "$(HOME)", "$$(HOME)", "$(params.x)", `$(params["x"])`,
	"$(tasks.x.results.y)", "$(context.taskRun.name)", "$(steps.clone.results.z)", "$((1+2))", "${HOME}", "`id`",
	"-n", "--", "!", "!!", "#", "~", "*", "?", "[a-z]", "{a,b}", "&", "|", ";", "<", ">", "(", ")", "%s", "%%", "%d\n",
	"é", "日本語", "👍🏽", "\u0085", "\u2028", "\ufeff", "\u202e", "\x01", "\x7f", "\x1b[31m", "\u0081\u0082\u0088",
	"EOF", "_EOF_", "heredoc", "feat/$(HOME)", "it's $(params.x) \"quoted\" \\", "exit 0", "a'b'c$'(d",
}

// unquote reads a word as a POSIX shell does, for the words that Quote makes.
func unquote(t *testing.T, word string) string {
	t.Helper()
	var b strings.Builder
	for word != "" {
		if rest, ok := strings.CutPrefix(word, `\'`); ok {
			b.WriteByte('\'')
			word = rest
			continue
		}
		rest, ok := strings.CutPrefix(word, "'")
		text, after, closed := strings.Cut(rest, "'")
		if !ok || !closed {
			t.Fatalf("not a quoted word from here on: %q", word)
		}
		b.WriteString(text)
		word = after
	}
	return b.String()
}

func checkQuote(t *testing.T, s string) {
	t.Helper()
	q := shell.Quote(s)
	if strings.Contains(q, "$(") {
		t.Errorf("Quote(%q) = %q, which Tekton would substitute in", s, q)
	}
	if got := unquote(t, q); got != s {
		t.Errorf("Quote(%q) = %q, which a shell reads as %q", s, q, got)
	}
}

func TestQuotedTextSurvivesEveryShellToTheByte(t *testing.T) {
	texts := append([]string{"\xff\xfe", "\x80\x81\x88\xc0"}, hostile...)
	texts = append(texts, random(1000)...)
	for _, sh := range shells(t) {
		var script strings.Builder
		for _, s := range texts {
			script.WriteString("printf '%s\\0' " + shell.Quote(s) + "\n")
		}
		cmd := exec.Command(sh[0], sh[1:]...)
		cmd.Stdin = strings.NewReader(script.String())
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("%v: %v", sh, err)
		}
		got := strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
		if len(got) != len(texts) {
			t.Fatalf("%v printed %d texts, want %d", sh, len(got), len(texts))
		}
		for i, want := range texts {
			if got[i] != want {
				t.Errorf("%v: got %q, want %q, from %q", sh, got[i], want, shell.Quote(want))
			}
		}
	}
}

// random returns n strings made of what is special to anybody, the same ones each time.
func random(n int) []string {
	parts := append([]string{"a", "b ", "$", "(", ")", "'", "$(", "\n", `\`, `"`, "params.x", "tasks.a.results.b"}, hostile...)
	rnd := rand.New(rand.NewPCG(1, 2))
	texts := make([]string, n)
	for i := range texts {
		for range 1 + rnd.IntN(12) {
			texts[i] += parts[rnd.IntN(len(parts))]
		}
	}
	return texts
}

func FuzzQuote(f *testing.F) {
	for _, s := range hostile {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		checkQuote(t, s)
		if !utf8.ValidString(s) || strings.Contains(s, "\x00") {
			return
		}
		// A title is one printable line, whatever the command is.
		if got := shell.Title(s); strings.ContainsAny(got, "\n\r\x1b") || len([]rune(got)) > 122 {
			t.Errorf("Title(%q) = %q, want one short line", s, got)
		}
	})
}
