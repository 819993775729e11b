package pipelinerun

import "strings"

// Quote returns s as one word for a POSIX shell that expands to s, whatever bytes but NUL it holds. The
// word never contains "$(": Tekton substitutes $(…) in scripts, rejects some of it, and knows no escape.
func Quote(s string) string {
	return "'" + strings.NewReplacer("'", `'\''`, "$(", "$''(").Replace(s) + "'"
}
