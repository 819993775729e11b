package configmap

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/kube/kubetest"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/state/statetest"
)

// apart returns the snapshot's entries.
func apart(t *testing.T, s state.Snapshot) entries {
	t.Helper()
	text, err := state.Encode(s)
	if err != nil {
		t.Fatal(err)
	}
	all, err := takeApart(text)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// joined returns the snapshot that the first document and the parts are, once they were written and read.
func joined(t *testing.T, f first, parts []entries) state.Snapshot {
	t.Helper()
	for range parts {
		f.Parts = append(f.Parts, "x")
	}
	text, err := f.text()
	if err != nil {
		t.Fatal(err)
	}
	if f, err = readFirst(text); err != nil {
		t.Fatal(err)
	}
	base := make(entries)
	for _, p := range parts {
		part, err := takeApart(p.document())
		if err != nil {
			t.Fatal(err)
		}
		base.add(part)
	}
	s, err := state.Decode(f.state(base))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestPartsAndFirstAreTheSnapshot(t *testing.T) {
	old := statetest.Filled(100)
	for n := range 5 {
		all := apart(t, old)
		parts, _ := all.spread(n+1, 1<<20)
		smallest := len(all)
		base := make(entries)
		for _, p := range parts {
			smallest = min(smallest, len(p))
			base.add(p)
		}
		if smallest < 200/(n+1)/2 {
			t.Errorf("%d parts: one has %d of 200 entries, want some %d", n+1, smallest, 200/(n+1))
		}
		if f, gone := all.over(base.sums()); len(gone) > 0 || len(f) != 2 || string(f[epochPlace]) != string(all[epochPlace]) || string(f[place{"found", "", true}]) != string(all[place{"found", "", true}]) {
			t.Errorf("%d parts: the first holds %v, %v, want what has no entries alone", n+1, f, gone)
		}
		next := old.Fork()
		delete(next.Repositories, "name-1.x")
		delete(next.Units, "name-10.x")
		next.Repositories["name-2.x"] = state.Repository{Floor: 8}
		next.Repositories["new"] = state.Repository{Unseen: true}
		next.Units["new.main"] = state.Unit{Problem: &state.Problem{Kind: "create", Message: "x"}}
		var f first
		f.entries, f.Gone = apart(t, next).over(base.sums())
		if len(f.entries) != 5 || len(f.Gone["repositories"]) != 1 || len(f.Gone["units"]) != 1 {
			t.Errorf("%d parts: the first holds %v, without %v, want what has no entries, and the five entries that differ", n+1, f.entries, f.Gone)
		}
		if got := joined(t, f, parts); !got.Equal(next) {
			t.Errorf("%d parts: read back is not what was written", n+1)
		}
	}
}

func TestNameFollowsFromTheContent(t *testing.T) {
	name := func(s state.Snapshot) string { return partName(apart(t, s).document()) }
	if a, b, c := name(statetest.Many(20, "a")), name(statetest.Many(20, "a")), name(statetest.Many(20, "b")); a != b || a == c {
		t.Errorf("names %s and %s of the same content, %s of another", a, b, c)
	}
}

// However large some entries are, what fits the parts together is placed, and nothing is lost or in two of them.
func TestSpreadPlacesLargeEntries(t *testing.T) {
	const room, n = 10_000, 10
	entry := func(size int) []byte { return []byte(`"` + strings.Repeat("x", size) + `"`) }
	at := func(name string) place { return place{"repositories", name, false} }
	all := entries{at("huge"): entry(room)}
	for i := range n {
		all[at(fmt.Sprintf("large-%d", i))] = entry(room * 8 / 10)
	}
	for i := range n * 8 { // in the room that is left
		all[at(fmt.Sprintf("small-%d", i))] = entry(100)
	}
	parts, left := all.spread(n, room)
	if left {
		t.Error("an entry is left over, want room for all but the huge one")
	}
	placed := make(entries)
	for i, p := range parts {
		if size := len(p.document()); size > room {
			t.Errorf("part %d has %d bytes, want at most %d", i, size, room)
		}
		for at := range p {
			if _, ok := placed[at]; ok {
				t.Errorf("%v is in two parts", at)
			}
		}
		placed.add(p)
	}
	f, _ := all.over(placed.sums())
	if got := slices.Collect(maps.Keys(f)); len(got) != 1 || got[0] != at("huge") {
		t.Errorf("in no part: %v, want the huge one alone", got)
	}
	if _, left := all.spread(n-1, room); !left {
		t.Error("ten large ones fit nine parts")
	}
}

// The files were written by Sentrys of the past, and are never rewritten. What follows from them is written once there
// is something to write.
func TestEveryFormatIsRead(t *testing.T) {
	read := func(name string) string {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	want, err := state.Decode([]byte(read("../testdata/version3.json")))
	if err != nil {
		t.Fatal(err)
	}
	for _, version := range []string{"2", "4"} {
		server, c := kubetest.New(t)
		set(server, firstName, read("testdata/version"+version+"-top.json"))
		set(server, firstName+"-1", read("testdata/version"+version+"-further.json"))
		server.Writes()
		s, got := load(t, c)
		if !got.Equal(want) {
			t.Errorf("version %s: %+v, want %+v", version, got, want)
		}
		if writes := server.Writes(); len(writes) > 0 {
			t.Errorf("version %s: a load wrote %v", version, writes)
		}
		for range 2 {
			if err := s.Save(t.Context(), got); err != nil {
				t.Fatal(err)
			}
			if _, got = load(t, c); !got.Equal(want) {
				t.Errorf("version %s: written back as %+v, want %+v", version, got, want)
			}
		}
	}
}

// A part that an older Sentry wrote goes on counting below a first of today, until all is split anew.
func TestSplitOverAnOlderFormat(t *testing.T) {
	server, c := kubetest.New(t)
	parts := strings.Replace(string(apart(t, statetest.Many(40, "a")).document()), `"version":3,"epoch":"e1",`, "", 1)
	set(server, firstName, `{"version":2,"epoch":"e1","repositories":{"repository-0":null},"parts":["x"]}`)
	set(server, firstName+"-1", `{"version":2,"epoch":"e1","parts":{"x":{"problems":{"a.main":{"kind":"qa","message":"no","since":"2026-03-01T12:00:00Z"}},`+parts[1:]+`}}`)
	s, got := load(t, c)
	if len(got.Repositories) != 39 || got.Problems()["a.main"].Kind != "qa" {
		t.Fatalf("read %d repositories and the problems %v, want 39 and one", len(got.Repositories), got.Problems())
	}
	want := got.Fork()
	want.DropProblem("a.main")
	for name, r := range statetest.Many(10, "b").Repositories {
		want.Repositories[name] = r
	}
	server.Writes()
	if err := s.Save(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if writes := server.Writes(); len(writes) != 1 {
		t.Errorf("written: %v, want the first alone", writes)
	}
	if _, got := load(t, c); !got.Equal(want) {
		t.Errorf("read back %d repositories and %v, not what was saved", len(got.Repositories), got.Problems())
	}
	statetest.Deaths(t, statetest.Many(270, "c"), func() statetest.Place {
		server, c := kubetest.New(t)
		set(server, firstName, `{"version":2,"epoch":"e1","parts":["x"]}`)
		set(server, firstName+"-1", `{"version":2,"epoch":"e1","parts":{"x":`+parts+`}}`)
		return onCluster(server, c)
	})
}

// Damage in a part is found and kept like any other.
func TestDamageInAPart(t *testing.T) {
	server, c := kubetest.New(t)
	set(server, firstName, `{"version":4,"parts":["a"],"gone":{"repositories":["w"]},"state":{"version":3,"epoch":"e","repositories":{"z":[]}}}`)
	set(server, firstName+"-1", `{"version":4,"epoch":"e","parts":{"a":{"repositories":{"w":8,"x":7,"y":null,"":{}}}}}`)
	_, got := load(t, c)
	for _, name := range []string{"x", "y", "z", ""} {
		if got.Repositories[name].Damaged == nil {
			t.Errorf("%q: %+v, want a damaged entry", name, got.Repositories[name])
		}
	}
	if len(got.Repositories) != 4 {
		t.Errorf("%d repositories, want 4: %+v", len(got.Repositories), got.Repositories)
	}
}

func FuzzDecodeSeveral(f *testing.F) {
	f.Add([]byte(`{"version":2,"epoch":"e","repositories":{"z":[],"gone":null},"parts":["a"],"moving":"x"}`), []byte(`{"repositories":{"x":7,"y":null,"":{}},"problems":{"u":null}}`))
	f.Add([]byte(`{"version":4,"parts":["a"],"gone":{"units":["u"]},"state":{"version":3,"epoch":"e","new":{"a":{}},"more":1,"units":{"v":{"new":[1.0]}}}}`),
		[]byte(`{"version":3,"new":{"a":1,"b":"<"},"more":{"c":2},"units":{"u":{},"w":{"problem":{"x":1}}}}`))
	f.Add([]byte(`{"version":1,"problems":{"u":{"kind":"qa"}}}`), []byte(`{}`))
	f.Fuzz(func(t *testing.T, text, part []byte) {
		one, err := readFirst(text)
		if err != nil {
			return
		}
		base := make(entries)
		if further, err := readFurther(fmt.Appendf(nil, `{"version":4,"epoch":"","parts":{"a":%s}}`, part)); err == nil {
			if read, err := takeApart(further.Parts["a"]); err == nil {
				base.add(read)
			}
		}
		s, err := state.Decode(one.state(base))
		if err != nil {
			return
		}
		// What was read is read again when it is written over the same part.
		var next first
		next.entries, next.Gone = apart(t, s).over(base.sums())
		next.Parts = []string{"a"}
		written, err := next.text()
		if err != nil {
			t.Fatalf("%q over %q cannot be written: %v", text, part, err)
		}
		if next, err = readFirst(written); err != nil {
			t.Fatalf("%q over %q is written as %q: %v", text, part, written, err)
		}
		back, err := state.Decode(next.state(base))
		if err != nil || !back.Equal(s) {
			t.Fatalf("%q over %q = %+v, written as %q, and back %+v, %v", text, part, s, written, back, err)
		}
	})
}
