package cli

import "github.com/spf13/cobra"

// newHelp is `sentry help COMMAND`, the same as `sentry COMMAND --help`.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return unknownCommand(cmd.Root(), args)
			}
			about.InitDefaultHelpFlag() // which the text lists
			return about.Help()
		},
	}
}
