package hook

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/secret"
)

const theSecret = "a-secret-of-tests-xyzzy"

// configuration watches a repository of each host, one of them twice, and one at a server that its payloads call otherwise.
func configuration(secretText string) *config.Config {
	at := func(name, url string, t config.HostType) config.Repository {
		return config.Repository{Name: name, Monitor: config.Monitor{Source: config.Source{URL: url, Type: t}},
			Deploy: &config.Deploy{Source: config.Source{URL: "https://github.com/company/qa", Type: config.GitHub}}}
	}
	return &config.Config{Webhooks: config.Webhooks{Secret: secret.New("${WEBHOOK_SECRET}", secretText)}, Repositories: []config.Repository{
		at("rag", "https://github.com/Company/Rag", config.GitHub),
		at("rag-release", "https://github.com/company/rag.git", config.GitHub),
		at("models", "https://gitlab.com/ml/teams/models", config.GitLab),
		at("tools", "https://gitea.example:3000/ops/tools", config.Gitea),
		at("plain", "https://gitlab.com/ml/plain", config.Git),
		at("inner", "http://gitea-http.gitea.svc:3000/git/ops/inner", config.Gitea),
	}}
}

// receiver is a Receiver whose looks and log are kept.
type receiver struct {
	*Receiver
	t     *testing.T
	mux   *http.ServeMux
	log   bytes.Buffer
	mu    sync.Mutex
	looks []string // names of a look with commas between them
}

func (r *receiver) look(names []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks = append(r.looks, strings.Join(names, ","))
}

// looked returns the looks since the last call.
func (r *receiver) looked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	looks := r.looks
	r.looks = nil
	return looks
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	r := &receiver{t: t, mux: http.NewServeMux()}
	var err error
	r.Receiver, err = New(configuration(theSecret), r.look,
		slog.New(slog.NewTextHandler(&r.log, &slog.HandlerOptions{Level: slog.LevelWarn})))
	if err != nil {
		t.Fatal(err)
	}
	for pattern, h := range r.Handlers() {
		r.mux.Handle(pattern, h)
	}
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) send(req *http.Request) int {
	r.t.Helper()
	w := httptest.NewRecorder()
	r.mux.ServeHTTP(w, req)
	if text := w.Body.String(); strings.Contains(text, theSecret) || strings.Contains(text, "company") {
		r.t.Errorf("the answer tells %q", text)
	}
	return w.Code
}

// post makes a request with headers, as NAME, VALUE, ….
func post(path, body string, headers ...string) *http.Request {
	req := httptest.NewRequest(http.MethodPost, "/webhooks/"+path, strings.NewReader(body))
	req.Header.Set("Content-Type", "application/json")
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return req
}

func sum(body string) string {
	h := hmac.New(sha256.New, []byte(theSecret))
	h.Write([]byte(body))
	return hex.EncodeToString(h.Sum(nil))
}

func github(event, body string, headers ...string) *http.Request {
	return post("github", body, append([]string{"X-GitHub-Event", event, "X-Hub-Signature-256", "sha256=" + sum(body)}, headers...)...)
}

func gitea(body string, headers ...string) *http.Request {
	return post("gitea", body, append([]string{"X-Gitea-Event", "push", "X-GitHub-Event", "push", "X-Gitea-Signature", sum(body)}, headers...)...)
}

func gitlab(event, body string, headers ...string) *http.Request {
	return post("gitlab", body, append([]string{"X-Gitlab-Event", event, "X-Gitlab-Token", theSecret}, headers...)...)
}

// standard is what a newer GitLab sends.
func standard(key []byte, at time.Time) *http.Request {
	const id, body = "a1", gitlabPush
	h, stamp := hmac.New(sha256.New, key), strconv.FormatInt(at.Unix(), 10)
	h.Write([]byte(id + "." + stamp + "." + body))
	return post("gitlab", body, "X-Gitlab-Event", "Push Hook", "Webhook-Id", id, "Webhook-Timestamp", stamp,
		"Webhook-Signature", "v1,bm90IHRoaXMgb25l v1,"+base64.StdEncoding.EncodeToString(h.Sum(nil)))
}

