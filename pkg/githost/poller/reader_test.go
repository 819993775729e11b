package poller

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// hostFunc is a Host in one function.
type hostFunc func(ctx context.Context, want []githost.Wanted) []repo.Observation

func (f hostFunc) Heads(ctx context.Context, want []githost.Wanted) []repo.Observation {
	return f(ctx, want)
}

// fixed answers every branch at sha1.
func fixed(_ context.Context, want []githost.Wanted) []repo.Observation {
	answers := make([]repo.Observation, len(want))
	for i := range want {
		answers[i].Heads = map[string]repo.SHA{"main": sha1}
	}
	return answers
}

// network is a Reader whose hosts are functions, by origin; all others are fixed. It records what was asked.
type network struct {
	Reader
	hosts  map[string]hostFunc
	billed func(githost.Bill) // of the host that was opened last
	mu     sync.Mutex
	opens  []string
	asked  []string
}

func newNetwork(hosts map[string]hostFunc) *network {
	n := &network{hosts: hosts}
	n.Hosts = githost.Drivers{driver(config.Git, n.open), driver(config.GitHub, n.open)}
	n.Base = http.NewFileTransport(http.Dir("/nonexistent"))
	return n
}

func (n *network) open(e githost.Endpoint, _ *http.Client) (githost.Host, error) {
	n.billed = e.Billed
	n.opens = append(n.opens, fmt.Sprintf("%s %s %s", e.Type, e.Origin, e.APIURL))
	if e.Origin == "https://broken.example" {
		return nil, fmt.Errorf("api_url does not suit token %s", e.Auth.Token.Reveal())
	}
	f := n.hosts[e.Origin]
	if f == nil {
		f = fixed
	}
	return hostFunc(func(ctx context.Context, want []githost.Wanted) []repo.Observation {
		n.mu.Lock()
		for _, w := range want {
			n.asked = append(n.asked, w.URL+" "+w.Patterns.String())
		}
		n.mu.Unlock()
		return f(ctx, want)
	}), nil
}

func monitor(t *testing.T, kind config.HostType, url, token string, entries ...string) config.Monitor {
	t.Helper()
	return config.Monitor{
		Source:   config.Source{URL: url, Type: kind, Auth: config.Auth{Token: secret.New("${TOKEN}", token)}},
		Branches: repotest.Patterns(t, entries...),
	}
}

// texts makes one comparable line of each observation.
func texts(t *testing.T, got []repo.Observation) []string {
	t.Helper()
	var lines []string
	for _, o := range got {
		if o.Err == nil {
			lines = append(lines, fmt.Sprint(o.Heads))
			continue
		}
		if e, ok := errors.AsType[*githost.Error](o.Err); !ok || e.Host == "" || o.Heads != nil {
			t.Errorf("got %#v, want an *Error with its host and no heads", o)
		}
		lines = append(lines, o.Err.Error())
	}
	return lines
}

const (
	sha1 = "1111111111111111111111111111111111111111"
	sha2 = "2222222222222222222222222222222222222222"
	good = "map[main:" + sha1 + "]"
)

func TestReaderGroups(t *testing.T) {
	n := newNetwork(nil)
	want := []config.Monitor{
		monitor(t, config.Git, "https://a.example/x", "", "main"),
		monitor(t, config.Git, "https://b.example/x", "", "main"),
		monitor(t, config.Git, "https://A.example:443/y", "", "main"),
		monitor(t, config.Git, "https://a.example/x", "t1", "main"),
		monitor(t, config.Git, "https://a.example/x", "", "main"), // twice
		monitor(t, config.Git, "https://a.example/x", "", "main", "dev.*"),
		monitor(t, config.GitHub, "https://a.example/x", "", "main"),
		monitor(t, config.GitLab, "https://a.example/x", "", "main"),
		monitor(t, config.Git, "://", "", "main"),
		monitor(t, config.Git, "https://broken.example/x", "s3cret", "main"),
	}
	for cycle := range 2 {
		n.asked = nil
		got := n.Heads(t.Context(), want)
		if diff := cmp.Diff([]string{good, good, good, good, good, good, good,
			`sentry.yaml: invalid: repo_type "gitlab" is not supported`,
			"repo_url: invalid: it is not an address of the form https://host/path or ssh://user@host/path",
			"broken.example: invalid: api_url does not suit token [redacted]",
		}, texts(t, got)); diff != "" {
			t.Errorf("cycle %d: (-want +got)\n%s", cycle, diff)
		}
		slices.Sort(n.asked)
		if diff := cmp.Diff([]string{
			"https://A.example:443/y main", "https://a.example/x main", "https://a.example/x main", "https://a.example/x main",
			"https://a.example/x main, dev.*", "https://b.example/x main",
		}, n.asked); diff != "" {
			t.Errorf("cycle %d: asked (-want +got)\n%s", cycle, diff)
		}
	}
	n.opens = slices.DeleteFunc(n.opens, func(s string) bool { return strings.Contains(s, "broken") })
	if diff := cmp.Diff([]string{"git https://a.example ", "git https://b.example ", "git https://a.example ", "github https://a.example "}, n.opens); diff != "" {
		t.Errorf("opened in two cycles (-want +got)\n%s", diff)
	}
	n.Close()
}

