package usage

import (
	"fmt"
	"strings"

	"github.com/spf13/cobra"
)

// helpWidth is the columns that help takes where it is not written to a narrower terminal.
const helpWidth = 100

// WrapHelp makes what flags mean in the help of root and below it fit into the columns.
func WrapHelp(root *cobra.Command, columns int) {
	wrapped := fmt.Sprintf("FlagUsagesWrapped %d", max(40, min(columns, helpWidth)))
	root.SetUsageTemplate(strings.ReplaceAll(root.UsageTemplate(), "FlagUsages", wrapped))
}
