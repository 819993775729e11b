package cli

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"log"
	"net/http/httptest"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/testscript"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm/wasmtest"
)

var update = flag.Bool("update", false, "write docs/cli.md")

func TestMain(m *testing.M) {
	if code, is := wasm.Child(); is {
		os.Exit(code)
	}
	sentry := func() {
		ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
		code := Main(ctx, os.Args[1:], Streams{Program: os.Args[0], In: os.Stdin, Out: os.Stdout, Err: os.Stderr})
		stop()
		os.Exit(code)
	}
	testscript.Main(m, map[string]func(){"sentry": sentry, "tkn-sentry": sentry, "kubectl-sentry": sentry, "kubectl_complete-sentry": sentry})
}

// TestScripts runs testdata/script: what people type and what they see. Each script has real Git repositories
// below $WORK/git, which are served at $GIT_URL, the reference example as reference.yaml, and a GitHub at
// $GITHUB_URL with the public repositories team/app, branches main, dev-a and dev-b, and team/qa, branch main. The
// kubeconfig file `cluster` leads to an empty API server.
func TestScripts(t *testing.T) {
	reference, err := os.ReadFile("../../examples/sentry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata/script",
		RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			root := filepath.Join(env.WorkDir, "git")
			if err := os.MkdirAll(root, 0o755); err != nil {
				return err
			}
			server := httptest.NewServer(githosttest.GitHandler(root))
			env.Defer(server.Close)
			env.Setenv("GIT_URL", server.URL)
			github := httptest.NewServer(newGitHub())
			env.Defer(github.Close)
			env.Setenv("GITHUB_URL", github.URL)
			cluster, _ := kubetest.New(t)
			api := httptest.NewServer(cluster)
			env.Defer(api.Close)
			env.Values[clusterKey{}] = cluster
			writeKubeconfig(t, filepath.Join(env.WorkDir, "cluster"), api.URL)
			env.Setenv("HOME", env.WorkDir)
			env.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(env.WorkDir, "gitconfig"))
			gitconfig := "[user]\nname = Test\nemail = test@example.com\n[init]\ndefaultBranch = main\n"
			if err := os.WriteFile(filepath.Join(env.WorkDir, "gitconfig"), []byte(gitconfig), 0o600); err != nil {
				return err
			}
			module := wasmtest.Answering(`{"needs": {"web": ["orders-db", "users-db"]}}`)
			if err := os.WriteFile(filepath.Join(env.WorkDir, "order.wasm"), module, 0o600); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(env.WorkDir, "reference.yaml"), reference, 0o600)
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			// code N COMMAND…: the command ends with exit code N.
			"code": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) < 2 {
					ts.Fatalf("usage: code N COMMAND…")
				}
				err := ts.Exec(args[1], args[2:]...)
				got := "0"
				if err != nil {
					got = strings.TrimPrefix(err.Error(), "exit status ")
				}
				if got != args[0] {
					ts.Fatalf("%v: exit code %s, want %s", args[1:], got, args[0])
				}
			},
			// fits SCHEMA: what was printed is as docs/json/SCHEMA.schema.json says.
			"fits": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 1 {
					ts.Fatalf("usage: fits SCHEMA")
				}
				ts.Check(fits(args[0], ts.ReadFile("stdout")))
			},
			// await PATTERN FILE: a line of the file, which another process writes, comes to match.
			"await": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: await PATTERN FILE")
				}
				pattern := regexp.MustCompile("(?m)" + args[0])
				for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
					text, err := os.ReadFile(ts.MkAbs(args[1]))
					if err == nil && pattern.Match(text) {
						return
					}
					if time.Since(began) > time.Minute {
						ts.Fatalf("%s has no line that matches %s: %v\n%s", args[1], args[0], err, text)
					}
				}
			},
			// object PATH FILE: the API server has the object of the file, in JSON or YAML, at this path.
			"object": func(ts *testscript.TestScript, neg bool, args []string) {
				if neg || len(args) != 2 {
					ts.Fatalf("usage: object PATH FILE")
				}
				var o kubetest.Object
				ts.Check(yaml.Unmarshal([]byte(ts.ReadFile(args[1])), &o))
				ts.Value(clusterKey{}).(*kubetest.Server).Put(args[0], o)
			},
		},
	})
}

