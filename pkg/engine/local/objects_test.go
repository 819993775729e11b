package local_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/sshgit/sshgittest"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
	sentrysecret "github.com/tekton-sentry/sentry/pkg/secret"
)

// TestObjects has what stands in for Secrets and ConfigMaps, and says what is missing.
func TestObjects(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "config"), []byte("kube\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := filepath.Join(dir, "none")
	secrets := func(o ...config.Object) config.Deploy { return config.Deploy{Secrets: o} }
	configMaps := func(o ...config.Object) config.Deploy { return config.Deploy{ConfigMaps: o} }
	const set, files = "TIER=one-tier", "cat "
	tests := []struct {
		name     string
		deploy   config.Deploy
		commands []string
		want     string // in the output
		fails    string // the task's message
	}{
		{"all keys of both", config.Deploy{Secrets: []config.Object{{Name: "s"}}, ConfigMaps: []config.Object{{Name: "c"}}}, []string{"echo $TIER"}, "] one-tier\n", ""},
		{"a key", secrets(config.Object{Name: "s", Keys: []string{"TIER"}}), []string{"echo $TIER"}, "] one-tier\n", ""},
		{"a key of a ConfigMap", configMaps(config.Object{Name: "s", Keys: []string{"TIER"}}), []string{"echo $TIER"}, "] one-tier\n", ""},
		{"a key that is not set", secrets(config.Object{Name: "s", Keys: []string{"NONE"}}), nil, "",
			"CreateContainerConfigError: step deploy needs the variable NONE (a key of Secret s), which is not set in the environment"},
		{"one of a ConfigMap", configMaps(config.Object{Name: "c", Keys: []string{"NONE"}}), nil, "",
			"CreateContainerConfigError: step deploy needs the variable NONE (a key of ConfigMap c), which is not set in the environment"},
		{"one that need not be there", configMaps(config.Object{Name: "c", Keys: []string{"NONE"}, Optional: true}), []string{"echo ${NONE-nothing}"}, "] nothing\n", ""},
		{"files", secrets(config.Object{Name: "s", Mount: dir, Keys: []string{"config"}}), []string{files + dir + "/config"}, "] kube\n", ""},
		{"no such directory", configMaps(config.Object{Name: "c", Mount: none}), nil, "",
			"step deploy mounts ConfigMap c at " + none + ", for which this machine has to have the same directory: stat " + none + ": no such file or directory"},
		{"no such key", secrets(config.Object{Name: "s", Mount: dir, Keys: []string{"config", "other"}}), nil, "",
			"step deploy mounts Secret s at " + dir + ", for which this machine has to have the same directory: stat " + dir + "/other: no such file or directory"},
		{"files that need not be there", secrets(config.Object{Name: "s", Mount: none, Optional: true}), []string{"echo none"}, "] none\n", ""},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			tr := newTrial(t, set, "HOME="+t.TempDir())
			test.deploy.Commands = slices.Concat(test.commands, []string{"true"})
			out := tr.run(withoutClone(t, test.deploy))
			if out.Succeeded != (test.fails == "") || out.Tasks[0].Message != test.fails && test.fails != "" {
				t.Errorf("got %s %q, want %q\n%s", results(out), out.Tasks[0].Message, test.fails, tr.out)
			}
			if !strings.Contains(tr.out.String(), test.want) {
				t.Errorf("the output lacks %q:\n%s", test.want, tr.out)
			}
		})
	}
}

// A value from a Secret is for the step that refers to it, here as in a cluster.
func TestKeysAreForOneStep(t *testing.T) {
	tr := newTrial(t, "TOKEN=s3cr3t-of-the-test")
	pr := withoutClone(t, config.Deploy{Commands: []string{"echo got ${TOKEN%%-*}"}, Secrets: []config.Object{{Name: "s", Keys: []string{"TOKEN"}}}})
	if out := tr.run(pr); !out.Succeeded {
		t.Errorf("%s\n%s", results(out), tr.out)
	}
	if text := tr.out.String(); !strings.Contains(text, "] got s3cr3t\n") || !strings.Contains(text, "[a : clone] clone has nothing\n") {
		t.Errorf("want the variable in the second step alone:\n%s", text)
	}
}