func githubPush(fullName string) string {
	return fmt.Sprintf(`{"ref":"refs/heads/main","before":"%040d","after":"%040d","repository":{"id":1,"name":"x","full_name":%q,
		"private":true,"html_url":"https://github.com/%[3]s","clone_url":"https://github.com/%[3]s.git","default_branch":"main"},
		"pusher":{"name":"ada"},"commits":[{"id":"1","message":"\"repository\": {}"}]}`, 1, 2, fullName)
}

func giteaPush(root, fullName string) string {
	return fmt.Sprintf(`{"ref":"refs/heads/main","commits":[{"id":"1","url":"https://gitea.example:3000/x"}],"total_commits":1,
		"repository":{"id":7,"full_name":%q,"html_url":"%[2]s/%[1]s","clone_url":"%[2]s/%[1]s.git"},"pusher":{"login":"ada"}}`, fullName, root)
}

const gitlabPush = `{"object_kind":"push","ref":"refs/heads/main","repository":{"name":"models","homepage":"https://gitlab.com/x/y","url":"git@gitlab.com:x/y.git"},
	"project":{"id":5,"web_url":"https://gitlab.com/ml/teams/models","git_http_url":"https://gitlab.com/ml/teams/models.git","path_with_namespace":"ml/teams/models"},"commits":[]}`

