package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestSignatures are the same for the same checksums, and of no others.
func TestSignatures(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, sumsFile)
	if err := os.WriteFile(file, []byte("00  sentry\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	key := newKey(t, "ed25519")
	var signatures [2][]byte
	for i := range signatures {
		if err := sign(t.Context(), key, file); err != nil {
			t.Fatal(err)
		}
		signatures[i] = files(t, dir)[sumsFile+".sig"]
	}
	if !bytes.Equal(signatures[0], signatures[1]) {
		t.Error("the same file has two signatures")
	}
	verify(t, dir, key)
	if err := sign(t.Context(), newKey(t, "ecdsa"), file); err == nil || !strings.Contains(err.Error(), "ed25519") {
		t.Errorf("with an ECDSA key: %v, want what to do", err)
	}
}

// TestRefused are command lines that no release comes of.
func TestRefused(t *testing.T) {
	for want, args := range map[string][]string{
		"want one such as v1.2.3": {"-version", "v1/2"},
		"is not the version":      {"-version", "v1.2.3", "-image", "example.com/sentry:latest"},
		"is no OS/ARCH":           {"-version", "v1.2.3", "-image", "example.com/sentry:v1.2.3", "-platforms", "linux"},
	} {
		if err := run(t.Context(), args); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("release %q: %v, want %q", args, err, want)
		}
	}
}

// TestAChangedFile is refused: what the commit does not have would be in the release.
func TestAChangedFile(t *testing.T) {
	t.Chdir(t.TempDir())
	command(t, "", nil, "git", "init", "--quiet")
	if err := os.WriteFile("new", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := (&release{}).look(t.Context()); err == nil || !strings.Contains(err.Error(), "?? new") {
		t.Errorf("with a new file: %v, want its name", err)
	}
}
