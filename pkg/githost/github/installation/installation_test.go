package installation

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

var key = sync.OnceValue(func() *rsa.PrivateKey {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return key
})

// server is a GitHub that has one App with one installation.
type server struct {
	t     *testing.T
	clock time.Time // its own, and that of Sentry but for skew
	skew  time.Duration

	mu      sync.Mutex
	made    int
	revoked int          // tokens up to this are taken for none
	fails   http.Handler // answers for tokens in its place
	got     []string     // the credentials of requests
}

func (s *server) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	credential := strings.TrimPrefix(req.Header.Get("Authorization"), "Bearer ")
	w.Header().Set("Date", s.clock.UTC().Format(http.TimeFormat))
	if req.URL.Path != "/api/v3/app/installations/42/access_tokens" {
		s.got = append(s.got, credential)
		if n := 0; credential == "stand-in" || func() bool { _, _ = fmt.Sscanf(credential, "ghs_%d", &n); return n <= s.revoked }() {
			w.WriteHeader(http.StatusUnauthorized)
		}
		return
	}
	if s.fails != nil {
		s.fails.ServeHTTP(w, req)
		return
	}
	if req.Method != http.MethodPost || !s.signed(credential) {
		w.WriteHeader(http.StatusUnauthorized)
		fmt.Fprintf(w, `{"message": "no JWT: %s"}`, credential)
		return
	}
	s.made++
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, `{"token": "ghs_%d", "expires_at": %q}`, s.made, s.clock.Add(time.Hour).UTC().Format(time.RFC3339))
}

// signed checks a JWT as GitHub does.
func (s *server) signed(jwt string) bool {
	parts := strings.Split(jwt, ".")
	if len(parts) != 3 {
		return false
	}
	var claims struct {
		Iat, Exp int64
		Iss      string
	}
	text, _ := base64.RawURLEncoding.DecodeString(parts[1])
	signature, _ := base64.RawURLEncoding.DecodeString(parts[2])
	sum := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	now := s.clock.Unix()
	return json.Unmarshal(text, &claims) == nil && claims.Iss == "7" && claims.Iat <= now && claims.Exp > now && claims.Exp-now <= 600 &&
		rsa.VerifyPKCS1v15(&key().PublicKey, crypto.SHA256, sum[:], signature) == nil
}

