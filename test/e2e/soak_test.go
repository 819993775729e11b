package e2e

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	v1 "github.com/tektoncd/pipeline/pkg/apis/pipeline/v1"
	"knative.dev/pkg/apis"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// soakKills is how often TestSoak kills Sentry when SENTRY_SOAK_KILLS does not say.
const soakKills = 15

// soakMembers are the repositories of a soak. Their runs end by themselves in some seconds, so that what is
// queued for one unit bounds the load; only those of at-once pile up, and it gets fewer pushes.
var soakMembers = []struct {
	name, group, hostType string
	branches              []string
}{
	{"solo", "", "gitea", []string{"main", "dev-1", "dev-$(x)"}},
	{"plain", "", "git", []string{"main"}},
	{"pair-a", "pair", "gitea", []string{"main", "dev"}},
	{"pair-b", "pair", "git", []string{"main"}},
	{"newest", "newest", "gitea", []string{"main"}},
	{"at-once", "at-once", "gitea", []string{"main"}},
}

const soakGroups = `
groups:
  pair: {execution_strategy: sequential, on_busy: queue, deploy: changed}
  newest: {execution_strategy: parallel, on_busy: cancel}
  at-once: {execution_strategy: parallel, on_busy: parallel}
repositories:
`

// TestSoak kills Sentry again and again, at random and in the middle of its writes, while pushes arrive and
// the API server is in and out of trouble. Then every commit must be accounted for by the runs there are.
func TestSoak(t *testing.T) {
	newSoak(t, "sentry-soak").run(1, soakNumber(t, "SENTRY_SOAK_KILLS", soakKills), 50*time.Millisecond)
}

// TestTwoSentrys is the same with two Sentrys on one state, which somebody started by mistake. The slow API
// server has them come between each other's steps.
func TestTwoSentrys(t *testing.T) {
	kills := soakNumber(t, "SENTRY_SOAK_KILLS", soakKills)
	newSoak(t, "sentry-soak-two").run(2, (kills+3)/4, 600*time.Millisecond)
}

// TestKilledBeforeRemembering kills Sentry between creating a group's run and remembering it. Then another
// member moves, so that the group's next run is not the one that was created. The first member's commit must
// not run again. TestSoak with 200 kills and the seed 20261123 found it.
func TestKilledBeforeRemembering(t *testing.T) {
	t.Parallel()
	s := newSoak(t, "sentry-soak-once")
	k := s.keeper(0, 1, time.Millisecond)
	k.once()
	s.commit(repo.Ref{Repository: "pair-a", Branch: "main"})
	inWrite := k.proxy.set(1, false) // its first write is the run, the second the state
	watch, exited := k.start()
	select {
	case <-inWrite:
	case <-time.After(time.Minute):
		t.Error("Sentry did not write the state in a minute")
	}
	_ = watch.Process.Kill()
	<-exited
	s.commit(repo.Ref{Repository: "pair-b", Branch: "main"})
	ctx, stop := context.WithCancel(t.Context())
	var work sync.WaitGroup
	work.Go(func() { k.work(ctx) })
	defer func() { stop(); work.Wait() }()
	s.drain()
	stop()
	work.Wait()
	s.account()
}

// soakNumber returns the number in the environment variable, or its default.
func soakNumber(t *testing.T, name string, otherwise int) int {
	t.Helper()
	n, err := strconv.Atoi(cmp.Or(os.Getenv(name), strconv.Itoa(otherwise)))
	if err != nil || n < 0 {
		t.Fatalf("%s=%s, want a number", name, os.Getenv(name))
	}
	return n
}

// soak is one test of this kind, in a namespace of its own, with repositories of its own.
type soak struct {
	t      *testing.T
	ns     string
	file   string // sentry.yaml
	token  string // of Sentry's account
	seed   uint64
	random *rand.Rand
	repos  map[string]*gitRepo
	refs   []repo.Ref
	ledger ledger
}

func newSoak(t *testing.T, ns string) *soak {
	t.Helper()
	namespace(t, ns)
	giteaCredentials(t)
	p := &pollerAccount{t: t, ns: ns, role: pollerRole(t)}
	p.account("soak", "")
	s := &soak{
		t: t, ns: ns, file: filepath.Join(t.TempDir(), "sentry.yaml"),
		token:  strings.TrimSpace(kubectl(t, "-n", ns, "create", "token", "soak", "--duration=6h")),
		seed:   uint64(soakNumber(t, "SENTRY_SOAK_SEED", int(time.Now().Unix()))),
		repos:  map[string]*gitRepo{},
		ledger: ledger{pushes: map[repo.Ref][]push{}, atOnce: map[string]bool{"at-once": true}},
	}
	s.random = rand.New(rand.NewPCG(s.seed, 0))
	qa := newRepo(t, ns+"-qa", map[string]string{"README": "nothing to see"})
	config := soakGroups
	for _, m := range soakMembers {
		r := newRepo(t, ns+"-"+m.name, map[string]string{"README": m.name})
		s.repos[m.name] = r
		config += soakRepository(m.name, m.group, m.hostType, r.url, qa.url, "true")
		for _, branch := range m.branches {
			ref := repo.Ref{Repository: m.name, Branch: branch}
			s.refs = append(s.refs, ref)
			first := push{} // a branch that is still to come
			if branch == "main" {
				first.sha = repo.SHA(r.git("rev-parse", "HEAD"))
			}
			s.ledger.pushes[ref] = []push{first}
		}
	}
	write(t, s.file, config+soakGlobal())
	return s
}

