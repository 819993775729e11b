package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
)

var update = flag.Bool("update", false, "rewrite the messages in testdata/bad")

// environment is what the variables of the test files hold. All values that are credentials hold "s3cr3t".
var environment = map[string]string{
	"GITHUB_USERNAME": "ada-s3cr3t",
	"GITHUB_TOKEN":    "gh-s3cr3t",
	"GITLAB_USERNAME": "bob-s3cr3t",
	"GITLAB_TOKEN":    "gl-s3cr3t",
	"GITEA_TOKEN":     "gt-s3cr3t",
	"WEBHOOK_SECRET":  "wh-s3cr3t-wh-s3cr3t",
	"ECHOED_TOKEN":    "echoed-s3cr3t\n",
	"EMPTY":           "",
	"SOON":            "soon-s3cr3t",
	"NINETY":          "90",
	"HOST":            "git.example.com",
	"OTLP_TOKEN":      "s3cr3t-of-traces",
	"CORP_PROXY":      "http://ada:s3cr3t@proxy.corp.example:3128",
	"LOGIN":           "ada:pw-s3cr3t@git.example.com",
	"BAD_BRANCH":      "s3cr3t..x",
	"BELL":            "s3cr3t\a",
	"NOT_UTF8":        "s3cr3t\xff",
	"TWICE":           "${GITHUB_TOKEN}",
}

func lookup(name string) (string, bool) { v, ok := environment[name]; return v, ok }

func nothingSet(string) (string, bool) { return "", false }

func options() Options { return Options{Hosts: Known, LookupEnv: lookup, Expression: cel.Needs} }

// TestBad reads each NAME.yaml of the archives and compares all that is said of it with NAME.want.
func TestBad(t *testing.T) {
	archives, err := filepath.Glob("testdata/bad/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives in testdata/bad: %v", err)
	}
	cases := 0
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			t.Fatal(err)
		}
		want := map[string]string{}
		for _, f := range archive.Files {
			want[f.Name] = string(f.Data)
		}
		rewritten := &txtar.Archive{Comment: archive.Comment}
		for _, f := range archive.Files {
			name, ok := strings.CutSuffix(f.Name, ".yaml")
			if !ok {
				continue
			}
			cases++
			t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar")+"/"+name, func(t *testing.T) {
				got := messages(t, f.Name, f.Data)
				if strings.Contains(got, "s3cr3t") {
					t.Errorf("a secret is in the message:\n%s", got)
				}
				if got == "" {
					t.Errorf("nothing is wrong with\n%s", f.Data)
				}
				if !*update && got != want[name+".want"] {
					t.Errorf("%s\n%s\ngot\n%s\nwant\n%s", f.Name, f.Data, got, want[name+".want"])
				}
				rewritten.Files = append(rewritten.Files, f, txtar.File{Name: name + ".want", Data: []byte(got)})
			})
		}
		if *update {
			if err := os.WriteFile(path, txtar.Format(rewritten), 0o644); err != nil {
				t.Fatal(err)
			}
		}
	}
	if cases < 60 {
		t.Errorf("%d broken configurations, want at least 60", cases)
	}
}

// messages loads data from a file of that name and returns what the error says, a line each.
func messages(t *testing.T, name string, data []byte) string {
	t.Helper()
	t.Chdir(t.TempDir())
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := Load(options(), name)
	var es Errors
	if err == nil {
		return ""
	}
	if !errors.As(err, &es) {
		t.Fatalf("Load(%s) = %v, want an Errors", name, err)
	}
	for i, e := range es {
		if e.Line < 1 || e.Line > 1+bytes.Count(data, []byte("\n")) {
			t.Errorf("line %d of %d lines: %v", e.Line, bytes.Count(data, []byte("\n")), e)
		}
		if strings.ContainsAny(e.Error(), "\n\x00\a") || i > 0 && es[i-1].Line > e.Line {
			t.Errorf("not one line each, sorted by line: %q", es.Error())
		}
	}
	return es.Error() + "\n"
}

func TestLoadNamesWhatItCannotRead(t *testing.T) {
	_, err := Load(options(), "no/such/file.yaml")
	var es Errors
	if err == nil || errors.As(err, &es) || !strings.Contains(err.Error(), "read the configuration: open no/such/file.yaml") {
		t.Errorf("Load of a file that is not there = %v, want an error that says so and is no Errors", err)
	}
}

func TestFileTooLarge(t *testing.T) {
	data := append(bytes.Repeat([]byte("#"), schema.MaxFile), '\n')
	_, err := Parse(data, options())
	want := Errors{{Line: 1, Message: "the file is larger than 32 MiB; want less: split it between two Sentrys"}}
	if diff := cmp.Diff(error(want), err); diff != "" {
		t.Errorf("Parse of %d bytes (-want +got):\n%s", len(data), diff)
	}
}

// TestReferenceExampleListsMissingVariables is what who starts with the example sees first.
func TestReferenceExampleListsMissingVariables(t *testing.T) {
	_, err := Load(Options{Hosts: Known, LookupEnv: nothingSet}, "../../examples/sentry.yaml")
	const hint = "is not set; want a value in the environment of Sentry; on a cluster, add the key to the Secret that is mounted into its pod"
	want := strings.Join([]string{
		"../../examples/sentry.yaml:40: repositories[0].monitor.auth.token: the variable GITHUB_TOKEN " + hint,
		"../../examples/sentry.yaml:40: repositories[0].monitor.auth.username: the variable GITHUB_USERNAME " + hint,
		"../../examples/sentry.yaml:51: repositories[0].deploy.auth.token: the variable GITLAB_TOKEN " + hint,
		"../../examples/sentry.yaml:51: repositories[0].deploy.auth.username: the variable GITLAB_USERNAME " + hint,
	}, "\n")
	if err == nil || err.Error() != want {
		t.Errorf("got\n%v\nwant\n%s", err, want)
	}
}
