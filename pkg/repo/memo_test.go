package repo

import (
	"strings"
	"testing"
)

func tagPatterns(t *testing.T, entries ...string) (ps Patterns) {
	t.Helper()
	for _, e := range entries {
		p, err := ParseTagPattern(e)
		if err != nil {
			t.Fatal(err)
		}
		ps = append(ps, p)
	}
	return ps
}

// TestMemo: what is short is recalled, what is not differs from all else, and the order does not matter.
func TestMemo(t *testing.T) {
	long := []string{strings.Repeat("a", 300) + ".*", strings.Repeat("b", 300) + ".*"}
	for memo, ps := range map[string]Patterns{
		"":                    nil,
		"v.*":                 tagPatterns(t, "v.*"),
		"release-1.2\nv[0-9]": tagPatterns(t, "v[0-9]", "release-1.2"),
		"digest:bc43e1dc0319": tagPatterns(t, long...),
		"digest:bdf17e0611cb": tagPatterns(t, "v\n?", "x"),
		"digest:5e5e78f9f0f4": {ExactPattern("refs/tags/v*")},
		"digest:f2caf3291ded": tagPatterns(t, strings.Repeat(`\x{1}<`, 60)),
	} {
		got := ps.Memo()
		if got != memo {
			t.Errorf("%.40q is remembered as %q, want %q", ps.String(), got, memo)
		}
		want := ps.Key()
		if strings.HasPrefix(got, digested) {
			want = ""
		}
		if back := Recall(got); len(back) != len(ps) && want != "" || back.Memo() != got && want != "" {
			t.Errorf("%q is recalled as %q", got, back)
		}
	}
	if a, b := tagPatterns(t, long...).Memo(), tagPatterns(t, long[1], long[0]).Memo(); a != b {
		t.Errorf("another order is another memo: %s, %s", a, b)
	}
	if Recall("digest:bc43e1dc0319").Match("refs/tags/digest:bc43e1dc0319") {
		t.Error("a digest is taken for a pattern")
	}
}