// writeKubeconfig writes one for the API server at the URL, in the namespace test.
func writeKubeconfig(t *testing.T, file, url string) {
	t.Helper()
	text := fmt.Sprintf(`{apiVersion: v1, kind: Config, current-context: c, clusters: [{name: c, cluster: {server: %q}}],
contexts: [{name: c, context: {cluster: c, namespace: test}}]}`, url)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

// clusterKey is where a script keeps its API server.
type clusterKey struct{}

func newGitHub() *githosttest.API {
	a := githubtest.New()
	a.SetToken("hush1")
	for i, branch := range []string{"main", "dev-a", "dev-b"} {
		a.Push("team/app", branch, strings.Repeat(fmt.Sprint(i+1), 40))
	}
	a.Push("team/qa", "main", strings.Repeat("4", 40))
	return a
}

// TestReference holds docs/cli.md to what --help says; -update writes it.
func TestReference(t *testing.T) {
	var page bytes.Buffer
	page.WriteString("# Command line\n\nThis page is generated from what `--help` prints: `make generate`.\n")
	var out bytes.Buffer
	root := newRoot(Streams{Out: &out, Err: &out})
	for _, c := range all(root) {
		if c.Hidden || c.Name() == "help" {
			continue
		}
		out.Reset()
		args := slices.Concat(strings.Fields(c.CommandPath())[1:], []string{"--help"})
		if code := Main(t.Context(), args, Streams{Out: &out, Err: &out}); code != exitDone {
			t.Fatalf("sentry %v: exit code %d\n%s", args, code, &out)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
				t.Errorf("sentry %v prints a line of %d columns, want at most 100: %s", args, n, line)
			}
		}
		fmt.Fprintf(&page, "\n## %s\n\n```\n%s```\n", c.CommandPath(), &out)
	}
	checkGenerated(t, "../../docs/cli.md", page.Bytes())
}

// TestReadme holds the table of the commands to those that there are.
func TestReadme(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## Commands\n")
	section, _, _ = strings.Cut(section, "\n\nEach has")
	for _, c := range newRoot(Streams{}).Commands() {
		if !c.Hidden && c.Name() != "help" && !strings.Contains(section, "`"+c.Name()+"`") {
			t.Errorf("the table of README.md lacks %s", c.Name())
		}
	}
}

// all returns a command and those below it, but for what generates completions for each shell.
func all(c *cobra.Command) []*cobra.Command {
	commands := []*cobra.Command{c}
	if c.Name() != "completion" {
		for _, below := range c.Commands() {
			commands = append(commands, all(below)...)
		}
	}
	return commands
}

// checkGenerated holds a file to what it is generated from; -update writes it.
func checkGenerated(t *testing.T, file string, want []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, want, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what it is generated from; run: make generate", file)
	}
}

// TestReferenceSchema holds docs/sentry.schema.json to what `sentry schema` prints, and the examples to a header by which
// editors find it.
func TestReferenceSchema(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"schema"}, Streams{Out: &out, Err: &errs}); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, &errs)
	}
	const file = "../../docs/sentry.schema.json"
	checkGenerated(t, file, out.Bytes())
	examples, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(examples) < 3 {
		t.Fatalf("%d examples, %v", len(examples), err)
	}
	for _, example := range append(examples, "../../manifests/sentry.yaml") {
		text, err := os.ReadFile(example)
		if err != nil {
			t.Fatal(err)
		}
		first, _, _ := strings.Cut(string(text), "\n")
		path, found := strings.CutPrefix(first, "# yaml-language-server: $schema=")
		if !found || filepath.Join(filepath.Dir(example), path) != filepath.Clean(file) {
			t.Errorf("%s begins with %q, want the header with the way to the schema", example, first)
		}
	}
}

func TestEveryFlagIsExplained(t *testing.T) {
	root := newRoot(Streams{})
	for _, c := range all(root) {
		if c.Short == "" {
			t.Errorf("%s has no short help", c.CommandPath())
		}
		if !slices.Contains([]string{"sentry", "version", "completion", "help"}, c.Name()) && c.Example == "" {
			t.Errorf("%s has no example", c.CommandPath())
		}
	}
}

// A shell that knows nothing of a value offers files, which are hardly ever meant.
func TestEveryValueIsCompleted(t *testing.T) {
	root := newRoot(Streams{})
	for _, c := range all(root) {
		c.LocalFlags().VisitAll(func(f *pflag.Flag) {
			if _, ok := c.GetFlagCompletionFunc(f.Name); !ok && f.Value.Type() != "bool" && f.Name != "kubeconfig" {
				t.Errorf("%s --%s says nothing of its values", c.CommandPath(), f.Name)
			}
		})
	}
}

// net/http logs what a server sends without being asked, which may be a credential that it repeats.
func TestLibrariesLogNothing(t *testing.T) {
	var logged, out bytes.Buffer
	log.SetOutput(&logged)
	if code := Main(t.Context(), []string{"version"}, Streams{Out: &out, Err: &out}); code != exitDone {
		t.Fatalf("exit code %d: %s", code, &out)
	}
	log.Print("Unsolicited response received on idle HTTP channel starting with T0ps3cret")
	if logged.Len() > 0 {
		t.Errorf("a library's own log line is written: %s", &logged)
	}
}
