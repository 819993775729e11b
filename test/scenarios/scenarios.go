// Package scenarios is the table of what groups do: which deployments run, in which order, how many at
// once, and how the run reads. The local engine and real Tekton are both held to it, through the same
// configuration, plan and PipelineRun.
package scenarios

import "github.com/tekton-sentry/sentry/pkg/engine"

// Case is one group and what becomes of it.
type Case struct {
	Name    string // a DNS label, also the group's name
	Group   Group
	Members []Member // in the order of the file
	// Wave and Needs are those of the members, by name.
	Wave  map[string]int
	Needs map[string][]string
	// Answer is what the group's WebAssembly module answers to the question who waits for whom; without one it has no module.
	Answer string
	// Rollback are the rollback_commands of each member; none where it is nil.
	Rollback []string
	Want     Want
}

// Group has the keys of a group in sentry.yaml; what is zero is left out.
type Group struct {
	Strategy        string   `yaml:"execution_strategy,omitempty"`
	MaxParallel     int      `yaml:"max_parallel,omitempty"`
	Waves           []string `yaml:"waves,omitempty"`
	Needs           string   `yaml:"needs,omitempty"`
	Wasm            *Module  `yaml:"wasm,omitempty"`
	CanaryCheck     []string `yaml:"canary_check,omitempty"`
	ContinueOnError bool     `yaml:"continue_on_error,omitempty"`
	GlobalTimeout   int      `yaml:"global_timeout,omitempty"` // seconds
	Rollback        string   `yaml:"rollback,omitempty"`
}

// Module is the module of a group.
type Module struct {
	File   string `yaml:"file"`
	SHA256 string `yaml:"sha256"`
}

// Member is one repository of the group.
type Member struct {
	Name     string // the repository's, and its task's
	Commands []string
	Timeout  int // seconds; 0 = the default
}

// Want is how the run has to end.
type Want struct {
	Succeeded bool
	Reasons   []string        // any of them
	Results   []engine.Result // of the members, in their order
	// MaxRunning is how many members may run at the same moment; 0 = not looked at.
	MaxRunning int
	Overlap    []string // members that all ran at the same moment
	Order      []string // members that ran one after the other, in this order
	// RolledBack are the members whose rollback commands ran, all with success. Those of no other member ran.
	RolledBack []string
}

// long stands in a command for the seconds after which all other members are through with a short command,
// and after which a member that was started with this one has been started.
const long = "LONG"

// The commands of the cases. busybox and dash know all that is in them.
var (
	quick  = []string{"true"}
	fails  = []string{"echo failing on purpose", "exit 3"}
	takes2 = []string{"sleep 2"}
	lasts  = []string{"sleep " + long}
	hangs  = []string{"echo hanging on purpose", "sleep 3600"}
	// goesBack is told what the commands were told.
	goesBack = []string{`test ${#SENTRY_SHA} = 40`, `test "$SENTRY_SUCCEEDED_SHA" != "$SENTRY_SHA"`, `test "$(cat .git/HEAD)" = "$SENTRY_QA_SHA"`}
)

