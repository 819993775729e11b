package repo

import "testing"

func TestRequestNames(t *testing.T) {
	for name, want := range map[string]string{
		"refs/pull/7/head": "7", "refs/merge-requests/12/head": "12", "refs/pull/7/merge": "", "refs/pull/07/head": "", "refs/pull/0/head": "",
		"refs/pull/-1/head": "", "refs/pull/+1/head": "", "refs/pull/99999999999/head": "", "refs/pull/7/8/head": "", "refs/pull//head": "", "main": "",
		"refs/heads/refs/pull/7/head": "",
	} {
		number, ok := RequestNumber(name)
		if ok != (want != "") || ok && number != want {
			t.Errorf("RequestNumber(%q) = %q, %v, want %q", name, number, ok, want)
		}
		if ok && (Full(name) != name || Noun(name) != "request") {
			t.Errorf("the full name of %q is %q, and it is a %s", name, Full(name), Noun(name))
		}
	}
	// A branch that is called like a request is none.
	if name, ok := Called("refs/heads/refs/pull/7/head"); !ok || name == "refs/pull/7/head" {
		t.Errorf("a branch is called %q, as a request is", name)
	}
}

func TestRequestPatterns(t *testing.T) {
	target, err := ParsePattern("main|rel-.*")
	if err != nil {
		t.Fatal(err)
	}
	own, all := RequestPattern(target, false), RequestPattern(target, true)
	for r, want := range map[Request][2]bool{
		{Target: "main", Own: true}:     {true, true},
		{Target: "rel-1", Own: true}:    {true, true},
		{Target: "main"}:                {false, true},
		{Target: "maintain", Own: true}: {},
		{Own: true}:                     {},
		{}:                              {},
	} {
		if got := [2]bool{own.Takes(r), all.Takes(r)}; got != want {
			t.Errorf("%+v is taken %v, want %v", r, got, want)
		}
	}
	if !own.Match("refs/pull/7/head") || own.Match("main") || own.Match("refs/tags/main") || target.Takes(Request{Target: "main", Own: true}) {
		t.Error("patterns of requests and of branches match each other's")
	}
	for _, p := range []Pattern{own, all} {
		ps := Patterns{p}
		if len(ps.Branches())+len(ps.Tags()) > 0 || len(ps.OfRequests()) != 1 || len(ps.With(ExactPattern("main"))) != 1 {
			t.Errorf("%s counts as branches or tags, or takes some beside it", ps)
		}
		back, ok := Recall(ps.Memo()).Requests()
		if !ok || back.Forks() != p.Forks() || string(back.AppendKey(nil)) != string(p.AppendKey(nil)) {
			t.Errorf("%q is recalled as %v", ps.Memo(), back)
		}
	}
	if (Patterns{own}).Key() == (Patterns{all}).Key() || (Patterns{own}).Key() == (Patterns{target}).Key() || (Patterns{own}).Memo() == (Patterns{all}).Memo() {
		t.Error("patterns that match something else have the same key")
	}
}
