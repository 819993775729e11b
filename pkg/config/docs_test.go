package config

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/config/section"
)

const manual = "../../docs/configuration.md"

// sections are all tables of schema.Fields, by what the manual calls their section.
func sections() map[string][]schema.Field {
	all := map[string][]schema.Field{}
	var add func(path string, fields []schema.Field)
	add = func(path string, fields []schema.Field) {
		all[path] = fields
		for _, f := range fields {
			switch {
			case f.Key == "report": // the same wherever it stands
				add("report", f.Fields)
			case f.Fields != nil:
				add(schema.JoinKey(path, f.Key), f.Fields)
			}
		}
	}
	add("groups.NAME", groupFields(&Group{}))
	add("clusters.NAME", place.Fields(&Cluster{}))
	add("", newTables(Known).file(&Config{}))
	r := newTables(Known).repository(newRepository())
	all["repositories[]"] = r
	all["discover[]"] = newTables(Known).discovery(&Discovery{}, nil)
	all["pod"] = section.PodFields(Pod{})
	all["task"] = section.ReferenceFields(&Reference{})
	all["repositories[].deploy.secrets[]"] = section.ObjectFields(&Object{})
	for _, f := range r {
		if f.Fields != nil && f.Key != "report" {
			add("repositories[]."+f.Key, f.Fields)
		}
	}
	return all
}

// derived are the defaults that follow from something else.
var derived = map[string]string{
	"repositories[].monitor.repo_type":      "from the host",
	"repositories[].monitor.api_url":        "from `repo_url`",
	"repositories[].deploy.repo_type":       "from the host",
	"discover[].repo_type":                  "from the host",
	"discover[].api_url":                    "from `host`",
	"repositories[].deploy.api_url":         "from `qa_repo_url`",
	"repositories[].deploy.auth.username":   "`git`",
	"repositories[].deploy.project_name":    "`name`",
	"repositories[].deploy.image":           "`global.image`",
	"repositories[].deploy.timeout":         "`global.timeout`",
	"repositories[].deploy.service_account": "`global.service_account`",
	"repositories[].deploy.shell":           "`/bin/sh`",
	"clusters.NAME.service_account":         "`global.service_account`",
	"clusters.NAME.credentials_secret":      "`global.credentials_secret`",
	"global.namespace":                      "the current one",
	"pod.run_as_user":                       "`65532`",
	"pod.run_as_group":                      "`65532`",
	"pod.fs_group":                          "`65532`",
}

var (
	heading = regexp.MustCompile("^## (?:`(.*)`|The file)$")
	row     = regexp.MustCompile("^\\| `([a-z0-9_]+)` \\| ([a-z]+) \\| (.*?) \\| (.*?) ?\\| (.*?) ?\\| (.+) \\|$")
)

// TestManualHasEveryKey compares the manual's tables with the fields, key by key, and tries its examples.
func TestManualHasEveryKey(t *testing.T) {
	data, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string][]string{} // path: type, default, range, example
	section, inTable := "", false
	for line := range strings.SplitSeq(string(data), "\n") {
		if m := heading.FindStringSubmatch(line); m != nil {
			section, inTable = m[1], true
		} else if strings.HasPrefix(line, "## ") {
			inTable = false
		}
		if m := row.FindStringSubmatch(line); m != nil && inTable {
			documented[joinSection(section, m[1])] = m[2:6]
		}
	}
	for path, fields := range sections() {
		for _, f := range fields {
			key := joinSection(path, f.Key)
			got, ok := documented[key]
			if !ok {
				t.Errorf("%s is not in the manual", key)
				continue
			}
			delete(documented, key)
			checkRow(t, key, f, got)
		}
	}
	for key := range documented {
		t.Errorf("%s is in the manual and no key", key)
	}
}

func joinSection(section, key string) string { return strings.TrimPrefix(section+"."+key, ".") }

func checkRow(t *testing.T, key string, f schema.Field, got []string) {
	t.Helper()
	def := "none"
	switch {
	case f.Required:
		def = "required"
	case derived[key] != "":
		def = derived[key]
	case f.Default != "":
		def = "`" + f.Default + "`"
	}
	want := f.Want
	if f.Kind == "section" || f.Key == "repositories" || f.Key == "discover" {
		want = ""
	}
	if got[0] != f.Kind || got[1] != def || got[2] != want {
		t.Errorf("%s is in the manual as %q, want %q", key, got[:3], []string{f.Kind, def, want})
	}
	if want == "" || f.Kind == "text" { // of several lines, which no row of a table has
		return
	}
	var example yaml.Node
	if err := yaml.Unmarshal([]byte(strings.Trim(got[3], "`")), &example); err != nil || len(example.Content) == 0 {
		t.Errorf("the example %s of %s is no YAML: %v", got[3], key, err)
		return
	}
	d := schema.NewDecoder(options().schema(), 0)
	f.Read(d, key, example.Content[0])
	if err := d.Err(); err != nil {
		t.Errorf("the example %s of %s is wrong: %v", got[3], key, err)
	}
}

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// TestEveryExampleLoads reads the examples and the blocks of the manual that are whole files. None has a warning.
func TestEveryExampleLoads(t *testing.T) {
	files := map[string][]byte{}
	paths, err := filepath.Glob("../../examples/*.yaml")
	if err != nil || len(paths) < 3 {
		t.Fatalf("%d examples, %v, want at least 3", len(paths), err)
	}
	for _, path := range append(paths, manual) {
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if path != manual {
			files[path] = data
			continue
		}
		for i, m := range yamlBlock.FindAllSubmatch(data, -1) {
			if strings.Contains("\n"+string(m[1]), "\nrepositories:") {
				files[fmt.Sprintf("%s, block %d", path, i+1)] = m[1]
			}
		}
	}
	if len(files) < 6 {
		t.Errorf("%d files and blocks, want at least 6", len(files))
	}
	for name, data := range files {
		if c, err := Parse(data, options()); err != nil || len(c.Warnings) > 0 {
			t.Errorf("%s: %v\n%+v", name, err, c)
		}
	}
}

// TestReferenceExampleShowsEveryKey holds that the example needs no other page beside it.
func TestReferenceExampleShowsEveryKey(t *testing.T) {
	data, err := os.ReadFile("../../examples/sentry.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for path, fields := range sections() {
		for _, f := range fields {
			if !strings.Contains(string(data), f.Key+":") {
				t.Errorf("%s is not in the example", joinSection(path, f.Key))
			}
		}
	}
}
