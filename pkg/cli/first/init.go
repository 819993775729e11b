package first

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/githost/hosts"
)

func newInit(s *Sentry) *cobra.Command {
	var a answers
	var output string
	var force bool
	cmd := &cobra.Command{
		Use:   "init",
		Short: "Write a first configuration",
		Long: `Write a configuration for one repository, with comments, that 'sentry validate' accepts. On a
terminal it asks for what the flags do not say. A file that is there is not replaced without
--force.

Tokens are not asked for: the file names the variables that hold them.`,
		Example: `  sentry init
  sentry init --repo-url https://github.com/company/rag --token-variable GITHUB_TOKEN \
    --qa-repo-url https://gitlab.com/qa/pipelines --qa-token-variable GITLAB_TOKEN \
    --command ./deploy.sh
  sentry init -o - …                           # to standard output`,
		Args: usage.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			for flag, p := range map[string]*string{"namespace": &a.namespace, "run-namespace": &a.runs} {
				*p, _ = cmd.Flags().GetString(flag) // of all commands
			}
			named, _ := cmd.Flags().GetString("config")
			return s.init(cmd.Context(), a, cmp.Or(output, named), force)
		},
	}
	f := cmd.Flags()
	f.StringVarP(&output, "output", "o", "", "`file` to write; - is standard output (default: that of --config)")
	f.BoolVar(&force, "force", false, "replace the file")
	f.StringVar(&a.name, "name", "", "name of the repository (default: from its URL)")
	f.StringVar(&a.monitor.url, "repo-url", "", "`URL` of the repository to watch")
	f.StringVar(&a.monitor.kind, "repo-type", "", "kind of its host, where the host's name does not tell")
	f.StringArrayVarP(&a.branches, "branch", "b", nil, "`branch` to watch, or a regular expression; may be repeated (default main)")
	f.StringVar(&a.monitor.token, "token-variable", "", "`NAME` of the variable with its token (default: none, it is public)")
	f.StringVar(&a.deploy.url, "qa-repo-url", "", "`URL` of the repository with the deployment scripts")
	f.StringVar(&a.deploy.kind, "qa-repo-type", "", "kind of its host, where the host's name does not tell")
	f.StringVar(&a.deploy.branch, "qa-repo-branch", "main", "`branch` of it")
	f.StringVar(&a.deploy.token, "qa-token-variable", "", "`NAME` of the variable with its token (default: none, it is public)")
	f.StringArrayVar(&a.commands, "command", nil, "`command` that deploys, in a clone of it; may be repeated")
	var types []string
	for _, h := range hosts.All.Config() {
		types = append(types, string(h.Type))
	}
	complete.Files(cmd, "output", "yaml", "yml")
	for _, flag := range []string{"repo-type", "qa-repo-type"} {
		complete.Flag(cmd, flag, complete.Words(types...))
	}
	for _, flag := range []string{"name", "repo-url", "branch", "token-variable", "qa-repo-url", "qa-repo-branch", "qa-token-variable", "command"} {
		complete.Flag(cmd, flag, cobra.NoFileCompletions)
	}
	return cmd
}

func (s *Sentry) init(ctx context.Context, a answers, output string, force bool) error {
	if output != "-" && !force {
		if _, err := os.Lstat(output); err == nil {
			return usage.Errorf("%s is there already: give --force to replace it, or another --output", output)
		}
	}
	if term.IsTerminal(s.In) {
		if err := a.ask(ctx, s.In, s.Err); err != nil {
			return err
		}
	}
	if missing := a.missing(); len(missing) > 0 {
		return usage.Errorf("want %s too: they are asked for on a terminal only", strings.Join(missing, ", "))
	}
	if len(a.branches) == 0 {
		a.branches = []string{"main"}
	}
	text, wrongs := a.check()
	if len(wrongs) > 0 {
		errs := make([]error, len(wrongs))
		for i, w := range wrongs {
			errs[i] = usage.Error(w)
		}
		return errors.Join(errs...)
	}
	if output == "-" {
		_, err := s.Out.Write(text)
		return err
	}
	if err := write(output, text, force); err != nil {
		return err
	}
	fmt.Fprintf(s.Err, "Wrote %s. Next:\n%s", output, a.next(output))
	return nil
}

// write writes a file that is not there, or with force also over one that is.
func write(path string, text []byte, force bool) error {
	mode := os.O_WRONLY | os.O_CREATE | os.O_EXCL
	if force {
		mode = os.O_WRONLY | os.O_CREATE | os.O_TRUNC
	}
	f, err := os.OpenFile(path, mode, 0o644)
	if errors.Is(err, fs.ErrExist) {
		return usage.Errorf("%s is there already: give --force to replace it, or another --output", path)
	}
	if err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	_, err = f.Write(text)
	if err := errors.Join(err, f.Close()); err != nil {
		return fmt.Errorf("write the configuration: %w", err)
	}
	return nil
}

// missing are the flags without which there is no configuration.
func (a answers) missing() []string {
	var flags []string
	for flag, given := range map[string]bool{"--repo-url": a.monitor.url != "", "--qa-repo-url": a.deploy.url != "", "--command": len(a.commands) > 0} {
		if !given {
			flags = append(flags, flag)
		}
	}
	slices.Sort(flags)
	return flags
}

