package operate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/cli/complete"
	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/kube"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/watch"
)

// saveTries bounds how often the state is read again since `sentry watch` wrote it meanwhile.
const saveTries = 20

type pauseFlags struct {
	all    bool
	reason string
	local  bool
	state  string
}

func newPause(o *setup.Options) *cobra.Command {
	var f pauseFlags
	cmd := f.command(o, func(cfg *config.Config, s *state.Snapshot, names []string, by audit.By) (done []string, err error) {
		meant, err := unitsOf(cfg, *s, names)
		for _, u := range meant {
			pause, was := state.NewPause(by.Person(), f.reason, time.Now()), s.Units[u.label].Paused
			switch {
			case !s.SetPause(u.label, &pause):
			case was != nil:
				done = append(done, u.label+" stays paused, for this reason in place of the one before")
			case u.unseen:
				done = append(done, u.label+" paused; no branch is known yet that is this unit")
			default:
				done = append(done, u.label+" paused")
			}
		}
		return done, err
	})
	cmd.Use = "pause {NAME… | --all}"
	cmd.Short = "Let nothing run in a unit until it is resumed"
	cmd.Long = `Have 'sentry watch' start nothing in each NAME, which is that of a unit, a group, or a repository
without a group, with all of its branches; REPOSITORY@BRANCH is one of them. A run that is active
goes on. What is pushed meanwhile is not lost: it waits, and the newest commit runs on 'sentry
resume'. A pause lasts over restarts; status, explain and the log tell of it. Runs that a person
asks for by hand run all the same. What is paused already gets the --reason in place of its own.`
	cmd.Example = `  sentry pause ai-blueprints --reason "the database moves"
  sentry pause rag-service.dev-x
  sentry pause --all --reason "freeze until Monday"`
	cmd.Flags().StringVar(&f.reason, "reason", "", "why, for those who wonder; one line")
	complete.Flag(cmd, "reason", cobra.NoFileCompletions)
	return cmd
}

func newResume(o *setup.Options) *cobra.Command {
	var f pauseFlags
	cmd := f.command(o, resume)
	cmd.Use = "resume {NAME… | --all}"
	cmd.Short = "Let things run again in what was paused"
	cmd.Long = `End the pause of each NAME, which is named as with 'sentry pause' or as status has it, also of what
is no more in the configuration. What was pushed meanwhile runs with the next cycle of 'sentry
watch': one run for the newest commit.`
	cmd.Example = `  sentry resume ai-blueprints
  sentry resume --all`
	return cmd
}

// change does to a fork of the state what was asked for of the names, of which none means everything, and returns what it did,
// a line each, which begins with the label of a unit.
type change func(cfg *config.Config, s *state.Snapshot, names []string, by audit.By) (done []string, err error)

// command returns what both have in common.
func (f *pauseFlags) command(o *setup.Options, do change) *cobra.Command {
	cmd := &cobra.Command{
		Args:              usage.Args(func(_ *cobra.Command, names []string) error { return usage.SomeNames(names, f.all) }),
		ValidArgsFunction: o.Offer(complete.Names),
		RunE: func(cmd *cobra.Command, names []string) error {
			return f.run(cmd.Context(), o, names, cmd.Name(), do)
		},
	}
	cmd.Flags().BoolVar(&f.all, "all", false, "everything")
	cmd.Flags().BoolVar(&f.local, "local", false, "in the state of 'sentry watch --local'")
	cmd.Flags().StringVar(&f.state, "state", "", "with --local: state `file`")
	return cmd
}

func (f *pauseFlags) run(ctx context.Context, o *setup.Options, names []string, verb string, do change) error {
	if f.state != "" && !f.local {
		return usage.Errorf("--state goes with --local; on a cluster the state is a ConfigMap")
	}
	cfg, log, err := o.Load(config.Options{AllowUnsetAuth: true})
	if err != nil {
		return err
	}
	cluster, store, err := f.store(o, cfg)
	if err != nil {
		return err
	}
	by := o.By(ctx, cluster, verb)
	for range saveTries {
		s, err := store.Load(ctx)
		if err != nil {
			return err
		}
		if s.Epoch == "" {
			return f.nothingYet()
		}
		s = s.Fork()
		done, err := do(cfg, &s, names, by)
		if err != nil {
			return err
		}
		if len(done) == 0 {
			fmt.Fprintf(o.Err, "Nothing to do: %s\n", already(verb, names))
			return nil
		}
		err = store.Save(ctx, s)
		if errors.Is(err, state.ErrConflict) {
			continue
		}
		if err != nil {
			return err
		}
		for _, line := range done {
			fmt.Fprintln(o.Out, line)
			if cluster != nil {
				label, _, _ := strings.Cut(line, " ")
				log.Info(string(deeds[verb])+" the unit", append([]any{"unit", label}, by.Attrs(deeds[verb])...)...)
			}
		}
		if verb == "resume" {
			tellHeld(o.Err, s, cfg, done)
		}
		return nil
	}
	return fmt.Errorf("%w, %d times in a row: try again", state.ErrConflict, saveTries)
}

// deeds are what the commands do.
var deeds = map[string]audit.Verb{"pause": audit.Paused, "resume": audit.Resumed}

// tellHeld says which of the branches that were resumed are held still, as their repository is paused as a whole.
func tellHeld(out io.Writer, s state.Snapshot, cfg *config.Config, done []string) {
	for _, line := range done {
		label := strings.TrimSuffix(line, " resumed")
		for _, r := range cfg.Repositories {
			if all := state.AllOf(r.Name); r.Group == "" && isOf(label, all) && s.Units[all].Paused != nil {
				fmt.Fprintf(out, "%s waits still, as %s is paused as a whole, too: sentry resume %[2]s\n", label, r.Name)
			}
		}
	}
}

// nothingYet says that there is no state to write to.
func (f *pauseFlags) nothingYet() error {
	if f.local {
		return errors.New("nothing is remembered here yet: let 'sentry watch --local' run once, or name its state file (--state)")
	}
	return errors.New("nothing is remembered here yet: let 'sentry watch' run once, or name its namespace (-n)")
}

func already(verb string, names []string) string {
	what := strings.Join(names, ", ")
	switch {
	case verb == "pause" && what == "":
		return "everything is paused already."
	case verb == "pause":
		return what + " is paused already."
	case what == "":
		return "nothing is paused."
	}
	return what + " is not paused; one branch of a repository that is paused as a whole is resumed with it."
}

// store returns the store, and the cluster that it is in; nil on this machine.
func (f *pauseFlags) store(o *setup.Options, cfg *config.Config) (*kube.Cluster, watch.Store, error) {
	if f.local {
		store, err := o.LocalStore(f.state)
		return nil, store, err
	}
	cluster, _, of, err := o.Where(cfg.Global)
	if err != nil {
		return nil, nil, err
	}
	return cluster, setup.ClusterStore(cluster, of), nil
}

// isOf reports whether a label is that of a branch of the repository of which all is the label. Two repositories with long names
// that begin alike cannot be told apart by a label that is shortened: then the branches of both are meant.
func isOf(label, all string) bool {
	repository, whole := strings.CutSuffix(all, ".*")
	return whole && naming.IsRefLabel(label) && (strings.HasPrefix(label, repository+".") || strings.HasPrefix(label, naming.LabelStart(repository)))
}
