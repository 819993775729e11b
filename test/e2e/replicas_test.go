package e2e

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"sigs.k8s.io/yaml"

	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/share/lease"
)

const (
	// standstill is how long a replica stands still in TestReplicas when SENTRY_STANDSTILL does not say, in seconds.
	standstill = 40
	// takeover is how long a push waits at most for its run while a replica is gone: 15 s until the others know, the interval of
	// two seconds, and what a busy machine takes.
	takeover = 30 * time.Second
)

// replicaRole is the poller's with the rights of the component manifests/replicas.
func replicaRole(t *testing.T) rbacv1.Role {
	t.Helper()
	role := pollerRole(t)
	text, err := os.ReadFile("../../manifests/replicas/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var more rbacv1.Role
	if err := yaml.Unmarshal(text, &more); err != nil || len(more.Rules) == 0 { // the first document
		t.Fatalf("%d rules, %v", len(more.Rules), err)
	}
	role.Rules = append(role.Rules, more.Rules...)
	return role
}

// TestEachRightOfReplicas takes one right of the component away at a time.
func TestEachRightOfReplicas(t *testing.T) {
	t.Parallel()
	const ns = "sentry-replica-rights"
	namespace(t, ns)
	p := &pollerAccount{t: t, ns: ns, role: replicaRole(t)}
	for _, less := range []string{"", "leases create", "leases list", "leases patch", "leases delete"} {
		name := "all"
		if less != "" {
			name = strings.ReplaceAll(less, " ", "-")
		}
		var log strings.Builder
		k := &lease.Keeper{Cluster: p.account(name, less), Name: name, Now: time.Now,
			Log: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		k.Keep(ctx, func([]string) {})
		cancel()
		if complains := strings.Contains(log.String(), "forbidden"); complains != (less != "") {
			t.Errorf("without %q: %s", less, &log)
		}
		if less == "leases delete" && !strings.Contains(kubectl(t, "-n", ns, "get", "leases", "-o", "name"), instance.Instance{}.Replica(name)) {
			t.Error("the Lease is gone without the right to delete it")
		}
	}
}

// replica is one Sentry of several.
type replica struct {
	*replicated
	name   string
	cmd    *exec.Cmd
	exited chan error
}

// replicated is a Sentry of several processes, and the branches that it watches.
type replicated struct {
	t      *testing.T
	dir    string
	args   []string
	random *rand.Rand
	repos  map[string]*gitRepo
	names  []string
	mu     sync.Mutex // of ledger and phase
	ledger ledger
	phase  string
	phases map[repo.SHA]string // in which a commit was pushed
}

func (r *replicated) log(name string) string { return filepath.Join(r.dir, name+".log") }

func (r *replicated) start(name string) *replica {
	r.t.Helper()
	out, err := os.OpenFile(r.log(name), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		r.t.Fatal(err)
	}
	defer out.Close()
	one := &replica{replicated: r, name: name, cmd: exec.Command(env.sentry, append([]string{"watch", "--interval", "2s", "--replica", name}, r.args...)...), exited: make(chan error, 1)}
	one.cmd.Stderr = out
	if err := one.cmd.Start(); err != nil {
		r.t.Fatal(err)
	}
	go func() { one.exited <- one.cmd.Wait() }()
	r.t.Cleanup(func() { _ = one.cmd.Process.Kill() })
	return one
}

func (o *replica) signal(s os.Signal) {
	o.t.Helper()
	if err := o.cmd.Process.Signal(s); err != nil {
		o.t.Fatal(err)
	}
}

// sees waits until the last word of the replica's log on who is alive is so many.
func (o *replica) sees(n int) {
	o.t.Helper()
	await(o.t, time.Minute, fmt.Sprintf("%s to see %d replicas", o.name, n), func() (bool, string) {
		text, _ := os.ReadFile(o.log(o.name))
		_, last, _ := cutLast(string(text), "replicas=")
		return strings.HasPrefix(last, fmt.Sprint(n, "]")), string(text)
	})
}

func cutLast(s, sep string) (before, after string, found bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}

// enter begins a phase, which lasts so long.
func (r *replicated) enter(phase string, lasts time.Duration) {
	r.mu.Lock()
	r.phase = phase
	r.mu.Unlock()
	select {
	case <-time.After(lasts):
	case <-r.t.Context().Done():
	}
}

// push pushes to one branch after the other until ctx ends.
func (r *replicated) push(ctx context.Context) {
	for ctx.Err() == nil {
		name := r.names[r.random.IntN(len(r.names))]
		p := push{began: time.Now()}
		p.sha = repo.SHA(r.repos[name].push("main", map[string]string{"pushed": p.began.String()}))
		p.arrived = time.Now()
		ref := repo.Ref{Repository: name, Branch: "main"}
		r.mu.Lock()
		r.ledger.pushes[ref] = append(r.ledger.pushes[ref], p)
		r.phases[p.sha] = r.phase
		r.mu.Unlock()
		select {
		case <-time.After(time.Duration(r.random.Int64N(int64(time.Second)))):
		case <-ctx.Done():
		}
	}
}

// TestReplicas has three replicas share the work while pushes arrive: one stands still and goes on with what it knew, others
// take their places one after the other, all are killed at once, and two of three leave. No push is lost, none runs twice, and none waits long.
func TestReplicas(t *testing.T) {
	t.Parallel()
	const ns = "sentry-replicas"
	giteaCredentials(t)
	namespace(t, ns)
	run(t, "", "kubectl", "-n", ns, "create", "quota", "none", "--hard=pods=0") // it is about runs that are made, not their pods
	account := (&pollerAccount{t: t, ns: ns, role: replicaRole(t)}).kubeconfig("replica")
	seed := uint64(soakNumber(t, "SENTRY_SOAK_SEED", int(time.Now().Unix())))
	t.Logf("seed %d (SENTRY_SOAK_SEED)", seed)
	r := &replicated{t: t, dir: t.TempDir(), random: rand.New(rand.NewPCG(seed, 0)), repos: map[string]*gitRepo{}, phases: map[repo.SHA]string{},
		ledger: ledger{pushes: map[repo.Ref][]push{}, atOnce: map[string]bool{}}}
	qa := newRepo(t, ns+"-qa", map[string]string{"README": "qa"})
	groups, repositories := "groups:\n", "repositories:"
	for i := range 9 {
		name := fmt.Sprintf("shared-%d", i)
		r.names = append(r.names, name)
		r.repos[name] = newRepo(t, ns+"-"+name, map[string]string{"README": name})
		r.ledger.pushes[repo.Ref{Repository: name, Branch: "main"}] = []push{{sha: repo.SHA(r.repos[name].git("rev-parse", "HEAD"))}}
		r.ledger.atOnce["of-"+name] = true
		groups += fmt.Sprintf("  of-%s: {execution_strategy: parallel, on_busy: parallel}\n", name)
		repositories += soakRepository(name, "of-"+name, "gitea", r.repos[name].url, qa.url, "true")
	}
	file := filepath.Join(r.dir, "sentry.yaml")
	write(t, file, groups+repositories+soakGlobal())
	r.args = []string{"-c", file, "-n", ns, "--kubeconfig", account, "-v"}
	t.Cleanup(func() {
		for _, name := range []string{"one", "two", "three", "one-next", "two-next", "three-next"} {
			if text, err := os.ReadFile(r.log(name)); t.Failed() && err == nil {
				t.Logf("log of %s:\n%s", name, text[max(0, len(text)-20_000):])
			}
		}
	})

	one := r.start("one")
	one.sees(1)
	await(t, time.Minute, "the first look", func() (bool, string) {
		text, _ := os.ReadFile(r.log("one"))
		return strings.Contains(string(text), "cycle done"), string(text)
	})
	ctx, stop := context.WithCancel(t.Context())
	var pushing sync.WaitGroup
	pushing.Go(func() { r.push(ctx) })
	defer func() { stop(); pushing.Wait() }()
	r.enter("one", 10*time.Second)
	two, three := r.start("two"), r.start("three")
	for _, o := range []*replica{one, two, three} {
		o.sees(3)
	}
	r.enter("three", 15*time.Second)

	two.signal(syscall.SIGSTOP)
	r.enter("one of three stands still", time.Duration(soakNumber(t, "SENTRY_STANDSTILL", standstill))*time.Second)
	two.signal(syscall.SIGCONT)
	r.enter("it goes on", 15*time.Second)

	all := []*replica{one, two, three}
	for i, o := range all { // as a Deployment's rolling update does: a new one first, then an old one is told to end
		all[i] = r.start(o.name + "-next")
		all[i].sees(4)
		o.signal(syscall.SIGTERM)
		if err := <-o.exited; err != nil {
			t.Errorf("%s after SIGTERM: %v", o.name, err)
		}
		all[i].sees(3)
		r.enter("a rolling update", 3*time.Second)
	}

	for _, o := range all {
		o.signal(syscall.SIGKILL)
		<-o.exited
	}
	r.enter("all are killed", 3*time.Second)
	one, two, three = r.start("one"), r.start("two"), r.start("three")
	r.enter("they are back", 20*time.Second)

	for _, o := range []*replica{two, three} {
		o.signal(syscall.SIGTERM)
		if err := <-o.exited; err != nil {
			t.Errorf("%s after SIGTERM: %v", o.name, err)
		}
	}
	one.sees(1)
	r.enter("one is left", 15*time.Second)
	stop()
	pushing.Wait()
	r.account(ns)
}

// account waits for a run of the last push of each branch, and prints and judges how long pushes waited.
func (r *replicated) account(ns string) {
	r.t.Helper()
	var runs []ran
	await(r.t, time.Minute, "a run of the last push of each branch", func() (bool, string) {
		runs = nil
		has := map[repo.SHA]bool{}
		for _, pr := range get[v1.PipelineRunList](r.t, "-n", ns, "pipelineruns").Items {
			run := newRan(r.t, &pr)
			runs = append(runs, run)
			for _, c := range run.trigger.Refs {
				has[c.New] = true
			}
		}
		for ref, pushes := range r.ledger.pushes {
			if last := pushes[len(pushes)-1]; len(pushes) > 1 && !has[last.sha] {
				return false, ref.String()
			}
		}
		return true, ""
	})
	for _, wrong := range r.ledger.account(runs) {
		r.t.Error(wrong)
	}
	created := map[repo.SHA]time.Time{}
	for _, run := range runs {
		for _, c := range run.trigger.Refs {
			created[c.New] = run.created
		}
	}
	longest, pushes := map[string]time.Duration{}, 0
	for ref, all := range r.ledger.pushes {
		for i, p := range all[1:] {
			pushes++
			var covered time.Time // by a run of it or of a later one
			for _, later := range all[i+1:] {
				if at, ok := created[later.sha]; ok && (covered.IsZero() || at.Before(covered)) {
					covered = at
				}
			}
			phase := r.phases[p.sha]
			longest[phase] = max(longest[phase], covered.Sub(p.arrived))
			if covered.Sub(p.arrived) > takeover {
				r.t.Errorf("push %d of %s, while %s, waited %s", i+1, ref, phase, covered.Sub(p.arrived))
			}
		}
	}
	r.t.Logf("%d pushes, %d runs; the longest from a push to its run or a later one's: %v", pushes, len(runs), longest)
}
