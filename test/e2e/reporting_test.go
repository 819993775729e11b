package e2e

import (
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"code.gitea.io/sdk/gitea"
	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"

	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
)

// statusKills is how often TestStatusesWhileKilled kills Sentry when SENTRY_STATUS_KILLS does not say.
const statusKills = 100

// told are repositories whose commits get statuses.
var told = []struct{ name, group string }{{"told-solo", ""}, {"told-a", "told-pair"}, {"told-b", "told-pair"}, {"told-newest", "told-newest"}}

const toldGroups = `
groups:
  told-pair: {execution_strategy: sequential, on_busy: queue, deploy: changed}
  told-newest: {execution_strategy: parallel, on_busy: cancel}
report: {commit_status: true, target_url: "https://dashboard.example.com/{{namespace}}/{{run}}"}
repositories:
`

// half is a command that fails for about half of all commits.
const half = `case "$SENTRY_SHA" in [0-7]*) exit 3;; esac`

func fails(sha string) bool { return sha[0] <= '7' }

// statusProxy stands between Sentry and Gitea, and stops Sentry at a status that it writes.
type statusProxy struct {
	forward http.Handler
	mu      sync.Mutex
	armed   bool
	after   bool // Gitea has the status then, and Sentry has no answer
	sprung  chan struct{}
	written int
}

func newStatusProxy(t *testing.T) (p *statusProxy, address string) {
	t.Helper()
	target, err := url.Parse(env.giteaURL)
	if err != nil {
		t.Fatal(err)
	}
	p = &statusProxy{forward: &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) { r.SetURL(target) },
		// Sentry is gone then.
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) },
	}}
	server := httptest.NewServer(p)
	t.Cleanup(server.Close)
	return p, server.URL
}

// arm has the next status be where Sentry stops; the channel is closed then.
func (p *statusProxy) arm(after bool) <-chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed, p.after, p.sprung = true, after, make(chan struct{})
	return p.sprung
}

func (p *statusProxy) disarm() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.armed = false
}

// ServeHTTP implements http.Handler.
func (p *statusProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var caught bool
	p.mu.Lock()
	if r.Method == http.MethodPost && strings.Contains(r.URL.Path, "/statuses/") {
		p.written++
		caught, p.armed = p.armed, false
	}
	after, sprung := p.after, p.sprung
	p.mu.Unlock()
	if !caught {
		p.forward.ServeHTTP(w, r)
		return
	}
	if after {
		p.forward.ServeHTTP(httptest.NewRecorder(), r)
	} else {
		_, _ = io.Copy(io.Discard, r.Body) // only then the end of the connection is noticed
	}
	close(sprung)
	<-r.Context().Done()
}

// TestStatusesWhileKilled kills Sentry at random and in the middle of its writes, to the API server and to a real Gitea, while
// pushes arrive. Then each commit that ran must have one status for each state, and the last one must be true.
func TestStatusesWhileKilled(t *testing.T) {
	const ns = "sentry-statuses"
	t.Parallel()
	kills := soakNumber(t, "SENTRY_STATUS_KILLS", statusKills)
	seed := uint64(soakNumber(t, "SENTRY_SOAK_SEED", int(time.Now().Unix())))
	random := rand.New(rand.NewPCG(seed, 4))
	t.Logf("seed %d (SENTRY_SOAK_SEED), %d kills", seed, kills)
	giteaCredentials(t)
	namespace(t, ns)
	p := &pollerAccount{t: t, ns: ns, role: pollerRole(t)}
	p.account("soak", "")
	statuses, address := newStatusProxy(t)
	api := newAPIProxy(t, seed, 50*time.Millisecond)
	qa := newRepo(t, ns+"-qa", map[string]string{"README": "nothing to see"})
	config := toldGroups
	repos := make([]*gitRepo, len(told))
	for i, m := range told {
		repos[i] = newRepo(t, ns+"-"+m.name, map[string]string{"README": m.name})
		config += soakRepository(m.name, m.group, "gitea", address+"/"+env.giteaUser+"/"+repos[i].name, qa.url, half)
	}
	file := filepath.Join(t.TempDir(), "sentry.yaml")
	write(t, file, config+soakGlobal())
	token := strings.TrimSpace(kubectl(t, "-n", ns, "create", "token", "soak", "--duration=6h"))
	k := &keeper{t: t, proxy: api, random: random, made: map[string]int{},
		args: []string{"-v", "--log-format", "json", "-c", file, "-n", ns, "--kubeconfig", api.kubeconfig(token, ns)}}
	k.once()
	t.Cleanup(func() {
		if t.Failed() {
			t.Logf("log of Sentry: %s", k.log.keep())
		}
	})
	pushed := map[string]*gitRepo{} // by commit
	for i := range kills {
		if i%3 == 0 {
			r := repos[random.IntN(len(repos))]
			pushed[r.push("main", map[string]string{"pushed": fmt.Sprint(i)})] = r
		}
		killInWrite(t, k, statuses)
	}
	api.unset()
	watch, exited := k.start()
	defer func() { _ = watch.Process.Kill(); <-exited }()
	runs := func() []v1.PipelineRun { return get[v1.PipelineRunList](t, "-n", ns, "pipelineruns").Items }
	await(t, 8*time.Minute, "the end of all runs, and a last status on each commit", func() (bool, string) {
		for _, pr := range runs() {
			if !pr.IsDone() {
				return false, pr.Name + " is active"
			}
			for _, c := range newRan(t, &pr).trigger.Refs {
				if got := statesOf(t, pushed[string(c.New)], string(c.New)); len(got) == 0 || got[len(got)-1].State == gitea.StatusPending {
					return false, fmt.Sprintf("%s of %s: %v", c.New, pr.Name, got)
				}
			}
		}
		for i, r := range repos { // the last commit of each has a run, which may just have begun
			sha := r.git("rev-parse", "HEAD")
			if pushed[sha] == nil {
				continue
			}
			if got := statesOf(t, r, sha); len(got) == 0 || got[len(got)-1].State == gitea.StatusPending {
				return false, fmt.Sprintf("the head of %s: %v", told[i].name, got)
			}
		}
		return true, ""
	})
	all := 0
	for _, pr := range runs() {
		for _, c := range newRan(t, &pr).trigger.Refs {
			all += checkStatuses(t, &pr, c.Repository, string(c.New), statesOf(t, pushed[string(c.New)], string(c.New)))
		}
	}
	t.Logf("%d pushes, %d runs, %d statuses on their commits; Sentry wrote %d; %v", len(pushed), len(runs()), all, statuses.written, k.made)
}

