package pipelinerun

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun/internal/clone"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// A deploy script may use sentry-cli, or start a program with an SDK in it. The file has the variables that tools of
// sentry.io read: sentry-cli, its successor, the SDKs, and the plugins of build tools. Names that end with an underscore
// are the start of many.
func TestNoVariableIsOneOfSentryIO(t *testing.T) {
	m := testMember("rag")
	m.Repository.Deploy.Auth = config.Auth{Username: secret.New("${U}", "bob"), Token: secret.New("${T}", "secret")}
	m.Repository.Monitor.Auth = m.Repository.Deploy.Auth
	m.Repository.Deploy.Checkout, m.Repository.Deploy.GitCredential = true, true
	pr, err := Generate(testConfig(), testRun(config.Alone(), m))
	if err != nil {
		t.Fatal(err)
	}
	text, err := Marshal(pr)
	if err != nil {
		t.Fatal(err)
	}
	local, err := filepath.Glob("../engine/local/*.go")
	if err != nil {
		t.Fatal(err)
	}
	sandbox, err := filepath.Glob("../engine/local/sandbox/*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range append(local, sandbox...) {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, source...)
	}
	ours := map[string]bool{}
	for _, name := range regexp.MustCompile(`\bSENTRY_[A-Z0-9_]+`).FindAllString(string(text), -1) {
		ours[name] = true
	}
	for _, name := range []string{"SENTRY_PROJECT_NAME", "SENTRY_DIR", clone.EnvGit + "_USERNAME", clone.EnvGit + "_TOKEN", clone.EnvApp + "_USERNAME", clone.EnvApp + "_TOKEN", "SENTRY_APP_DIR", "SENTRY_LOCAL_TASK"} {
		if !ours[name] {
			t.Errorf("found only %q, without %s", slices.Sorted(maps.Keys(ours)), name)
		}
	}
	theirs, err := os.ReadFile("testdata/sentryio.txt")
	if err != nil {
		t.Fatal(err)
	}
	sentryIO := strings.Fields(string(theirs))
	for name := range ours {
		for _, theirs := range sentryIO {
			if name == theirs || strings.HasSuffix(theirs, "_") && strings.HasPrefix(name, theirs) {
				t.Errorf("tools of sentry.io read %s", name)
			}
		}
	}
}
