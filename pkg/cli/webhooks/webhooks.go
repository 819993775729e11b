// Package webhooks has the commands that manage the webhooks of the repositories on their hosts.
package webhooks

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// commands is what the commands have of the command line that they are part of.
type commands struct{ *setup.Options }

// Command returns `sentry webhooks`.
func Command(o *setup.Options) *cobra.Command {
	s := commands{o}
	cmd := &cobra.Command{
		Use:   "webhooks",
		Short: "Register Sentry's webhooks on the Git hosts",
		Long: `Manage the webhooks by which GitHub, GitLab, Gitea and Forgejo tell 'sentry watch --listen' of
pushes. Nothing depends on them: without one, or when one is lost, polling finds the push.`,
		Example: "  sentry webhooks ensure --url https://sentry.example.com",
		Args:    usage.UnknownCommand,
		RunE:    func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newEnsure(s), newRemove(s))
	return cmd
}

type flags struct {
	url    string
	dry    bool
	output string
	remove bool
}

func newEnsure(s commands) *cobra.Command {
	cmd := s.command(&flags{})
	cmd.Use = "ensure [NAME…] --url ADDRESS"
	cmd.Short = "Make sure that each repository has the webhook, and that it is right"
	cmd.Long = `Make sure that each repository of the configuration that is on a GitHub, GitLab or Gitea has one
webhook that leads to Sentry: for pushes and for branches and tags that come or go, active, in JSON,
signed with webhooks.secret, with TLS verified. One that is there and differs is repaired, and one
too many is deleted; one that leads elsewhere, also to another port, is left alone. It can be
repeated at any time, and does nothing when all is well.

A NAME is that of a repository or a group; without one it is about all. The credentials are those of
monitor.auth, and need the right to manage webhooks, which polling does not: set the variable to
another token for this command alone. After a change of the secret, run it again.

Each repository is a line: created, repaired with what was wrong, unchanged, skipped, or failed with
the right that the token lacks. Exit code 1 when one failed.`
	cmd.Example = `  sentry webhooks ensure --url https://sentry.example.com --dry-run
  sentry webhooks ensure rag-service --url https://sentry.example.com`
	return cmd
}

func newRemove(s commands) *cobra.Command {
	cmd := s.command(&flags{remove: true})
	cmd.Use = "remove [NAME…] --url ADDRESS"
	cmd.Short = "Remove the webhooks that lead to Sentry"
	cmd.Long = `Remove every webhook of the repositories that leads to the address, such as before Sentry gets
another one. Others are left alone. What the credentials need, and what is printed, is as with
ensure.`
	cmd.Example = "  sentry webhooks remove --url https://old.example.com"
	return cmd
}

// command returns what both commands have in common.
func (s commands) command(f *flags) *cobra.Command {
	cmd := &cobra.Command{
		Args:              usage.Args(cobra.ArbitraryArgs),
		ValidArgsFunction: s.Offer(offered),
		RunE:              func(cmd *cobra.Command, names []string) error { return s.run(cmd.Context(), f, names) },
	}
	cmd.Flags().StringVar(&f.url, "url", "", "`address` at which hosts reach Sentry, without /webhooks/…")
	cmd.Flags().BoolVar(&f.dry, "dry-run", false, "only show what would be done")
	cmd.Flags().StringVarP(&f.output, "output", "o", "table", "table, json or yaml")
	complete.Flag(cmd, "url", cobra.NoFileCompletions)
	complete.Flag(cmd, "output", complete.Words("table", "json", "yaml"))
	return cmd
}