// killInWrite has Sentry live until a write of its is on its way or done and not answered, or for a moment.
func killInWrite(t *testing.T, k *keeper, statuses *statusProxy) {
	t.Helper()
	kinds := []string{"before a status", "after a status", "before a write", "after a write", "at random"}
	kind := kinds[k.random.IntN(len(kinds))]
	var moment <-chan struct{}
	limit := 4 * time.Second
	k.proxy.unset()
	statuses.disarm()
	switch kind {
	case "before a status", "after a status":
		moment = statuses.arm(kind == "after a status")
	case "before a write", "after a write":
		moment = k.proxy.set(k.random.IntN(4), kind == "after a write")
	default:
		limit = time.Duration(k.random.Int64N(int64(3 * time.Second)))
	}
	watch, exited := k.start()
	select {
	case <-moment:
	case <-time.After(limit):
		if moment != nil {
			kind = "while idle"
		}
	case err := <-exited:
		t.Fatalf("sentry watch ended by itself: %v", err)
	}
	kill(watch, exited)
	k.made["killed "+kind]++
}

func kill(cmd *exec.Cmd, exited <-chan error) {
	_ = cmd.Process.Kill()
	<-exited
}

// statesOf returns the statuses of a commit, oldest first.
func statesOf(t *testing.T, r *gitRepo, sha string) []*gitea.Status {
	t.Helper()
	if r == nil {
		t.Fatalf("a run of %s, which nobody pushed", sha)
	}
	list, _, err := giteaClient(t).ListStatuses(env.giteaUser, r.name, sha, gitea.ListStatusesOption{ListOptions: gitea.ListOptions{PageSize: 50}})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(list, func(a, b *gitea.Status) int { return int(a.ID - b.ID) })
	return list
}

// checkStatuses sees that a commit's statuses are those of its run, each state once. It returns how many there are.
func checkStatuses(t *testing.T, pr *v1.PipelineRun, repository, sha string, got []*gitea.Status) int {
	t.Helper()
	var states []gitea.StatusState
	for _, s := range got {
		states = append(states, s.State)
		if want := "sentry/" + pr.Labels[pipelinerun.LabelUnit]; s.Context != want {
			t.Errorf("%s: context %q, want %q", sha, s.Context, want)
		}
		if want := "https://dashboard.example.com/" + pr.Namespace + "/" + pr.Name; s.TargetURL != want {
			t.Errorf("%s: leads to %q, want %q", sha, s.TargetURL, want)
		}
	}
	last := states[len(states)-1]
	before := states[:len(states)-1]
	if len(before) > 1 || len(before) == 1 && before[0] != gitea.StatusPending || last == gitea.StatusPending {
		t.Errorf("%s of %s: %v, want at most pending, and one state after it", sha, pr.Name, states)
	}
	if repository == "told-solo" && (last == gitea.StatusSuccess) == fails(sha) {
		t.Errorf("%s of %s: %s, and its command fails: %t", sha, pr.Name, last, fails(sha))
	}
	if pr.IsSuccessful() != (last == gitea.StatusSuccess) && repository != "told-a" {
		t.Errorf("%s of %s: %s, and the run ended %v", sha, pr.Name, last, pr.Status.Conditions)
	}
	return len(states)
}
