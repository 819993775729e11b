package main

import (
	"bytes"
	"os"
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
	var out bytes.Buffer
	// A file, since two processes at a time write to it.
	err := run(t.Context(), []string{"-sizes", "30", "-largest", "0", "-latency", "0s"}, nil, &out, os.Stderr)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`\n\| git \| 30 \| sentry \| 30 \| 0 \| [0-9.]+ kB \| [0-9.]+ms \|`,
		`\n\| git \| 30 \| advertisement a repository \| 30 \| 0 \|`,
		`\n\| gitea \| 30 \| sentry \| [0-9]+ \| 0 \|`,
		`\n\| github \| 30 \| conditional GET a branch \| 90 \| 0 \|`,
		`\n\| gitlab \| 30 \| conditional GET a branch \| 90 \| 0 \|`,
		`\n\| github \| 30 \| conditional GET a branch \| [0-9.]+ \| [0-9.]+ \| [0-9.]+ \|\n`,
	} {
		if !regexp.MustCompile(want).MatchString(out.String()) {
			t.Errorf("no match for %s in\n%s", want, &out)
		}
	}
}
