package scenarios

import "github.com/tekton-sentry/sentry/pkg/engine"

// check is the task that checks the first member of a canary group.
const check = "sentry-check"

// ordered are the groups in waves, with needs, and with a canary. Completed in place of Succeeded is due to the gate.
func ordered() []Case {
	const ok, failed, ignored, skipped = engine.Succeeded, engine.Failed, engine.Ignored, engine.Skipped
	diamond := map[string][]string{"delta": {"bravo", "charlie"}, "bravo": {"alpha"}, "charlie": {"alpha"}}
	return []Case{
		{
			Name:    "waves",
			Group:   Group{Strategy: "waves"},
			Members: []Member{{"late", quick, 0}, {"alpha", lasts, 0}, {"bravo", lasts, 0}, {"last", quick, 0}},
			Wave:    map[string]int{"late": 2, "last": 3},
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok},
				Overlap: []string{"alpha", "bravo"}, Order: []string{"alpha", "late", "last"},
			},
		},
		{
			Name:    "waves-stop-at-a-failure",
			Group:   Group{Strategy: "waves"},
			Members: []Member{{"alpha", fails, 0}, {"bravo", lasts, 0}, {"late", quick, 0}},
			Wave:    map[string]int{"late": 2},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{failed, ok, skipped}},
		},
		{
			Name:    "waves-go-on-after-a-failure",
			Group:   Group{Strategy: "waves", ContinueOnError: true},
			Members: []Member{{"alpha", fails, 0}, {"bravo", takes2, 0}, {"late", quick, 0}},
			Wave:    map[string]int{"late": 2},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{ignored, ok, ok}, Order: []string{"bravo", "late"}},
		},
		{
			Name:    "waves-by-shares",
			Group:   Group{Strategy: "waves", Waves: []string{"20%", "100%"}, MaxParallel: 2},
			Members: []Member{{"first", quick, 0}, {"alpha", takes2, 0}, {"bravo", takes2, 0}, {"charlie", takes2, 0}},
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok},
				MaxRunning: 2, Order: []string{"first", "alpha"},
			},
		},
		{
			// Five behind five: a task joins them.
			Name:  "waves-of-many",
			Group: Group{Strategy: "waves"},
			Members: []Member{
				{"a", quick, 0}, {"b", quick, 0}, {"c", quick, 0}, {"d", quick, 0}, {"e", takes2, 0},
				{"f", quick, 0}, {"g", quick, 0}, {"h", quick, 0}, {"i", quick, 0}, {"j", quick, 0},
			},
			Wave: map[string]int{"f": 2, "g": 2, "h": 2, "i": 2, "j": 2},
			Want: Want{Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok, ok, ok, ok, ok, ok, ok}, Order: []string{"e", "j"}},
		},
		{
			Name:    "graph",
			Group:   Group{Strategy: "graph"},
			Members: []Member{{"delta", quick, 0}, {"bravo", lasts, 0}, {"charlie", lasts, 0}, {"alpha", quick, 0}},
			Needs:   diamond,
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok},
				Overlap: []string{"bravo", "charlie"}, Order: []string{"alpha", "bravo", "delta"},
			},
		},
		{
			// Charlie was running: it ends. Bravo is rolled back, delta has nothing to go back from.
			Name:     "graph-stops-at-a-failure",
			Group:    Group{Strategy: "graph"},
			Members:  []Member{{"delta", quick, 0}, {"bravo", fails, 0}, {"charlie", lasts, 0}, {"alpha", quick, 0}},
			Needs:    diamond,
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{skipped, failed, ok, ok}, RolledBack: []string{"bravo"}},
		},
		{
			Name:     "graph-rolls-back-what-began",
			Group:    Group{Strategy: "graph", Rollback: "group"},
			Members:  []Member{{"delta", quick, 0}, {"bravo", fails, 0}, {"charlie", lasts, 0}, {"alpha", quick, 0}},
			Needs:    diamond,
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{skipped, failed, ok, ok}, RolledBack: []string{"alpha", "bravo", "charlie"}},
		},
		{
			Name:    "graph-goes-on-after-a-failure",
			Group:   Group{Strategy: "graph", ContinueOnError: true, MaxParallel: 1},
			Members: []Member{{"delta", quick, 0}, {"bravo", fails, 0}, {"charlie", quick, 0}, {"alpha", quick, 0}},
			Needs:   diamond,
			Want: Want{
				Reasons: []string{"Failed"}, Results: []engine.Result{ok, ignored, ok, ok}, MaxRunning: 1, Order: []string{"alpha", "bravo", "delta"},
			},
		},
		{
			Name:    "graph-by-an-expression",
			Group:   Group{Strategy: "graph", Needs: `other.name == "alpha" && member.name != "alpha" || other.wave < member.wave`},
			Members: []Member{{"delta", quick, 0}, {"bravo", lasts, 0}, {"charlie", lasts, 0}, {"alpha", quick, 0}},
			Wave:    map[string]int{"delta": 2},
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok},
				Overlap: []string{"bravo", "charlie"}, Order: []string{"alpha", "bravo", "delta"},
			},
		},
		{
			Name:    "expression-stops-at-a-failure",
			Group:   Group{Strategy: "graph", Needs: "member.index == other.index + 1"},
			Members: []Member{{"alpha", quick, 0}, {"bravo", fails, 0}, {"charlie", quick, 0}},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{ok, failed, skipped}, Order: []string{"alpha", "bravo"}},
		},
		{
			Name:    "graph-by-a-module",
			Group:   Group{Strategy: "graph"},
			Answer:  `{"needs": {"delta": ["bravo", "charlie"], "bravo": ["alpha"], "charlie": ["alpha"]}}`,
			Members: []Member{{"delta", quick, 0}, {"bravo", lasts, 0}, {"charlie", lasts, 0}, {"alpha", quick, 0}},
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok, ok},
				Overlap: []string{"bravo", "charlie"}, Order: []string{"alpha", "bravo", "delta"},
			},
		},
		{
			Name:    "module-stops-at-a-failure",
			Group:   Group{Strategy: "graph"},
			Answer:  `{"needs": {"bravo": ["alpha"], "charlie": ["bravo"]}}`,
			Members: []Member{{"charlie", quick, 0}, {"bravo", fails, 0}, {"alpha", quick, 0}},
			Want:    Want{Reasons: []string{"Failed"}, Results: []engine.Result{skipped, failed, ok}, Order: []string{"alpha", "bravo"}},
		},
		{
			Name:    "canary",
			Group:   Group{Strategy: "canary", CanaryCheck: []string{`test "$SENTRY_REPO" = alpha`, `test "$(cat .git/HEAD)" = "$SENTRY_QA_SHA"`}},
			Members: []Member{{"alpha", quick, 0}, {"bravo", lasts, 0}, {"charlie", lasts, 0}},
			Want: Want{
				Succeeded: true, Reasons: []string{"Completed"}, Results: []engine.Result{ok, ok, ok},
				Overlap: []string{"bravo", "charlie"}, Order: []string{"alpha", check, "bravo"},
			},
		},
		{
			Name:     "canary-that-its-check-refuses",
			Group:    Group{Strategy: "canary", CanaryCheck: fails, ContinueOnError: true},
			Members:  []Member{{"alpha", quick, 0}, {"bravo", quick, 0}, {"charlie", quick, 0}},
			Rollback: goesBack,
			Want: Want{
				Reasons: []string{"Failed"}, Results: []engine.Result{ok, skipped, skipped}, Order: []string{"alpha", check}, RolledBack: []string{"alpha"},
			},
		},
		{
			Name:     "canary-that-fails",
			Group:    Group{Strategy: "canary", CanaryCheck: quick},
			Members:  []Member{{"alpha", fails, 0}, {"bravo", quick, 0}, {"charlie", quick, 0}},
			Rollback: goesBack,
			Want:     Want{Reasons: []string{"Failed"}, Results: []engine.Result{failed, skipped, skipped}, RolledBack: []string{"alpha"}},
		},
	}
}
