package repo

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"testing"
)

func TestExample(t *testing.T) {
	long := strings.Repeat("x", 255)
	tests := []struct{ entry, want string }{
		{"main", "main"},
		{"release-1.2", "release-1.2"},
		{"dev.*", "dev"},
		{"dev.+", "devx"},
		{".*", "x"},
		{`release-\d+\.\d+`, "release-1.1"},
		{`release-\d{2}\.\d{2}`, "release-11.11"},
		{"(feature|fix)/.+", "fix/x"},
		{"wip|dev", "wip"},
		{`v\d+\.\d+\.\d+-rc\d+`, "v1.1.1-rc1"},
		{"[0-9a-f]{8}", "11111111"},
		{"[A-Z]+-[0-9]+", "X-1"},
		{"^main$", "main"},
		{`\Amain\z`, "main"},
		{"(?m)^main$", "main"},
		{"a^b|c", "c"},
		{"a$b|c", "c"},
		{"(?i)main", "main"},
		{"(?i)k", "k"},
		{`\bfix\b/\bx\B.\b`, "fix/xx"},
		{`a\Bb\b`, "ab"},
		{`a\b.`, "a-"},
		{`x\b$`, "x"},
		{"a*?b+?c??", "b"},
		{"(|a)(b|)", "b"},
		{`\Qa.b\E.+`, "a.bx"},
		{`\Qa|b`, "a|b"},
		{`\p{Greek}+`, "Ͱ"},
		{`[^\x00-\x7f]{2}`, "éé"},
		{`(?s).(?-s:.)`, "xx"},
		{"[^a-z]", "1"},
		{"[./]+x", ""},
		{"a[./]+x", "a.x"},
		{"a(/x)?/?", "a"},
		{"HEAD.?", "HEADx"},
		{"[HEAD]{4}", "AAAA"},
		{"H?E?A?D?", "D"},
		{"@|@x", "@x"},
		{"@.{2}", "@xx"},
		{"-*a", "a"},
		{`a\.lock.?`, "a.lockx"},
		{`.+\.l[o]c[k-k]/?x`, "x.lockx"},
		{"x{255}", long},
		{"x{1000}", ""},
		{"x{0,1000}", "x"},
		{"(x?){1000}", "x"},
		{"(x|){300,400}y{3,}", "yyy"},
		{"日{85}", strings.Repeat("日", 85)},
		{"日{86}", ""},
		{"(?:日?|a){86}", "a"},
		{"(é|xyz){127}", strings.Repeat("é", 127)},
		{`\x{D800}|z`, "z"},
		// Nothing that Git allows.
		{"a b?", ""},
		{"( |a b|c~)d", ""},
		{`\.lock`, ""},
		{"^$", ""},
		{"()", ""},
		{"[^\\x00-\\x{10FFFF}]", ""},
		{`a\bb`, ""},
		{"a$b", ""},
		{"(?:[a-z]/)+", ""},
		{"-.*", ""},
		{"HEAD|@|x[.]", ""},
		{".*@[{].*", ""},
		{".*[.]{2}.*", ""},
	}
	for _, tt := range tests {
		p, err := ParsePattern(tt.entry)
		if err != nil {
			t.Errorf("ParsePattern(%q): %v", tt.entry, err)
			continue
		}
		if got, ok := p.Example(); got != tt.want || ok != (tt.want != "") {
			t.Errorf("the example of %q is %q, %v, want %q", tt.entry, got, ok, tt.want)
		}
		if got := p.Impossible(); got != (tt.want == "") {
			t.Errorf("Impossible of %q is %v, want %v", tt.entry, got, !got)
		}
	}
	if _, ok := ExactPattern("a|b").Example(); !ok {
		t.Error("an exact name has no example")
	}
	if (Pattern{}).Impossible() {
		t.Error("the zero pattern has an opinion")
	}
}

// Whatever the pattern is, an example is a legal name that it matches; and where the generator knows such a name,
// there is an example.
func TestExampleOfRandomPatterns(t *testing.T) {
	const patterns = 10_000
	tried, found, none, witnesses := 0, 0, 0, 0
	for seed := uint64(0); tried < patterns; seed++ {
		g := generator{rand.New(rand.NewPCG(seed, 1))}
		entry, witness := g.pattern(3)
		p, err := ParsePattern(entry)
		if err != nil {
			continue
		}
		tried++
		name, ok := p.Example()
		switch {
		case ok && (!p.Match(name) || CheckBranch(name) != nil):
			t.Errorf("seed %d: the example of %q is %q, which it does not match, or: %v", seed, entry, name, CheckBranch(name))
		case ok:
			found++
		case p.Impossible():
			none++
		}
		if CheckBranch(witness) == nil && p.Match(witness) {
			witnesses++
			if !ok {
				t.Errorf("seed %d: no example of %q, and it matches %q", seed, entry, witness)
			}
		}
	}
	t.Logf("%d patterns: %d have an example, %d certainly none; %d with a known name", tried, found, none, witnesses)
	if witnesses < patterns/4 || none < patterns/100 {
		t.Errorf("of %d patterns %d have a known name and %d certainly none: the generator tests little", tried, witnesses, none)
	}
}

// generator makes expressions, each with a text that it mostly matches.
type generator struct{ *rand.Rand }

