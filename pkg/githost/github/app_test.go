package github_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/conformance/testhost"
	"github.com/tekton-sentry/sentry/pkg/githost/github"
	"github.com/tekton-sentry/sentry/pkg/githost/github/githubtest"
	"github.com/tekton-sentry/sentry/pkg/githost/poller"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

// apps makes tokens of the installations 1 and 2 of an App, in front of a GitHub that takes the newest.
type apps struct {
	http.Handler
	take func(token string)

	mu   sync.Mutex
	made map[string]int // by installation
	lies bool           // what it refuses holds the credential
}

func (a *apps) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	of, rest, _ := strings.Cut(strings.TrimPrefix(req.URL.Path, "/app/installations/"), "/")
	switch {
	case rest == "access_tokens" && (of == "1" || of == "2"):
		a.made[of]++
		token := fmt.Sprintf("ghs_%s_made_%d", of, a.made[of])
		a.take(token)
		w.WriteHeader(http.StatusCreated)
		fmt.Fprintf(w, `{"token": %q, "expires_at": %q}`, token, time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	case rest == "access_tokens":
		http.NotFound(w, req)
	case a.lies:
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message": %q}`, "no "+req.Header.Get("Authorization"))
	default:
		a.Handler.ServeHTTP(w, req)
	}
}

// Repositories are read and statuses set with the tokens of an App: each installation has its own, made once. One that is refused is
// made anew, and no error says anything of it.
func TestApp(t *testing.T) {
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	text := string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(private)}))
	api := githubtest.New()
	api.Push("o/r", "main", testhost.SHA1)
	there := &apps{Handler: api, take: api.SetToken, made: map[string]int{}}
	origin := testhost.Serve(t, there)
	r := &poller.Reader{Hosts: githost.Drivers{github.Driver}, Log: slog.New(slog.DiscardHandler)}
	of := func(installation string) config.Monitor {
		return config.Monitor{Branches: repotest.Patterns(t, "main"), Source: config.Source{
			URL: origin + "/o/r", Type: config.GitHub, APIURL: origin,
			Auth: config.Auth{App: config.App{ID: "7", Installation: installation, Key: secret.New("${KEY}", text)}},
		}}
	}
	read := func(installation string) string {
		t.Helper()
		got := ""
		r.Each(t.Context(), []config.Monitor{of(installation)}, func(all map[int]repo.Observation) {
			if got = fmt.Sprint(all[0].Heads); all[0].Err != nil {
				got = all[0].Err.Error()
			}
		})
		if strings.Contains(got, "made_") || strings.Contains(got, strings.Split(text, "\n")[3]) || strings.Contains(got, "eyJ") {
			t.Errorf("a credential is in %s", got)
		}
		return got
	}
	want := fmt.Sprint(map[string]repo.SHA{"main": testhost.SHA1})
	for range 3 {
		if got := read("1"); got != want {
			t.Errorf("read were %s, want %s", got, want)
		}
	}
	statuses, err := r.Statuses(config.Repository{Monitor: of("1")})
	if err != nil {
		t.Fatal(err)
	}
	if err := statuses.SetStatus(t.Context(), origin+"/o/r", testhost.SHA1, githost.Status{Context: "sentry", State: githost.Success}); err != nil {
		t.Errorf("no status is set: %v", err)
	}
	if there.made["1"] != 1 {
		t.Errorf("%d tokens were made, want 1", there.made["1"])
	}
	api.SetToken("another")
	api.Push("o/r", "main", testhost.SHA2)
	if got := read("1"); got != fmt.Sprint(map[string]repo.SHA{"main": testhost.SHA2}) || there.made["1"] != 2 {
		t.Errorf("with a token that was taken back, read were %s, with %d tokens", got, there.made["1"])
	}
	if got := read("2"); got != fmt.Sprint(map[string]repo.SHA{"main": testhost.SHA2}) || there.made["2"] != 1 {
		t.Errorf("of the other installation read were %s, with %d tokens", got, there.made["2"])
	}
	there.lies = true
	if got := read("2"); !strings.Contains(got, "HTTP 403") || !strings.Contains(got, "no Bearer") {
		t.Errorf("with a server that repeats the token, read were %s", got)
	}
	if got := read("3"); !strings.Contains(got, "the GitHub App has no installation 3") {
		t.Errorf("of no installation read were %s", got)
	}
	_, err = github.Open(githost.Endpoint{Account: githost.Account{Origin: origin}, Auth: config.Auth{App: config.App{Key: secret.New("${KEY}", "ghp_x")}}}, new(http.Client))
	if err == nil || strings.Contains(err.Error(), "ghp_x") || errors.Unwrap(err) == nil {
		t.Errorf("opened with no key: %v", err)
	}
}
