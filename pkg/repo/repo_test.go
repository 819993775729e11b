package repo

import (
	"slices"
	"strings"
	"testing"
)

func TestParseSHA(t *testing.T) {
	sha1 := "0123456789abcdef0123456789abcdef01234567"
	sha256 := strings.Repeat("0123456789abcdef", 4)
	for _, good := range []string{sha1, sha256, strings.Repeat("0", 39) + "1"} {
		if got, err := ParseSHA(good); err != nil || string(got) != good {
			t.Errorf("ParseSHA(%q) = %q, %v, want it", good, got, err)
		}
	}
	tests := map[string]string{
		"":                            "of 0 characters",
		"main":                        "of 4 characters",
		sha1[:39]:                     "of 39 characters",
		sha1 + "8":                    "of 41 characters",
		strings.ToUpper(sha1):         "want lower-case hexadecimal digits",
		sha1[:20] + "g" + sha1[21:]:   "want lower-case hexadecimal digits",
		sha1[:20] + "\n" + sha1[21:]:  "want lower-case hexadecimal digits",
		"$(" + sha1[:37] + ")":        "want lower-case hexadecimal digits",
		strings.Repeat("0", 40):       "names no commit",
		strings.Repeat("0", 64):       "names no commit",
		strings.Repeat("é", 20):       "want lower-case hexadecimal digits",
		strings.Repeat("a", 1_000_00): "of 100000 characters",
	}
	for in, want := range tests {
		if got, err := ParseSHA(in); err == nil || got != "" || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSHA(%.80q) = %q, %v, want an error with %q", in, got, err, want)
		}
	}
}

func TestShort(t *testing.T) {
	for in, want := range map[SHA]string{"": "", "abc": "abc", "0123456789": "0123456"} {
		if got := in.Short(); got != want {
			t.Errorf("SHA(%q).Short() = %q, want %q", in, got, want)
		}
	}
}

func TestRefOrder(t *testing.T) {
	want := []Ref{{"a", "main"}, {"a", "x"}, {"a-b", "main"}, {"b", "dev"}}
	got := []Ref{want[3], want[1], want[2], want[0]}
	slices.SortFunc(got, Ref.Compare)
	if !slices.Equal(got, want) {
		t.Errorf("sorted refs = %v, want %v", got, want)
	}
	if s := want[0].String(); s != "a@main" {
		t.Errorf("String = %q, want a@main", s)
	}
}

func TestCheckBranch(t *testing.T) {
	good := []string{
		"main", "feature/a/b", "a.b", "a@b", "@x", "a-", "a/-x", "x$(HOME)", "$(params.x)", "a'b", `a"b`, "a;b", "a|b", "a{b",
		"a`b`", "a&b", "!", "#1", "日本", "a\u2028b", "refs/heads/main", "a/HEAD", "FETCH_HEAD", "a.locks", strings.Repeat("x", 255),
	}
	for _, name := range good {
		if err := CheckBranch(name); err != nil {
			t.Errorf("CheckBranch(%q) = %v, want nil", name, err)
		}
	}
	bad := map[string]string{
		"":                       "it is empty",
		strings.Repeat("x", 256): "longer than 255 bytes",
		"a\xff":                  "not UTF-8",
		"@":                      "Git reserves it",
		"HEAD":                   "Git reserves it",
		"-x":                     "Git reserves it",
		"--upload-pack=x":        "Git reserves it",
		"a..b":                   "contains ..",
		"a@{1}":                  "contains .. or @{",
		"a.":                     "ends with a dot",
		"/a":                     "a part between slashes",
		"a/":                     "a part between slashes",
		"a//b":                   "a part between slashes",
		"a/.b":                   "a part between slashes",
		".a":                     "a part between slashes",
		"a.lock":                 "ends with .lock",
		"a.lock/b":               "ends with .lock",
		"a b":                    "contains ' '",
		"a\tb":                   `contains '\t'`,
		"a\nb":                   `contains '\n'`,
		"a\x00b":                 `contains '\x00'`,
		"a\x7fb":                 `contains '\x7f'`,
		"a~1":                    "contains '~'",
		"a^":                     "contains '^'",
		"a:b":                    "contains ':'",
		"a?":                     "contains '?'",
		"a*":                     "contains '*'",
		"a[b":                    "contains '['",
		`a\b`:                    `contains '\\'`,
	}
	for name, want := range bad {
		if err := CheckBranch(name); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("CheckBranch(%.80q) = %v, want an error with %q", name, err, want)
		}
	}
}

// What CheckBranch allows is safe to hand on: printable in one line of a ref listing, no option, no path
// that leaves refs/heads.
func FuzzCheckBranch(f *testing.F) {
	for _, seed := range []string{"main", "a/b", "-x", "a..b", "a.lock/b", "x$(HOME)", "@", "@{", "日本", "a\xff", "a\n", "HEAD", ""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, name string) {
		err := CheckBranch(name)
		if err != nil {
			if strings.ContainsAny(err.Error(), "\n\r\x00\x1b") {
				t.Errorf("CheckBranch(%q): the message %q has control characters", name, err)
			}
			return
		}
		if name == "" || len(name) > 255 || name[0] == '-' || strings.ContainsAny(name, "\n\x00 :\\") || strings.Contains(name, "..") {
			t.Errorf("CheckBranch(%q) = nil", name)
		}
		if _, err := ParsePattern(name); err != nil && !strings.ContainsAny(name, `\+*?()|[]{}^$`) {
			t.Errorf("ParsePattern(%q) = %v, want the branch's name to be a pattern", name, err)
		}
		if !ExactPattern(name).Match(name) {
			t.Errorf("ExactPattern(%q) does not match itself", name)
		}
	})
}
