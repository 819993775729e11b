package repo

import "testing"

// No two refs are called the same, and what is called so is found again. States from before there were tags call their
// branches as they did.
func TestCalled(t *testing.T) {
	seen := map[string]string{}
	for full, want := range map[string]string{
		"refs/heads/main": "main", "refs/heads/v1": "v1", "refs/tags/v1": "refs/tags/v1", "refs/heads/refs/x": "refs/x",
		"refs/heads/tags/v1": "tags/v1", "refs/heads/refs/tags/v1": "refs/heads/refs/tags/v1",
		"refs/heads/refs/heads/refs/tags/v1": "refs/heads/refs/heads/refs/tags/v1", "refs/heads/refs/heads/x": "refs/heads/refs/heads/x",
		"refs/tags/refs/heads/x": "refs/tags/refs/heads/x", "refs/pull/1/head": "", "HEAD": "", "refs/notes/x": "",
	} {
		name, ok := Called(full)
		if name != want || ok != (want != "") {
			t.Errorf("Called(%q) = %q, %v, want %q", full, name, ok, want)
		}
		if !ok {
			continue
		}
		if Full(name) != full {
			t.Errorf("Full(%q) = %q, want %q", name, Full(name), full)
		}
		if other, twice := seen[name]; twice {
			t.Errorf("%q and %q are both called %q", full, other, name)
		}
		seen[name] = full
		p := ExactPattern(name)
		for other := range seen {
			if p.Match(other) != (other == name) {
				t.Errorf("the pattern of exactly %q matches %q: %v", name, other, p.Match(other))
			}
		}
		if back, ok := p.Exact(); back != name || !ok {
			t.Errorf("the pattern of exactly %q is exactly %q", name, back)
		}
	}
}

func TestTagPatterns(t *testing.T) {
	tags, err := ParseTagPattern(`v\d+`)
	if err != nil {
		t.Fatal(err)
	}
	branches, _ := ParsePattern(`v\d+`)
	all, _ := ParsePattern(`.*`)
	for name, want := range map[string][3]bool{
		"v1": {false, true, true}, "refs/tags/v1": {true, false, false}, "refs/tags/v1x": {}, "refs/tags/refs/tags/v1": {},
		"refs/heads/refs/tags/v1": {false, false, true}, "main": {false, false, true}, "refs/x": {false, false, true},
	} {
		if got := [3]bool{tags.Match(name), branches.Match(name), all.Match(name)}; got != want {
			t.Errorf("%q is matched by the tags, the branches and all branches: %v, want %v", name, got, want)
		}
	}
	if name, ok := tags.Example(); name != "refs/tags/v1" || !ok {
		t.Errorf("an example is %q", name)
	}
	if tags.String() != `refs/tags/v\d+` || tags.FullPrefix() != "refs/tags/v" {
		t.Errorf("it is shown as %q, and begins with %q", tags, tags.FullPrefix())
	}
	ps := Patterns{branches, all, tags}
	if len(ps.Branches()) != 2 || len(ps.Tags()) != 1 || ps.Key() == (Patterns{branches, all, branches}).Key() {
		t.Errorf("of %s, %s are branches and %s tags", ps, ps.Branches(), ps.Tags())
	}
	if _, err := ParseTagPattern("("); err == nil {
		t.Error("a broken expression is taken")
	}
}

func TestCompareVersions(t *testing.T) {
	ordered := []string{"1.0-rc1", "1.0", "1.0.1", "1.2-beta", "1.2", "1.10", "2", "v1.0.0-rc1", "v1.0.0-rc2", "v1.0.0-rc10", "v1.0.0", "v1.0.0.1", "v01.9", "v1.9", "v1.10.0", "w"}
	for i, a := range ordered {
		for j, b := range ordered {
			if got, want := CompareVersions(a, b) < 0, i < j; got != want {
				t.Errorf("%s is below %s: %v, want %v", a, b, got, want)
			}
		}
	}
}