// run lets so many Sentrys work until each was killed so many times, and accounts for what they did.
func (s *soak) run(sentrys, kills int, slow time.Duration) {
	s.t.Logf("seed %d (SENTRY_SOAK_SEED), %d Sentrys, %d kills each", s.seed, sentrys, kills)
	began := time.Now()
	ctx, stop := context.WithCancel(s.t.Context())
	var all, killing sync.WaitGroup
	keepers := make([]*keeper, sentrys)
	for i := range keepers {
		k := s.keeper(uint64(i), kills, slow)
		keepers[i] = k
		if i == 0 {
			k.once() // records the first heads
		}
		killing.Add(1)
		all.Go(func() { k.keep(ctx, killing.Done) })
	}
	killed := make(chan struct{})
	go func() { killing.Wait(); close(killed) }()
	defer func() { stop(); all.Wait() }()
	restarts := make(chan int, 1)
	go func() { restarts <- s.restartAPIServer(killed) }()

	s.push(killed)
	pushed := time.Since(began)
	s.t.Logf("the API server was killed and came again %d times", <-restarts)
	s.drain()
	stop()
	all.Wait()
	for i, k := range keepers {
		s.ledger.cycles = append(s.ledger.cycles, k.log.cycles...)
		s.t.Logf("Sentry %d: %d good cycles, %d writes, killed or troubled: %v", i, len(k.log.cycles), k.proxy.writes, k.made)
	}
	s.t.Logf("pushed for %s, all at rest after %s", pushed.Round(time.Second), time.Since(began).Round(time.Second))
	s.account()
	for i, k := range keepers {
		if s.t.Failed() {
			s.t.Logf("log of Sentry %d: %s", i, k.log.keep())
		}
	}
}

// keeper returns the keeper of the i-th Sentry, whose API server is that slow.
func (s *soak) keeper(i uint64, kills int, slow time.Duration) *keeper {
	proxy := newAPIProxy(s.t, s.seed+i, slow)
	return &keeper{
		t: s.t, proxy: proxy, random: rand.New(rand.NewPCG(s.seed+i, 1)), kills: kills, made: map[string]int{},
		args: []string{"-v", "--log-format", "json", "-c", s.file, "-n", s.ns, "--kubeconfig", proxy.kubeconfig(s.token, s.ns)},
	}
}

// commit pushes one commit to the branch.
func (s *soak) commit(ref repo.Ref) {
	p := push{began: time.Now()}
	p.sha = repo.SHA(s.repos[ref.Repository].push(ref.Branch, map[string]string{"pushed": p.began.String()}))
	p.arrived = time.Now()
	s.ledger.pushes[ref] = append(s.ledger.pushes[ref], p)
}

// push pushes to a random branch at random times until the channel is closed.
func (s *soak) push(until <-chan struct{}) {
	var ref repo.Ref
	for first := true; ; first = false {
		// Now and then a branch moves twice in a row, while Sentry still works on the first commit.
		if first || s.random.IntN(3) > 0 {
			ref = s.refs[s.random.IntN(len(s.refs))]
		}
		s.commit(ref)
		select {
		case <-time.After(time.Duration(s.random.Int64N(int64(600 * time.Millisecond)))):
		case <-s.t.Context().Done():
			return
		case <-until:
			return
		}
	}
}

func (s *soak) runs() []v1.PipelineRun {
	return get[v1.PipelineRunList](s.t, "-n", s.ns, "pipelineruns").Items
}

// drain returns when the last commit of each branch has a run, and all runs have ended.
func (s *soak) drain() {
	await(s.t, 8*time.Minute, "a run of the last commit of each branch, and the end of all runs", func() (bool, string) {
		missing := map[repo.SHA]repo.Ref{}
		for ref, pushes := range s.ledger.pushes {
			if len(pushes) > 1 {
				missing[pushes[len(pushes)-1].sha] = ref
			}
		}
		var active []string
		for _, pr := range s.runs() {
			for _, c := range newRan(s.t, &pr).trigger.Refs {
				delete(missing, c.New)
			}
			if !pr.IsDone() {
				active = append(active, pr.Name)
			}
		}
		return len(missing)+len(active) == 0, fmt.Sprintf("no run of %v, active %v", missing, active)
	})
}

// account prints the counts and what is wrong.
func (s *soak) account() {
	var runs []ran
	reasons := map[string]int{}
	for _, pr := range s.runs() {
		r := newRan(s.t, &pr)
		runs = append(runs, r)
		reason := pr.Status.Conditions[0].Reason
		reasons[reason]++
		if !pr.IsSuccessful() && r.unit != "newest" && !s.withoutPod(&pr) {
			s.t.Errorf("run %s ended %v", pr.Name, pr.Status.Conditions)
		}
	}
	pushes, commits := 0, map[repo.SHA]bool{}
	for _, list := range s.ledger.pushes {
		pushes += len(list) - 1
	}
	for _, r := range runs {
		for _, c := range r.trigger.Refs {
			commits[c.New] = true
		}
	}
	s.t.Logf("%d pushes; %d commits ran in %d runs: %v", pushes, len(commits), len(runs), reasons)
	for _, wrong := range s.ledger.account(runs) {
		s.t.Error(wrong)
	}
}

// withoutPod reports whether the run failed because Tekton could not make a pod, as when the API server dies at
// that moment: Tekton does not try again.
func (s *soak) withoutPod(pr *v1.PipelineRun) bool {
	failed, podless := 0, 0
	for _, tr := range get[v1.TaskRunList](s.t, "-n", s.ns, "taskruns", "-l", "tekton.dev/pipelineRun="+pr.Name).Items {
		if tr.IsFailure() {
			failed++
			if tr.Status.GetCondition(apis.ConditionSucceeded).Reason == "PodCreationFailed" {
				podless++
			}
		}
	}
	return failed > 0 && failed == podless
}