func TestReaderTellsNamesFromExpressions(t *testing.T) {
	n := newNetwork(nil)
	expression := monitor(t, config.Git, "https://a.example/x", "", "dev.*")
	name := expression
	name.Branches = repo.Patterns{repo.ExactPattern("dev.*")}
	n.Heads(t.Context(), []config.Monitor{expression, name, expression, name})
	if len(n.asked) != 2 {
		t.Errorf("asked %q, want the name and the expression, each once", n.asked)
	}
}

func TestReaderIsolatesHosts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		n := newNetwork(map[string]hostFunc{
			"https://slow.example": func(ctx context.Context, want []githost.Wanted) []repo.Observation {
				// Half of the answer is there when the time is over.
				answers := fixed(ctx, want)
				<-ctx.Done()
				for i, w := range want {
					if strings.HasSuffix(w.URL, "/2") {
						answers[i] = repo.Observation{Err: fmt.Errorf("listing: %w", context.Cause(ctx))}
					}
				}
				return answers
			},
			"https://deaf.example": func(ctx context.Context, want []githost.Wanted) []repo.Observation {
				<-release
				return fixed(ctx, want)
			},
			"https://panics.example": func(context.Context, []githost.Wanted) []repo.Observation { panic("token s3cret") },
			"https://short.example":  func(context.Context, []githost.Wanted) []repo.Observation { return nil },
			"https://leaks.example": func(_ context.Context, want []githost.Wanted) []repo.Observation {
				return []repo.Observation{{Err: errors.New("no\nwith s3cret, Z2l0OnMzY3JldA==")}}
			},
		})
		var log strings.Builder
		n.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
		n.Timeout = 20 * time.Second
		want := []config.Monitor{
			monitor(t, config.Git, "https://slow.example/1", "s3cret", "main"),
			monitor(t, config.Git, "https://good.example/1", "s3cret", "main"),
			monitor(t, config.Git, "https://slow.example/2", "s3cret", "main"),
			monitor(t, config.Git, "https://deaf.example/1", "s3cret", "main"),
			monitor(t, config.Git, "https://panics.example/1", "s3cret", "main"),
			monitor(t, config.Git, "https://short.example/1", "s3cret", "main"),
			monitor(t, config.Git, "https://leaks.example/1", "s3cret", "main"),
		}
		rest := []string{
			"panics.example: invalid: the answer could not be read, which is a fault of Sentry: please report the stack in the log",
			"short.example: invalid: 0 answers for 1 repositories, which is a fault of Sentry: please report it",
			"leaks.example: temporary: no with [redacted], [redacted]",
		}
		slow := "slow.example: temporary: no answer within 20s: context deadline exceeded"
		deaf := "deaf.example: temporary: no answer within 20s: context deadline exceeded"
		start := time.Now()
		if diff := cmp.Diff(append([]string{good, good, slow, deaf}, rest...), texts(t, n.Heads(t.Context(), want))); diff != "" {
			t.Errorf("first cycle (-want +got)\n%s", diff)
		}
		if elapsed := time.Since(start); elapsed > 22*time.Second {
			t.Errorf("took %s, want little more than the timeout of 20s", elapsed)
		}
		time.Sleep(time.Minute)
		busy := "deaf.example: temporary: still busy with an earlier request: deaf.example: temporary: no answer within 20s: context deadline exceeded"
		if diff := cmp.Diff(append([]string{good, good, slow, busy}, rest...), texts(t, n.Heads(t.Context(), want))); diff != "" {
			t.Errorf("second cycle (-want +got)\n%s", diff)
		}
		close(release)
		synctest.Wait()
		if got := texts(t, n.Heads(t.Context(), want[3:4])); got[0] != good {
			t.Errorf("once the host has come back: got %s", got)
		}
		if strings.Contains(log.String(), "s3cret") || !strings.Contains(log.String(), "panicked") {
			t.Errorf("the log holds the token, or not the panic:\n%s", log.String())
		}
	})
}

