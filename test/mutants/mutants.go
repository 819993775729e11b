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
	inCycle     = "pkg/watch/cycle.go"
	inBranch    = "pkg/state/state.go"
	inCreate    = "pkg/watch/create.go"
	inRecover   = "pkg/watch/recover.go"
	inStore     = "pkg/state/configmap/configmap.go"
	inSplit     = "pkg/state/configmap/split.go"
	inKey       = "pkg/plan/naming/key.go"
	inPlanSplit = "pkg/plan/split.go"
	inPrune     = "pkg/engine/tekton/prune.go"
	inModel     = "./test/model"
	model       = "TestModel"
	inStates    = "./pkg/state/configmap"
	inTekton    = "./pkg/engine/tekton"
)

var mutants = []mutant{
	{
		"remember before acting", inCreate,
		"	for range nameTries {\n		if ctx",
		"	run.Remember(&c.next, c.Now())\n	for range nameTries {\n		if ctx",
		inModel, model,
	},
	{
		"a run that was cut off counts as ended", "pkg/engine/local/run.go",
		"if !r.schedule.cutOff() {", "if true {",
		"./pkg/engine/local", "TestJournal",
	},
	{
		"the head before a run that was cut off is not due", inBranch,
		"return b.Redo || head", "return head",
		"./pkg/plan", "TestMake",
	},
	{
		"a head that was passed over is due", inBranch,
		" && (p == nil || head != p.SHA)", " && (p == nil || true)",
		"./pkg/plan", "TestMake",
	},
	{
		"an ignored head is what the next one is compared with", inBranch,
		"if why != repo.Untouched {", "if false {",
		"./pkg/watch", "TestScripts/paths-and-ignore",
	},
	{
		"what cannot be told is no change", "pkg/filter/look.go",
		"return \"\", append(unclear, Unclear{h, \"paths\", d.err})", "return repo.Untouched, append(unclear, Unclear{h, \"paths\", d.err})",
		"./pkg/watch", "TestScripts/paths",
	},
	{
		"a head that was passed over counts as what ran", inBranch,
		"	b.Passed = &Passed{SHA", "	b.SHA = head\n	b.Passed = &Passed{SHA",
		"./pkg/plan", "TestMake",
	},
	{
		"a run that exists already counts as a failure", inCreate,
		"	if made.Existed {\n		c.Tell",
		"	if made.Existed {\n		c.problem(run, \"create\", errors.New(\"it exists\"))\n		return\n		c.Tell",
		"./pkg/watch", "TestScripts/run-found",
	},
	{
		"a name that is taken counts as done", inCreate,
		"			run = run.Next()\n			c.due(run)\n			continue",
		"			run.Remember(&c.next, c.Now())\n			return",
		inModel, model,
	},
	{
		"the trigger annotation is not compared", "pkg/engine/local/local.go",
		"if !known.trigger.Equal(trigger) {", "if false {",
		"./pkg/engine/local", "TestCreateAgain",
	},
	{
		"the number is not in the name", inKey,
		"manual, strconv.Itoa(n))", "manual, strconv.Itoa(0))",
		inModel, model,
	},
	{
		"the epoch is not in the name", inKey,
		"k.digest(10, epoch, label,", "k.digest(10, label,",
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
		"if found < was.Branches.Len() && p.Observed[i].Status == repo.Fresh {", "if found < was.Branches.Len() {",
		"./pkg/watch", "TestScripts/cached-answers",
	},
	{
		"a forgotten branch's number is the floor at once", "pkg/plan/make.go",
		"case !b.Forgotten():", "case !b.Forgotten() && false:",
		"./pkg/plan", "TestMake",
	},
	{
		"a host that fails has no branches", "pkg/plan/make.go",
		"	case o.Err != nil:\n		return o.Err\n	case len(o.Heads) == 0 && len(p.Config.Repositories[i].Monitor.Branches.Branches()) > 0:\n		return errNoHeads",
		"",
		inModel, model,
	},
	{
		"tags that are there at first are deployed", "pkg/state/tags.go",
		"return !isNew(name)", "return false",
		inModel, model,
	},
	{
		"tags that an older Sentry forgot are new", "pkg/state/tags.go",
		"lost := r.Unseen || r.Tagged && !r.HasTags()", "lost := r.Unseen",
		"./pkg/plan", "TestAfterAnOlderSentry",
	},
	{
		"a head that was passed over counts after an older Sentry went on", inBranch,
		"if b.Passed != nil && b.Passed.N != b.N {", "if false {",
		"./pkg/plan", "TestAfterAnOlderSentry",
	},
	{
		"a request of a fork has secrets", "pkg/plan/plan.go",
		"return request && !m.Request.Own && (!m.Repository.Monitor.Exposed || !m.Repository.Monitor.Branches.Forks())", "return request && m.Repository == nil",
		inModel, model,
	},
	{
		"the run of a fork keeps its ServiceAccount", "pkg/pipelinerun/internal/confine/confine.go",
		"template.ServiceAccountName, template.PodTemplate = ServiceAccount, withoutToken(template.PodTemplate)", "template.PodTemplate = withoutToken(template.PodTemplate)",
		"./pkg/pipelinerun", "TestGolden",
	},
	{
		"requests that are open when the setting is first seen run", "pkg/state/tags.go",
		"return r.Unseen || !ok || !looked.Takes(q)", "return r.Unseen && (!ok || !looked.Takes(q))",
		"./pkg/plan", "TestRequests",
	},
	{
		"a list of requests that is cut short counts", "pkg/githost/gitea/search.go",
		"err = rest.CutShort(h.api.Host(), total, listed)", "return heads.Observation()",
		"./pkg/githost/gitea", "TestRequestsCutShort",
	},
	{
		"what anybody may push without a branch is the repository's own", "pkg/githost/internal/requests/requests.go",
		"return p.head.label != \"\" && p.head.ref == p.head.label", "return true",
		"./pkg/githost/gitea", "TestConformance/tells_which_requests_are_open",
	},
	{
		"a tag that waits is recorded when the file changes", "pkg/state/tags.go",
		"looked = repo.Recall(r.Tags)", "looked = nil",
		"./pkg/plan", "TestTags",
	},
	{
		"tags that a narrower file forgot are new", "pkg/plan/make.go",
		"if _, known := was.Branch(c.Branch); !known", "if _, known := was.Branches.Lookup(c.Branch); !known",
		"./pkg/plan", "TestTags",
	},
	{
		"the only tag, whose run was cut off, counts as lost", "pkg/plan/recover.go",
		"			entry.Tagged = entry.Tagged && entry.HasTags()\n", "",
		"./pkg/plan", "TestTagThatWasCutOff",
	},
	{
		"a tag that comes after others are watched no more is recorded", "pkg/plan/make.go",
		"if tags > 0 && forgotten < 2 {", "if tags > 0 && forgotten < 0 {",
		"./pkg/plan", "TestTagsThatAreBack",
	},
	{
		"an annotated tag gives its own object", "pkg/githost/gitproto/http.go",
		"			object = name\n", "			_ = name\n",
		"./pkg/githost/gitproto", "TestTagsOfRealGit",
	},
	{
		"nothing is looked at after the start", inRecover,
		"all := c.looked.IsZero() || c.Now()", "all := !c.looked.IsZero() && c.Now()",
		"./pkg/watch", "TestScripts/reset-after-failed-save",
	},
	{
		"runs are begun after the signal to end", inCreate,
		"		if ctx.Err() != nil {\n			return\n		}\n		asked := c.Now()", "		asked := c.Now()",
		"./pkg/watch", "TestStopBetweenTwoCreations",
	},
	{
		"the signal to end cuts short what remembers the cycle", inCycle,
		"remembered := c.remember(ending)", "remembered := c.remember(ctx); _ = ending",
		"./pkg/watch", "TestStopRemembersBesideACallThatHangs",
	},
	{
		"a failed creation counts as not done", inCreate,
		"c.unsure[run.At()] = true", "delete(c.unsure, run.At())",
		"./pkg/watch", "TestScripts/reset-after-lost-answer",
	},
	{
		"what a failed write may have lost is not looked for", inCycle,
		"		c.markUnsure()\n", "",
		"./pkg/watch", "TestScripts/reset-after-failed-save",
	},
	{
		"old heads are acted upon", inRecover,
		"if !stale {", "if !stale || true {",
		inModel, model,
	},
	{
		"the other Sentry's number is skipped", inRecover,
		"return e.Name == run.Name && c.ours(e)", "return false",
		inModel, model,
	},
	{
		"any run is believed", inKey,
		"if hmac.Equal(", "if true || hmac.Equal(",
		inModel, model,
	},
	{
		"a run that somebody holds back keeps its unit waiting", "pkg/plan/existing.go",
		"(!r.Pending || ours(r))", "(!r.Pending || ours(r) || true)",
		"./pkg/watch", "TestScripts/forged-held-back",
	},
	{
		"the signature is not compared on a cluster", "pkg/engine/generated/generated.go",
		" && mine.Annotations[signature] == theirs.Annotations[signature]", " && signature != \"\"",
		"./pkg/engine/tekton", "TestCreate",
	},
	{
		"a busy unit starts its next run", "pkg/plan/hold.go",
		"case len(busy) == 0, ", "case len(busy) >= 0, ",
		inModel, model,
	},
	{
		"what has no place in a run counts as done", inPlanSplit,
		"		if placed[c.Ref] {", "		if placed[c.Ref] || true {",
		inModel, model,
	},
	{
		"the rest cancels the part before it", "pkg/plan/hold.go",
		"return e.Trigger.Waiting > 0 }", "return false }",
		inModel, model,
	},
	{
		"a member's thousand branches go before another's change", inPlanSplit,
		"			cmp.Compare(round[a.Ref()], round[b.Ref()]),\n", "",
		"./pkg/watch", "TestThousandBranchesOfOneMember",
	},
	{
		"who was served a moment ago is served first", inPlanSplit,
		"			cmp.Compare(served[a.Repository.Name], served[b.Repository.Name]),\n", "",
		"./pkg/plan", "TestPartsAreAll",
	},
	{
		"a branch that no param can hold keeps its group from running", "pkg/pipelinerun/fit.go",
		"	run = run.Without(refused(run))\n", "",
		"./pkg/watch", "TestBranchThatNoParamCanHold",
	},
	{
		"a branch with a $ reaches a param", "pkg/pipelinerun/reference.go",
		"strings.Contains(facts[name], \"$\") && err == nil", "false",
		"./pkg/pipelinerun", "TestParamsOfHostileBranches",
	},
	{
		"a run is as large as it gets", "pkg/pipelinerun/fit.go",
		"if err != nil || size <= MaxSize {\n		return pr, part, err\n	}\n	places", "if err != nil || size > 0 {\n		return pr, part, err\n	}\n	places",
		"./pkg/watch", "TestThousandBranchesOfOneMember",
	},
	{
		"what the cluster refuses has its turn in every cycle", "pkg/watch/turn.go",
		"turns[r.Unit.Label] = c.cycles + 1", "turns[r.Unit.Label] = 0",
		"./pkg/watch", "TestHundredsOfBranches",
	},
	{
		"the state is written over another's", "pkg/state/file/file.go",
		"if current != s.loaded {", "if current != s.loaded && false {",
		"./pkg/state/file", "TestPromises",
	},
	{
		"a state file that somebody wrote counts as known", "pkg/state/file/file.go",
		"if now == s.loaded {", "if now == s.loaded || s.loaded != (content{}) {",
		"./pkg/state/file", "TestPromises",
	},
	{
		"a part of the state that a person edited counts as known", inStore,
		"append([]*corev1.ConfigMap{s.loaded}, s.further...)", "append([]*corev1.ConfigMap{s.loaded}, s.further[:0]...)",
		inStates, "TestLoadOfWhatIsKnown",
	},
	{
		"a state that was not saved counts as known", inStore,
		"s.snapshot = nil // until all of it is written", "s.snapshot = &snapshot",
		inStates, "TestPromises",
	},
	{
		"a run that is remembered changes the state that was loaded", "pkg/plan/run.go",
		"entry.Branches, entry.Unseen = entry.Branches.Clone(), false", "entry.Unseen = false",
		"./pkg/plan", "TestRemember",
	},
	{
		"a damaged entry of the state counts as none", "pkg/state/damaged.go",
		"*r = Repository{Damaged: append([]byte(nil), text...), Problem: &p}", "*r, _ = Repository{}, &p",
		"./pkg/state", "TestDecodeSetsDamagedEntriesAside",
	},
	{
		"what a newer Sentry added to the state is lost", "pkg/state/fields.go",
		"k.kept().members = &all", "_, _ = k, &all",
		"./pkg/state", "TestUnknownIsKept",
	},
	{
		"what a newer Sentry added to a branch ends with its next run", "pkg/state/tags.go",
		"r.Branches.Get(branch).Deployed(", "Branch{}.Deployed(",
		"./pkg/plan", "TestWhatIsNotKnownIsKept",
	},
	{
		"an entry that cannot be read again counts as saved", "pkg/state/file/file.go",
		"	snapshot = snapshot.Sound()\n", "",
		"./pkg/state/file", "TestPromises",
	},
	{
		"a run is made whose number the state cannot hold", "pkg/plan/run.go",
		"if n <= state.MaxNumber {", "if true {",
		"./pkg/watch", "TestScripts/number-at-the-end",
	},
	{
		"a repository may take all of the state", "pkg/plan/problem.go",
		"if was.Fits(heads) {", "if true {",
		"./pkg/watch", "TestTooManyBranchesCostTheirRepository",
	},
	{
		"new branches do not wait for room", "pkg/plan/make.go",
		"return c.Old == \"\" })", "return false })",
		"./pkg/plan", "TestShareUnderChurn",
	},
	{
		"branches that are gone keep their room", "pkg/plan/make.go",
		"if err != nil && !crowded(err) {", "if err != nil {",
		"./pkg/plan", "TestShareUnderChurn",
	},
	{
		"a part of the state is full, and its entries have no other", "pkg/state/configmap/entries.go",
		"i = slices.Index(used, slices.Min(used))", "_ = slices.Min(used)",
		inStates, "TestLargeRepositoriesBesideMany",
	},
	{
		"an entry that is larger than a part is in none", inSplit,
		"f.entries, f.Gone = all.over(sums)", "f.entries = entries{epochPlace: all[epochPlace]}",
		inStates, "TestEntryLargerThanAPart",
	},
	{
		"a state that is too large remembers no run", inCycle,
		"c.rememberRuns(ctx, err)", "_ = ctx",
		"./pkg/watch", "TestStateThatIsTooLarge",
	},
	{
		"a part of the state that cannot be decoded counts as empty", inStore,
		"		return nil, nil, 0, s.unreadable(s.nameOf(i), err)\n	}\n	for _, d", "		return nil, nil, 0, nil\n	}\n	for _, d",
		inStates, "TestLoadRefuses",
	},
	{
		"a part of the state that is gone counts as empty", inStore,
		"	if cm == nil {\n		return nil, nil, 0, fmt", "	if cm == nil {\n		return nil, nil, 0, nil\n		return nil, nil, 0, fmt",
		inStates, "TestLoadRefuses",
	},
	{
		"the parts of the state are named before they are written", inSplit,
		"	for i, c := range contents {\n",
		"	if err := s.putFirst(ctx, f, text, s.further, s.base, size); err != nil {\n		return err\n	}\n	for i, c := range contents {\n",
		inStates, "TestPromises",
	},
	{
		"a part of the state is written over another's", inStore,
		"	if errors.Is(err, kube.ErrConflict) {\n		return nil, fmt",
		"	if errors.Is(err, kube.ErrConflict) && name != s.name {\n		return was, nil\n	}\n	if errors.Is(err, kube.ErrConflict) {\n		return nil, fmt",
		inStates, "TestWritersInTurn",
	},
	{
		"no word is written before the parts of the state", inSplit,
		"if err := s.move(ctx, all[epochPlace]); err != nil {", "if s.namespace == \"\" {",
		inStates, "TestTwoWriters",
	},
	{
		"a part of an earlier state counts", inStore,
		"|| d.Epoch != epoch", "",
		inStates, "TestLoadRefuses",
	},
	{
		"a part of the state that was edited by hand is written over in place", inSplit,
		"name += \"-edited\"", "_ = old",
		inStates, "TestDeathAfterAnEditByHand",
	},
	{
		"the newest failed run is deleted", inPrune,
		"newestFailed := !failedSeen && r.failed()", "newestFailed := false && r.failed()",
		inTekton, "TestSurplus",
	},
	{
		"an active run is deleted", inPrune,
		"if !r.done() {", "if false {",
		inTekton, "TestSurplus",
	},
	{
		"a run is deleted that is not in the history", inPrune,
		"if err := e.remember(ctx, old); err != nil {", "if err := e.remember(ctx, old); err != nil && false {",
		inTekton, "TestNothingIsDeletedThatIsNotRemembered",
	},
	{
		"an ignored failure is none", "pkg/result/of.go",
		"case has(engine.Failed, engine.Ignored):", "case has(engine.Failed):",
		"./pkg/result", "TestVerdicts",
	},
	{
		"a run whose end was told is not in the history", "pkg/engine/tekton/judge.go",
		"l.history.Add(ctx, results);", "l.history.Add(ctx, results[:0]);",
		inTekton, "TestSuperseded",
	},
	{
		"a task that does not end holds up the others", "pkg/engine/tekton/judge.go",
		"maxJudged  = 256", "maxJudged  = 1",
		inTekton, "TestATaskThatDoesNotEndHoldsUpNoOther",
	},
	{
		"what a run says it deploys is believed unsigned", "pkg/plan/pinned/pinned.go",
		"return key.Signed(m.Signature,", "return m.Signature != \"\" || key.Signed(m.Signature,",
		"./pkg/plan/pinned", "TestMembersAreReadAsTheyWereWritten",
	},
	{
		"a cancelled run's finally tasks do not run", "pkg/engine/tekton/tekton.go",
		"patch.Spec.Status = v1.PipelineRunSpecStatusCancelledRunFinally", "patch.Spec.Status = v1.PipelineRunSpecStatusCancelled",
		inTekton, "TestCancel",
	},
	{
		"a run that is cancelled is rolled back", "pkg/engine/generated/generated.go",
		"return pipelinerun.RollsBack(pr) && ", "return false && ",
		inTekton, "TestCancelOfARunThatRollsBack",
	},
	{
		"what succeeded is rolled back", "pkg/pipelinerun/internal/order/order.go",
		"When: when(status(task), \"Failed\")", "When: when(status(task), \"Failed\", \"Succeeded\")",
		"./pkg/engine/local", "TestScenarios/rollback-of-what-failed",
	},
	{
		"an ignored failure is not rolled back", "pkg/engine/local/schedule.go",
		"case t.failed():\n\t\t\tstatus", "case t.failed() && !t.ignored():\n\t\t\tstatus",
		"./pkg/engine/local", "TestScenarios/rollback-of-an-ignored-failure",
	},
	{
		"what was rolled back with its group counts as deployed", "pkg/result/of.go",
		"m.Verdict, m.Why = RolledBack,", "m.Verdict, m.Why = Succeeded,",
		"./pkg/result", "TestVerdicts",
	},
	{
		"the trigger annotation is not compared on a cluster", "pkg/engine/generated/generated.go",
		"errTheirs == nil && a.Equal(b) && ", "errTheirs == nil && (a.Equal(b) || true) && ",
		inTekton, "TestCreate",
	},
	{
		"what is paused runs", "pkg/plan/hold.go",
		"r.Pause != nil {", "r.Pause != nil && false {",
		"./pkg/cli", "TestScripts/pause",
	},
	{
		"what is frozen runs", "pkg/plan/places/turn.go",
		"in := r.Group.NotOn.At(now); in {", "in := r.Group.NotOn.At(now); in && false {",
		"./pkg/watch", "TestScripts/not-on",
	},
	{
		"the host that answers first has all places", "pkg/plan/places/places.go",
		"map[string]int{}, maps.Clone(q.waiting)", "map[string]int{}, map[string]turn{}",
		"./pkg/watch", "TestScripts/max-runs",
	},
	{
		"what has no place cancels the run that it would replace", "pkg/plan/places/places.go",
		"return len(c.run.Cancel)", "return 100 * len(c.run.Cancel)",
		"./pkg/plan/places", "TestWhatReplaces",
	},
	{
		"a place is given twice", "pkg/plan/places/places.go",
		"			q.free--\n", "",
		inModel, model,
	},
	{
		"a window that begins while the QA repository is read holds nothing", inCreate,
		"in := run.Group.NotOn.At(asked); in {", "in := run.Group.NotOn.At(asked); in && false {",
		inModel, model,
	},
	{
		"who has a lower priority has the next place", "pkg/plan/places/places.go",
		"cmp.Compare(o.priority, c.priority))", "cmp.Compare(c.priority, o.priority))",
		inModel, model,
	},
	{
		"places go by the name alone", "pkg/plan/places/places.go",
		"c.last.Compare(o.last), cmp.Compare(c.since, o.since), ", "",
		inModel, model,
	},
	{
		"a branch that moves all the time has all places of its repository", "pkg/plan/places/places.go",
		"cmp.Compare(c.since, o.since), ", "",
		"./pkg/plan/places", "TestBranchesTakeTurns",
	},
	{
		"the place of a run that was cancelled is anybody's", "pkg/plan/places/places.go",
		"c.promised = true", "c.promised = false",
		"./pkg/plan/places", "TestWhatReplaces",
	},
	{
		"a run is cancelled soon before a window", "pkg/plan/places/turn.go",
		"ahead <= spare &&", "ahead <= 0 &&",
		"./pkg/watch", "TestScripts/on-busy-cancel-places",
	},
	{
		"a run that cannot be made cancels another", inCreate,
		"	run, err := run.Pin(qa)\n", "	if len(run.Cancel) > 0 {\n		c.replace(ctx, run)\n		return\n	}\n	run, err := run.Pin(qa)\n",
		"./pkg/watch", "TestScripts/on-busy-cancel-places",
	},
	{
		"a failure counts as what was deployed last", "pkg/plan/deployed/deployed.go",
		"m.Verdict != result.Succeeded || ", "",
		"./pkg/plan/deployed", "TestLearn",
	},
	{
		"a run that is made again leaves out what failed", "pkg/cli/deeds/again.go",
		"m.Verdict == result.Succeeded })", "m.Verdict != result.Succeeded })",
		"./pkg/cli", "TestScripts/operate",
	},
	{
		"a list of runs ends with its first page", "pkg/engine/tekton/list.go",
		"page.next == \"\"", "page.next == page.next",
		inTekton, "TestRunsOfMany",
	},
	{
		"a host has all the memory that there is for heads", "pkg/githost/room.go",
		"max(minRoom, maxRoom/max(1, endpoints))", "maxRoom",
		"./pkg/githost/poller", "TestRoomOfManyHosts",
	},
	{
		"a text of an answer is kept as long as it is", "pkg/githost/internal/jsonstream/jsonstream.go",
		"keep = keep && len(r.text) < max(maxText, r.most)", "keep = keep && true",
		"./pkg/githost/internal/jsonstream", "TestEndlessIsBounded",
	},
	{
		"a host whose key is another one is believed", "pkg/sshauth/knownhosts.go",
		"if bytes.Equal(e.key.Marshal(), key.Marshal()) {", "if bytes.Equal(e.key.Marshal(), key.Marshal()) || true {",
		"./pkg/githost/gitproto", "TestHostKeys",
	},
	{
		"a webhook needs no right signature", "pkg/serve/hook/kind.go",
		"ok = hmac.Equal(sum, want) || ok", "ok = hmac.Equal(sum, want) || true",
		"./pkg/serve/hook", "TestHooks",
	},
	{
		"a webhook with an empty secret counts as signed", "pkg/serve/hook/hook.go",
		"if known.key == \"\" {", "if known.key == \"\" && false {",
		"./pkg/serve/hook", "TestSecretOfTheConfiguration",
	},
	{
		"the last webhook of a storm is forgotten", "pkg/serve/hook/pace.go",
		"r.due = nil\n\t\t\t\tp.first(name, r)", "r.due = nil",
		"./pkg/serve/hook", "TestStorm",
	},
	{
		"a loop that hangs is alive", "pkg/serve/health/answer.go",
		"stuck := time.Since(h.progress) > Patience", "stuck := false",
		"./pkg/serve/health", "TestLoopThatHangs",
	},
	{
		"what others ask of the API server keeps a loop that hangs alive", "pkg/serve/health/health.go",
		"if ctx.Value(loop{}) != nil {", "if true {",
		"./pkg/serve/health", "TestOthersAreNotTheLoop",
	},
	{
		"a host that fails makes Sentry not ready", "pkg/serve/health/health.go",
		"		h.end(nil)\n", "		if h.end(nil); e.Failing > 0 {\n			h.end(errors.New(\"hosts fail\"))\n		}\n",
		"./pkg/serve/health", "TestHostsDoNotMatter",
	},
	{
		"a webhook is made beside the one that there is", "pkg/cli/webhooks/decide.go",
		"if len(same) == 0 {", "if len(same) == 0 || true {",
		"./pkg/cli/webhooks", "TestNoSecondWebhook",
	},
	{
		"what becomes of a status ends the round of reading", "pkg/githost/transport/gate.go",
		"if marks.Aside {\n\t\tg.leaveAside", "if false {\n\t\tg.leaveAside",
		"./pkg/githost/poller", "TestStatusesTakeNoPartInReading",
	},
	{
		"statuses hang in all connections of a host", "pkg/githost/poller/statuses.go",
		"const maxAside = 2", "const maxAside = 100",
		"./pkg/githost/poller", "TestStatusesDoNotCrowdOutReading",
	},
	{
		"of a commit's statuses one page is read", "pkg/githost/github/statuses.go",
		"return resp.NextPage, nil", "return 0, nil",
		"./pkg/githost/github", "TestStatuses",
	},
	{
		"a status of GitLab is ended in another pipeline than it began in", "pkg/githost/gitlab/statuses.go",
		"want.PipelineID = &there.PipelineID", "",
		"./pkg/githost/gitlab", "TestPendingIsEndedInItsPipeline",
	},
	{
		"what another replica acted upon is compared with heads from before", "pkg/watch/cycle.go",
		"c.forgetOthers(s)", "",
		"./pkg/watch", "TestHeadsFromBeforeAnother",
	},
	{
		"a replica that is gone keeps its share", "pkg/share/lease/lease.go",
		"return dead < duration", "return dead < forgetAfter",
		"./pkg/share/lease", "TestStandstill",
	},
	{
		"a replica that stood still goes on as if it had not", "pkg/share/lease/lease.go",
		"k.Now().Sub(k.renewed) >= duration", "false",
		"./pkg/share/lease", "TestStandstill",
	},
	{
		"a replica looks at everything", "pkg/watch/cycle.go",
		"c.whole && mine(r)", "(c.whole || mine(r))",
		"./pkg/watch", "TestSharesAreApart",
	},
	{
		"a replica plans on what it knew before a run ended", "pkg/watch/hold.go",
		"	c.hearEnds(ctx, p.Runs, list)\n", "",
		"./pkg/watch", "TestEndsThatAnotherReplicaHears",
	},
	{
		"a replica that does not know its share looked at everything", "pkg/watch/cycle.go",
		"mine = w.Share(); mine == nil", "mine = w.Share(); false",
		"./pkg/watch", "TestShareThatIsNotKnown",
	},
	{
		"the members of a group are in several shares", "pkg/share/share.go",
		`if group != ""`, `if group == "*"`,
		"./pkg/share", "TestAgreement",
	},
	{
		"a status is written without being read back", "pkg/report/deliver/send.go",
		"if ok && stands(was, want)", "if ok && !stands(was, want) && stands(was, want)",
		"./pkg/report/deliver", "TestKilledAnywhere",
	},
	{
		"a run without our signature is reported", "pkg/cli/reporting/reporting.go",
		"!s.run.Ours(key, epoch) || ", "",
		"./pkg/cli/reporting", "TestForged",
	},
	{
		"commits that a run says it deploys are reported unsigned", "pkg/cli/reporting/reporting.go",
		" || !s.members.Signed(key.In(s.run.Cluster), epoch, s.run.Name)", "",
		"./pkg/cli/reporting", "TestForged",
	},
	{
		"a TaskRun is a run's by its label", "pkg/engine/tekton/list.go",
		"return !metav1.IsControlledBy(&tr, pr)", "return tr.Name == pr.Name+\" \"",
		"./pkg/cli/reporting", "TestPlantedTaskRun",
	},
	{
		"a run that is deleted before it was read is told to nobody", "pkg/engine/tekton/judge.go",
		"return lost(&r), nil\n	case", "return out, context.Canceled\n	case",
		inTekton, "TestDeletedBeforeItWasRead",
	},
	{
		"what is owed of a run is pruned", inPrune,
		" && !r.owed()", "",
		inTekton, "TestWhatIsOwedIsNotPruned",
	},
	{
		"a recovery is judged before its failure is known", "pkg/engine/tekton/judge.go",
		"l.wait(before) //", "_ = before //",
		"./pkg/cli/reporting", "TestRecoveryBesideItsFailure",
	},
	{
		"an older run that ends later has the last word on a commit", "pkg/cli/reporting/reporting.go",
		"tasks = append(tasks, m.Task)", "_ = m.Task",
		"./pkg/cli/reporting", "TestTheNewerRunHasTheLastWord",
	},
	{
		"a run that somebody made again by its name is reported", "pkg/cli/reporting/reporting.go",
		"p.Cluster == run.Cluster && p.Created.Before(run.Created)", "p.Cluster == run.Cluster && p.Created.After(run.Created)",
		"./pkg/cli/reporting", "TestMadeAgain",
	},
	{
		"a run is reported again as long as its mark is not there", "pkg/cli/reporting/reporting.go",
		"return r.wanted && !r.knows(at, over)", "r.seen[0] = map[string]mark.Phase{}; return r.wanted && !r.knows(at, over)",
		"./pkg/cli/reporting", "TestOutage",
	},
	{
		"an older run has the last word on a commit", "pkg/report/deliver/deliver.go",
		"other != nil && other.run.facts.Created.After(it.run.facts.Created)", "other != nil && other.run == nil",
		"./pkg/report/deliver", "TestTheNewerRunHasTheLastWord",
	},
	{
		"an invalid configuration replaces the one that runs", "pkg/cli/reload/reload.go",
		"	next, err := r.Parse(texts, found)\n	if err != nil {\n		return err\n	}", "	next, err := r.Parse(texts, found)\n	if err != nil {\n		next = &config.Config{}\n	}",
		"./pkg/cli/reload", "TestFile",
	},
	{
		"an empty list of repositories takes all away", "pkg/discover/take.go",
		"delete(now, \"\"); len(now) == 0 && len(known.Repositories) > 0 {", "delete(now, \"\"); false {",
		"./pkg/discover", "TestTake",
	},
	{
		"one list that lacks a repository takes it away", "pkg/discover/take.go",
		"	return r.Missing < at && ", "	return r.Missing <= at || ",
		"./pkg/discover", "TestTake",
	},
	{
		"a list that lacks most repositories is believed as any other", "pkg/discover/take.go",
		"	if r.Many {\n", "	if false {\n",
		"./pkg/discover", "TestTake",
	},
	{
		"what lists lack is forgotten between two processes", "pkg/config/discover/discover.go",
		"json:\"missing,omitempty\"", "json:\"-\"",
		"./pkg/discover", "TestOnceAndAgain",
	},
	{
		"a renamed repository has another name", "pkg/discover/take.go",
		"r.Name, r.Since = was.Name, was.Since", "r.Since = was.Since",
		"./pkg/discover", "TestTake",
	},
	{
		"a host's topics take all room", "pkg/discover/take.go",
		"bytes > maxTopicBytes || ", "",
		"./pkg/discover", "TestWhatIsKept",
	},
	{
		"one server that hangs holds up all", "pkg/discover/finder.go",
		"return o.Source == d.Source })", "return true || o.Source == d.Source })",
		"./pkg/discover", "TestAHostThatHangs",
	},
	{
		"a mended credential waits for the next interval", "pkg/discover/finder.go",
		"s.Source == other.Source && slices", "slices",
		"./pkg/discover", "TestMendedToken",
	},
	{
		"a list that cannot be read is written over", "pkg/discover/finder.go",
		"		return min(again, every)\n", "",
		"./pkg/discover", "TestStoreThatCannotBeRead",
	},
	{
		"a list that somebody deleted is forgotten", "pkg/discover/keep.go",
		" && found.Number >= f.found.Load().Number {", " {",
		"./pkg/discover", "TestStoreThatIsDeleted",
	},
	{
		"what was found is written again and again", "pkg/discover/keep.go",
		" && !bytes.Equal(text, f.stored) {", " && !bytes.Equal(text, nil) {",
		"./pkg/discover", "TestIdle",
	},
	{
		"what is in files is kept", "pkg/discover/keep.go",
		"return len(r.File) > 0 })", "return false })",
		"./pkg/discover", "TestFilesAreNotKept",
	},
	{
		"what was found makes the file invalid", "pkg/config/schema/decode.go",
		"d.errors, d.warnings, d.unset, d.bytes, d.ofItem = errs,", "d.errors, d.warnings, d.unset, d.bytes, d.ofItem = append(errs, wrong...),",
		"./pkg/config", "TestFoundThatIsLeftOut",
	},
	{
		"half of a configuration file is used", "pkg/cli/reload/reload.go",
		"	case !r.settled:\n", "",
		"./pkg/cli/reload", "TestHalfWrittenFile",
	},
	{
		"a run of before the configuration changed is not looked for", "pkg/watch/watch.go",
		"if regrouped(w.Config, cfg) {", "if false && regrouped(w.Config, cfg) {",
		"./pkg/watch", "TestScripts/reload-other-unit",
	},
	{
		"explain knows only what the state does", "pkg/explain/explain.go",
		"e.known, e.news = plan.Recover(in.Snapshot, *in.Key, existing, true)", "e.known = in.Snapshot",
		inModel, model,
	},
	{
		"explain says that a run starts while its unit is busy", "pkg/explain/next.go",
		"p = places.Spared(p.Hold(e.active), e.Now)", "p = p.Hold(nil)",
		inModel, model,
	},
	{
		"each branch that somebody pushes has metrics of its own", "pkg/serve/metrics/units.go",
		"u.branches[owner] >= maxBranches", "u.branches[owner] >= 1<<30",
		"./pkg/serve/metrics", "TestUnitsAreBounded",
	},
	{
		"a look at the repositories that was missed counts for nothing", "pkg/serve/metrics/sink.go",
		"e.Repositories * m.missing(e.Every)", "0 * m.missing(e.Every)",
		"./pkg/serve/metrics", "TestCycles",
	},
	{
		"a replica with an older list forgets what it does not know", "pkg/plan/make.go",
		"decides: in.Config.Decides(in.Snapshot.Found)}", "decides: true}",
		"./pkg/watch", "TestReplicasWithListsOfTwoAges",
	},
	{
		"what stood in the file is forgotten before anything was found", "pkg/plan/make.go",
		" && in.Config.Forgets() {", " {",
		"./pkg/plan", "TestNothingFoundYet",
	},
	{
		"a list counts before the state says so", inCycle,
		"		return known.Number\n", "		return last\n",
		"./pkg/watch", "TestRunOfOneThatAnotherReplicaDoesNotKnow",
	},
	{
		"a repository has the memory of the one that had its name", "pkg/plan/make.go",
		"was.Of != r.ID && was.Damaged == nil", "false",
		"./pkg/watch", "TestNameGoesToAnotherOne",
	},
	{
		"a run counts for another repository that has the name", "pkg/plan/recover.go",
		"another := c.Of != \"\"", "another := false && c.Of != \"\"",
		"./pkg/watch", "TestRunOfOneThatHadTheName",
	},
	{
		"a cluster that does not answer is taken for empty", "pkg/engine/clusters/clusters.go",
		"	if len(unlisted) > 0 {", "	if len(unlisted) > 100 {",
		"./pkg/engine/clusters", "TestDown",
	},
	{
		"what a cluster that was down has is not looked for", "pkg/watch/recover.go",
		"	c.Watcher.unlisted = unlisted\n", "	c.Watcher.unlisted = nil\n",
		"./pkg/watch", "TestClusters",
	},
	{
		"a run copied from another cluster is believed", "pkg/plan/existing.go",
		"	k = k.In(r.Cluster)\n", "	k = k.In(\"\")\n",
		"./pkg/plan", "TestRunsOfAnotherCluster",
	},
	{
		"a cluster that is down is asked in each cycle", "pkg/engine/clusters/clusters.go",
		"	if down := e.refusal(ctx, cluster); down != nil {", "	if down := e.refusal(ctx, cluster); down != nil && false {",
		"./pkg/engine/clusters", "TestDown",
	},
	{
		"a run elsewhere says what is deployed here", "pkg/watch/ended/ended.go",
		"Cluster != of.Cluster", "Cluster == \"*\"",
		"./pkg/watch/ended", "TestTheirs",
	},
	{
		"what was forgotten by a newer list is learned from a run", "pkg/plan/recover.go",
		`c.Of != "" && !decides`, `c.Of != "" && false`,
		"./pkg/plan", "TestRecoverOfAnotherOne",
	},
}