func TestHooks(t *testing.T) {
	large := strings.TrimSuffix(githubPush("company/rag"), "}") + `,"filler":"` + strings.Repeat("x", maxKept) + `"}`
	late := `{"filler":"` + strings.Repeat("x", maxKept) + `",` + strings.TrimPrefix(githubPush("company/rag"), "{")
	huge := strings.Repeat(" ", maxBody+1)
	for name, tt := range map[string]struct {
		req     *http.Request
		status  int
		outcome Outcome
		looks   []string
	}{
		"GitHub":                       {github("push", githubPush("company/rag")), 202, Accepted, []string{"rag,rag-release"}},
		"GitHub, a branch deleted":     {github("delete", githubPush("company/rag")), 202, Accepted, []string{"rag,rag-release"}},
		"GitHub, letters of any case":  {github("push", githubPush("COMPANY/rAG")), 202, Accepted, []string{"rag,rag-release"}},
		"GitHub, more than is kept":    {github("push", large), 202, Accepted, []string{"rag,rag-release"}},
		"GitHub, not watched":          {github("push", githubPush("company/other")), 202, Unknown, nil},
		"GitHub, a QA repository":      {github("push", githubPush("company/qa")), 202, Unknown, nil},
		"GitHub, ping":                 {github("ping", `{"zen":"…"}`), 200, Pinged, nil},
		"GitHub, a star":               {github("star", githubPush("company/rag")), 202, Ignored, nil},
		"Gitea":                        {gitea(giteaPush("https://gitea.example:3000", "ops/tools")), 202, Accepted, []string{"tools"}},
		"Gitea, GitHub's header":       {post("gitea", "{}", "X-Gitea-Event", "star", "X-Hub-Signature-256", "sha256="+sum("{}")), 202, Ignored, nil},
		"Forgejo":                      {post("gitea", "{}", "X-Forgejo-Event", "star", "X-Forgejo-Signature", sum("{}")), 202, Ignored, nil},
		"Gitea, called otherwise":      {gitea(giteaPush("https://git.company.example", "ops/inner")), 202, Accepted, []string{"inner"}},
		"Gitea, another of that path":  {gitea(giteaPush("https://gitea.example:3000", "ops/inner")), 202, Unknown, nil},
		"GitLab":                       {gitlab("Push Hook", gitlabPush), 202, Accepted, []string{"models"}},
		"GitLab, a tag":                {gitlab("Tag Push Hook", gitlabPush), 202, Accepted, []string{"models"}},
		"GitLab, read over Git":        {gitlab("Push Hook", strings.ReplaceAll(gitlabPush, "ml/teams/models", "ml/plain")), 202, Accepted, []string{"plain"}},
		"GitLab, an issue":             {gitlab("Issue Hook", gitlabPush), 202, Ignored, nil},
		"GitLab, signed":               {standard([]byte(theSecret), time.Now()), 202, Accepted, []string{"models"}},
		"GitLab, signed long ago":      {standard([]byte(theSecret), time.Now().Add(-6*time.Minute)), 401, Expired, nil},
		"GitLab, signed in time to be": {standard([]byte(theSecret), time.Now().Add(6*time.Minute)), 401, Expired, nil},
		"GitLab, signed by another":    {standard([]byte("another"), time.Now()), 401, Forged, nil},
		"GitLab, no token":             {gitlab("Push Hook", gitlabPush, "X-Gitlab-Token", ""), 401, Forged, nil},
		"GitLab, another token":        {gitlab("Push Hook", gitlabPush, "X-Gitlab-Token", theSecret+"x"), 401, Forged, nil},
		"a GitHub's at GitLab's":       {post("gitlab", githubPush("company/rag"), "X-Gitlab-Event", "Push Hook", "X-Gitlab-Token", theSecret), 202, Unknown, nil},
		"no signature":                 {github("push", githubPush("company/rag"), "X-Hub-Signature-256", ""), 401, Forged, nil},
		"SHA-1":                        {github("push", githubPush("company/rag"), "X-Hub-Signature-256", "", "X-Hub-Signature", "sha1=00"), 401, Forged, nil},
		"a signature of another body":  {github("push", githubPush("company/rag"), "X-Hub-Signature-256", "sha256="+sum("{}")), 401, Forged, nil},
		"a short signature":            {github("push", "{}", "X-Hub-Signature-256", "sha256="+sum("{}")[:40]), 401, Forged, nil},
		"a GET":                        {httptest.NewRequest(http.MethodGet, "/webhooks/github", nil), 405, Method, nil},
		"a form":                       {github("push", "payload={}", "Content-Type", "application/x-www-form-urlencoded"), 415, Media, nil},
		"no content type":              {github("push", "{}", "Content-Type", ""), 415, Media, nil},
		"cut":                          {github("push", githubPush("company/rag")[:100]), 400, Malformed, nil},
		"no JSON":                      {github("push", "hello"), 400, Malformed, nil},
		"a list":                       {github("push", "[]"), 400, Malformed, nil},
		"empty":                        {github("push", ""), 400, Malformed, nil},
		"no repository":                {github("push", `{"ref":"x"}`), 400, Malformed, nil},
		"no event":                     {github("", githubPush("company/rag")), 400, Malformed, nil},
		"named beyond what is kept":    {github("push", late), 413, TooLarge, nil},
		"larger than hosts send":       {github("push", huge), 413, TooLarge, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			if got := r.send(tt.req); got != tt.status {
				t.Errorf("the answer is %d, want %d", got, tt.status)
			}
			if got := r.Counts(); len(got) != 1 || got[tt.outcome] != 1 {
				t.Errorf("counted as %v, want %q", got, tt.outcome)
			}
			if got := r.looked(); !slices.Equal(got, tt.looks) {
				t.Errorf("looks: %q, want %q", got, tt.looks)
			}
		})
	}
}

// unread is a body that nobody may read.
type unread struct{ t *testing.T }

func (u unread) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

