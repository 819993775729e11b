package pipelinerun

import (
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Rollback commands see what failed and what to go back to, and the application as it was when it last succeeded.
func TestRollbackGoesBack(t *testing.T) {
	p := newPrivateServers(t, false)
	good := commit(t, p.app, "good")
	bad := commit(t, p.app, "bad")
	qa := commit(t, p.qa, "qa")
	commit(t, p.qa, "newer")
	m := p.member(qa, bad, "false")
	m.Repository.Deploy.Rollback = []string{`echo "from $SENTRY_SHA to $SENTRY_SUCCEEDED_SHA"`, "cat file", `cat "${SENTRY_APP_DIR:?}/file"`}
	m.Repository.Deploy.Env = config.Env{"SEEN": "too"}
	for _, sh := range shells(t) {
		m.Succeeded = good
		got := p.stepsOf(t, sh, p.generate(t, m).Finally[0], t.TempDir())["rollback"]
		want := "$ echo \"from $SENTRY_SHA to $SENTRY_SUCCEEDED_SHA\"\nfrom " + string(bad) + " to " + string(good) + "\n$ cat file\nqa$ cat \"${SENTRY_APP_DIR:?}/file\"\ngood"
		if got.code != 0 || got.stdout != want {
			t.Errorf("%v: %+v, want\n%s", sh, got, want)
		}
		m.Succeeded = ""
		all := p.stepsOf(t, sh, p.generate(t, m).Finally[0], t.TempDir())
		if _, cloned := all["checkout"]; cloned || !strings.Contains(all["rollback"].stdout, "from "+string(bad)+" to \n") || all["rollback"].code == 0 {
			t.Errorf("%v: where no good commit is known: %+v, want nothing of the application", sh, all)
		}
	}
}

// A rollback may take what a deployment may, also where the time of the deployments is over.
func TestRollbackHasItsTime(t *testing.T) {
	a, b := testMember("a"), testMember("b")
	a.Repository.Deploy.Rollback = []string{"true"}
	for _, group := range []config.Group{{}, {GlobalTimeout: a.Repository.Deploy.Timeout}} {
		pr, err := Generate(testConfig(), testRun(group, a, b))
		if err != nil {
			t.Fatal(err)
		}
		times, d := pr.Spec.Timeouts, a.Repository.Deploy.Timeout
		if times.Tasks == nil || times.Finally.Duration <= d || times.Pipeline.Duration != times.Tasks.Duration+times.Finally.Duration || pr.Spec.PipelineSpec.Finally[0].Timeout.Duration != d {
			t.Errorf("timeouts %+v of a run of which a rollback may take %s", times, d)
		}
		if group.GlobalTimeout > 0 && times.Tasks.Duration != group.GlobalTimeout {
			t.Errorf("the deployments may take %s, want %s", times.Tasks.Duration, group.GlobalTimeout)
		}
	}
}

// A run without rollback commands, or whose group wants none, is as it was.
func TestNoRollback(t *testing.T) {
	m := testMember("a")
	for _, tt := range []struct {
		commands []string
		group    config.Rollback
		want     bool
	}{
		{nil, config.RollbackMember, false},
		{nil, config.RollbackGroup, false},
		{[]string{"true"}, config.RollbackNone, false},
		{[]string{"true"}, config.RollbackMember, true},
		{[]string{"true"}, config.RollbackGroup, true},
	} {
		m.Repository.Deploy.Rollback = tt.commands
		pr, err := Generate(testConfig(), testRun(config.Group{Rollback: tt.group}, m))
		if err != nil {
			t.Fatal(err)
		}
		if got := RollsBack(pr); got != tt.want || (pr.Spec.Timeouts.Tasks != nil) != tt.want {
			t.Errorf("%v, %s: rolls back: %v, want %v", tt.commands, tt.group, got, tt.want)
		}
	}
}

// Tekton takes what says when a canary is rolled back.
func TestRollbackOfACanary(t *testing.T) {
	a, b := testMember("a"), testMember("b")
	a.Repository.Deploy.Rollback, b.Repository.Deploy.Rollback = []string{"true"}, []string{"true"}
	for _, whose := range []config.Rollback{config.RollbackMember, config.RollbackGroup} {
		group := config.Group{Strategy: strategy.Canary, CanaryCheck: []string{"true"}, Rollback: whose}
		pr, err := Generate(testConfig(), testRun(group, a, b))
		if err != nil {
			t.Fatal(err)
		}
		if err := Validate(t.Context(), pr); err != nil {
			t.Errorf("%s: %v", whose, err)
		}
	}
}
