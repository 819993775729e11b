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
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// sentryIO are the variables that tools of sentry.io read: sentry-cli, its successor, the SDKs, and the
// plugins of build tools. Names that end with an underscore are the start of many.
var sentryIO = strings.Fields(`
	SENTRY_DSN SENTRY_URL SENTRY_HOST SENTRY_ORG SENTRY_PROJECT SENTRY_AUTH_TOKEN SENTRY_TOKEN SENTRY_API_KEY
	SENTRY_FORCE_ENV_TOKEN SENTRY_CLIENT_ID SENTRY_HEADER SENTRY_CUSTOM_HEADERS
	SENTRY_RELEASE SENTRY_ENVIRONMENT SENTRY_DIST SENTRY_NAME SENTRY_SERVER_NAME SENTRY_SERVERNAME SENTRY_VERSION
	SENTRY_PROPERTIES SENTRY_PROPERTIES_FILE SENTRY_LOAD_DOTENV SENTRY_DOTENV_PATH SENTRY_DOTENV_PATHS SENTRY_CONFIG_DIR SENTRY_CONF
	SENTRY_HTTP_MAX_RETRIES SENTRY_KEEPALIVE SENTRY_KEEP_ALIVE SENTRY_ALLOW_FAILURE SENTRY_PIPELINE SENTRY_VCS_REMOTE
	SENTRY_NO_PROGRESS_BAR SENTRY_DISABLE_UPDATE_CHECK SENTRY_LOG_LEVEL SENTRY_BINARY_PATH SENTRY_INSTALL_DIR
	SENTRY_PLAIN_OUTPUT SENTRY_OUTPUT_FORMAT SENTRY_NO_CACHE SENTRY_DUMP_RESPONSES SENTRY_MAX_PAGINATION_PAGES
	SENTRY_DEBUG SENTRY_SAMPLE_RATE SENTRY_TRACES_SAMPLE_RATE SENTRY_PROFILES_SAMPLE_RATE
	SENTRY_TRACE SENTRY_TRACE_ID SENTRY_BAGGAGE SENTRY_USE_ENVIRONMENT SENTRY_PRINT_ENVELOPES SENTRY_INITIAL_HANDLER
	SENTRY_MONITOR_ID SENTRY_MONITOR_SLUG SENTRY_SPOTLIGHT SENTRY_SPOTLIGHT_ON_ERROR SENTRY_SPOTLIGHT_MIDDLEWARE
	SENTRY_CLI_ SENTRY_RN_ SENTRY_TAGS_ SENTRY_PROXY_ SENTRY_LARAVEL_ SENTRY_BREADCRUMBS_ SENTRY_TRACE_ SENTRY_LOGGING_ SENTRY_INIT_
`)

// A deploy script may use sentry-cli, or start a program with an SDK in it.
func TestNoVariableIsOneOfSentryIO(t *testing.T) {
	m := testMember("rag")
	m.Repository.Deploy.Auth = config.Auth{Username: secret.New("${U}", "bob"), Token: secret.New("${T}", "secret")}
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
	for _, name := range []string{"SENTRY_PROJECT_NAME", "SENTRY_DIR", envUsername, envToken, "SENTRY_LOCAL_TASK"} {
		if !ours[name] {
			t.Errorf("found only %q, without %s", slices.Sorted(maps.Keys(ours)), name)
		}
	}
	for name := range ours {
		for _, theirs := range sentryIO {
			if name == theirs || strings.HasSuffix(theirs, "_") && strings.HasPrefix(name, theirs) {
				t.Errorf("tools of sentry.io read %s", name)
			}
		}
	}
}
