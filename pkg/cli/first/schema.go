package first

import (
	"encoding/json"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

func newSchema(s *Sentry) *cobra.Command {
	return &cobra.Command{
		Use:   "schema",
		Short: "Print the JSON Schema of the configuration, for editors",
		Long: `Print the JSON Schema (draft 07) of sentry.yaml. An editor that knows it completes keys and values,
shows what they may be, and underlines what is wrong. It accepts every file that 'sentry validate'
accepts; 'sentry validate' finds more, such as groups that are not there.

For editors with yaml-language-server, write as the first line of sentry.yaml:

  # yaml-language-server: $schema=sentry.schema.json`,
		Example: `  sentry schema > sentry.schema.json`,
		Args:    usage.NoArgs,
		RunE: func(*cobra.Command, []string) error {
			e := json.NewEncoder(s.Out)
			e.SetEscapeHTML(false)
			e.SetIndent("", "  ")
			return e.Encode(config.JSONSchema(hosts.All.Config()))
		},
	}
}
