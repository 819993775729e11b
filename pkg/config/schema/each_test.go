package schema

import (
	"testing"

	"gopkg.in/yaml.v3"
)

// What is known of an item is forgotten after it, but for what Keep was told of.
func TestEach(t *testing.T) {
	const text = `
before: 1
list:
  - {a: 1, b: "${X}", c: {d: [1, 2], dd: 1}, e: }
  - {a: 2}
`
	lookup := func(string) (string, bool) { return "x", true }
	_, err := Decode(Files{{Text: []byte(text)}}, Options{LookupEnv: lookup}, func(d *Decoder, root *yaml.Node) {
		entries, _ := d.Entries("", root, "keys")
		seen := 0
		d.Each("list", entries[1].Value, "a list", func(path string, n *yaml.Node) {
			seen++
			d.Section(path, n, []Field{
				Integer("a", new(int), 1, 9), Text("b", new(string), "a text", func(string) bool { return true }), Boolean("e", new(bool)),
				{Key: "c", Read: func(d *Decoder, path string, n *yaml.Node) { d.Tree(path, n) }},
			})
			if !d.Given("before") || !d.Given(path+".a") || d.line(path+".missing") != 3+seen {
				t.Errorf("%s: it does not know what was read", path)
			}
			if seen == 1 {
				if !d.Given(path+".c.d") || d.Given(path+".e") || d.Shown(path+".b", "x") != "${X}" {
					t.Errorf("%s: c.d, e or b is known wrongly", path)
				}
				d.Keep(path + ".c.d")
			} else if d.Given("list[0].a") || d.Shown("list[0].b", "x") != "x" {
				t.Error("the first item is known while the second is read")
			}
		})
		for _, path := range []string{"before", "list[0].c.d", "list[0].c.d[1]"} {
			if !d.Given(path) {
				t.Errorf("%s is forgotten", path)
			}
		}
		for _, path := range []string{"list[0]", "list[0].a", "list[0].c", "list[0].c.dd", "list[1].a"} {
			if d.Given(path) {
				t.Errorf("%s is still known", path)
			}
		}
	})
	if err != nil {
		t.Fatal(err)
	}
}