// Cases returns the table.
func Cases() []Case {
	const ok, failed, ignored, timedOut, skipped = engine.Succeeded, engine.Failed, engine.Ignored, engine.TimedOut, engine.Skipped
	return append(ordered(), []Case{
		{
			Name:    "parallel",
			Group:   Group{Strategy: "parallel"},
			Members: []Member{{"alpha", lasts, 0}, {"bravo", lasts, 0}, {"charlie", lasts, 0}},
			Want: Want{
				Succeeded: true, Reasons: []string{"Succeeded"}, Results: []engine.Result{ok, ok, ok},
				Overlap: []string{"alpha", "bravo", "charlie"},
			},
		},
		{
			Name:    "parallel-one-fails",
			Group:   Group{Strategy: "parallel", ContinueOnError: true},
			Members: []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", takes2, 0}},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, failed, ok}},
		},
		{
			Name:    "parallel-one-times-out",
			Group:   Group{Strategy: "parallel"},
			Members: []Member{{"alpha", quick, 0}, {"bravo", hangs, 3}, {"charlie", lasts, 0}},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, timedOut, ok}},
		},
		{
			Name:    "parallel-global-timeout",
			Group:   Group{Strategy: "parallel", GlobalTimeout: 5},
			Members: []Member{{"alpha", quick, 0}, {"bravo", hangs, 0}},
			Want:    Want{Reasons: []string{"PipelineRunTimeout"}, Results: []engine.Result{ok, timedOut}},
		},
		{
			// Completed, not Succeeded: the gate task that such lanes need is skipped.
			Name:    "lanes",
			Group:   Group{Strategy: "parallel", MaxParallel: 2},
			Members: []Member{{"alpha", takes2, 0}, {"bravo", takes2, 0}, {"charlie", takes2, 0}, {"delta", takes2, 0}},
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok},
				MaxRunning: 2, Overlap: []string{"alpha", "bravo"},
			},
		},
		{
			Name:    "lanes-stop-at-a-failure",
			Group:   Group{Strategy: "parallel", MaxParallel: 2},
			Members: []Member{{"alpha", fails, 0}, {"bravo", lasts, 0}, {"charlie", quick, 0}, {"delta", quick, 0}},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{failed, ok, skipped, skipped}, MaxRunning: 2},
		},
		{
			Name:    "lanes-stop-at-a-failure-global-timeout",
			Group:   Group{Strategy: "parallel", MaxParallel: 2, GlobalTimeout: 5},
			Members: []Member{{"alpha", fails, 0}, {"bravo", hangs, 0}, {"charlie", quick, 0}, {"delta", quick, 0}},
			Want:    Want{Reasons: []string{"PipelineRunTimeout"}, Results: []engine.Result{failed, timedOut, skipped, skipped}, MaxRunning: 2},
		},
		{
			Name:    "lanes-go-on-after-a-failure",
			Group:   Group{Strategy: "parallel", MaxParallel: 2, ContinueOnError: true},
			Members: []Member{{"alpha", takes2, 0}, {"bravo", fails, 0}, {"charlie", takes2, 0}, {"delta", takes2, 0}},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, ignored, ok, ok}, MaxRunning: 2},
		},
		{
			Name:    "lanes-go-on-and-all-succeed",
			Group:   Group{Strategy: "parallel", MaxParallel: 2, ContinueOnError: true},
			Members: []Member{{"alpha", takes2, 0}, {"bravo", quick, 0}, {"charlie", quick, 0}},
			Want:    Want{Succeeded: true, Reasons: []string{"Succeeded"}, Results: []engine.Result{ok, ok, ok}, MaxRunning: 2},
		},
		{
			Name:    "sequential",
			Group:   Group{Strategy: "sequential"},
			Members: []Member{{"charlie", quick, 0}, {"alpha", takes2, 0}, {"bravo", quick, 0}},
			Want: Want{
				Succeeded: true, Reasons: []string{"Succeeded"}, Results: []engine.Result{ok, ok, ok},
				MaxRunning: 1, Order: []string{"charlie", "alpha", "bravo"},
			},
		},
		{
			Name:    "sequential-stops-at-a-failure",
			Group:   Group{Strategy: "sequential"},
			Members: []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", quick, 0}},
			Want: Want{
				Reasons: []string{"Failed"}, Results: []engine.Result{ok, failed, skipped},
				MaxRunning: 1, Order: []string{"alpha", "bravo"},
			},
		},
		{
			Name:    "sequential-goes-on-after-a-failure",
			Group:   Group{Strategy: "sequential", ContinueOnError: true},
			Members: []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", takes2, 0}},
			Want: Want{
				Reasons: []string{"Failed"}, Results: []engine.Result{ok, ignored, ok},
				MaxRunning: 1, Order: []string{"alpha", "bravo", "charlie"},
			},
		},
		{
			Name:    "sequential-goes-on-after-a-timeout",
			Group:   Group{Strategy: "sequential", ContinueOnError: true},
			Members: []Member{{"alpha", hangs, 3}, {"bravo", quick, 0}},
			Want: Want{
				Reasons: []string{"Failed"}, Results: []engine.Result{timedOut, ok},
				MaxRunning: 1, Order: []string{"alpha", "bravo"},
			},
		},
		{
			Name:    "sequential-goes-on-global-timeout",
			Group:   Group{Strategy: "sequential", ContinueOnError: true, GlobalTimeout: 5},
			Members: []Member{{"alpha", quick, 0}, {"bravo", hangs, 0}, {"charlie", quick, 0}},
			Want: Want{
				Reasons: []string{"PipelineRunTimeout"}, Results: []engine.Result{ok, timedOut, skipped},
				MaxRunning: 1, Order: []string{"alpha", "bravo"},
			},
		},
		{
			Name:     "rollback-of-what-failed",
			Group:    Group{Strategy: "parallel"},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", hangs, 3}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, failed, timedOut}, RolledBack: []string{"bravo", "charlie"}},
		},
		{
			Name:     "rollback-of-nothing",
			Group:    Group{Strategy: "sequential"},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", quick, 0}},
			Rollback: goesBack,
			// Completed, not Succeeded: the rollbacks are skipped.
			Want: Want{Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok}},
		},
		{
			Name:     "rollback-of-an-ignored-failure",
			Group:    Group{Strategy: "sequential", ContinueOnError: true},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", quick, 0}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, ignored, ok}, RolledBack: []string{"bravo"}},
		},
		{
			Name:     "rollback-of-a-group",
			Group:    Group{Strategy: "sequential", Rollback: "group"},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", quick, 0}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, failed, skipped}, RolledBack: []string{"alpha", "bravo"}},
		},
		{
			Name:     "rollback-of-a-group-in-lanes",
			Group:    Group{Strategy: "parallel", MaxParallel: 2, ContinueOnError: true, Rollback: "group"},
			Members:  []Member{{"alpha", fails, 0}, {"bravo", quick, 0}, {"charlie", quick, 0}},
			Rollback: goesBack,
			Want: Want{
				Reasons: []string{"Failed"}, Results: []engine.Result{ignored, ok, ok}, MaxRunning: 2, RolledBack: []string{"alpha", "bravo", "charlie"},
			},
		},
		{
			// Failed, not PipelineRunTimeout: to Tekton, a finally task that is skipped is not done.
			Name:     "rollback-when-the-time-is-over",
			Group:    Group{Strategy: "parallel", GlobalTimeout: 5},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", hangs, 0}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, timedOut}, RolledBack: []string{"bravo"}},
		},
		{
			Name:     "rollback-of-a-group-when-time-is-over",
			Group:    Group{Strategy: "parallel", GlobalTimeout: 5, Rollback: "group"},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", hangs, 0}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"PipelineRunTimeout"}, Results: []engine.Result{ok, timedOut}, RolledBack: []string{"alpha", "bravo"}},
		},
		{
			Name:     "rollback-that-nobody-wants",
			Group:    Group{Strategy: "parallel", Rollback: "none"},
			Members:  []Member{{"alpha", fails, 0}, {"bravo", quick, 0}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{failed, ok}},
		},
		oneShell(ok, failed),
	}...)
}

