package repo

import (
	"strings"
	"testing"
)

func mustPattern(t *testing.T, entry string) Pattern {
	t.Helper()
	p, err := ParsePattern(entry)
	if err != nil {
		t.Fatalf("ParsePattern(%q): %v", entry, err)
	}
	return p
}

func TestNames(t *testing.T) {
	for _, tt := range []struct{ entries, want string }{
		{"", ""},
		{"main", "main"},
		{"main dev main release-1.2", "dev main release-1.2"},
		{"main dev.*", "not known"},
	} {
		var ps Patterns
		for entry := range strings.FieldsSeq(tt.entries) {
			ps = append(ps, mustPattern(t, entry))
		}
		names, known := ps.Names()
		got := strings.Join(names, " ")
		if !known {
			got = "not known"
		}
		if got != tt.want {
			t.Errorf("names of %s: %q, want %q", tt.entries, got, tt.want)
		}
	}
}

func TestPatternMatch(t *testing.T) {
	tests := []struct {
		entry   string
		matches []string
		not     []string
		exact   bool
		prefix  string
	}{
		{"main", []string{"main"}, []string{"Main", "main2", "xmain", "", "feature/main"}, true, "main"},
		{"release-1.2", []string{"release-1.2"}, []string{"release-1x2"}, true, "release-1.2"},
		{"feature/日本", []string{"feature/日本"}, nil, true, "feature/日本"},
		{"dev.*", []string{"dev", "dev-x", "develop", "dev/a/b"}, []string{"xdev", "de", "Dev"}, false, "dev"},
		{"dev.+", []string{"dev-x"}, []string{"dev"}, false, "dev"},
		{"release/v[0-9]+", []string{"release/v1", "release/v10"}, []string{"release/v", "release/v1a", "xrelease/v1"}, false, "release/v"},
		{"main|dev", []string{"main", "dev"}, []string{"main2", "xdev", "maindev"}, false, ""},
		{"^main$", []string{"main"}, []string{"main2", "xmain"}, false, "main"},
		{"(?i)main", []string{"main", "MAIN"}, []string{"mains"}, false, ""},
		{".*", []string{"anything", "a/b"}, nil, false, ""},
		{`release-1\.2`, []string{"release-1.2"}, []string{"release-1x2"}, false, "release-1.2"},
		{`\Qa.b`, []string{"a.b"}, []string{"axb"}, false, "a.b"},
		{`a(b)?`, []string{"a", "ab"}, []string{"abb"}, false, "a"},
		{"a|ab", []string{"a", "ab"}, []string{"abc"}, false, "a"},
	}
	for _, tt := range tests {
		p := mustPattern(t, tt.entry)
		for _, branch := range tt.matches {
			if !p.Match(branch) {
				t.Errorf("pattern %q does not match %q", tt.entry, branch)
			}
			if !strings.HasPrefix(branch, p.Prefix()) {
				t.Errorf("pattern %q matches %q, which its prefix %q does not start", tt.entry, branch, p.Prefix())
			}
		}
		for _, branch := range tt.not {
			if p.Match(branch) {
				t.Errorf("pattern %q matches %q", tt.entry, branch)
			}
		}
		if _, exact := p.Exact(); exact != tt.exact {
			t.Errorf("pattern %q: exact = %v, want %v", tt.entry, exact, tt.exact)
		}
		if got := p.Prefix(); got != tt.prefix {
			t.Errorf("pattern %q: Prefix = %q, want %q", tt.entry, got, tt.prefix)
		}
		if p.String() != tt.entry {
			t.Errorf("String = %q, want the entry %q", p.String(), tt.entry)
		}
	}
}

func TestParsePatternRefuses(t *testing.T) {
	tests := map[string]string{
		"":                        "an empty branch name",
		"*":                       "missing argument to repetition operator",
		"feature/*(":              "missing closing )",
		"a)|(?:b":                 "unexpected )",
		"a)(b":                    "unexpected )",
		"[a":                      "missing closing ]",
		`a\`:                      "trailing backslash",
		"(?=a)b":                  "invalid or unsupported Perl syntax",
		"a{1001}":                 "invalid repeat count",
		"((a{100}){100}){100}":    "invalid repeat count",
		"a b":                     "is not a branch name",
		"a..b":                    "is not a branch name",
		"HEAD":                    "is not a branch name",
		strings.Repeat("x", 1001): "1001 bytes, want at most 1000",
		"a\xff.*":                 "invalid UTF-8",
	}
	for entry, want := range tests {
		p, err := ParsePattern(entry)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParsePattern(%.80q) = %q, %v, want an error with %q", entry, p, err, want)
		}
		if p.Match("") || p.Match("a") {
			t.Errorf("ParsePattern(%.80q) failed, and its pattern matches", entry)
		}
	}
}

func TestZeroAndExactPattern(t *testing.T) {
	if (Pattern{}).Match("") {
		t.Error("the zero pattern matches the empty name")
	}
	if p := ExactPattern("a.*"); !p.Match("a.*") || p.Match("ab") || p.Prefix() != "a.*" {
		t.Errorf("ExactPattern(%q) is not exact", "a.*")
	}
}

func TestPatterns(t *testing.T) {
	ps := Patterns{mustPattern(t, "main"), mustPattern(t, "dev.*")}
	for branch, want := range map[string]bool{"main": true, "dev-x": true, "other": false} {
		if got := ps.Match(branch); got != want {
			t.Errorf("%v matches %q = %v, want %v", ps, branch, got, want)
		}
	}
	if ps.String() != "main, dev.*" {
		t.Errorf("String = %q", ps.String())
	}
	if (Patterns{}).Match("main") {
		t.Error("no patterns match a branch")
	}
}

// A pattern matches whole names only, all that it matches starts with its prefix, and an exact one matches
// itself alone.
func FuzzParsePattern(f *testing.F) {
	for _, entry := range []string{"main", "dev.*", "release-1.2", "a)|(?:b", `\Qa`, "(?i)x", "^a$", "a|ab", "[", "(?s).", `\bmain`, "(a|b)*?", "x{2,3}", "(?m)^a$"} {
		f.Add(entry, "main")
		f.Add(entry, "a")
	}
	f.Fuzz(func(t *testing.T, entry, branch string) {
		p, err := ParsePattern(entry)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Errorf("ParsePattern(%q): the message %q has control characters", entry, err)
			}
			return
		}
		if name, ok := p.Exact(); ok && (name != entry || p.Match(branch) != (branch == name)) {
			t.Errorf("exact pattern %q: Exact = %q, Match(%q) = %v", entry, name, branch, p.Match(branch))
		}
		if !p.Match(branch) {
			return
		}
		if !strings.HasPrefix(branch, p.Prefix()) {
			t.Errorf("pattern %q matches %q, which does not start with its prefix %q", entry, branch, p.Prefix())
		}
		// The whole of it: no pattern written with these characters alone can mean the added ones.
		if !strings.ContainsAny(entry, ".^\\[(\x01") && p.Match(branch+"\x01") {
			t.Errorf("pattern %q matches %q and that with one more character", entry, branch)
		}
	})
}