func (g generator) pattern(depth int) (entry, witness string) {
	if depth == 0 || g.IntN(4) == 0 {
		return g.atom()
	}
	switch g.IntN(9) {
	case 0, 1, 2:
		for range 1 + g.IntN(4) {
			e, w := g.pattern(depth - 1)
			entry, witness = entry+e, witness+w
		}
		return entry, witness
	case 3, 4:
		var parts []string
		for range 1 + g.IntN(3) {
			e, w := g.pattern(depth - 1)
			parts = append(parts, e)
			if len(parts) == 1 || g.IntN(2) == 0 {
				witness = w
			}
		}
		if g.IntN(4) == 0 {
			parts = append(parts, "")
		}
		return g.one("(", "(?:", "(?P<n>") + strings.Join(parts, "|") + ")", witness
	case 5:
		e, w := g.pattern(depth - 1)
		return g.one("(?i:", "(?s:", "(?m:", "(?U:") + e + ")", w
	default:
		e, w := g.pattern(depth - 1)
		low := g.IntN(4)
		high := low + g.IntN(1+g.IntN(30))
		times := low + g.IntN(high-low+1)
		many := g.one(fmt.Sprintf("{%d,%d}", low, high), fmt.Sprintf("{%d,}", low), fmt.Sprintf("{%d}", times))
		switch {
		case low == 0 && g.IntN(2) == 0:
			many = "*"
		case times > 0 && g.IntN(2) == 0:
			many = "+"
		case times < 2 && g.IntN(2) == 0:
			many = "?"
		}
		return "(?:" + e + ")" + many + g.one("", "", "?"), strings.Repeat(w, times)
	}
}

func (g generator) atom() (entry, witness string) {
	atoms := [][2]string{
		{"a", "a"}, {"x", "x"}, {"main", "main"}, {"release-", "release-"}, {"/", "/"}, {"-", "-"}, {"@", "@"}, {"é", "é"}, {"日", "日"},
		{".", "b"}, {".", "/"}, {".+", "wip"}, {".*", ""}, {`\.`, "."}, {`\d`, "7"}, {`\d{2}`, "42"}, {`\w+`, "w_1"}, {`\W`, "-"}, {`\W`, "/"},
		{"[a-f0-9]", "e"}, {"[^a-z]", "Q"}, {"[^/]+", "fix"}, {"[.@/-]", "/"}, {`\pL`, "ß"}, {`[\p{Han}-]`, "本"}, {"[[:upper:]]", "H"},
		{`\bx`, "x"}, {`x\b`, "x"}, {`a\Bb`, "ab"}, {"^", ""}, {"$", ""}, {`\b`, ""}, {`\B`, ""}, {`\A`, ""}, {`\z`, ""}, {"(?i)Hot", "hOT"}, {`\Qa+b\E`, "a+b"},
		{"HEAD", "HEAD"}, {`\.lock`, ".lock"}, {`[.]{2}`, ".."}, {"@[{]", "@{"}, {" ", " "}, {"~", "~"}, {`\s`, " "}, {`\\`, `\`}, {"()", ""}, {`[^\x00-\x{10FFFF}]`, ""},
	}
	// Mostly what people write, or nothing would have a legal name.
	i := g.IntN(len(atoms))
	if g.IntN(4) > 0 {
		i = g.IntN(26)
	}
	return atoms[i][0], atoms[i][1]
}

func (g generator) one(options ...string) string { return options[g.IntN(len(options))] }

// What hostile patterns stand for may be a million times as large as they are.
func TestExampleIsBounded(t *testing.T) {
	for _, entry := range []string{
		"((a{1,10}){1,10}){1,10}", "((x{0,30}y?){0,30}z?)*", "(" + strings.Repeat("a?", 40) + "){1000}", "(" + strings.Repeat(`\pL?`, 40) + "){1000}",
		"(" + strings.Repeat("abcdefghij", 10) + "){1000}", strings.Repeat("x{0,1000}", 110), "(?i)" + strings.Repeat(`\pL{1000}`, 10),
		"(" + strings.Repeat(`\w*|`, 50) + "){1000}", strings.Repeat("(", 300) + "a" + strings.Repeat(")*", 300), "(.|.x){1000}", "(.*a.{20}){10}~",
		"(" + strings.Repeat("[^/]{1,30}/", 80) + ")~",
	} {
		p, err := ParsePattern(entry)
		if err != nil {
			t.Errorf("ParsePattern(%.40q): %v", entry, err)
			continue
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		name, ok := p.Example()
		runtime.ReadMemStats(&after)
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 32 {
			t.Errorf("the example of %.40q took %d MiB", entry, used)
		}
		if ok && (!p.Match(name) || CheckBranch(name) != nil) {
			t.Errorf("the example of %.40q is %q", entry, name)
		}
		t.Logf("%.30q: %.20q %v, %d KiB", entry, name, ok, (after.TotalAlloc-before.TotalAlloc)>>10)
	}
}

func BenchmarkExample(b *testing.B) {
	for _, entry := range []string{"release-.*", "(feature|fix)/.+", `v\d+\.\d+\.\d+-rc\d+`, "(" + strings.Repeat("a?", 400) + "){1000}"} {
		p, err := ParsePattern(entry)
		if err != nil {
			b.Fatal(err)
		}
		b.Run(fmt.Sprintf("%.20s", entry), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				_, _ = p.Example()
			}
		})
	}
}