// next is what to type after this.
func (a answers) next(file string) string {
	var b strings.Builder
	tokens := []string{a.monitor.token, a.deploy.token}
	slices.Sort(tokens)
	for _, token := range slices.Compact(tokens) {
		if token != "" {
			fmt.Fprintf(&b, "  export %s=…\n", token)
		}
	}
	of := ""
	if file != "sentry.yaml" {
		of = " -c " + file
	}
	fmt.Fprintf(&b, "  sentry validate --online%s\n  sentry trigger %s --local%s\n", of, cmp.Or(a.name, nameOf(a.monitor.url)), of)
	return b.String()
}

// question is one thing that init asks for.
type question struct {
	flag, text string
	fallback   func(a *answers) string // for an empty answer
	given      func(a *answers) bool   // the flag says it, or it need not be asked for
	set        func(a *answers, answer string)
}

func none(*answers) string { return "" }

func main(*answers) string { return "main" }

// questions are asked in this order.
var questions = []question{
	{"repo-url", "URL of the repository to watch", none,
		func(a *answers) bool { return a.monitor.url != "" }, func(a *answers, s string) { a.monitor.url = s }},
	{"repo-type", "Kind of its host, which its name does not tell: github, gitlab, gitea or git", func(*answers) string { return "git" },
		func(a *answers) bool { return a.whole().wrong("repo-type") == "" }, func(a *answers, s string) { a.monitor.kind = s }},
	{"branch", "Branch to watch, or a regular expression for several", main,
		func(a *answers) bool { return len(a.branches) > 0 }, func(a *answers, s string) { a.branches = []string{s} }},
	{"token-variable", "Name of the variable with its token; - if it is public", func(a *answers) string { return suggestion(a.monitor.url) },
		func(a *answers) bool { return a.monitor.token != "" }, func(a *answers, s string) { a.monitor.token = strings.TrimPrefix(s, "-") }},
	{"qa-repo-url", "URL of the repository with the deployment scripts", none,
		func(a *answers) bool { return a.deploy.url != "" }, func(a *answers, s string) { a.deploy.url = s }},
	{"qa-repo-type", "Kind of its host, which its name does not tell: github, gitlab, gitea or git", func(a *answers) string { return cmp.Or(a.monitor.kind, "git") },
		func(a *answers) bool { return a.whole().wrong("qa-repo-type") == "" }, func(a *answers, s string) { a.deploy.kind = s }},
	{"qa-token-variable", "Name of the variable with its token; - if it is public", func(a *answers) string { return suggestion(a.deploy.url) },
		func(a *answers) bool { return a.deploy.token != "" }, func(a *answers, s string) { a.deploy.token = strings.TrimPrefix(s, "-") }},
	{"command", "Command that deploys, in a clone of it", func(*answers) string { return "./deploy.sh" },
		func(a *answers) bool { return len(a.commands) > 0 }, func(a *answers, s string) { a.commands = []string{s} }},
}

// whole returns the answers with an example in place of each that is still to come.
func (a answers) whole() answers {
	for _, s := range []*source{&a.monitor, &a.deploy} {
		s.url = cmp.Or(s.url, "https://github.com/owner/repository")
	}
	if len(a.branches) == 0 {
		a.branches = []string{"main"}
	}
	if len(a.commands) == 0 {
		a.commands = []string{"true"}
	}
	return a
}

// wrong says what is wrong with the value of a flag, "" for nothing.
func (a answers) wrong(flag string) string {
	_, wrongs := a.check()
	for _, w := range wrongs {
		if w.flag == flag {
			return w.message
		}
	}
	return ""
}

// ask asks for all that the flags do not say, and again for what is wrong.
func (a *answers) ask(ctx context.Context, in io.Reader, out io.Writer) error {
	lines := bufio.NewReader(io.LimitReader(in, 1<<20))
	for _, q := range questions {
		for again := !q.given(a); again; {
			def := q.fallback(a)
			if def != "" {
				fmt.Fprintf(out, "%s [%s]: ", q.text, def)
			} else {
				fmt.Fprintf(out, "%s: ", q.text)
			}
			line, err := readLine(ctx, lines)
			if err != nil {
				return err
			}
			wrong := "is needed"
			if line = cmp.Or(line, def); line != "" {
				q.set(a, line)
				wrong = a.whole().wrong(q.flag)
			}
			if again = wrong != ""; again {
				fmt.Fprintf(out, "  --%s %s\n", q.flag, wrong)
			}
		}
	}
	return nil
}

// readLine returns the next line. A terminal cannot be told to stop reading: where ctx ends first, the goroutine ends with
// the process.
func readLine(ctx context.Context, lines *bufio.Reader) (string, error) {
	type read struct {
		text string
		err  error
	}
	done := make(chan read, 1)
	go func() {
		text, err := lines.ReadString('\n')
		done <- read{text, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			return "", fmt.Errorf("no answer, and nothing is written: %w", r.err)
		}
		return strings.TrimSpace(r.text), nil
	case <-ctx.Done():
		return "", errors.New("interrupted, and nothing is written")
	}
}
