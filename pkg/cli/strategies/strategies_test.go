package strategies

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/usage"
	"github.com/tekton-sentry/sentry/pkg/strategy"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
)

func TestMain(m *testing.M) {
	if code, is := wasm.Child(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

const examples = "../../../examples/strategies"

// build builds a program as its users do, with the Go toolchain alone.
func build(t *testing.T, dir, to string) {
	t.Helper()
	cmd := exec.Command("go", "build", "-ldflags=-s", "-o", to, ".")
	cmd.Dir, cmd.Env = dir, append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "GOFLAGS=", "GOWORK=off")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
}

// The examples pass their own cases, by the command of their users.
func TestExamples(t *testing.T) {
	dir := t.TempDir()
	build(t, filepath.Join(examples, "regions"), filepath.Join(dir, "regions.wasm"))
	cases, err := os.ReadFile(filepath.Join(examples, "regions", "cases.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "cases.yaml")
	if err := os.WriteFile(file, cases, 0o600); err != nil {
		t.Fatal(err)
	}
	for file, want := range map[string]string{file: "3 cases; sha256: ", filepath.Join(examples, "databases.yaml"): "2 cases\n"} {
		var out bytes.Buffer
		if err := run(&out, file); err != nil || !strings.Contains(out.String(), want) {
			t.Errorf("%s: %v\n%s", file, err, &out)
		}
	}
}

// curious is a program that tells all that it can find out.
const curious = `package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"time"
)

func main() {
	fmt.Fprintln(os.Stderr, os.Args, os.Environ(), time.Now().UnixNano(), rand.Int(), time.Now().Year())
	os.Exit(7)
}
`

// A module sees nothing of this machine, and each time the same.
func TestCurious(t *testing.T) {
	t.Setenv("SENTRY_TEST_SECRET", "hush")
	dir := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module curious\n\ngo 1.24\n", "main.go": curious} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	build(t, dir, filepath.Join(dir, "curious.wasm"))
	code, _, err := wasm.Read(filepath.Join(dir, "curious.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	said := map[string]bool{}
	for range 3 {
		var m wasm.Modules
		_, err := m.Run(code, "test", []strategy.About{{Name: "a"}})
		said[fmt.Sprint(err)] = true
	}
	for text := range said {
		t.Log(text)
		if len(said) != 1 || !strings.Contains(text, "it ended with code 7: [] [] ") || !strings.Contains(text, " 1640995200000000000 ") || strings.Contains(text, "hush") {
			t.Errorf("a curious module says %q", text)
		}
	}
}

// What is wrong with a file of cases is told as wrong usage.
func TestWrongFiles(t *testing.T) {
	for text, want := range map[string]string{
		"":                                    "want wasm, the path of a module, or needs, an expression, and cases",
		"needs: 'true'":                       "want wasm",
		"needs: 'true'\nwasm: x\ncases: [{}]": "want wasm",
		"needs: 'true'\ncases: [{name: a}]":   "case 1: want name, members, and needs or refused",
		"needs: 'true'\ncases: [null]":        "case 1: want",
		"needs: 'true'\nkases: []":            "field kases not found",
		"wasm: absent.wasm\ncases: [{name: a, members: [a], needs: {}}]": "absent.wasm: no such file",
	} {
		file := filepath.Join(t.TempDir(), "cases.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		if err := run(&out, file); !usage.Is(err) || !strings.Contains(fmt.Sprint(err), want) || out.Len() > 0 {
			t.Errorf("%q: %v, %s, want wrong usage: %s", text, err, &out, want)
		}
	}
}
