// Package usage is what is wrong with a command line, and the older command line. Its errors end Sentry with exit code 2.
package usage

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// wrong is an error of the command line itself.
type wrong struct{ error }

// Unwrap returns the cause.
func (w wrong) Unwrap() error { return w.error }

// Error marks err as one of the command line, or of the configuration that it names.
func Error(err error) error { return wrong{err} }

// Errorf is Error of what fmt.Errorf returns.
func Errorf(format string, args ...any) error { return wrong{fmt.Errorf(format, args...)} }

// Is reports whether err is one of the command line.
func Is(err error) bool {
	_, is := errors.AsType[wrong](err)
	return is
}

// UnknownCommand refuses arguments of the root command: what was meant is a subcommand.
func UnknownCommand(root *cobra.Command, args []string) error {
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
	return Errorf("unknown command %q%s", strings.Join(args, " "), hint)
}

// FlagError says what a flag wants instead of what it was given, in other words than Go's.
func FlagError(err error) error {
	invalid, ok := errors.AsType[*pflag.InvalidValueError](err)
	if !ok {
		return Error(err)
	}
	return Errorf("--%s %q: want %s", invalid.GetFlag().Name, invalid.GetValue(), Want(invalid.GetFlag()))
}

// Want says what values a flag takes.
func Want(f *pflag.Flag) string {
	if v, ok := f.Value.(interface{ Want() string }); ok {
		return v.Want()
	}
	switch f.Value.Type() {
	case "int":
		return "a number"
	case "bool":
		return "true or false"
	case "duration":
		return "a time such as 30s or 5m"
	}
	return "a " + f.Value.Type()
}

// NoArgs refuses arguments. One that is a file is the configuration, which has a flag.
func NoArgs(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	hint := ""
	if ext := filepath.Ext(args[0]); ext == ".yaml" || ext == ".yml" {
		hint = fmt.Sprintf("; did you mean -c %s?", args[0])
	}
	return Errorf("%s takes no arguments, and is given %q%s", cmd.CommandPath(), args, hint)
}

// NoEmptyFlags refuses `--branch "$BRANCH"` with BRANCH empty: the default that a flag which is left out has was hardly
// meant.
func NoEmptyFlags(flags *pflag.FlagSet) error {
	var errs []error
	flags.Visit(func(f *pflag.Flag) {
		if f.Value.String() == "" {
			errs = append(errs, Errorf("--%s is empty; want a value, or leave it out", f.Name))
		}
	})
	return errors.Join(errs...)
}

// Args makes a command's complaint about its arguments a usage error.
func Args(check cobra.PositionalArgs) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if err := check(cmd, args); err != nil {
			return Error(err)
		}
		return nil
	}
}

// SomeNames refuses a command line that may deploy more than was meant: `trigger $NAME`, where NAME is empty.
func SomeNames(names []string, all bool) error {
	switch {
	case slices.Contains(names, ""):
		return errors.New("a name is empty; want that of a repository or a group")
	case len(names) > 0 && all:
		return errors.New("--all goes without names")
	case len(names) == 0 && !all:
		return errors.New("want the names of repositories, groups or units, or --all for everything")
	}
	return nil
}

// AtLeastOneName wants some names of units, groups or repositories, where none cannot mean all.
func AtLeastOneName(_ *cobra.Command, names []string) error {
	if len(names) == 0 {
		return errors.New("want one name or more, of units, groups or repositories")
	}
	return SomeNames(names, false)
}

// OneName wants exactly one name of a unit, a group or a repository.
func OneName(_ *cobra.Command, names []string) error {
	if len(names) != 1 || names[0] == "" {
		return errors.New("want one name, of a unit, a group or a repository")
	}
	return nil
}