func newServer(t *testing.T) (*server, *Transport, func() string) {
	s := &server{t: t, clock: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	srv := httptest.NewServer(s)
	t.Cleanup(srv.Close)
	made := []string{}
	next := New(Options{
		Next: http.DefaultTransport, API: srv.URL + "/api/v3/", Host: "git.example", App: "7", Installation: "42", Key: key(),
		Made: func(token string) { made = append(made, token) },
		Now:  func() time.Time { return s.clock.Add(s.skew) },
	})
	return s, next, func() string {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, srv.URL+"/api/v3/repos", nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer stand-in")
		resp, err := next.RoundTrip(req)
		if err != nil {
			if strings.Contains(err.Error(), "eyJ") {
				t.Errorf("a JWT is in %v", err)
			}
			return err.Error()
		}
		resp.Body.Close()
		if req.Header.Get("Authorization") != "Bearer stand-in" {
			t.Error("the request that was handed over is changed")
		}
		if len(made) != s.made || len(made) > 0 && made[len(made)-1] != fmt.Sprintf("ghs_%d", s.made) {
			t.Errorf("it was told of the tokens %q, and %d were made", made, s.made)
		}
		return fmt.Sprint(resp.StatusCode, " ", s.got[len(s.got)-1])
	}
}

// A token is made once, renewed before it ends, and again when it is refused. Clocks may differ by a minute.
func TestTokens(t *testing.T) {
	s, _, ask := newServer(t)
	for _, step := range []struct {
		what  string
		after time.Duration
		want  string
	}{
		{"the first", 0, "200 ghs_1"},
		{"a second later", time.Second, "200 ghs_1"},
		{"before its end", 48 * time.Minute, "200 ghs_1"},
		{"near its end", 2 * time.Minute, "200 ghs_2"},
		{"after its end", 3 * time.Hour, "200 ghs_3"},
	} {
		s.clock = s.clock.Add(step.after)
		if got := ask(); got != step.want {
			t.Errorf("%s: %s, want %s", step.what, got, step.want)
		}
	}
	s.revoked = 3
	if got := ask(); got != "200 ghs_4" {
		t.Errorf("revoked: %s", got)
	}
	s.revoked = 100
	if got := ask() + ", " + ask(); got != "401 ghs_5, 401 ghs_6" {
		t.Errorf("while none is taken: %s", got)
	}
	s.revoked = 0
	for _, s.skew = range []time.Duration{-time.Minute, time.Minute} {
		s.clock = s.clock.Add(2 * time.Hour)
		if got, want := ask(), fmt.Sprintf("200 ghs_%d", s.made); got != want {
			t.Errorf("with a clock that differs by %s: %s, want %s", s.skew, got, want)
		}
	}
}

// While no token can be made the one of before is used as long as it is good, and it is tried once a minute.
func TestTroubleWithTokens(t *testing.T) {
	s, _, ask := newServer(t)
	tries := 0
	answer := func(status int, header, body string) {
		s.fails = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			tries++
			if key, value, ok := strings.Cut(header, ": "); ok {
				w.Header().Set(key, value)
			}
			w.WriteHeader(status)
			fmt.Fprint(w, body)
		})
	}
	ask()
	answer(http.StatusBadGateway, "", "")
	for range 5 {
		s.clock = s.clock.Add(51 * time.Minute / 5)
		if got := ask(); got != "200 ghs_1" {
			t.Errorf("while nothing can be made: %s", got)
		}
		ask()
	}
	if tries != 1 {
		t.Errorf("%d tries within a minute, want 1", tries)
	}
	s.clock = s.clock.Add(10 * time.Minute)
	for _, tt := range []struct {
		status             int
		header, body, want string
	}{
		{502, "", "", "git.example: temporary: HTTP 502: the server has a problem"},
		{401, "", `{"message": "A JSON web token could not be decoded"}`, "git.example: denied: HTTP 401: the GitHub App was refused: check id and private_key of auth.github_app, and the clock of this machine"},
		{404, "", `{"message": "Not Found"}`, "git.example: denied: HTTP 404: the GitHub App has no installation 42: check auth.github_app, and whether it was uninstalled"},
		{403, "Content-Type: application/json", `{"message": "This installation has been suspended"}`, `git.example: denied: HTTP 403: the credential lacks the right to read this (it says: This installation has been suspended)`},
		{403, "X-RateLimit-Remaining: 0", "", "git.example: rate limited: HTTP 403: asked too often"},
		{201, "", `{"token": "a\nb", "expires_at": "2026-01-01T00:00:00Z"}`, "git.example: invalid: the answer holds no token of the installation"},
		{201, "", `{}`, "git.example: invalid: the answer holds no token of the installation"},
		{201, "", `<html>`, "git.example: invalid: the answer holds no token of the installation"},
	} {
		answer(tt.status, tt.header, tt.body)
		if got := ask(); got != tt.want {
			t.Errorf("%d %s: got\n%s, want\n%s", tt.status, tt.body, got, tt.want)
		}
	}
	s.fails = nil
	if got := ask(); got != "200 ghs_2" {
		t.Errorf("once all is well: %s", got)
	}
}

// All that need a token wait for the same, and none longer than it may.
func TestManyAtOnce(t *testing.T) {
	s, next, _ := newServer(t)
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			if token, err := next.current(t.Context()); token != "ghs_1" || err != nil {
				t.Errorf("one has %s, %v", token, err)
			}
		})
	}
	all.Wait()
	if s.made != 1 {
		t.Errorf("%d tokens were made", s.made)
	}
}

// Requests that are under way with a token that is taken back are all sent once more, with the one that the first of them has made.
func TestTakenBackUnderWay(t *testing.T) {
	s, next, ask := newServer(t)
	ask()
	const under = 5
	arrived, all := make(chan struct{}, under), make(chan struct{})
	base := next.Next
	next.Next = trip(func(req *http.Request) (*http.Response, error) {
		if req.Header.Get("Authorization") == "Bearer ghs_1" {
			arrived <- struct{}{}
			<-all
		}
		return base.RoundTrip(req)
	})
	var group sync.WaitGroup
	first := make(chan struct{})
	for range under {
		group.Go(func() {
			req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, next.API+"graphql", strings.NewReader("query"))
			if err != nil {
				t.Error(err)
				return
			}
			resp, err := next.RoundTrip(req)
			if err != nil || resp.StatusCode != http.StatusOK {
				t.Errorf("one that was under way: %v, %v, want that it is sent once more", resp, err)
			}
			if err == nil {
				resp.Body.Close()
			}
			select {
			case first <- struct{}{}:
			default:
			}
		})
	}
	for range under {
		<-arrived
	}
	s.mu.Lock()
	s.revoked = 1
	s.mu.Unlock()
	all <- struct{}{}
	<-first // it has another token, and the others still the old one
	close(all)
	group.Wait()
	if s.made != 2 {
		t.Errorf("%d tokens were made, want 2", s.made)
	}
}

type trip func(*http.Request) (*http.Response, error)

func (f trip) RoundTrip(req *http.Request) (*http.Response, error) { return f(req) }
