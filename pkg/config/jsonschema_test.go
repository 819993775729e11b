package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"gopkg.in/yaml.v3"

	"github.com/tekton-sentry/sentry/pkg/config/schema"
	"github.com/tekton-sentry/sentry/pkg/strategy/cel"
)

// compile returns a JSON Schema ready to validate with.
func compile(t *testing.T, shape schema.Shape) *jsonschema.Schema {
	t.Helper()
	text, err := json.Marshal(shape)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("sentry.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("sentry.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// asEditor returns what an editor makes of a YAML text before it asks the schema; an error where that is not YAML to it.
func asEditor(data []byte) (any, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var value, more any
	if err := dec.Decode(&value); err != nil {
		return nil, err
	}
	if dec.Decode(&more) == nil {
		return nil, fmt.Errorf("a second document")
	}
	return asJSON(value), nil
}

// asJSON returns a value with nothing in it that JSON lacks.
func asJSON(value any) any {
	switch v := value.(type) {
	case map[string]any:
		for k := range v {
			v[k] = asJSON(v[k])
		}
	case map[any]any:
		m := map[string]any{}
		for k := range v {
			m[fmt.Sprint(k)] = asJSON(v[k])
		}
		return m
	case []any:
		for i := range v {
			v[i] = asJSON(v[i])
		}
	case time.Time:
		return v.Format(time.DateOnly) // YAML 1.2 has no dates: they are texts
	case int:
		return json.Number(fmt.Sprint(v))
	}
	return value
}

// beyond are the bad files that the schema accepts, by what it cannot say.
var beyond = map[string][]string{
	"what a variable holds": {
		"auth/deploy-username-empty", "auth/token-default-empty", "auth/token-of-echo", "auth/token-variable-empty", "auth/username-beside-broken-token",
		"auth/username-not-utf8", "auth/username-with-bell", "auth/variables-unset", "expansion/credentials-in-url", "expansion/not-a-branch", "expansion/not-a-group",
		"expansion/not-a-name", "expansion/not-a-number", "expansion/not-expanded-twice", "expansion/not-one-of", "expansion/two-unset-in-one", "expansion/unset",
		"expansion/unset-at-several-places", "apps/app-key-on-one-line", "apps/app-key-other", "ssh/certificate-of-nobody", "ssh/key-cut", "ssh/key-empty", "ssh/key-encrypted", "ssh/key-of-another-type", "ssh/key-of-putty",
		"ssh/key-public", "ssh/key-unset", "ssh/key-with-bell", "ssh/known-hosts-garbage", "expansion/unset-first-in-the-file", "global/credentials-secret",
		"global/proxy-unset", "global/proxy-variable-is-no-url",
		"top/webhooks-secret-short", "top/webhooks-secret-unset", "report/url-unset",
		"global/traces-headers-no-pair", "global/traces-headers-two-lines",
	},
	"what one key means for another": {
		"global/traces-headers-alone", "monitor/requests-beside", "monitor/requests-of-git", "monitor/requests-of-strangers",
		"groups/too-many-members", "needs/secrets-overlap-tmp-dir", "needs/secrets-variables", "monitor/branch-twice", "repositories/group-nearly-known", "repositories/group-unknown", "several/teams/web.yml", "repositories/name-twice",
		"deploy/pipeline-in-a-group", "order/waves-not-rising", "order/waves-not-all", "order/canary-without-check", "discover/expression", "discover/needs-found", "order/needs-unknown", "order/needs-itself", "order/needs-in-a-circle", "order/canary-without-repository", "order/expression-in-a-circle", "order/module-without-digest", "order/module-beside-needs", "deploy/task-qa-sha-of-nothing", "auth/checkout-token-mixture", "auth/checkout-token-text", "auth/checkout-username-mixture",
		"apps/app-and-checkout", "apps/app-beside-token", "apps/app-on-gitlab", "apps/app-over-ssh", "apps/app-without-installation", "ssh/checkout", "ssh/deploy", "ssh/key-beside-https", "ssh/no-key", "ssh/no-known-hosts", "ssh/nothing", "ssh/token-too", "ssh/type-of-an-api",
	},
	"what the name of a host tells": {
		"deploy/type-missing", "discover/type", "monitor/type-missing", "monitor/type-of-another-host", "monitor/url-of-a-gitlab-tree", "monitor/url-of-a-tree", "monitor/url-of-an-owner",
	},
	"how YAML is written": {
		"top/interval-hexadecimal", "yaml/broken-second-document", "yaml/merge-of-a-list", "yaml/tag",
	},
	"the grammar of regular expressions": {"monitor/branch-glob", "monitor/branch-unclosed", "monitor/ignore-unclosed", "monitor/ignore-of-everything", "monitor/paths-unclosed", "monitor/paths-that-only-leave-out"},
	"the language of expressions":        {"order/expression-misspelled", "order/expression-on-lines", "order/expression-of-names", "order/expression-empty", "order/expression-variable", "order/expression-of-labels", "order/expression-that-costs", "strategies/misspelled"},
	"what a text stands for": {"deploy/commands-too-long", "needs/env-large", "deploy/task-placeholder-in-a-variable", "deploy/task-placeholder-in-workspace", "deploy/task-unknown-placeholder", "global/ca-no-certificate", "monitor/url-with-bad-port", "monitor/url-with-encoded-newline",
		"ssh/known-hosts-a-file", "ssh/known-hosts-comment", "ssh/url-blank", "ssh/url-port", "ssh/url-up",
		"report/target-placeholder", "report/target-user"},
}

// unset are the variables that files of testdata/bad want unset. Others of other tests have some value.
var unset = regexp.MustCompile(`^(NO_TOKEN|POLL|GIT_HOST|SECRET|MISSING|IMAGE_REGISTRY)$`)

// TestSchemaAgreesWithValidate holds that the schema accepts every good file of the tests, and refuses each bad one
// unless it is listed, with the kind of what JSON Schema cannot say.
func TestSchemaAgreesWithValidate(t *testing.T) {
	s := compile(t, JSONSchema(Known))
	listed := map[string]string{}
	for kind, names := range beyond {
		for _, name := range names {
			listed[name] = kind
		}
	}
	good, bad := 0, 0
	for name, data := range corpus(t) {
		_, err := Parse(data, Options{Hosts: Known, Expression: cel.Needs, LookupEnv: func(name string) (string, bool) {
			if v, ok := lookup(name); ok {
				return v, ok
			}
			if unset.MatchString(name) {
				return "", false
			}
			return "x", true
		}})
		value, refused := asEditor(data)
		if refused == nil {
			refused = s.Validate(value)
		}
		kind, exception := listed[name]
		delete(listed, name)
		switch {
		case err == nil && refused != nil:
			t.Errorf("%s is valid, and the schema refuses it: %v\n%s", name, refused, data)
		case err == nil:
			good++
		case refused == nil && !exception:
			t.Errorf("the schema accepts %s, which has\n%v\n%s", name, err, data)
		case refused != nil && exception:
			t.Errorf("the schema refuses %s, which is listed as beyond it (%s): %v", name, kind, refused)
		default:
			bad++
		}
	}
	for name := range listed {
		t.Errorf("%s is listed and is no file of the tests", name)
	}
	if good < 35 || bad < 100 {
		t.Errorf("%d good and %d bad files, want at least 35 and 100", good, bad)
	}
}

// corpus returns all whole configuration files of the project's tests, examples and pages, by name.
func corpus(t *testing.T) map[string][]byte {
	t.Helper()
	files := map[string][]byte{}
	for _, pattern := range []string{"testdata/*.yaml", "../../examples/*.yaml", "../../manifests/sentry.yaml"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no files, %v", pattern, err)
		}
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files[path] = data
		}
	}
	for _, pattern := range []string{"testdata/bad/*.txtar", "../pipelinerun/testdata/*.txtar", "../cli/testdata/script/*.txtar"} {
		paths, err := filepath.Glob(pattern)
		if err != nil || len(paths) == 0 {
			t.Fatalf("%s: no archives, %v", pattern, err)
		}
		for _, path := range paths {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			for _, f := range archive.Files {
				isBad := strings.HasPrefix(path, "testdata/bad") && strings.HasSuffix(f.Name, ".yaml")
				if isBad || strings.Contains("\n"+string(f.Data), "\nrepositories:") {
					// Scripts put the URL of their server there.
					text := strings.ReplaceAll(string(f.Data), "URL/", "https://git.example.com/")
					files[strings.TrimSuffix(filepath.Base(path), ".txtar")+"/"+strings.TrimSuffix(f.Name, ".yaml")] = []byte(text)
				}
			}
		}
	}
	return files
}

