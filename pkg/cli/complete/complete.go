// Package complete says what a shell offers for a word of the command line: names and branches of the configuration.
package complete

import (
	"maps"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
)

// Names returns the groups, the repositories and the units whose names are known without asking a host, each with what it
// is, but for those that are given already.
func Names(cfg *config.Config, given []string) []string {
	kinds := map[string]string{}
	for _, r := range cfg.Repositories {
		for _, p := range r.Monitor.Branches {
			if branch, exact := p.Exact(); exact {
				kinds[naming.UnitOf(&r, branch).Label] = "branch " + branch
			}
		}
	}
	for name := range cfg.Groups {
		kinds[name] = "group"
	}
	for _, r := range cfg.Repositories {
		kinds[r.Name] = "repository"
	}
	var names []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if !slices.Contains(given, name) {
			names = append(names, cobra.CompletionWithDesc(name, kinds[name]))
		}
	}
	return names
}

// Branches returns the branches that are watched by name in what is named; no names are everything.
func Branches(cfg *config.Config, names []string) []string {
	var branches []string
	for _, r := range cfg.Repositories {
		if _, asked := named.Asked(&r, names); !asked {
			continue
		}
		for _, p := range r.Monitor.Branches {
			if branch, exact := p.Exact(); exact {
				branches = append(branches, branch)
			}
		}
	}
	slices.Sort(branches)
	return slices.Compact(branches)
}

// Common says what is offered for the values of the flags of root, and of those that several commands have.
func Common(root *cobra.Command, contexts func() []string) {
	Files(root, "config", "yaml", "yml")
	Dirs(root, "env-dir")
	Flag(root, "log-format", Words("text", "json"))
	Flag(root, "context", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return contexts(), cobra.ShellCompDirectiveNoFileComp
	})
	for _, flag := range []string{"namespace", "run-namespace", "instance"} {
		Flag(root, flag, cobra.NoFileCompletions)
	}
	for _, cmd := range root.Commands() {
		if cmd.Flags().Lookup("state") != nil {
			Files(cmd, "state", "json")
		}
	}
}

// Words offers the words and no files.
func Words(words ...string) cobra.CompletionFunc {
	return cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)
}

// Flag says what is offered for the value of a flag, which the command must have.
func Flag(cmd *cobra.Command, flag string, offer cobra.CompletionFunc) {
	if err := cmd.RegisterFlagCompletionFunc(flag, offer); err != nil {
		panic(err) // there is no such flag, or it is registered twice: a slip in this program
	}
}

// Files offers files with one of the extensions for the value of a flag.
func Files(cmd *cobra.Command, flag string, extensions ...string) {
	Flag(cmd, flag, func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return extensions, cobra.ShellCompDirectiveFilterFileExt
	})
}

// Dirs offers directories for the value of a flag.
func Dirs(cmd *cobra.Command, flag string) {
	Flag(cmd, flag, cobra.FixedCompletions(nil, cobra.ShellCompDirectiveFilterDirs))
}
