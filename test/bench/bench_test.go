package main

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

// TestMain lets the test's program be the server and the pollers that the bench starts.
func TestMain(m *testing.M) {
	for _, arg := range os.Args[1:] {
		if arg == "-role" {
			main()
			return
		}
	}
	os.Exit(m.Run())
}

// Every way must find exactly what changes, on every host; measure checks it.
func TestEveryHostAndWay(t *testing.T) {
	page := filepath.Join(t.TempDir(), "page.md")
	if err := os.WriteFile(page, []byte("before\n"+begin+"old\n"+end+"after\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var none bytes.Buffer
	// A file, since two processes at a time write to it.
	err := run(t.Context(), []string{"-sizes", "30", "-latency", "0s", "-replicas", "5", "-write", page}, nil, &none, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	out, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(out, []byte("before\n"+begin+"\n")) || !bytes.HasSuffix(out, []byte("\n"+end+"after\n")) || bytes.Contains(out, []byte("old")) {
		t.Errorf("the page reads\n%s\nwant the tables between its marks and nothing else changed", out)
	}
	for _, want := range []string{
		`\n\| git \| 30 \| sentry \| 30 \| 0 \| [0-9.]+ kB \| [0-9.]+ms \|`,
		`\n\| git \| 30 \| advertisement a repository \| 30 \| 0 \|`,
		`\n\| gitea \| 30 \| sentry \| [0-9]+ \| 0 \|`,
		`\n\| git \| 30 \| sentry, several replicas \| 30 \| 0 \|`,
		`\n\| git \| 30 \| sentry, several replicas \| 1.0 \|`,
		`\n\| github \| 30 \| conditional GET a branch \| 90 \| 0 \|`,
		`\n\| gitlab \| 30 \| conditional GET a branch \| 90 \| 0 \|`,
		`\n\| gitea \| 30 \| [0-9.]+ \| [0-9]+ \| [0-9]+µs \| [0-9.]+ kB \|\n`,
		`\n\| github \| 30 \| conditional GET a branch \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|\n`,
	} {
		if !regexp.MustCompile(want).Match(out) {
			t.Errorf("no match for %s in\n%s", want, out)
		}
	}
}
