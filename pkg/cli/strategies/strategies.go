// Package strategies has the commands for strategies of one's own.
package strategies

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/strategy"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
)

// Command returns `sentry strategy`, which writes to out.
func Command(out io.Writer) *cobra.Command {
	cmd := &cobra.Command{
		Use:   "strategy",
		Short: "Try strategies of your own: expressions and modules",
		Long: `A group with execution_strategy: graph may say by an expression or by a WebAssembly module which
of its members waits for which others. 'sentry strategy test' tries one on groups that you make up.`,
		Example: `  sentry strategy test cases.yaml`,
		Args:    usage.UnknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newTest(out))
	return cmd
}

func newTest(out io.Writer) *cobra.Command {
	return &cobra.Command{
		Use:   "test FILE",
		Short: "Run the cases of an expression or a module",
		Long: `Asks an expression or a module who waits for whom in groups that stand in a file, and compares the
answers with what the file expects. Nothing else is read, and nobody is asked.

The file has:

  wasm: order.wasm         the module, from the folder of the file; or
  needs: EXPRESSION        the expression
  cases:
    - name: two            what the case is about
      members:             of the group, in their order: names, or sections with
        - database         name, project, wave, needs and labels
        - {name: web, labels: {tier: web}}
      needs:               what is expected: those that each member waits for;
        web: [database]    who is left out waits for nobody
    - name: alone
      members: [web]
      refused: no database   in place of needs: a part of what is said of the failure

What a module prints is not shown but for the end of a failure. The last line has its digest, for
sha256 in sentry.yaml. Exit code 1 when a case failed, 2 when the file is wrong.`,
		Example: `  sentry strategy test cases.yaml`,
		Args:    usage.Args(cobra.ExactArgs(1)),
		ValidArgsFunction: func(_ *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(_ *cobra.Command, args []string) error { return run(out, args[0]) },
	}
}

// run runs the cases of a file.
func run(out io.Writer, path string) error {
	f, err := read(path)
	if err != nil {
		return usage.Error(err)
	}
	ask := func(group []strategy.About) (map[string][]string, error) { return byExpression(f.Needs, group) }
	last := ""
	if f.Wasm != "" {
		code, digest, err := wasm.Read(beside(path, f.Wasm))
		if err != nil {
			return usage.Error(err)
		}
		var modules wasm.Modules
		ask = func(group []strategy.About) (map[string][]string, error) { return modules.Run(code, "test", group) }
		last = "; sha256: " + digest
	}
	failed := 0
	for _, c := range f.Cases {
		got, err := ask(c.group())
		said := "ok   " + c.Name
		if wrong := c.check(got, err); wrong != "" {
			failed++
			said = "FAIL " + c.Name + ": " + wrong
		}
		if _, err := fmt.Fprintln(out, said); err != nil {
			return err
		}
	}
	if failed > 0 {
		return fmt.Errorf("%d of %d cases failed", failed, len(f.Cases))
	}
	_, err = fmt.Fprintf(out, "%d cases%s\n", len(f.Cases), last)
	return err
}

// byExpression returns what an expression answers, checked as a configuration checks it.
func byExpression(text string, group []strategy.About) (map[string][]string, error) {
	needs, err := cel.Needs(text, group)
	if err != nil {
		return nil, fmt.Errorf("the expression %w", err)
	}
	return needs, strategy.CheckNeeds(group, needs)
}

func beside(file, path string) string {
	if filepath.IsAbs(path) {
		return path
	}
	return filepath.Join(filepath.Dir(file), path)
}

var errNothing = errors.New("want wasm, the path of a module, or needs, an expression, and cases")

// sorted returns the answer without what it need not say.
func sorted(needs map[string][]string) map[string][]string {
	plain := make(map[string][]string)
	for name, of := range needs {
		if len(of) > 0 {
			plain[name] = slices.Sorted(slices.Values(of))
		}
	}
	return plain
}
