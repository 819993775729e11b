package usage

import (
	"strings"

	"github.com/spf13/pflag"
)

// Flags are the names of the flags that a variable of the environment can set.
type Flags []string

// FlagsOf returns the names of all flags of the sets.
func FlagsOf(sets ...*pflag.FlagSet) Flags {
	var names Flags
	for _, set := range sets {
		set.VisitAll(func(f *pflag.Flag) { names = append(names, f.Name) })
	}
	return names
}

// Variable returns the variable that sets a flag: SENTRY_LOG_FORMAT sets --log-format.
func Variable(flag string) string {
	return "SENTRY_" + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// Variables returns the variables of all flags.
func (names Flags) Variables() []string {
	variables := make([]string, len(names))
	for i, name := range names {
		variables[i] = Variable(name)
	}
	return variables
}

// Set sets the flags that the command line did not, from their variables. An empty variable counts as unset. The error
// never repeats what a variable holds.
func (names Flags) Set(flags *pflag.FlagSet, lookup func(string) (string, bool)) error {
	for _, name := range names {
		f := flags.Lookup(name)
		if f == nil || f.Changed { // f is nil for a flag that this command does not have
			continue
		}
		value, _ := lookup(Variable(name))
		if value == "" {
			continue
		}
		set := f.Value.Set
		if list, ok := f.Value.(interface{ SetList(string) error }); ok {
			set = list.SetList
		}
		if err := set(value); err != nil {
			return Errorf("the variable %s, which stands for --%s: want %s", Variable(name), name, Want(f))
		}
	}
	return nil
}