// samples are texts that some key or other takes, or nearly does.
var samples = []string{
	"", "1", "0", "-1", "+7", "60", "90.0", "604800", "604801", "1e3", "0x10", "true", "false", "yes", "rag", "rag-service", "Rag", "-rag", "a.b", "a..b", "a_b",
	strings.Repeat("a", 41), strings.Repeat("a", 64), strings.Repeat("a.", 100) + "a", "main", "feature/x", "feature/.*", "a b", "HEAD", "@", "x.lock", "größe", "it's/$(HOME)",
	"/", "/tmp/sentry", "/tmp/sentry/", "/usr/x", "/usr2", "/a/../b", "/bin/bash", "/opt/bin/dash/", "bash", "docker.io/alpine/git:2.49.1", "localhost:5000/a@sha256:" + strings.Repeat("0", 64), "A:b",
	"https://github.com/company/rag", "HTTP://a.example/b/", "https://[::1]:8443/qa", "https://a.example", "https://a@b.example/c", "https://a.example/b?c", "ssh://git@a.example/b", "git@a.example:b/c",
	"parallel", "sequential", "record", "ClusterFirst", "debug", "github", "${HOST}", "${NINETY}", "${GITLAB_TOKEN}", "${GITLAB_TOKEN:-}", "x${GITLAB_TOKEN}", "$${x}", "2024-01-01", "a: b",
}

