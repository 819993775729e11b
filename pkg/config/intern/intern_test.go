package intern

import (
	"math"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/secret"
)

type inner struct{ n int }

type all struct {
	Text   string
	Yes    bool
	Number int64
	Small  uint8
	Share  float64
	Likely *bool
	Inner  *inner
	List   []string
	Fixed  [2]int
	Map    map[string]any
	Secret secret.Value
	hidden string
	Do     func()
	zone   *time.Location
}

func filled() *all {
	yes := true
	return &all{Text: "a", Yes: true, Number: -1, Small: 2, Share: 0.5, Likely: &yes, Inner: &inner{3}, List: []string{"x", "y"}, Fixed: [2]int{4, 5},
		Map: map[string]any{"a": []any{"1", map[string]any{}}, "b": "c", "d": nil}, Secret: secret.New("${A}", "s3cr3t"), hidden: "h"}
}

func TestOne(t *testing.T) {
	var p Pool[all]
	first := filled()
	if got := p.One(first); got != first {
		t.Fatalf("the first is %p, want itself, %p", got, first)
	}
	if got := p.One(filled()); got != first {
		t.Errorf("an equal one is %p, want the first, %p", got, first)
	}
	no := false
	for name, change := range map[string]func(*all){
		"a text":          func(v *all) { v.Text = "b" },
		"a truth value":   func(v *all) { v.Yes = false },
		"a number":        func(v *all) { v.Number = 1 },
		"another number":  func(v *all) { v.Small = 3 },
		"a fraction":      func(v *all) { v.Share = math.Pi },
		"what is pointed": func(v *all) { v.Likely = &no },
		"a nil pointer":   func(v *all) { v.Likely = nil },
		"a field of it":   func(v *all) { v.Inner = &inner{4} },
		"an item":         func(v *all) { v.List = []string{"x", "z"} },
		"where items end": func(v *all) { v.List = []string{"xy", ""} },
		"no list":         func(v *all) { v.List = nil },
		"an array":        func(v *all) { v.Fixed[1] = 6 },
		"an entry":        func(v *all) { v.Map["b"] = "d" },
		"an inner entry":  func(v *all) { v.Map["a"] = []any{"1", map[string]any{"x": "y"}} },
		"a secret":        func(v *all) { v.Secret = secret.New("${A}", "other") },
		"its reference":   func(v *all) { v.Secret = secret.New("${B}", "s3cr3t") },
		"a hidden field":  func(v *all) { v.hidden = "i" },
		"a time zone":     func(v *all) { v.zone = time.UTC },
		"of that name":    func(v *all) { v.zone = time.FixedZone("UTC", 60) },
		"a function":      func(v *all) { v.Do = func() {} },
	} {
		v := filled()
		change(v)
		if got := p.One(v); got != v {
			t.Errorf("%s differs: got %+v, want itself", name, got)
		}
	}
	if got := p.One(filled()); got != first {
		t.Errorf("an equal one is %p after others, want the first, %p", got, first)
	}
}

// Values that differ must hardly ever be compared: thousands of repositories may differ in one text.
func TestFewComparisons(t *testing.T) {
	var p Pool[all]
	for i := range 1000 {
		for _, change := range []func(*all){
			func(v *all) { v.Secret = secret.New("x", string(rune(0x4e00+i))) },
			func(v *all) { v.Map["b"] = string(rune(0x4e00 + i)) },
			func(v *all) { v.hidden = string(rune(0x4e00 + i)) },
			func(v *all) { v.Inner.n = 10 + i },
		} {
			v := filled()
			change(v)
			p.One(v)
		}
	}
	if len(p.by) != 4000 {
		t.Errorf("%d sums of 4000 values that differ, want one each", len(p.by))
	}
}

// A time zone is known by its name: what it holds are hundreds of numbers, and thousands of repositories may name one.
func TestZones(t *testing.T) {
	var p Pool[all]
	for i := range 3 {
		v := filled()
		v.zone = time.FixedZone("Europe/Berlin", i)
		if got := p.One(v); got != v {
			t.Errorf("zone %d is taken for another one", i)
		}
	}
	if len(p.by) != 1 {
		t.Errorf("%d sums of three zones with one name, want one", len(p.by))
	}
}
