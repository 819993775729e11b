package first

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/rogpeppe/go-internal/diff"
	"github.com/spf13/cobra"

	"github.com/tekton-sentry/sentry/pkg/cli/change"
	"github.com/tekton-sentry/sentry/pkg/cli/imagine"
	"github.com/tekton-sentry/sentry/pkg/cli/term"
	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/files"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// ErrDiffers says that two configurations are not the same. It is no message: all is told.
var ErrDiffers = errors.New("the configurations differ")

func newDiff(s *Sentry) *cobra.Command {
	return &cobra.Command{
		Use:   "diff OLD...",
		Short: "Show what a changed configuration would do",
		Long: `Show what changes when the configuration OLD gives way to that of --config: which keys, what that
means for what is watched, and how the PipelineRuns differ. Runs are generated at made-up
revisions; nothing is asked of any host or cluster, and credentials need not be set. OLD is a file
or a folder, or several that are one configuration, as those of --config are. One of the two may
be -, which is standard input.

Exit codes, as those of diff: 0 nothing changes, 1 something does, 2 trouble.`,
		Example: `  git show HEAD:sentry.yaml | sentry diff -
  sentry diff old.yaml -c new.yaml
  kubectl -n sentry get configmap NAME -o jsonpath='{.data.sentry\.yaml}' | sentry diff -`,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) == 0 {
				return usage.Errorf("want a file or a folder, with which that of --config is compared: sentry diff OLD -c NEW")
			}
			return nil
		},
		ValidArgsFunction: func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
			return []string{"yaml", "yml"}, cobra.ShellCompDirectiveFilterFileExt
		},
		RunE: func(_ *cobra.Command, args []string) error {
			if args[0] == files.StandardInput && s.Named()[0] == files.StandardInput {
				return usage.Errorf("both configurations are standard input: want a file for one of them")
			}
			before, err := s.read(args)
			if err != nil {
				return err
			}
			after, err := s.read(s.Named())
			if err != nil {
				return err
			}
			text, err := difference(before, after)
			if err != nil {
				return usage.Error(err)
			}
			if text == "" {
				return nil
			}
			if _, err := io.WriteString(term.Screen{Writer: s.Out}, text); err != nil {
				return usage.Errorf("print the difference: %w", err)
			}
			return ErrDiffers
		},
	}
}

// version is one of the configurations that are compared.
type version struct {
	*config.Config
	settings map[string]config.Setting
}

func (s *Sentry) read(paths []string) (version, error) {
	opts, err := s.Options(config.Options{AllowUnsetAuth: true})
	if err != nil {
		return version{}, usage.Error(err)
	}
	texts, err := files.Read(s.In, paths)
	if err != nil {
		return version{}, usage.Error(err)
	}
	v := version{}
	if v.Config, err = config.ParseFiles(texts, opts); err != nil {
		return version{}, usage.Error(err)
	}
	v.settings, err = config.Settings(texts, opts.Hosts)
	return v, err
}

// difference tells what changes from one version to the next; "" for nothing.
func difference(before, after version) (string, error) {
	keys := change.Keys(before.settings, after.settings)
	runs, err := changedRuns(before.Config, after.Config)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, part := range [][]string{keys, change.Meaning(before.Config, after.Config), runs} {
		if len(part) > 0 && b.Len() > 0 {
			b.WriteByte('\n')
		}
		for _, line := range part {
			b.WriteString(line + "\n")
		}
	}
	return b.String(), nil
}

// example is the branch at which runs are compared: the same for both versions, so that it makes no difference.
const example = "main"

// runsOf returns the PipelineRuns as YAML, by the group or repository that they deploy, in the order of the file.
func runsOf(cfg *config.Config) (names []string, text map[string]string, err error) {
	runs, err := imagine.Runs(cfg, nil, example)
	if err != nil {
		return nil, nil, err
	}
	text = map[string]string{}
	for _, run := range runs {
		name := run.Unit.Group
		if name == "" {
			name = run.Unit.Ref.Repository
		}
		pr, err := pipelinerun.Generate(cfg, run)
		if err != nil {
			return nil, nil, fmt.Errorf("%s: %w", name, err)
		}
		delete(pr.Annotations, pipelinerun.AnnotationConfigHash) // of the whole file
		yaml, err := pipelinerun.Marshal(pr)
		if err != nil {
			return nil, nil, err
		}
		names, text[name] = append(names, name), string(yaml)
	}
	return names, text, nil
}

// changedRuns shows how the PipelineRuns differ. Where many differ in the same lines, one of them is shown.
func changedRuns(before, after *config.Config) ([]string, error) {
	_, old, err := runsOf(before)
	if err != nil {
		return nil, fmt.Errorf("the old configuration: %w", err)
	}
	names, now, err := runsOf(after)
	if err != nil {
		return nil, fmt.Errorf("the new configuration: %w", err)
	}
	alike := map[string][]string{}
	shown := map[string]string{}
	var order []string
	for _, name := range names {
		was, both := old[name]
		if !both || was == now[name] {
			continue
		}
		text := string(diff.Diff("the run of "+name, []byte(was), "as it would be", []byte(now[name])))
		_, text, _ = strings.Cut(text, "\n") // a line that names the files again
		lines := changedLines(text)
		if alike[lines] == nil {
			order, shown[lines] = append(order, lines), text
		}
		alike[lines] = append(alike[lines], name)
	}
	var out []string
	for _, lines := range order {
		if others := alike[lines][1:]; len(others) > 0 {
			out = append(out, fmt.Sprintf("The runs of %s, and alike those of %s:", alike[lines][0], change.Few(others)))
		}
		out = append(out, strings.TrimRight(shown[lines], "\n"))
	}
	return out, nil
}

// changedLines returns the lines of a difference that are in one version only.
func changedLines(text string) string {
	var b strings.Builder
	for i, line := range strings.Split(text, "\n") {
		if i > 1 && (strings.HasPrefix(line, "+") || strings.HasPrefix(line, "-")) {
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}
