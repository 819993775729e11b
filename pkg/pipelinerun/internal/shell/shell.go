// Package shell writes the parts of the steps' scripts: what comes from outside stands quoted in them.
package shell

import (
	"fmt"
	"strings"
	"unicode"
)

// WithoutComments drops from a script of folder tekton/ the lines that are comments, but not its places # {{…}}, and the
// indentation: a PipelineRun of a hundred deployments would hold each a hundred times.
func WithoutComments(script string) string {
	var b strings.Builder
	for line := range strings.Lines(script) {
		text := strings.TrimSpace(line)
		place := strings.HasPrefix(line, "# {{") || strings.HasPrefix(line, "#!")
		if text != "" && (place || text[0] != '#') {
			b.WriteString(text + "\n")
		}
	}
	return b.String()
}

// Facts returns the lines that set the variables.
func Facts(prefix string, pairs [][2]string) string {
	var b strings.Builder
	for _, p := range pairs {
		fmt.Fprintf(&b, "%s%s=%s\n", prefix, p[0], Quote(p[1]))
	}
	return b.String()
}

// Commands returns the lines that run the commands. Each eval stands at the top of the subshell, not in a
// function, an `if` or a list, where `set -e` and `set -- …` would not be what they are in a script. The
// blank keeps a command that starts with a dash from being an option of eval. A command that names its interpreter becomes a
// file, for the kernel to run.
func Commands(texts []string) string {
	const evaluate, execute = `eval " $sentry_command"`,
		`printf '%s\n' "$sentry_command" >|"$SENTRY_DIR/program" && chmod 700 "$SENTRY_DIR/program" && "$SENTRY_DIR/program"`
	var b strings.Builder
	for i, text := range texts {
		number := fmt.Sprintf("%d of %d", i+1, len(texts))
		fmt.Fprintf(&b, "sentry_next %s %s", Quote(number), Quote(text))
		if t := Title(text); t != text {
			b.WriteString(" " + Quote(t))
		}
		run := evaluate
		if strings.HasPrefix(text, "#!") {
			run = execute
		}
		b.WriteString("\n" + run + "\n")
	}
	return b.String()
}

// Title returns the command as it is printed before it runs: its first line, at most 120
// characters of it, and an ellipsis where that is not all.
func Title(text string) string {
	const most = 120
	line, _, more := strings.Cut(strings.TrimSpace(text), "\n")
	if runes := []rune(line); len(runes) > most {
		line, more = string(runes[:most]), true
	}
	line = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return ' '
	}, line)
	if more {
		line += " …"
	}
	return line
}

// Quote returns s as one word for a POSIX shell that expands to s, whatever bytes but NUL it holds. The
// word never contains "$(": Tekton substitutes $(…) in scripts, rejects some of it, and knows no escape.
func Quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "$(", "$''(").Replace(s) + "'"
}
