package usage

import (
	"bytes"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// helpWidth is the columns that help takes where it is not written to a narrower terminal.
const helpWidth = 100

// WrapHelp makes what flags mean in the help of root and below it fit into the columns. It changes what cobra writes: a
// template of cobra's, which could say so itself, calls methods by their names, for which the linker keeps each one of the
// program, a quarter of it.
func WrapHelp(root *cobra.Command, columns int) {
	columns = max(40, min(columns, helpWidth))
	write := new(cobra.Command).UsageFunc()
	root.SetUsageFunc(func(c *cobra.Command) error {
		var text bytes.Buffer
		out := c.OutOrStderr()
		c.SetOut(&text)
		err := write(c)
		c.SetOut(out)
		if err != nil {
			return err
		}
		wrapped := text.String()
		for _, flags := range []*pflag.FlagSet{c.LocalFlags(), c.InheritedFlags()} {
			if usages := strings.TrimSpace(flags.FlagUsages()); usages != "" {
				wrapped = strings.Replace(wrapped, usages, strings.TrimSpace(flags.FlagUsagesWrapped(columns)), 1)
			}
		}
		_, err = io.WriteString(out, wrapped)
		return err
	})
}
