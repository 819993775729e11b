// Package cli is the command line: one file a subcommand. Data goes to stdout, everything else to stderr,
// and errors are returned; Main turns them into the exit code.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// Exit codes.
const (
	exitDone   = 0
	exitFailed = 1
	exitUsage  = 2 // wrong usage, or an invalid configuration
)

// Streams are where output goes.
type Streams struct {
	In  io.Reader // the configuration, with --config -; nil for none
	Out io.Writer // data
	Err io.Writer // logs, progress, errors
}

// usageError is an error of the command line itself.
type usageError struct{ error }

// Unwrap returns the cause.
func (e usageError) Unwrap() error { return e.error }

// Main runs one command line and returns the exit code: 0 done, 1 failed, 2 wrong usage or invalid configuration.
func Main(ctx context.Context, args []string, s Streams) int {
	s.Err = screen{s.Err}
	// Libraries log what servers send, with credentials that it repeats; net/http, what nobody asked for.
	log.SetOutput(io.Discard)
	if s.In == nil {
		s.In = strings.NewReader("")
	}
	root := newRoot(s)
	args, err := modernize(args)
	if err == nil {
		root.SetArgs(args)
		err = root.ExecuteContext(ctx)
	}
	if err == nil {
		return exitDone
	}
	var broken config.Errors
	if errors.As(err, &broken) {
		fmt.Fprintln(s.Err, err)
		return exitUsage
	}
	fmt.Fprintf(s.Err, "sentry: %v\n", err)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintln(s.Err, "Run 'sentry --help', or 'sentry COMMAND --help', for what there is.")
		return exitUsage
	}
	return exitFailed
}

func newRoot(s Streams) *cobra.Command {
	o := &options{Streams: s}
	root := &cobra.Command{
		Use:   "sentry",
		Short: "Turn pushes into Tekton PipelineRuns, without webhooks",
		Long: `Sentry watches branches of many Git repositories (GitHub, GitLab, Gitea, any Git
server), remembers their heads in a ConfigMap, and turns each change into one Tekton
PipelineRun, whose tasks clone a QA repository and run the configured commands.

Start with a sentry.yaml, check it, look at what would run, then try it here:

  sentry validate
  sentry render --offline
  sentry trigger NAME --local

Exit codes: 0 done, 1 failed, 2 wrong usage or invalid configuration.`,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          unknownCommand,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetOut(s.Out)
	root.SetErr(s.Err)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{flagError(err)} })
	root.SetHelpCommand(newHelp())
	o.register(root.PersistentFlags())
	root.PersistentPreRunE = func(cmd *cobra.Command, _ []string) error { return noEmptyFlags(cmd.Flags()) }
	root.AddCommand(newWatch(o), newTrigger(o), newValidate(o), newRender(o), newStatus(o), newVersion(o))
	root.InitDefaultCompletionCmd()
	return root
}

// unknownCommand refuses arguments of the root command: what was meant is a subcommand.
func unknownCommand(root *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var names []string
	for _, c := range root.Commands() {
		names = append(names, c.Name())
	}
	hint := ""
	if near := spelling.Nearest(args[0], names); near != "" {
		hint = fmt.Sprintf("; did you mean %q?", near)
	}
	return usageError{fmt.Errorf("unknown command %q%s", strings.Join(args, " "), hint)}
}

// flagError says what a flag wants instead of what it was given, in other words than Go's.
func flagError(err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return err
	}
	want := map[string]string{"int": "a number", "bool": "true or false", "duration": "a time such as 30s or 5m"}[invalid.GetFlag().Value.Type()]
	if want == "" {
		return err
	}
	return fmt.Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), want)
}

// noArgs refuses arguments. One that is a file is the configuration, which has a flag.
func noArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if ext := filepath.Ext(args[0]); ext == ".yaml" || ext == ".yml" {
		hint = fmt.Sprintf("; did you mean -c %s?", args[0])
	}
	return usageError{fmt.Errorf("%s takes no arguments, and is given %q%s", cmd.CommandPath(), args, hint)}
}

// noEmptyFlags refuses `--branch "$BRANCH"` with BRANCH empty: the default that a flag which is left out has was hardly
// meant.
func noEmptyFlags(flags *pflag.FlagSet) error {
	var errs []error
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.String() == "" {
			errs = append(errs, usageError{fmt.Errorf("--%s is empty; want a value, or leave it out", f.Name)})
		}
	})
	return errors.Join(errs...)
}

// usageArgs makes a command's complaint about its arguments a usage error.
func usageArgs(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return usageError{err}
		}
		return nil
	}
}

// modernize translates --version and -version to the command, and the older form `sentry -action=watch -config=FILE -verbose`, which people's manifests
// still hold, to `sentry watch --config=FILE --verbose`. Anything else is returned as it is.
func modernize(args []string) ([]string, error) {
	if len(args) == 1 && (args[0] == "--version" || args[0] == "-version") {
		return []string{"version"}, nil
	}
	old := false
	for _, a := range args {
		name, _, _ := strings.Cut(strings.TrimLeft(a, "-"), "=")
		old = old || name == "action" && strings.HasPrefix(a, "-")
	}
	if !old {
		return args, nil
	}
	action, rest := "", []string(nil)
	for i := 0; i < len(args); i++ {
		name, value, given := strings.Cut(strings.TrimLeft(args[i], "-"), "=")
		takesValue := name == "action" || name == "config"
		if takesValue && !given {
			if i++; i == len(args) {
				return nil, usageError{fmt.Errorf("-%s needs a value", name)}
			}
			value = args[i]
		}
		switch {
		case name == "action":
			action = value
		case name == "config":
			rest = append(rest, "--config="+value)
		case name == "verbose" && given:
			rest = append(rest, "--verbose="+value)
		case name == "verbose":
			rest = append(rest, "--verbose")
		default:
			return nil, usageError{fmt.Errorf("%s does not go with -action; write: sentry %s … with the flags of today", args[i], action)}
		}
	}
	switch action {
	case "watch", "validate":
		return append([]string{action}, rest...), nil
	case "trigger": // it has never taken names
		return append([]string{action, "--all"}, rest...), nil
	}
	return nil, usageError{fmt.Errorf("-action=%s: want watch, trigger or validate", action)}
}
