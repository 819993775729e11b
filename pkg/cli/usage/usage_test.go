package usage

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

func TestModernize(t *testing.T) {
	for in, want := range map[string]string{
		"watch --once":                            "watch --once",
		"-action=watch -config=/etc/sentry.yaml":  "watch --config=/etc/sentry.yaml",
		"-action trigger -config x.yaml -verbose": "trigger --all --config=x.yaml --verbose",
		"--verbose=false --action=validate":       "validate --quick --verbose=false",
		"-config=a=b -action=watch":               "watch --config=a=b",
		"trigger action":                          "trigger action",
		"-action=deploy":                          "error: -action=deploy: want watch, trigger or validate",
		"-action=watch --once":                    "error: --once does not go with -action; write: sentry watch … with the flags of today",
		"-action":                                 "error: -action needs a value",
	} {
		got, err := Modernize(strings.Fields(in))
		text := strings.Join(got, " ")
		if err != nil {
			text = "error: " + err.Error()
		}
		if text != want {
			t.Errorf("Modernize(%q) = %q, want %q", in, text, want)
		}
	}
}

func TestVariablesSetFlags(t *testing.T) {
	for name, tt := range map[string]struct {
		args, env []string
		want      string // state and interval, or the error
	}{
		"no variable":                {nil, nil, "default 0s"},
		"variables":                  {nil, []string{"SENTRY_STATE_FILE=x", "SENTRY_INTERVAL=5s"}, "x 5s"},
		"a flag goes before":         {[]string{"--state-file=y"}, []string{"SENTRY_STATE_FILE=x"}, "y 0s"},
		"an empty one is not set":    {nil, []string{"SENTRY_STATE_FILE=", "SENTRY_INTERVAL="}, "default 0s"},
		"one of no flag":             {nil, []string{"SENTRY_OTHER=x", "SENTRY_GONE=x"}, "default 0s"},
		"what it holds is not shown": {nil, []string{"SENTRY_INTERVAL=hush"}, "the variable SENTRY_INTERVAL, which stands for --interval: want a time such as 30s or 5m"},
	} {
		t.Run(name, func(t *testing.T) {
			flags := pflag.NewFlagSet("", pflag.ContinueOnError)
			state := flags.String("state-file", "default", "")
			interval := flags.Duration("interval", 0, "")
			other := flags.String("unlisted", "", "")
			if err := flags.Parse(tt.args); err != nil {
				t.Fatal(err)
			}
			env := map[string]string{"SENTRY_UNLISTED": "x"}
			for _, v := range tt.env {
				name, value, _ := strings.Cut(v, "=")
				env[name] = value
			}
			err := Flags{"state-file", "interval", "gone"}.Set(flags, func(name string) (string, bool) { v, ok := env[name]; return v, ok })
			got := *state + " " + interval.Round(time.Second).String() + *other
			if err != nil {
				got = err.Error()
				if !Is(err) {
					t.Errorf("%v is no error of the command line", err)
				}
			}
			if got != tt.want {
				t.Errorf("%q with %q gives %q, want %q", tt.args, tt.env, got, tt.want)
			}
		})
	}
}

// Help fits into a narrow terminal, and takes no more than 100 columns of a wide one.
// A flag of paths adds them up, and a variable holds them as PATH does.
func TestPaths(t *testing.T) {
	for _, tt := range []struct{ args, variable, want string }{
		{"", "", "[sentry.yaml]"},
		{"-c a.yaml", "", "[a.yaml]"},
		{"-c a.yaml --config teams -c a.yaml", "b.yaml", "[a.yaml teams]"},
		{"-c a:b.yaml", "", "[a:b.yaml]"},
		{"", "a.yaml:teams", "[a.yaml teams]"},
		{"", ":teams:", "[teams]"},
		{"", ":", "the variable SENTRY_CONFIG, which stands for --config: want the path of a file or a folder"},
		{"--config=", "", `--config "": want the path of a file or a folder`},
	} {
		flags := pflag.NewFlagSet("", pflag.ContinueOnError)
		paths := Paths{Names: []string{"sentry.yaml"}}
		flags.VarP(&paths, "config", "c", "")
		err := flags.Parse(strings.Fields(tt.args))
		if err != nil {
			err = FlagError(err)
		} else {
			err = Flags{"config"}.Set(flags, func(string) (string, bool) { return tt.variable, true })
		}
		got := fmt.Sprint(paths.Names)
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q with %q gives %s, want %s", tt.args, tt.variable, got, tt.want)
		}
	}
}

func TestWrapHelp(t *testing.T) {
	for columns, want := range map[int]int{1: 40, 60: 60, 500: 100} {
		var out strings.Builder
		root := &cobra.Command{Use: "sentry", Run: func(*cobra.Command, []string) {}}
		root.SetOut(&out)
		root.Flags().Bool("x", false, strings.Repeat("word ", 100))
		WrapHelp(root, columns)
		if err := root.Help(); err != nil {
			t.Fatal(err)
		}
		longest := 0
		for line := range strings.Lines(out.String()) {
			longest = max(longest, len(strings.TrimSpace(line)))
		}
		if longest > want || longest < want-20 {
			t.Errorf("in a terminal of %d columns the longest line of help has %d, want some %d", columns, longest, want)
		}
	}
}