// What says that it is too large is refused before any of it comes.
func TestNothingIsReadOfWhatIsTooLarge(t *testing.T) {
	r := newReceiver(t)
	req := github("push", "")
	req.Body, req.ContentLength = io.NopCloser(unread{t}), 1<<40
	if got := r.send(req); got != http.StatusRequestEntityTooLarge || r.Counts()[TooLarge] != 1 {
		t.Errorf("the answer is %d, counted as %v, want 413", got, r.Counts())
	}
}

func TestNobodyIsToldWhatIsWatched(t *testing.T) {
	r := newReceiver(t)
	answers := map[string]bool{}
	for _, req := range []*http.Request{
		github("push", githubPush("company/rag")), github("push", githubPush("company/other")), github("star", githubPush("company/rag")),
		github("push", githubPush("company/rag"), "X-GitHub-Delivery", "1"), github("push", githubPush("company/rag"), "X-GitHub-Delivery", "1"),
	} {
		w := httptest.NewRecorder()
		r.mux.ServeHTTP(w, req)
		answers[fmt.Sprint(w.Code, w.Header(), w.Body)] = true
	}
	if len(answers) != 1 {
		t.Errorf("the answers differ: %v", answers)
	}
}

func TestKeyOfStandardWebhooks(t *testing.T) {
	raw := []byte("0123456789abcdef0123456789abcdef")
	r := newReceiver(t)
	r.Apply(configuration("whsec_" + base64.StdEncoding.EncodeToString(raw)))
	if got := r.send(standard(raw, time.Now())); got != http.StatusAccepted {
		t.Errorf("the answer is %d, want 202", got)
	}
}

func TestReplays(t *testing.T) {
	r := newReceiver(t)
	for range 3 {
		r.send(github("push", githubPush("company/rag"), "X-GitHub-Delivery", "d-1"))
		r.send(gitea(giteaPush("https://gitea.example:3000", "ops/tools"), "X-Gitea-Delivery", "d-1"))
		r.send(gitlab("Push Hook", gitlabPush, "X-Gitlab-Event-UUID", "d-1"))
	}
	r.send(github("push", githubPush("company/rag"), "X-GitHub-Delivery", "forged", "X-Hub-Signature-256", "sha256="+sum("")))
	r.send(github("push", githubPush("company/other"), "X-GitHub-Delivery", "forged"))
	if got := r.Counts(); got[Accepted] != 3 || got[Repeated] != 6 || got[Unknown] != 1 {
		t.Errorf("counted as %v, want 3 accepted, 6 repeated, 1 unknown", got)
	}
	if got := r.looked(); len(got) != 3 {
		t.Errorf("looks: %q, want one of each host", got)
	}
}

func TestDeliveriesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var d deliveries
		d.repeated("x", "first")
		time.Sleep(remembered / 2)
		if !d.repeated("x", "first") {
			t.Error("forgotten within the time")
		}
		time.Sleep(remembered/2 + time.Second)
		if d.repeated("x", "first") {
			t.Error("remembered beyond the time")
		}
		for i := range 3 * maxDeliveries {
			d.repeated("x", strconv.Itoa(i))
		}
		if len(d.known) > maxDeliveries || len(d.order) > maxDeliveries {
			t.Errorf("%d deliveries are remembered, want at most %d", len(d.known), maxDeliveries)
		}
	})
}

func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		start, seconds := time.Now(), 10*60
		for range seconds * 10 {
			r.send(gitlab("Push Hook", gitlabPush))
			time.Sleep(time.Second / 10)
		}
		last := len(r.looked())
		if most := burst + seconds/int(sustained.Seconds()); last < burst || last > most+5 {
			t.Errorf("%d looks in %s of hooks, want %d to %d", last, time.Since(start), burst, most)
		}
		time.Sleep(sustained)
		if len(r.looked()) == 0 {
			t.Error("no look after the last hook of the storm")
		}
	})
}