func TestReaderIsInterrupted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newNetwork(map[string]hostFunc{"https://slow.example": func(ctx context.Context, want []githost.Wanted) []repo.Observation {
			<-ctx.Done()
			return []repo.Observation{{Err: ctx.Err()}}
		}})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		start := time.Now()
		got := n.Heads(ctx, []config.Monitor{monitor(t, config.Git, "https://slow.example/1", "", "main")})
		if elapsed := time.Since(start); elapsed != time.Second {
			t.Errorf("took %s, want it to end when the context does, after 1s", elapsed)
		}
		if diff := cmp.Diff([]string{"slow.example: temporary: interrupted before it answered"}, texts(t, got)); diff != "" {
			t.Errorf("(-want +got)\n%s", diff)
		}
	})
}

func TestReaderWithNothingToRead(t *testing.T) {
	if got := newNetwork(nil).Heads(t.Context(), nil); len(got) != 0 {
		t.Errorf("got %v, want no observations", got)
	}
}

// One repository that is written in several ways is asked for once, where it is sure to be one.
func TestReaderTellsSpellings(t *testing.T) {
	for kind, want := range map[config.HostType][]string{
		config.GitHub: {"https://a.example/o/x main", "https://a.example/o/y main"},
		config.Git:    {"https://a.example/o/x main", "https://a.example/o/x.git main", "https://a.example/o/y main"},
	} {
		n := newNetwork(nil)
		var monitors []config.Monitor
		for _, url := range []string{"https://a.example/o/x", "https://A.example/o/x", "https://a.example:443/o/x", "https://a.example/o/x.git", "https://a.example/o/y"} {
			monitors = append(monitors, monitor(t, kind, url, "token", "main"))
		}
		for i, o := range n.Heads(t.Context(), monitors) {
			if o.Heads["main"] != sha1 {
				t.Errorf("%s, %s: %+v", kind, monitors[i].URL, o)
			}
		}
		slices.Sort(n.asked)
		if diff := cmp.Diff(want, n.asked); diff != "" {
			t.Errorf("%s: asked (-want +got)\n%s", kind, diff)
		}
	}
}

// A server may echo the credential in other letters, encoded, or where our own bound cuts it off.
func TestReaderHidesCredentialsHoweverTheyAreWritten(t *testing.T) {
	const token = "gh-S3cret/Tok3n+of=ours"
	echoes := []string{token, strings.ToUpper(token), strings.ToLower(token), url.QueryEscape(token), strings.ToLower(url.PathEscape(token)),
		url.QueryEscape(url.QueryEscape(token)), fmt.Sprintf("%q", strings.ReplaceAll(token, "/", `\/`)), strings.Repeat("x", 300-len("…")-12) + token}
	for _, echo := range echoes {
		n := newNetwork(map[string]hostFunc{"https://leaks.example": func(context.Context, []githost.Wanted) []repo.Observation {
			return []repo.Observation{{Err: githost.NewError(githost.Invalid, "leaks.example", "%s", echo)}}
		}})
		got := texts(t, n.Heads(t.Context(), []config.Monitor{monitor(t, config.Git, "https://leaks.example/1", token, "main")}))
		if plain := strings.ToLower(got[0]); strings.Contains(plain, "s3cret") || strings.Contains(plain, "tok3n") || !strings.Contains(plain, "[redacted]") {
			t.Errorf("a server that says %q gives the error %q", echo, got[0])
		}
		resp := &http.Response{StatusCode: 403, Header: http.Header{"Content-Type": {"text/plain"}}, Request: &http.Request{Header: http.Header{"Private-Token": {token}}}}
		if text := strings.ToLower(transport.StatusError("h", resp, []byte("no: "+echo)).Error()); strings.Contains(text, "s3cret") || strings.Contains(text, "tok3n") {
			t.Errorf("a server that answers %q gives the error %q", echo, text)
		}
	}
}