func (s commands) run(ctx context.Context, f *flags, names []string) error {
	if f.url == "" {
		return usage.Errorf("--url is missing; want the address at which hosts reach Sentry, such as https://sentry.example.com")
	}
	if !slices.Contains([]string{"table", "json", "yaml"}, f.output) {
		return usage.Errorf("--output %q: want table, json or yaml", f.output)
	}
	address, err := base(f.url)
	if err != nil {
		return usage.Errorf("--url: %w", err)
	}
	cfg, log, err := s.Load(config.Options{})
	if err != nil {
		return err
	}
	if cfg.Webhooks.Secret.Reveal() == "" {
		return usage.Errorf("webhooks.secret is missing in the configuration; want one ${NAME} whose variable holds a random text, such as 'openssl rand -hex 32' prints")
	}
	chosen, err := choose(cfg, names)
	if err != nil {
		return usage.Error(err)
	}
	warnOf(log, address)
	k := &task{base: address, secret: cfg.Webhooks.Secret, remove: f.remove, dry: f.dry, version: s.Version,
		network: transport.NewNetwork(cfg.Global), accounts: map[githost.Account]opened{}}
	rows := k.run(ctx, chosen)
	slices.SortStableFunc(rows, byTrouble)
	if !f.dry {
		s.record(ctx, log, rows)
	}
	if err := s.print(rows, f.output); err != nil {
		return err
	}
	if f.dry {
		fmt.Fprintln(s.Err, "Nothing was changed: --dry-run.")
	}
	if ctx.Err() != nil {
		return errors.New("interrupted before all was done; run it again")
	}
	if n := failures(rows); n > 0 {
		return fmt.Errorf("the webhooks of %d of %d repositories are not as they should be", n, len(rows))
	}
	return nil
}

// deeds are the actions that changed something.
var deeds = map[Action]audit.Verb{Created: audit.Registered, Repaired: audit.Repaired, Removed: audit.Removed}

// record tells the log what was done on the hosts.
func (s commands) record(ctx context.Context, log *slog.Logger, rows []Row) {
	by := s.By(ctx, nil, "webhooks")
	for _, r := range rows {
		if verb := deeds[r.Action]; verb != "" {
			log.Info(string(verb)+" a webhook", append([]any{"repo", strings.Join(r.Names, ", "), "url", r.URL}, by.Attrs(verb)...)...)
		}
	}
}

func warnOf(log *slog.Logger, address *url.URL) {
	if address.Scheme == "http" {
		log.Warn("webhooks to http:// travel unencrypted, and GitLab's with the secret; want https, except within a machine or a cluster", "url", address.String())
	}
}

// choose returns the repositories that are named, or all.
func choose(cfg *config.Config, names []string) ([]config.Repository, error) {
	if len(names) == 0 {
		return cfg.Repositories, nil
	}
	known := kindsOf(cfg)
	for _, name := range names {
		if known[name] != "" {
			continue
		}
		hint := ""
		if near := spelling.Nearest(name, slices.Sorted(maps.Keys(known))); near != "" {
			hint = "; did you mean " + near + "?"
		}
		return nil, fmt.Errorf("%.80q is no repository and no group of the configuration%s", name, hint)
	}
	var chosen []config.Repository
	for _, r := range cfg.Repositories {
		if slices.Contains(names, r.Name) || r.Group != "" && slices.Contains(names, r.Group) {
			chosen = append(chosen, r)
		}
	}
	return chosen, nil
}

// kindsOf returns the names that are known, with what each is.
func kindsOf(cfg *config.Config) map[string]string {
	kinds := map[string]string{}
	for name := range cfg.Groups {
		kinds[name] = "group"
	}
	for _, r := range cfg.Repositories {
		kinds[r.Name] = "repository"
	}
	return kinds
}

// offered returns what a shell offers for a name.
func offered(cfg *config.Config, given []string) []string {
	kinds := kindsOf(cfg)
	var names []string
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		if !slices.Contains(given, name) {
			names = append(names, cobra.CompletionWithDesc(name, kinds[name]))
		}
	}
	return names
}

func (s commands) print(rows []Row, format string) error {
	if format != "table" {
		return term.Encode(s.Out, rows, term.Format(format))
	}
	cells := make([][]any, len(rows))
	for i, r := range rows {
		cells[i] = []any{strings.Join(r.Names, ","), r.URL, r.Action, r.Detail}
	}
	table := term.Table{Out: s.Out, Colours: term.Colours(s.Out)}
	return table.Print([]string{"NAME", "REPOSITORY", "WEBHOOK", "WHAT"}, cells, paint)
}

func paint(column int, cell string) term.Colour {
	if column != 2 {
		return term.None
	}
	return map[Action]term.Colour{Created: term.Green, Repaired: term.Blue, Removed: term.Blue, Failed: term.Red}[Action(cell)]
}
