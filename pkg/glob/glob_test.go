package glob

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func parse(t testing.TB, texts ...string) Patterns {
	t.Helper()
	var ps Patterns
	for _, text := range texts {
		p, err := Parse(text)
		if err != nil {
			t.Fatalf("Parse(%q): %v", text, err)
		}
		ps = append(ps, p)
	}
	return ps
}

func TestMatch(t *testing.T) {
	rag := parse(t, "services/rag/**", "!*.md", "/go.mod")
	for path, want := range map[string]bool{
		"services/rag/main.go": true, "services/rag/a/b/c.go": true, "services/rag/README.md": false, "services/rag/a/b.md": false,
		"services/ragtime/x": false, "go.mod": true, "services/go.mod": false, "services/rag": false,
	} {
		if got := rag.Match(path); got != want {
			t.Errorf("%s matches %q: %v, want %v", rag, path, got, want)
		}
	}
	if folder := parse(t, "vendor/lib/"); !folder.Match("vendor/lib/") || folder.Match("vendor/lib") || !folder.Match("vendor/lib/x") {
		t.Error("a pattern of a folder matches it as a submodule, and not as a file")
	}
}

func TestParseRefuses(t *testing.T) {
	for _, text := range []string{"", "!", "/", "a[b", `a\`, "a[[:foo:]]", "[", strings.Repeat("a", 1001), "\xff"} {
		if _, err := Parse(text); err == nil {
			t.Errorf("Parse(%q) has no error", text)
		}
	}
}

var astray = regexp.MustCompile(`[^/*]\*\*`)

// TestAsGit compares with what git check-ignore says of thousands of patterns, each alone.
func TestAsGit(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	pick := func(of ...string) string { return of[r.IntN(len(of))] }
	var paths []string
	for _, a := range []string{"a", "b", "ab", "a.md", "A", "-", "a-b", "*"} {
		for _, b := range []string{"", "/a", "/b", "/ab", "/b.md", "/a/b", "/a/b/a", "/b/ab/a.md", "/ b"} {
			paths = append(paths, a+b)
		}
	}
	git := func(dir, stdin string, args ...string) string {
		cmd := exec.Command("git", append([]string{"-C", dir, "-c", "core.excludesFile=/dev/null"}, args...)...)
		cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
		cmd.Stdin = strings.NewReader(stdin)
		var errs bytes.Buffer
		cmd.Stderr = &errs
		out, err := cmd.Output()
		if err != nil && cmd.ProcessState.ExitCode() != 1 {
			t.Fatalf("git %v: %v: %s", args, err, &errs)
		}
		return string(out)
	}
	dir := t.TempDir()
	git(dir, "", "init", "-q")
	all := []string{"**", "a/**", "**/a", "a/**/b", "/**", "**/", "/a", "a/", "*/b", "[a-b]", "[!a]", "[^a]b", "a[]-]b", "[[:upper:]]", `\*`, "**a", "a/***", "***/a", "?", "/*", "/*/", "a/*",
		"[+-9]", "a[+-9]b", "[[:punct:]]", "a?b", "***", "**/**", "a/**/**/b", "**/a/**", "[a-]", "[b-a]", `[\]]`, `a\b`, " b"}
	for range 150 {
		text := pick("", "", "/", "**/", "*/")
		for range 1 + r.IntN(4) {
			text += pick("a", "b", "*", "?", "/", "**", "/**/", "[ab]", "[!b]", ".md", "-", "[a-b]", `\a`, "A")
		}
		all = append(all, text+pick("", "", "/", "/**"))
	}
	compared, matched := 0, 0
	for _, text := range all {
		p, err := Parse(text)
		// Git takes the text before the first special character off, and finds ** at the start of a folder then, where its
		// documentation has a mere *.
		if err != nil || strings.Contains(text, "//") || astray.MatchString(text) {
			continue
		}
		if err := os.WriteFile(filepath.Join(dir, ".gitignore"), []byte(text+"\n"), 0o666); err != nil {
			t.Fatal(err)
		}
		ignored := strings.Split(git(dir, strings.Join(paths, "\x00")+"\x00", "check-ignore", "-z", "--stdin", "--no-index"), "\x00")
		for _, path := range paths {
			want := slices.Contains(ignored, path)
			if got := (Patterns{p}).Match(path); got != want {
				t.Errorf("%q matches %q: %v, and git says %v (%s)", text, path, got, want, fmt.Sprint(p.re))
			}
			compared++
			if want {
				matched++
			}
		}
	}
	if matched < 1000 || compared-matched < 1000 {
		t.Errorf("%d of %d match: the comparison says little", matched, compared)
	}
}