// withoutClone is a generated run whose clone step only says whether it has a TOKEN.
func withoutClone(t *testing.T, d config.Deploy) *v1.PipelineRun {
	t.Helper()
	d.URL, d.Branch, d.Image = "https://gitlab.com/qa/pipelines", "main", "i"
	r := &config.Repository{Name: "a", Deploy: &d}
	pr, err := pipelinerun.Generate(&config.Config{Global: config.Global{TmpDir: "/tmp/sentry", GitImage: "i"}},
		plan.Run{
			Name: "run", Group: config.Alone(), Members: []plan.Member{{Task: "a", Repository: r, Branch: "main"}},
			Trigger: plan.Trigger{Refs: []plan.Change{{N: 1}}},
		})
	if err != nil {
		t.Fatal(err)
	}
	pr.Spec.PipelineSpec.Tasks[0].TaskSpec.Steps[0].Script = "#!/bin/sh\nmkdir \"$SENTRY_DIR/repo\"\necho \"clone has ${TOKEN-nothing}\"\n"
	return pr
}

// The application is cloned here too, and git has the credentials where that is asked for; nothing else has.
func TestCheckout(t *testing.T) {
	server, head := qaServer(t)
	auth := func(name string) config.Auth {
		return config.Auth{Token: sentrysecret.New("${"+name+"}", "s3cr3t-"+name)}
	}
	r := &config.Repository{Name: "a"}
	r.Monitor.Source = config.Source{URL: server + "/team/qa", Auth: auth("APP")}
	r.Deploy = &config.Deploy{
		Source: config.Source{URL: server + "/team/qa", Auth: auth("QA")}, Branch: "main", Image: "i", Depth: 1, Checkout: true, GitCredential: true,
		Commands: []string{
			`test "$(git -C "$SENTRY_APP_DIR" rev-parse HEAD)" = ` + string(head), `test "$(basename "$SENTRY_APP_DIR")" = app`,
			`test "$SENTRY_GIT_TOKEN $SENTRY_APP_TOKEN ${QA-none} ${APP-none}" = "s3cr3t-QA s3cr3t-APP none none"`,
			`printf 'url=` + server + `/team/qa\n\n' | git credential fill | sed -n 's/^password=s3cr3t-/has /p'`,
			`printf 'url=` + server + `/other\n\n' | git credential fill | sed -n 's/^password=s3cr3t-/has /p'`,
		},
	}
	pr, err := pipelinerun.Generate(&config.Config{Global: config.Global{TmpDir: "/tmp/sentry", GitImage: "i"}}, plan.Run{
		Name: "run", Group: config.Alone(), Members: []plan.Member{{Task: "a", Repository: r, Branch: "main", SHA: head, QASHA: head}},
		Trigger: plan.Trigger{Refs: []plan.Change{{N: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrial(t, "QA=s3cr3t-QA", "APP=s3cr3t-APP")
	out := tr.run(pr)
	text := tr.out.String()
	if !out.Succeeded || !strings.Contains(text, "[a : checkout] Cloning ") || !strings.Contains(text, "] has APP\n") || !strings.Contains(text, "] has QA\n") {
		t.Errorf("%s %q, want both cloned, and the credential of each:\n%s", results(out), out.Tasks[0].Message, text)
	}
}

// A key that clones is in no variable and no file of the commands, which share a directory with the clone.
func TestCloneOverSSH(t *testing.T) {
	root, head := qaRoot(t)
	key := sshgittest.NewKey(t)
	server := sshgittest.NewOpenSSH(t, []string{key.Public()})
	known := sshgittest.KnownHosts(server.Address, server.Host)
	r := &config.Repository{Name: "a", Deploy: &config.Deploy{
		Source: config.Source{URL: server.URL(root + "/team/qa"), Auth: config.Auth{
			SSHKey: sentrysecret.New("${KEY}", key.Private), KnownHosts: sentrysecret.New(known, known)}},
		Branch: "main", Image: "i", Depth: 1,
		Commands: []string{`cat README`, `! grep -rl "PRIVATE[ ]KEY" "$SENTRY_DIR/.."`, `! env | grep "PRIVATE[ ]KEY"`},
	}}
	pr, err := pipelinerun.Generate(&config.Config{Global: config.Global{TmpDir: "/tmp/sentry", GitImage: "i"}}, plan.Run{
		Name: "run", Group: config.Alone(), Members: []plan.Member{{Task: "a", Repository: r, Branch: "main", SHA: head, QASHA: head}},
		Trigger: plan.Trigger{Refs: []plan.Change{{N: 1}}},
	})
	if err != nil {
		t.Fatal(err)
	}
	tr := newTrial(t, "KEY="+key.Private)
	if out := tr.run(pr); !out.Succeeded {
		t.Errorf("%s %q:\n%s", results(out), out.Tasks[0].Message, tr.out.String())
	}
}
