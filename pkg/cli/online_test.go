package cli

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// What mends an error names the place in sentry.yaml, and does not contradict what the error says itself.
func TestMend(t *testing.T) {
	untrusted := githost.WrapError("h", &tls.CertificateVerificationError{Err: x509.UnknownAuthorityError{}})
	for name, test := range map[string]struct {
		key, variable string
		err           error
		want          string // its start; "" = nothing is said
	}{
		"a token":           {"monitor", "HUB", &githost.Error{Kind: githost.Denied, Status: 401, Err: errors.New("x")}, "put a token into HUB (monitor.auth.token) that is valid"},
		"no token":          {"deploy", "", &githost.Error{Kind: githost.Denied, Status: 401, Err: errors.New("x")}, "give deploy.auth a token that is valid"},
		"gone":              {"deploy", "HUB", &githost.Error{Kind: githost.NotFound, Status: 404, Err: errors.New("x")}, "correct deploy.qa_repo_url or deploy.repo_type, or put a token into HUB"},
		"no branch":         {"deploy", "", &githost.Error{Kind: githost.NoBranch, Err: errors.New("x")}, "correct deploy.qa_repo_branch"},
		"too many branches": {"monitor", "", &githost.Error{Kind: githost.TooLarge, Err: errors.New("x")}, ""},
		"login page":        {"monitor", "", &githost.Error{Kind: githost.Invalid, Err: errors.New("x")}, "correct monitor.repo_type"},
		"other GraphQL":     {"monitor", "", &githost.Error{Kind: githost.Temporary, Status: 200, Err: errors.New("x")}, "the host is reached: see whether monitor.repo_type"},
		"502":               {"monitor", "", &githost.Error{Kind: githost.Temporary, Status: 502, Err: errors.New("x")}, "the host is reached, and its trouble"},
		"refuses":           {"monitor", "", &githost.Error{Kind: githost.Temporary, Err: errors.New("x")}, "try again"},
		"not of this host":  {"monitor", "", errors.New("x"), "try again"},
		"private authority": {"monitor", "HUB", untrusted, ""},
		"the proxy's 407":   {"monitor", "HUB", &githost.Error{Kind: githost.Denied, Status: 407, Err: errors.New("x")}, ""},
		"limited":           {"monitor", "", &githost.Error{Kind: githost.RateLimited, Status: 429, Err: errors.New("x")}, "wait until"},
	} {
		l := look{key: test.key}
		l.Err = test.err
		if test.variable != "" {
			l.monitor.Auth.Token = secret.New("${"+test.variable+"}", "hush")
		}
		if got := mend(l); !strings.HasPrefix(got, test.want) || (got == "") != (test.want == "") {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// What `sentry watch` would not follow is found before it watches; a QA repository may have as many branches as it likes.
func TestOnlineFindsTooManyBranches(t *testing.T) {
	heads := map[string]repo.SHA{}
	for i := range 20_000 {
		heads[fmt.Sprintf("branch-%d", i)] = repo.SHA(strings.Repeat("a", 40))
	}
	l := look{key: "monitor"}
	l.see(repo.Observation{Heads: heads})
	if l.Err == nil || kindOf(l.Err) != "too many branches" || !strings.Contains(l.Err.Error(), "20000 branches match") || mend(l) != "" {
		t.Errorf("%v, kind %q, remedy %q, want an error that says how many, and what to do", l.Err, kindOf(l.Err), mend(l))
	}
	l = look{key: "deploy"}
	if l.see(repo.Observation{Heads: heads}); l.Err != nil {
		t.Errorf("a QA repository: %v", l.Err)
	}
}