// Every text that a key takes, the schema takes there, whatever YAML makes of it.
func TestSchemaTakesWhatKeysTake(t *testing.T) {
	t.Parallel()
	whole := JSONSchema(Known)
	taken := 0
	for path, fields := range sections() {
		if path == "repositories[].deploy.auth" {
			continue // what it takes is for the check of the whole section to say
		}
		part := schema.JSONSchema(strings.TrimSuffix(path, "."), fields, newTables(Known).inner)
		part["$schema"], part["definitions"] = whole["$schema"], whole["definitions"]
		delete(part, "required")
		s := compile(t, part)
		for _, f := range fields {
			if joinSection(path, f.Key) == "repositories[].deploy" {
				continue // the same
			}
			for _, sample := range samples {
				for _, text := range []string{sample, fmt.Sprintf("%q", sample), "[" + sample + "]", "{}"} {
					var n yaml.Node
					if err := yaml.Unmarshal([]byte(text), &n); err != nil || len(n.Content) == 0 {
						continue
					}
					d := schema.NewDecoder(options().schema(), 1000)
					if !schema.IsNull(n.Content[0]) {
						f.Read(d, f.Key, n.Content[0])
					} else if f.Required {
						continue
					}
					if d.Err() != nil {
						continue
					}
					taken++
					value, err := asEditor([]byte(f.Key + ":\n  " + text))
					if err == nil {
						err = s.Validate(value)
					}
					if err != nil {
						t.Errorf("%s takes %s, and the schema does not: %v", joinSection(path, f.Key), text, err)
					}
				}
			}
		}
	}
	if taken < 1000 {
		t.Errorf("only %d values were taken: this shows little", taken)
	}
}

// What the schema refuses, an editor underlines: each of these is a slip that people make.
func TestSchemaRefusesSlips(t *testing.T) {
	s := compile(t, JSONSchema(Known))
	const rest = `
repositories:
  - name: rag
    monitor: {repo_url: https://github.com/company/rag, branches: [main]}
    deploy: {qa_repo_url: https://gitlab.com/qa/pipelines, commands: [./run]}
`
	for _, head := range []string{
		"polling_intervall: 60", "polling_interval: 5", "polling_interval: 1m", "polling_interval: 1.5", "global: {cleanup: no way}", "global: {on_first_seen: deploys}",
		"groups: {Upper: }", "groups: {a: {max_parallel: 0}}", "groups: {a: {pod: {run_as_user: 0}}}", "global: {namespace: a.b}", "global: {tmp_dir: /usr/x}", "global: [a]", "global: {sweep: 30}",
	} {
		value, err := asEditor([]byte(head + rest))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(value) == nil {
			t.Errorf("the schema accepts %s", head)
		}
	}
	value, err := asEditor([]byte("polling_interval: 60" + rest))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Validate(value); err != nil {
		t.Errorf("the schema refuses what is right: %v", err)
	}
	if keys := slices.Sorted(maps.Keys(value.(map[string]any))); !slices.Equal(keys, []string{"polling_interval", "repositories"}) {
		t.Errorf("the file was read as %v", keys)
	}
}
