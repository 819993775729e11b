package pipelinerun

import (
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// The texts of env reach the commands, and what they start, to the byte.
func TestEnvironmentOfTheCommands(t *testing.T) {
	texts := append(append([]string{"$(HOME)", "$(params.x)", `a'b"c`, "two\nlines\n", "`id`", "$$", "${HOME}", `\n`, "", "-n", "日本語"}, hostile...), random(100)...)
	m := testMember("rag")
	m.Repository.Deploy.Env = config.Env{}
	for i, text := range texts {
		m.Repository.Deploy.Env[fmt.Sprintf("V%d", i)] = text
	}
	m.Repository.Deploy.Commands = []string{fmt.Sprintf(
		`i=0; while [ $i -lt %d ]; do sh -c "printf '%%s|<%%s>|' \"\$V$i\" $i"; i=$((i+1)); done`, len(texts))}
	var want strings.Builder
	for i, text := range texts {
		fmt.Fprintf(&want, "%s|<%d>|", text, i)
	}
	clone, step := steps(t, m)
	if strings.Contains(step.Script, "$(") || strings.Contains(clone.Script, "V0=") {
		t.Error("the script of the commands holds $(, or the clone has the variables too")
	}
	for _, sh := range shells(t) {
		got := run(t, process(t, sh, step, emptyClone(t)))
		if _, values, _ := strings.Cut(got.stdout, "\n"); values != want.String() || got.code != 0 {
			t.Errorf("%v: got %q, %q\nwant %q", sh, values, got.stderr, want.String())
		}
	}
}
