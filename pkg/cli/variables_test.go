package cli

import (
	"bytes"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/cli/usage"
)

// settable returns the variables that set the flags of watch and those of all commands.
func settable(t *testing.T) []string {
	t.Helper()
	root := newRoot(Streams{})
	watch, _, err := root.Find([]string{"watch"})
	if err != nil {
		t.Fatal(err)
	}
	return usage.FlagsOf(root.PersistentFlags(), watch.LocalNonPersistentFlags()).Variables()
}

// A variable that sets a flag must be no other thing's: a command that a deployment runs may call sentry, a Sentry may be
// started by a deployment, and a Service beside it gives its pod variables.
func TestVariablesOfFlagsAreNoOthers(t *testing.T) {
	var out, errs bytes.Buffer
	if code := Main(t.Context(), []string{"render", "--offline", "-c", "../../examples/sentry.yaml"}, Streams{Out: &out, Err: &errs}); code != exitDone {
		t.Fatalf("exit code %d\n%s", code, &errs)
	}
	taken := regexp.MustCompile(`\bSENTRY_[A-Z0-9_]+`).FindAllString(out.String(), -1)
	for _, name := range []string{"SENTRY_REPO", "SENTRY_DIR", "SENTRY_GIT_TOKEN"} {
		if !slices.Contains(taken, name) {
			t.Errorf("the variables of the commands are %q, without %s", taken, name)
		}
	}
	theirs, err := os.ReadFile("../pipelinerun/testdata/sentryio.txt")
	if err != nil {
		t.Fatal(err)
	}
	taken = append(taken, strings.Fields(string(theirs))...)
	// Kubernetes makes these for Services whose names begin with sentry.
	service := regexp.MustCompile(`_(SERVICE_HOST|SERVICE_PORT(_.*)?|PORT(_.*)?)$`)
	variables := settable(t)
	for _, name := range []string{"SENTRY_LOG_FORMAT", "SENTRY_CONFIG", "SENTRY_ONCE"} {
		if !slices.Contains(variables, name) {
			t.Errorf("the variables of flags are %q, without %s", variables, name)
		}
	}
	for _, name := range variables {
		for _, other := range taken {
			if name == other || strings.HasSuffix(other, "_") && strings.HasPrefix(name, other) {
				t.Errorf("%s sets a flag, and %s is another thing's", name, other)
			}
		}
		if service.MatchString(name) {
			t.Errorf("%s sets a flag, and Kubernetes may set it for a Service", name)
		}
	}
}

// A variable of the Deployment that sets no flag does nothing.
func TestVariablesOfTheDeployment(t *testing.T) {
	text, err := os.ReadFile("../../manifests/deployment.yaml")
	if err != nil {
		t.Fatal(err)
	}
	variables := settable(t)
	var theirs []string
	for _, m := range regexp.MustCompile(`name: (SENTRY_[A-Z_]+)`).FindAllStringSubmatch(string(text), -1) {
		theirs = append(theirs, m[1])
		if !slices.Contains(variables, m[1]) {
			t.Errorf("the Deployment sets %s, which sets no flag", m[1])
		}
	}
	if !slices.Contains(theirs, "SENTRY_CONFIG") {
		t.Errorf("the Deployment sets %q, without SENTRY_CONFIG", theirs)
	}
}