// TestStormOfMany holds what a host is asked when all repositories are pushed to all the time: one cycle at a time, with
// all that came meanwhile.
func TestStormOfMany(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var cycles, names atomic.Int64
		p := newPace(func(repositories []string) {
			cycles.Add(1)
			names.Add(int64(len(repositories)))
		})
		defer p.close()
		const minutes, repositories = 10, 200
		for i := range minutes * 60 * 10 {
			p.hook([]string{fmt.Sprintf("r%d", i%repositories)})
			time.Sleep(time.Second / 10)
		}
		if most := togetherBurst + minutes*60*1000/int(together.Milliseconds()); cycles.Load() > int64(most)+1 {
			t.Errorf("%d cycles, want at most %d", cycles.Load(), most)
		}
		if names.Load() < 2*repositories {
			t.Errorf("%d repositories were looked at, want each several times", names.Load())
		}
	})
}

func TestSecondLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		r.send(gitlab("Push Hook", gitlabPush))
		time.Sleep(again + time.Second)
		if got := r.looked(); !slices.Equal(got, []string{"models", "models"}) {
			t.Errorf("looks where nothing changed: %q, want two", got)
		}
		time.Sleep(time.Hour)
		r.send(gitlab("Push Hook", gitlabPush))
		r.Sink(t.Context(), []event.Event{event.Noticed{Events: []plan.Event{{Kind: plan.Moved, Ref: repo.Ref{Repository: "models", Branch: "main"}}}}})
		time.Sleep(time.Hour)
		if got := r.looked(); !slices.Equal(got, []string{"models"}) {
			t.Errorf("looks where a change was seen: %q, want one", got)
		}
	})
}

func TestCloseEndsAllLooks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		r.send(gitlab("Push Hook", gitlabPush))
		r.send(gitlab("Push Hook", gitlabPush))
		r.Close()
		r.looked()
		r.send(gitlab("Push Hook", gitlabPush))
		time.Sleep(time.Hour)
		if got := r.looked(); len(got) > 0 {
			t.Errorf("looks: %q after the end", got)
		}
	})
}

func TestRates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		from := func(address string) int {
			req := github("star", "{}")
			req.RemoteAddr = address
			return r.send(req)
		}
		for range 2 * perSourceBurst {
			from("192.0.2.1:1000")
		}
		if got := r.Counts(); got[Ignored] != perSourceBurst || got[Limited] != perSourceBurst {
			t.Errorf("of one source: %v, want %d taken and as many refused", got, perSourceBurst)
		}
		if got := from("192.0.2.2:1000"); got != http.StatusAccepted {
			t.Errorf("another source gets %d", got)
		}
		if a, b := from("[2001:db8::1]:1"), from("[2001:db8::2]:1"); a != 202 || b != 202 {
			t.Errorf("IPv6: %d, %d", a, b)
		}
		for i := range 3 * maxSources {
			from(fmt.Sprintf("198.51.%d.%d:9", i/250, i%250))
			if n := len(r.limits.sources); n > maxSources {
				t.Fatalf("%d sources are remembered", n)
			}
		}
		if got := r.Counts(); got[Ignored] > inAllBurst {
			t.Errorf("of all sources: %v, want %d at most", got, inAllBurst)
		}
		time.Sleep(time.Minute)
		if got := from("192.0.2.1:1000"); got != http.StatusAccepted {
			t.Errorf("after a minute the first source gets %d", got)
		}
	})
}

// slow is a body that comes when it is let.
type slow struct {
	io.Reader
	asked chan struct{}
	let   chan struct{}
}

func (s slow) Read(p []byte) (int, error) {
	s.asked <- struct{}{}
	<-s.let
	return 0, io.ErrUnexpectedEOF
}

