package main

// mutant is a fault that somebody could build in, and the test that must notice it.
type mutant struct {
	name     string
	file     string // from the repository's root
	old, new string // old occurs once in file
	pkg      string // where the test is
	test     string
}

const (
	inCycle   = "pkg/watch/cycle.go"
	inRecover = "pkg/watch/recover.go"
	inModel   = "./test/model"
	model     = "TestModel"
)

var mutants = []mutant{
	{
		"remember before acting", inCycle,
		"	for range nameTries {\n		pr, err",
		"	run.Remember(&c.next, c.Now())\n	for range nameTries {\n		pr, err",
		inModel, model,
	},
	{
		"a run that exists already counts as a failure", inCycle,
		"		if !created {\n			c.Log",
		"		if !created {\n			c.problem(run, \"create\", errors.New(\"it exists\"))\n			return\n			c.Log",
		"./pkg/watch", "TestRunThatExistsIsRemembered",
	},
	{
		"a name that is taken counts as done", inCycle,
		"			run = run.Next()\n			continue",
		"			run.Remember(&c.next, c.Now())\n			return",
		inModel, model,
	},
	{
		"the trigger annotation is not compared", "pkg/engine/local/local.go",
		"if !known.trigger.Equal(trigger) {", "if false {",
		"./pkg/engine/local", "TestCreateAgain",
	},
	{
		"the number is not in the name", "pkg/plan/run.go",
		"manual, strconv.Itoa(n)}", "manual, strconv.Itoa(0)}",
		inModel, model,
	},
	{
		"the epoch is not in the name", "pkg/plan/run.go",
		"[]string{epoch, label,", "[]string{label,",
		inModel, model,
	},
	{
		"the SHA is in the name", "pkg/plan/run.go",
		"r.Trigger.Manual, r.Trigger.Refs[0].N)", "r.Trigger.Manual+string(r.Trigger.Refs[0].New), r.Trigger.Refs[0].N)",
		inModel, model,
	},
	{
		"members of a group count on their own", "pkg/plan/group.go",
		"trigger.Refs[i].N = last + 1", "trigger.Refs[i].N += 0 * last",
		inModel, model,
	},
	{
		"a forgotten branch leaves no floor", "pkg/plan/make.go",
		"now.Floor = max(now.Floor, b.N)", "now.Floor = max(now.Floor, 0)",
		inModel, model,
	},
	{
		"an answer that was cached counts as one more without the branch", "pkg/plan/make.go",
		"if p.Fresh != nil && !p.Fresh[i] {", "if p.Fresh != nil && !p.Fresh[i] && false {",
		"./pkg/watch", "TestCachedAnswersDeleteNothing",
	},
	{
		"a forgotten branch's number is the floor at once", "pkg/plan/make.go",
		"case !b.Forgotten():", "case !b.Forgotten() && false:",
		inModel, "TestRegressions",
	},
	{
		"a host that fails has no branches", "pkg/plan/make.go",
		"	case o.Err != nil:\n		return o.Err\n	case len(o.Heads) == 0:\n		return errNoHeads",
		"	case errors.Is(o.Err, ErrPending):\n		return o.Err",
		inModel, model,
	},
	{
		"nothing is looked at after the start", inRecover,
		"all := c.looked.IsZero() || c.Now()", "all := !c.looked.IsZero() && c.Now()",
		"./pkg/watch", "TestResetAfterARunThatWasNotRemembered",
	},
	{
		"a failed creation counts as not done", inCycle,
		"c.unsure[run.Unit.Label] = true", "c.unsure[run.Unit.Label] = false; delete(c.unsure, run.Unit.Label)",
		"./pkg/watch", "TestResetAfterALostAnswer",
	},
	{
		"a failed write is not doubted", inCycle,
		"		c.doubt()\n", "",
		"./pkg/watch", "TestResetAfterARunThatWasNotRemembered",
	},
	{
		"old heads are acted upon", inRecover,
		"if !stale {", "if !stale || true {",
		inModel, model,
	},
	{
		"the other Sentry's number is skipped", inRecover,
		"return e.Name == run.Name && e.OwnName(c.next.Epoch)", "return false",
		inModel, model,
	},
	{
		"any run is believed", "pkg/plan/recover.go",
		"return len(r.Trigger.Refs) > 0 && strings.HasSuffix(r.Name, \"-\"+nameHash(epoch, r.Unit, r.Trigger.Manual, r.number()))",
		"return len(r.Trigger.Refs) > 0 && strings.Contains(r.Name, \"-\")",
		inModel, model,
	},
	{
		"a busy unit starts its next run", "pkg/plan/hold.go",
		"case len(busy) == 0, ", "case len(busy) >= 0, ",
		inModel, model,
	},
	{
		"the state is written over another's", "pkg/state/file/file.go",
		"if (current == nil) != (s.loaded == nil) ||", "if false && (current == nil) != (s.loaded == nil) || false &&",
		"./pkg/state/file", "Test",
	},
}
