package config

import (
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
)

// canaryFile has every section, and what makes warnings of times that are too long.
const canaryFile = `
polling_interval: 60
groups:
  row: {global_timeout: 60}
repositories:
  - name: rag
    group: row
    monitor: {repo_url: https://github.com/company/rag, repo_type: github, branches: [main], auth: {token: "${TOKEN}"}}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, repo_type: gitlab, commands: [./run], timeout: 90000, auth: {token: "${TOKEN}"}}
  - name: web
    group: row
    monitor: {repo_url: https://github.com/company/web, branches: [main, "${CANARY}"]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
  - name: "${CANARY}"
    monitor: {repo_url: https://github.com/company/db, branches: [main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
global: {log_level: info}
`

// canaries are what variables hold, each with the part of it that no message may have.
var canaries = [][2]string{
	{"c4nary", "c4nary"}, {"-c4nary.", "c4nary"}, {"C4NARY", "C4NARY"}, {"c4nary\n", "c4nary"}, {"c4nary\x00\x1b", "c4nary"}, {"c4nary\xff", "c4nary"},
	{"${B}", "${B}"}, {"${c4nary}", "c4nary"}, {"${c4nary", "c4nary"}, {"$${c4nary}", "c4nary"}, {" c4nary ", "c4nary"}, {"!!int c4nary", "c4nary"}, {"*c4nary", "c4nary"},
	{strings.Repeat("c4nary", 200), "c4nary"}, {"c4nary[", "c4nary"}, {"(c4nary", "c4nary"}, {"c4nary(?=x)", "c4nary"}, {"c4nary{1001}", "c4nary"}, {"(c4nary )", "c4nary"},
	{`c4nary\.lock`, "c4nary"}, {"c4nary..x", "c4nary"}, {"{c4nary: 1}", "c4nary"}, {"[c4nary]", "c4nary"}, {"rov", "rov"}, {"ma1n", "ma1n"},
	{"c4nary/x", "c4nary"}, {"https://c4nary", "c4nary"}, {"https://c4nary.example/a/b", "c4nary"}, {"https://github.com/c4nary", "c4nary"},
	{"https://github.com/c4nary/b/c", "c4nary"}, {"https://github.com/c4nary/b?c4nary", "c4nary"}, {"https://github.com/c4nary/b#c", "c4nary"},
	{"https://c4nary:c4nary@github.com/a/b", "c4nary"}, {"https://gitlab.com/c4nary/x", "c4nary"}, {"https://gitlab.com/c4nary/x", "gitlab.com"}, {"https://github.com/c4nary//x", "c4nary"},
	{"https://github.com/c4nary\x7f/x", "c4nary"}, {"https://github.com/c4nary/%zz", "c4nary"}, {"https://github.com:c4nary/a/b", "c4nary"}, {"http://c4nary.example/a/b", "c4nary"},
	{"ssh://git@c4nary/x", "c4nary"}, {"git@c4nary:x", "c4nary"}, {"git://c4nary/x", "c4nary"}, {"::c4nary", "c4nary"},
	{"gitea", "\"gitea"}, {"sequential", "\"sequential"}, {"59", "59"}, {"31337", "31337"}, {"-31337", "31337"}, {"313373133731337313373133731337", "31337"}, {"31337.5", "31337"}, {"0x31337", "31337"},
	{"/c4nary/..", "c4nary"}, {"/proc/c4nary", "c4nary"}, {"docker.io/c4nary:", "c4nary"}, {"c4nary\u2028x", "c4nary"},
}

// TestNoMessageRepeatsAVariable sets every key to a variable, alone and within a text, with all that may be wrong
// with it.
func TestNoMessageRepeatsAVariable(t *testing.T) {
	messages := 0
	for section, fields := range sections() {
		for _, f := range fields {
			if f.Fields != nil || f.Kind == "section" || f.Key == "repositories" {
				continue
			}
			for _, text := range []string{"${CANARY}", "x${CANARY:-x}", "https://github.com/${CANARY}/b"} {
				file := canaryWith(t, section, f, text)
				for _, c := range canaries {
					got := messagesOf(t, file, c[0])
					messages += len(got)
					for _, m := range got {
						if strings.Contains(m, c[1]) {
							t.Errorf("%s.%s: %q, where the variable holds %q, gives a message that repeats it:\n%s", section, f.Key, text, c[0], m)
						}
					}
				}
			}
		}
	}
	if messages < 10_000 {
		t.Errorf("%d messages in all: the files have too little that is wrong", messages)
	}
}

// canaryWith returns the file with one key set to a text.
func canaryWith(t *testing.T, section string, f schema.Field, text string) []byte {
	t.Helper()
	var file map[string]any
	if err := yaml.Unmarshal([]byte(canaryFile), &file); err != nil {
		t.Fatal(err)
	}
	at := file
	for name := range strings.SplitSeq(section, ".") {
		switch name {
		case "":
		case "repositories[]":
			at = file["repositories"].([]any)[0].(map[string]any)
		case "secrets[]":
			object := map[string]any{"name": "s", "mount": "/s"}
			at["secrets"] = []any{object}
			at = object
		default:
			if name == "NAME" {
				name = "row"
			}
			if at[name] == nil {
				at[name] = map[string]any{}
			}
			at = at[name].(map[string]any)
		}
	}
	at[f.Key] = text
	if f.Kind == "list" {
		at[f.Key] = []string{text, "main"}
	}
	data, err := yaml.Marshal(file)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// messagesOf returns all that is said of a file: errors, warnings, and how its patterns are printed.
func messagesOf(t *testing.T, file []byte, canary string) []string {
	t.Helper()
	variables := map[string]string{"CANARY": canary, "TOKEN": "t", "B": "b"}
	lookup := func(name string) (string, bool) { v, ok := variables[name]; return v, ok }
	var messages []string
	c, err := Parse(file, Options{Hosts: Known, LookupEnv: lookup})
	var es Errors
	if errors.As(err, &es) {
		for _, e := range es {
			messages = append(messages, e.Error())
		}
		return messages
	}
	for _, w := range c.Warnings {
		messages = append(messages, w.String())
	}
	for _, r := range c.Repositories {
		messages = append(messages, r.Monitor.Branches.String())
	}
	for name := range maps.Keys(variables) {
		delete(variables, name)
	}
	if _, err := c.Renew(lookup); err != nil {
		messages = append(messages, err.Error())
	}
	return slices.Compact(messages)
}