func TestLargeBodiesAreFewAtOnce(t *testing.T) {
	r := newReceiver(t)
	body := slow{asked: make(chan struct{}), let: make(chan struct{})}
	ended := make(chan int)
	for range atOnce {
		req := github("push", "")
		req.Body = io.NopCloser(io.MultiReader(strings.NewReader(strings.Repeat(" ", maxSmall)), body))
		go func() {
			w := httptest.NewRecorder()
			r.mux.ServeHTTP(w, req)
			ended <- w.Code
		}()
		<-body.asked
	}
	large := githubPush("company/rag") + strings.Repeat(" ", maxSmall)
	if got := r.send(github("push", large)); got != http.StatusServiceUnavailable {
		t.Errorf("one more large body gets %d, want 503", got)
	}
	if got := r.send(github("push", githubPush("company/rag"))); got != http.StatusAccepted {
		t.Errorf("a small body gets %d meanwhile, want 202", got)
	}
	close(body.let)
	for range atOnce {
		if got := <-ended; got != http.StatusBadRequest {
			t.Errorf("a body that was cut gets %d, want 400", got)
		}
	}
	if got := r.send(github("push", large)); got != http.StatusAccepted {
		t.Errorf("a large body gets %d afterwards, want 202", got)
	}
}

func TestRefusalsAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newReceiver(t)
		for range 120 {
			r.send(github("push", "{}", "X-Hub-Signature-256", ""))
			r.send(github("push", githubPush("company/other")))
			time.Sleep(time.Second)
		}
		r.Close()
		lines := strings.Split(strings.TrimSpace(r.log.String()), "\n")
		if len(lines) < 2 || len(lines) > 4 {
			t.Errorf("%d lines in two minutes, want one a minute:\n%s", len(lines), r.log.String())
		}
		if !strings.Contains(lines[0], "signature: 1") || strings.Contains(r.log.String(), "unknown") {
			t.Errorf("the log says\n%s", r.log.String())
		}
	})
}

func TestSecretOfTheConfiguration(t *testing.T) {
	cfg := configuration("")
	if _, err := New(cfg, nil, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "webhooks: {secret: ${WEBHOOK_SECRET}}") {
		t.Errorf("without a secret: %v, want what to write", err)
	}
	r := newReceiver(t)
	r.Apply(configuration("another-secret-of-tests"))
	if got := r.send(github("push", githubPush("company/rag"))); got != http.StatusUnauthorized {
		t.Errorf("a hook with the secret of before gets %d, want 401", got)
	}
	r.Apply(cfg)
	h := hmac.New(sha256.New, nil)
	req := github("push", "", "X-Hub-Signature-256", "sha256="+hex.EncodeToString(h.Sum(nil)))
	if got := r.send(req); got != http.StatusUnauthorized {
		t.Errorf("a hook signed with an empty secret gets %d, want 401", got)
	}
	if got := r.send(gitlab("Push Hook", gitlabPush, "X-Gitlab-Token", "")); got != http.StatusUnauthorized {
		t.Errorf("a hook with an empty token gets %d, want 401", got)
	}
}

// FuzzHook has anything sent with the right signature: nothing panics, and only what names a watched repository is looked at.
func FuzzHook(f *testing.F) {
	f.Add("github", githubPush("company/rag"))
	f.Add("gitea", giteaPush("https://gitea.example:3000", "ops/tools"))
	f.Add("gitlab", gitlabPush)
	f.Add("github", `{"repository":null,"project":{"web_url":"http://[::1"}}`)
	f.Add("github", strings.Repeat(`{"a":`, 20_000))
	known := watchedOf(configuration(theSecret))
	f.Fuzz(func(t *testing.T, kind, body string) {
		k := kinds[kind]
		if k == nil {
			return
		}
		from, err := sourceOf([]byte(body))
		if err != nil {
			return
		}
		for _, name := range known.find(k.host, from) {
			if !strings.Contains(strings.ToLower(strings.Join([]string{from.CloneURL, from.HTMLURL, from.HTTPURL, from.WebURL, from.FullName, from.Path}, " ")),
				strings.TrimSuffix(name, "-release")) && name != "inner" {
				t.Errorf("%q is looked at for %+v", name, from)
			}
		}
	})
}
