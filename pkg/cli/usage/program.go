package usage

import (
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Program returns how a program that was started under the name is called: a plugin of tkn or kubectl is called with their
// names before its own. completes is whether kubectl asks it for completions.
func Program(name string) (display string, completes bool) {
	switch strings.TrimSuffix(filepath.Base(name), ".exe") {
	case "tkn-sentry":
		return "tkn sentry", false
	case "kubectl-sentry":
		return "kubectl sentry", false
	case "kubectl_complete-sentry":
		return "kubectl sentry", true
	}
	return "sentry", false
}

// Rename makes the help of root, and of all commands below it, call the program so.
func Rename(root *cobra.Command, display string) {
	if display == root.Name() {
		return
	}
	root.Annotations = map[string]string{cobra.CommandDisplayNameAnnotation: display}
	// A command stands at the start of a line, after a pipe, or in quotes.
	r := strings.NewReplacer("\n  sentry ", "\n  "+display+" ", "| sentry ", "| "+display+" ", "'sentry ", "'"+display+" ")
	var rename func(c *cobra.Command)
	rename = func(c *cobra.Command) {
		c.Long = strings.TrimPrefix(r.Replace("\n"+c.Long), "\n")
		c.Example = strings.TrimPrefix(r.Replace("\n"+c.Example), "\n")
		c.Flags().VisitAll(func(f *pflag.Flag) { f.Usage = r.Replace(f.Usage) })
		for _, below := range c.Commands() {
			rename(below)
		}
	}
	rename(root)
}
