package state

import (
	"fmt"
	"testing"
)

// many returns a snapshot with n repositories, and a problem for each tenth.
func many(n int) Snapshot {
	s := Snapshot{Epoch: "e1", Repositories: map[string]Repository{}, Problems: map[string]Problem{}}
	for i := range n {
		name := fmt.Sprintf("repository-%d", i)
		s.Repositories[name] = Repository{Branches: map[string]Branch{"main": {SHA: shaA, N: i, Time: noon}}}
		if i%10 == 0 {
			s.Problems[name+".main"] = Problem{Kind: "qa", Message: "no", Since: noon}
		}
	}
	return s
}

func TestPartsAndTopAreTheSnapshot(t *testing.T) {
	old := many(200)
	for n := 1; n <= 4; n++ {
		parts, _ := Split(old, n, 1<<20)
		smallest := len(old.Repositories)
		for _, p := range parts {
			smallest = min(smallest, len(p.Repositories))
		}
		if smallest < 200/n/2 {
			t.Errorf("%d parts: one has %d of 200 repositories, want some %d", n, smallest, 200/n)
		}
		if top := Over(old, parts); len(top.Repositories)+len(top.Problems) != 0 || top.Epoch != "e1" {
			t.Errorf("%d parts: the top holds %v, want nothing", n, top)
		}
		next := old.Clone()
		delete(next.Repositories, "repository-1")
		delete(next.Problems, "repository-10.main")
		next.Repositories["repository-2"] = Repository{Floor: 7}
		next.Repositories["new"] = Repository{Unseen: true}
		next.Problems["new.main"] = Problem{Kind: "create", Message: "x", Since: noon}
		top := Over(next, parts)
		if len(top.Repositories) != 3 || len(top.Problems) != 2 {
			t.Errorf("%d parts: the top holds %v, want the five entries that differ", n, top)
		}
		top.Parts = make([]string, n)
		for i, p := range parts {
			var err error
			if top.Parts[i], _, err = p.Name(); err != nil {
				t.Fatal(err)
			}
		}
		text, err := top.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := DecodeTop(text)
		if err != nil || !back.With(parts).Equal(next) {
			t.Errorf("%d parts: read back: %v, not what was written", n, err)
		}
		if !old.Equal(many(200)) {
			t.Errorf("%d parts: the snapshot changed", n)
		}
	}
}

func TestTopThatIsAllIsTheFirstFormat(t *testing.T) {
	text, err := Over(full(), nil).Encode()
	if err != nil || string(text) != golden {
		t.Errorf("Encode =\n%s, %v, want what an older Sentry reads\n%s", text, err, golden)
	}
}

func TestNameFollowsFromTheContent(t *testing.T) {
	name := func(s Snapshot) string {
		t.Helper()
		parts, _ := Split(s, 1, 1<<20)
		n, _, err := parts[0].Name()
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	changed := many(20)
	changed.Repositories["repository-3"].Branches["main"] = Branch{SHA: shaB, N: 3, Time: noon}
	if a, b, c := name(many(20)), name(many(20)), name(changed); a != b || a == c {
		t.Errorf("names %s and %s of the same content, %s of another", a, b, c)
	}
}

// Damage in a part is found and kept like any other.
func TestDamageInSeveralDocuments(t *testing.T) {
	further, err := DecodeFurther([]byte(`{"version":2,"epoch":"e","parts":{"a":{"repositories":{"x":7,"y":null,"":{}}}}}`))
	if err != nil {
		t.Fatal(err)
	}
	top, err := DecodeTop([]byte(`{"version":2,"epoch":"e","repositories":{"z":[],"gone":null},"parts":["a"]}`))
	if err != nil {
		t.Fatal(err)
	}
	s := top.With([]Part{further.Parts["a"]})
	for _, name := range []string{"x", "y", "z", ""} {
		if s.Repositories[name].Damaged == nil {
			t.Errorf("%q: %+v, want a damaged entry", name, s.Repositories[name])
		}
	}
	if len(s.Repositories) != 4 {
		t.Errorf("%d repositories, want 4: %+v", len(s.Repositories), s.Repositories)
	}
}

func FuzzDecodeSeveral(f *testing.F) {
	f.Add([]byte(`{"version":2,"epoch":"e","repositories":{"z":[],"gone":null},"parts":["a"],"moving":"x"}`))
	f.Add([]byte(`{"version":2,"epoch":"e","parts":{"a":{"repositories":{"x":7,"y":null,"":{}},"problems":{"u":null}}}}`))
	f.Add([]byte(golden))
	f.Fuzz(func(t *testing.T, data []byte) {
		if top, err := DecodeTop(data); err == nil {
			text, err := top.Encode()
			if err != nil {
				t.Fatalf("DecodeTop(%q) = %+v, which does not encode: %v", data, top, err)
			}
			if back, err := DecodeTop(text); err != nil || !back.With(nil).Equal(top.With(nil)) {
				t.Fatalf("DecodeTop(%q), encoded %s, and back %+v, %v", data, text, back, err)
			}
		}
		if further, err := DecodeFurther(data); err == nil {
			text, err := further.Encode()
			if err != nil {
				t.Fatalf("DecodeFurther(%q) = %+v, which does not encode: %v", data, further, err)
			}
			if back, err := DecodeFurther(text); err != nil || len(back.Parts) != len(further.Parts) {
				t.Fatalf("DecodeFurther(%q), encoded %s, and back %+v, %v", data, text, back, err)
			}
		}
	})
}