// oneShell looks at what the commands of a deployment are to each other, and what they are told.
func oneShell(ok, failed engine.Result) Case {
	return Case{
		Name:  "one-shell",
		Group: Group{Strategy: "parallel"},
		Members: []Member{
			{"directory", []string{"mkdir -p deep/er", "cd deep", "cd er", `test "$(basename "$PWD")" = er`, `test -d ../../deep/er`}, 0},
			{"variable", []string{"mark='$(it) is \"kept\"'", "export MARK=$mark", `test "$mark" = '$(it) is "kept"'`, `sh -c 'test "$MARK" = "\$(it) is \"kept\""'`}, 0},
			{"function", []string{"greet() {\n  echo \"hello $1\"\n}", `test "$(greet you)" = 'hello you'`}, 0},
			{"stops", []string{"true", "false", "true"}, 0},
			{"stops-inside", []string{"true\nfalse\ntrue", "true"}, 0},
			{"told", []string{
				`test "$SENTRY_REPO" = told`, `test "$SENTRY_GROUP" = one-shell`, `test "$SENTRY_PROJECT_NAME" = told`, `test "$SENTRY_BRANCH" = main`,
				`test -n "$SENTRY_REPO_URL"`, `test -n "$SENTRY_RUN"`, `test ${#SENTRY_SHA} = 40`, `test ${#SENTRY_QA_SHA} = 40`,
				`test "$(cat .git/HEAD)" = "$SENTRY_QA_SHA"`,
			}, 0},
		},
		Want: Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, ok, ok, failed, failed, ok}},
	}
}
