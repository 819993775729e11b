// Package cli is the command line: one file a subcommand. Data goes to stdout, everything else to stderr,
// and errors are returned; Main turns them into the exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"math"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/answers"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/first"
	"github.com/tekton-sentry/sentry/pkg/cli/operate"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/strategies"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/cli/watching"
	"github.com/tekton-sentry/sentry/pkg/cli/webhooks"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/kube"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or an invalid configuration
)

// Streams are where output goes.
type Streams = setup.Streams

// Main runs one command line and returns the exit code: 0 done, 1 failed, 2 wrong usage or invalid configuration.
func Main(ctx context.Context, args []string, s Streams) int {
	s.Err = term.Screen{Writer: s.Err}
	// Libraries log what servers send, with credentials that it repeats; net/http, what nobody asked for.
	log.SetOutput(io.Discard)
	if s.In == nil {
		s.In = strings.NewReader("")
	}
	root := newRoot(s)
	program, completes := usage.Program(s.Program)
	usage.Rename(root, program)
	if completes {
		args = append([]string{cobra.ShellCompRequestCmd}, args...)
	}
	args, err := usage.Modernize(args)
	if err == nil {
		root.SetArgs(args)
		var cmd *cobra.Command
		cmd, err = root.ExecuteContextC(ctx)
		if f := cmd.Flags().Lookup("local"); errors.Is(err, kube.ErrNone) && f != nil && !f.Hidden {
			err = fmt.Errorf("%w, or use --local for this machine", err)
		}
	}
	if err == nil {
		return exitDone
	}
	if errors.Is(err, first.ErrDiffers) {
		return exitFailed
	}
	var broken config.Errors
	if errors.As(err, &broken) {
		fmt.Fprintln(s.Err, err)
		return exitUsage
	}
	fmt.Fprintf(s.Err, "sentry: %v\n", err)
	if usage.Is(err) {
		fmt.Fprintf(s.Err, "Run '%[1]s --help', or '%[1]s COMMAND --help', for what there is.\n", program)
		return exitUsage
	}
	return exitFailed
}

func newRoot(s Streams) *cobra.Command {
	o := &setup.Options{Streams: s, Version: version}
	root := &cobra.Command{
		Use:   "sentry",
		Short: "Turn pushes into Tekton PipelineRuns, without webhooks",
		Long: `Sentry watches branches of many Git repositories (GitHub, GitLab, Gitea, any Git
server), remembers their heads in a ConfigMap, and turns each change into one Tekton
PipelineRun, whose tasks clone a QA repository and run the configured commands.

Write a sentry.yaml, check it, look at what would run, then try it here:

  sentry init
  sentry validate
  sentry render --offline
  sentry trigger NAME --local

Each flag below, and each of watch, can also be set by a variable: --log-format by
SENTRY_LOG_FORMAT. A flag goes before its variable, and that before the configuration file.

Exit codes: 0 done, 1 failed, 2 wrong usage or invalid configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          usage.UnknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usage.FlagError(err) })
	root.SetHelpCommand(newHelp())
	usage.WrapHelp(root, term.Width(s.Out, math.MaxInt))
	o.Register(root.PersistentFlags())
	watch := watching.Command(o)
	o.Settable = usage.FlagsOf(root.PersistentFlags(), watch.Flags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error {
		o.Running = cmd
		o.Modules.Until(cmd.Context())
		return errors.Join(usage.NoEmptyFlags(cmd.Flags()), o.Settable.Set(cmd.Flags(), os.LookupEnv))
	}
	root.AddCommand(watch, newTrigger(o), newValidate(o), newRender(o), newVersion(o))
	root.AddCommand(answers.Commands(o)...)
	root.AddCommand(operate.Commands(o)...)
	root.AddCommand(first.Commands(&first.Sentry{
		In: s.In, Out: s.Out, Err: s.Err, Load: o.Load, Options: o.Reading, Connect: o.Connect, ConnectTo: o.ConnectTo, Named: func() []string { return o.Config.Names },
	})...)
	root.AddCommand(webhooks.Command(o), strategies.Command(s.Out))
	complete.Common(root, func() []string { return kube.Contexts(o.Kubeconfig) })
	root.InitDefaultCompletionCmd()
	return root
}

// newHelp is `sentry help COMMAND`, the same as `sentry COMMAND --help`.
func newHelp() *cobra.Command {
	return &cobra.Command{
		Use:   "help [COMMAND]",
		Short: "Show the help of a command",
		RunE: func(cmd *cobra.Command, args []string) error {
			about, rest, err := cmd.Root().Find(args)
			if err != nil || len(rest) > 0 {
				return usage.UnknownCommand(cmd.Root(), args)
			}
			about.InitDefaultHelpFlag() // which the text lists
			return about.Help()
		},
	}
}
