package config

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// Of several files all that is wrong is told by file and line, and the repositories are counted in each. In chunks they read as they do in
// one piece.
func TestSeveral(t *testing.T) {
	const golden = "testdata/several/several.txtar"
	archive, err := txtar.ParseFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	cases, want := map[string]Files{}, map[string]string{}
	rewritten := &txtar.Archive{Comment: archive.Comment}
	for _, f := range archive.Files {
		name, file := path.Split(f.Name)
		if file == "want" {
			want[name] = string(f.Data)
			continue
		}
		cases[name] = append(cases[name], File{Name: file, Text: f.Data})
		rewritten.Files = append(rewritten.Files, f)
	}
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		c, err := ParseFiles(cases[name], options())
		got := told(c, err)
		if !*update && got != want[name] {
			t.Errorf("%s: got\n%s\nwant\n%s", name, got, want[name])
		}
		rewritten.Files = append(rewritten.Files, txtar.File{Name: name + "want", Data: []byte(got)})
		var chunked *Config
		warnings, chunkedErr, ok := schema.DecodeChunks(cases[name], 1, options().schema(), func(d *schema.Decoder, root *yaml.Node) { chunked = read(d, root, options()) })
		if !ok {
			continue
		}
		if chunked, chunkedErr = finish(chunked, cases[name], nil, warnings, chunkedErr); !reflect.DeepEqual(chunked, c) || !reflect.DeepEqual(chunkedErr, err) {
			t.Errorf("%s: in chunks it is\n%s\nwant\n%s", name, told(chunked, chunkedErr), got)
		}
	}
	if *update {
		if err := os.WriteFile(golden, txtar.Format(rewritten), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// told returns what is said of a configuration.
func told(c *Config, err error) string {
	if err != nil {
		return err.Error() + "\n"
	}
	var b strings.Builder
	for _, r := range c.Repositories {
		fmt.Fprintln(&b, r.Name, r.Group, r.Monitor.URL)
	}
	for _, w := range c.Warnings {
		fmt.Fprintln(&b, w)
	}
	return b.String()
}

// Files of which one cannot be cut are read in chunks as in one piece, and so are those of which a chunk turns out to be none.
func TestSeveralInChunks(t *testing.T) {
	item := func(name string) string {
		return "- name: " + name + "\n  monitor: {repo_url: https://github.com/a/b, branches: [main]}\n  deploy: {qa_repo_url: https://github.com/a/q, commands: [\"true\"]}\n"
	}
	block := File{Name: "block", Text: []byte("repositories:\n" + item("a") + item("B") + item("c"))}
	flow := File{Name: "flow", Text: []byte("repositories: [{name: D}, {name: e}]\n")}
	quoted := File{Name: "quoted", Text: []byte("repositories:\n" + item("f") + "  webhook_url: \"\n- name: y\"\n" + item("G"))}
	for _, files := range []Files{{block, flow, block}, {flow, block}, {block, {Name: "none", Text: []byte("groups: {}\n")}, block}, {block, quoted, flow}} {
		_, whole := ParseFiles(files, options())
		var c *Config
		warnings, err, ok := schema.DecodeChunks(files, 1, options().schema(), func(d *schema.Decoder, root *yaml.Node) { c = read(d, root, options()) })
		_, err = finish(c, files, nil, warnings, err)
		if broken := slices.ContainsFunc(files, func(f File) bool { return f.Name == "quoted" }); ok == broken {
			t.Errorf("%v: in chunks is %t", files, ok)
		} else if ok && !reflect.DeepEqual(err, whole) {
			t.Errorf("in chunks\n%v\nwant\n%v", err, whole)
		}
		var es Errors
		if !errors.As(whole, &es) || es[0].File == "" {
			t.Errorf("%v names no file", whole)
		}
	}
}

// The hash of one file is that of its text, and of several files it is no other's.
func TestHashes(t *testing.T) {
	file := func(texts ...string) (files Files) {
		for _, text := range texts {
			files = append(files, File{Text: []byte(text)})
		}
		return files
	}
	if got := file("").Hash(); got != "e3b0c44298fc" {
		t.Errorf("the hash of an empty text is %s", got)
	}
	seen := map[string]bool{}
	for _, files := range []Files{file("ab"), file("a", "b"), file("ab", ""), file("", "ab"), file("b", "a")} {
		seen[files.Hash()] = true
	}
	if len(seen) != 5 {
		t.Errorf("of five configurations the hashes are %v", seen)
	}
}
