package explain

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/freeze"
	"github.com/tekton-sentry/sentry/pkg/glob"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/repo/repotest"
	"github.com/tekton-sentry/sentry/pkg/result"
	"github.com/tekton-sentry/sentry/pkg/state"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func sha(digit string) repo.SHA { return repo.SHA(strings.Repeat(digit, 40)) }

var (
	web  = repo.Ref{Repository: "web", Branch: "main"}
	api  = repo.Ref{Repository: "api", Branch: "main"}
	solo = repo.Ref{Repository: "solo", Branch: "main"}
)

// world is what the cases begin with: web and api in the group shop, solo on its own. Solo was acted upon at a by its
// second run, solo-2, which succeeded; the members of shop were recorded.
func world(t *testing.T) *Input {
	c := &config.Config{PollingInterval: time.Minute, Groups: map[string]config.Group{"shop": {Name: "shop", OnBusy: config.Queue, Deploy: config.All}}}
	for _, r := range []struct{ name, group string }{{"web", "shop"}, {"api", "shop"}, {"solo", ""}} {
		m := config.Monitor{Branches: repotest.Patterns(t, "main", "dev-.*")}
		c.Repositories = append(c.Repositories, config.Repository{Name: r.name, Group: r.group, Monitor: m})
	}
	c.Global.OnFirstSeen = config.Record
	branch := func(n int) state.Repository {
		return state.Repository{Branches: state.NewBranches(map[string]state.Branch{"main": {SHA: sha("a"), N: n, Time: now.Add(-time.Hour)}})}
	}
	in := &Input{Config: c, Now: now, Snapshot: state.Snapshot{
		Epoch:        "e",
		Repositories: map[string]state.Repository{"web": branch(0), "api": branch(0), "solo": branch(2)},
	}}
	in.Runs = []engine.Run{run("solo-2", "solo.main", plan.Change{Ref: solo, N: 2, Old: sha("9"), New: sha("a")})}
	return in
}

// run is one that succeeded an hour ago.
func run(name, unit string, refs ...plan.Change) engine.Run {
	e := plan.Existing{Name: name, Unit: unit, Trigger: plan.Trigger{Refs: refs, Seen: now.Add(-time.Hour)}, Created: now.Add(-time.Hour)}
	return engine.Run{Existing: e, Succeeded: true, Reason: "Succeeded"}
}

// edit changes the entry of solo.
func (in *Input) edit(change func(*state.Repository)) {
	r := in.Snapshot.Repositories["solo"]
	change(&r)
	in.Snapshot.Repositories["solo"] = r
}

// branch sets what is remembered of a branch.
func (in *Input) branch(ref repo.Ref, b state.Branch) {
	in.Snapshot.Repositories[ref.Repository].Branches.Set(ref.Branch, b)
}

// ends gives the run of solo an end in the history.
func (in *Input) ends(v result.Verdict, why string) {
	in.Runs[0].Succeeded, in.Runs[0].Reason = v == result.Succeeded, "X"
	in.Past = append(in.Past, result.Result{
		Name: "solo-2", Unit: "solo.main", Created: now.Add(-time.Hour), Seconds: 42, Verdict: v, Why: why,
		Refs: []result.Ref{{Ref: solo, SHA: sha("a")}},
	})
}

// sees has all hosts answer, with solo's main at the head that is given.
func (in *Input) sees(head repo.SHA) {
	in.Observed = make([]repo.Observation, len(in.Config.Repositories))
	for i := range in.Observed {
		in.Observed[i].Heads = map[string]repo.SHA{"main": sha("a")}
	}
	in.Observed[2].Heads["main"] = head
}

func windows(t *testing.T, text string) freeze.Windows {
	t.Helper()
	w, err := freeze.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return freeze.Windows{w}
}

func (in *Input) problem(unit, kind, message string) {
	in.Snapshot.SetProblem(unit, kind, errors.New(message), now.Add(-3*time.Hour))
}

// TestSituations has what is said in each of them.
func TestSituations(t *testing.T) {
	const interval = "looks at it again within 1m"
	for _, tt := range []struct {
		name  string
		ref   repo.Ref
		make  func(*Input)
		want  []Kind   // of what is said after whether it is watched and what it runs with
		words []string // among those
	}{
		{"never seen", solo, func(in *Input) { delete(in.Snapshot.Repositories, "solo") }, []Kind{NeverSeen, NextLook},
			[]string{"No look at solo has succeeded yet", "records its heads and runs nothing for them (on_first_seen: record)"}},
		{"never seen, and deployed then", solo, func(in *Input) {
			in.Config.Global.OnFirstSeen = config.DeployFirst
			in.edit(func(r *state.Repository) { *r = state.Repository{Unseen: true} })
		}, []Kind{NeverSeen, NextLook}, []string{"deploys its heads (on_first_seen: deploy)"}},
		{"never seen, since it cannot be read", solo, func(in *Input) {
			p := state.NewProblem("not found", "git.example: not found: HTTP 404", now.Add(-time.Hour))
			in.edit(func(r *state.Repository) { *r = state.Repository{Unseen: true, Problem: &p} })
		}, []Kind{CannotBeRead, NeverSeen, NextLook}, []string{"it began with: git.example: not found: HTTP 404.", "check monitor.repo_url"}},
		{"first sight recorded", web, func(*Input) {}, []Kind{Recorded, NextLook},
			[]string{"web@main was recorded at aaaaaaa when web was seen for the first time, 2026-03-01 11:00:00 UTC (1h ago). Nothing ran for that (on_first_seen: record)."}},
		{"acted upon, succeeded", solo, func(*Input) {}, []Kind{ActedUpon, Succeeded, NextLook},
			[]string{"solo@main was acted upon at aaaaaaa, 2026-03-01 11:00:00 UTC (1h ago), by the run solo-2.", interval + ", or sooner"}},
		{"with hints of the host", solo, func(in *Input) { in.Config.Global.Sweep = 10 * time.Minute }, []Kind{ActedUpon, Succeeded, NextLook},
			[]string{"asks its host for hints every 1m and reads it within 10m in any case, and deploys"}},
		{"a new branch", solo, func(in *Input) { in.Runs[0].Trigger.Refs[0].Old = "" }, []Kind{ActedUpon, Succeeded, NextLook},
			[]string{"as a new branch, by the run solo-2"}},
		{"run active", solo, func(in *Input) { in.Runs[0].Active, in.Runs[0].Succeeded = true, false }, []Kind{ActedUpon, Active, NextLook},
			[]string{"The run is active since 2026-03-01 11:00:00 UTC (1h ago).", "A change would wait for the end of solo-2 (on_busy: queue)."}},
		{"run held back", solo, func(in *Input) { in.Runs[0].Active, in.Runs[0].Pending = true, true }, []Kind{ActedUpon, HeldBack, Busy, NextLook},
			[]string{"held back by somebody (PipelineRunPending)"}},
		{"failed", solo, func(in *Input) { in.ends(result.Failed, "command 2 of 3 failed with exit code 1: make deploy") }, []Kind{ActedUpon, Failed, NextLook},
			[]string{"The deployment failed 42s after the run began: command 2 of 3 failed with exit code 1: make deploy.", "not tried again by itself"}},
		{"passed over", solo, func(in *Input) {
			in.Config.Repositories[2].Monitor.Ignore = regexp.MustCompile(`\[skip ci\]`)
			in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Time: now.Add(-time.Hour)}.PassedOver(sha("b"), repo.Ignored, now.Add(-time.Minute)))
		}, []Kind{ActedUpon, PassedOver, Succeeded, NextLook}, []string{"Its head bbbbbbb was passed over at 2026-03-01 11:59:00 UTC (1m ago): its message matches \"\\\\[skip ci\\\\]\", " +
			"which is monitor.ignore of solo, so it runs nothing. The next commit that is not passed over goes on from aaaaaaa."}},
		{"passed over for its paths", solo, func(in *Input) {
			p, err := glob.Parse("services/rag/**")
			if err != nil {
				panic(err)
			}
			in.Config.Repositories[2].Monitor.Paths = glob.Patterns{p}
			in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Time: now}.PassedOver(sha("b"), repo.Untouched, now))
		}, []Kind{ActedUpon, PassedOver, Succeeded, NextLook}, []string{"nothing changed since what ran last that monitor.paths of solo match (services/rag/**), so it runs nothing."}},
		{"passed over, and the head is that still", solo, func(in *Input) {
			in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Time: now}.PassedOver(sha("b"), repo.Ignored, now))
			in.sees(sha("b"))
		}, []Kind{ActedUpon, PassedOver, Succeeded, Head, NothingDue}, []string{"its message matched monitor.ignore", "That is what was passed over: nothing is due."}},
		{"to be passed over", solo, func(in *Input) {
			in.sees(sha("b"))
			in.Observed[2].Passed = map[string]repo.Pass{"main": repo.Ignored}
		}, []Kind{ActedUpon, Succeeded, Head, WouldPass}, []string{"The next cycle passes it over and runs nothing"}},
		{"failed, and the history is not there", solo, func(in *Input) { in.Runs[0].Succeeded, in.Runs[0].Reason = false, "Failed" }, []Kind{ActedUpon, Failed, NextLook}, nil},
		{"failed, after one that succeeded", solo, func(in *Input) {
			in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Time: now, Succeeded: sha("9")})
			in.ends(result.Failed, "")
		}, []Kind{ActedUpon, Failed, LastGood, NextLook}, []string{"The last commit of it whose deployment succeeded is 9999999."}},
		{"cancelled", solo, func(in *Input) { in.ends(result.Cancelled, "") }, []Kind{ActedUpon, Cancelled, NextLook}, []string{"was cancelled 42s after"}},
		{"cancelled, and the history is not there", solo, func(in *Input) { in.Runs[0].Succeeded, in.Runs[0].Reason = false, "CancelledRunFinally" }, []Kind{ActedUpon, Cancelled, NextLook}, nil},
		{"timed out", solo, func(in *Input) { in.ends(result.TimedOut, "it took longer than 1m0s") }, []Kind{ActedUpon, TimedOut, NextLook}, []string{"timed out 42s after the run began: it took"}},
		{"superseded", solo, func(in *Input) { in.ends(result.Superseded, "") }, []Kind{ActedUpon, Superseded, NextLook}, []string{"was superseded"}},
		{"succeeded in a run that failed", solo, func(in *Input) {
			in.ends(result.Failed, "of api")
			in.Past[0].Members = []result.Member{{Ref: result.Ref{Ref: solo, SHA: sha("a")}, Verdict: result.Succeeded}}
		}, []Kind{ActedUpon, Succeeded, NextLook}, []string{"The deployment succeeded", "The run as a whole failed."}},
		{"skipped", solo, func(in *Input) {
			in.ends(result.Failed, "of api")
			in.Past[0].Members = []result.Member{{Ref: result.Ref{Ref: solo, SHA: sha("a")}, Verdict: result.Skipped, Why: "api failed before it"}}
		}, []Kind{ActedUpon, Skipped, NextLook}, []string{"was skipped 42s after the run began: api failed before it."}},
		{"rolled back", solo, func(in *Input) {
			in.ends(result.Failed, "of api")
			in.Past[0].Members = []result.Member{{Ref: result.Ref{Ref: solo, SHA: sha("a")}, Verdict: result.RolledBack, Why: "another deployment failed; rolled back"}}
		}, []Kind{ActedUpon, RolledBack, NextLook}, []string{"was rolled back 42s after the run began: another deployment failed; rolled back.", "sentry rerun"}},
		{"deleted, and in the history", solo, func(in *Input) { in.ends(result.Succeeded, ""); in.Runs = nil }, []Kind{ActedUpon, Succeeded, NextLook}, []string{"by the run solo-2"}},
		{"deleted, and nothing is left", solo, func(in *Input) { in.Runs = nil }, []Kind{RunGone, NextLook}, []string{"by a run that is not there any more, and of which the history has nothing."}},
		{"on this machine, and has not ended", solo, func(in *Input) { in.Begun, in.Runs = []plan.Existing{in.Runs[0].Existing}, nil }, []Kind{RunGone, NextLook},
			[]string{"by the run solo-2, which has not ended: it works still, or was cut off when Sentry ended"}},
		{"on this machine, and another has not ended", solo, func(in *Input) {
			in.Begun, in.Runs = []plan.Existing{run("solo-3", "solo.main", plan.Change{Ref: solo, N: 3, New: sha("a")}).Existing}, nil
		}, []Kind{RunGone, NextLook}, []string{"by a run that is not there any more"}},
		{"on this machine, and how it ended is known alone", solo, func(in *Input) { in.Runs[0].Reason = "" }, []Kind{ActedUpon, Succeeded, NextLook}, []string{"The run succeeded."}},
		{"on this machine, and that it did not succeed is known alone", solo, func(in *Input) { in.Runs[0].Succeeded, in.Runs[0].Reason = false, "" }, []Kind{ActedUpon, Failed, NextLook},
			[]string{"The run did not succeed, and why is not known any more."}},
		{"deleted, or recorded", solo, func(in *Input) {
			in.Runs = nil
			in.edit(func(r *state.Repository) { r.Floor = 2 })
		}, []Kind{RunOrRecord, NextLook}, nil},
		{"a tag with the number of one that was forgotten", repo.Ref{Repository: "solo", Branch: "refs/tags/v1"}, func(in *Input) {
			in.Config.Repositories[2].Monitor.Branches = repotest.Patterns(t, "main", "refs/tags/v.*")
			in.branch(repo.Ref{Repository: "solo", Branch: "refs/tags/v1"}, state.Branch{SHA: sha("b"), N: 2, Time: now})
		}, []Kind{RunOrRecord, NextLook}, []string{"it was recorded when tags of solo were looked for, or by a run"}},
		{"a copy of the run is younger", solo, func(in *Input) {
			again := run("solo-2-r-x", "solo.main", in.Runs[0].Trigger.Refs...)
			again.Created, again.Active, again.Succeeded = now, true, false
			in.Runs = append(in.Runs, again)
		}, []Kind{ActedUpon, Succeeded, Busy, NextLook}, []string{"The run solo-2-r-x of solo.main is active"}},
		{"asked for by hand since", solo, func(in *Input) {
			in.ends(result.Failed, "")
			in.Past = append([]result.Result{{Name: "solo-m", Unit: "solo.main", Created: now.Add(-time.Minute), Verdict: result.Succeeded, Manual: true}}, in.Past...)
		}, []Kind{ActedUpon, Failed, RunByHand, NextLook}, []string{"Somebody asked for the run solo-m"}},
		{"the state does not know of a run", solo, func(in *Input) {
			in.Key = &naming.Key{}
			c := plan.Change{Ref: solo, N: 3, Old: sha("a"), New: sha("b")}
			name := "solo-main-" + naming.Key{}.RunHash("e", "solo.main", "", 3)
			in.Runs = append(in.Runs, run(name, "solo.main", c))
		}, []Kind{NotYetLearned, Succeeded, NextLook}, []string{"deploys solo@main at bbbbbbb, and the state does not know that yet"}},
		{"asked: due, and the state does not know of a run", solo, func(in *Input) {
			in.Key = &naming.Key{}
			name := "solo-main-" + naming.Key{}.RunHash("e", "solo.main", "", 3)
			in.Runs = append(in.Runs, run(name, "solo.main", plan.Change{Ref: solo, N: 3, Old: sha("a"), New: sha("b")}))
			in.sees(sha("c"))
		}, []Kind{NotYetLearned, Succeeded, Head, WouldLearn}, []string{"first remembers the run that the state does not know"}},
		{"temporary trouble", solo, func(in *Input) { in.trouble("temporary", "git.example: temporary: HTTP 503") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook},
			[]string{"solo cannot be read since 2026-03-01 09:00:00 UTC (3h ago), and it began with: git.example: temporary: HTTP 503.", "circuit breaker; the log has that"}},
		{"denied", solo, func(in *Input) { in.trouble("denied", "401") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook}, []string{"Its credential (monitor.auth) is missing, wrong"}},
		{"not found", solo, func(in *Input) { in.trouble("not found", "404") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook}, []string{"may not see it"}},
		{"rate limited", solo, func(in *Input) { in.trouble("rate limited", "429") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook}, []string{"The host's limit is used up"}},
		{"no branch matches there", solo, func(in *Input) { in.trouble("no branch", "none") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook}, []string{"no branch that monitor.branches matches"}},
		{"too many branches", solo, func(in *Input) { in.trouble("too many branches", "9000 branches match") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook},
			[]string{"solo is not followed since", "narrowed"}},
		{"no room for new branches", solo, func(in *Input) { in.trouble("no room for new branches", "x") }, []Kind{CannotBeRead, ActedUpon, Succeeded, NextLook}, []string{"new ones wait"}},
		{"the state is full", solo, func(in *Input) { in.problem(state.Whole, "too large", "17 parts") }, []Kind{StateFull, ActedUpon, Succeeded, NextLook}, []string{"too large to be saved since 2026-03-01 09:00:00 UTC (3h ago): 17 parts"}},
		{"a damaged entry", solo, func(in *Input) {
			p := state.NewProblem(state.Unreadable, "nothing runs until its entry in the state is mended", now)
			in.Snapshot.Repositories["solo"] = state.Repository{Damaged: []byte("x"), Problem: &p}
		}, []Kind{StateDamaged, NextLook}, []string{"What is remembered of solo is damaged: nothing runs until"}},
		{"a branch that nobody saw", repo.Ref{Repository: "solo", Branch: "dev-x"}, func(*Input) {}, []Kind{NotRemembered, NextLook}, []string{"deploys it as a new branch once it is there"}},
		{"missing once", solo, func(in *Input) { in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Missing: 1}) }, []Kind{ActedUpon, MissingOnce, Succeeded, NextLook}, []string{"A second one in a row forgets it"}},
		{"forgotten", solo, func(in *Input) { in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Missing: 2}) }, []Kind{Forgotten, NextLook}, []string{"two good answers", "as a new branch once it is there"}},
		{"cut off on this machine", solo, func(in *Input) { in.branch(solo, state.Branch{SHA: sha("a"), N: 2, Redo: true}) }, []Kind{ActedUpon, CutOff, Succeeded, NextLook}, nil},
		{"no run can be generated", solo, func(in *Input) { in.problem("solo.main", plan.CannotGenerate, "the commands are larger than 1 MiB") }, []Kind{ActedUpon, Succeeded, NoRunMade, NextLook},
			[]string{"No run was made for a change of solo.main since 2026-03-01 09:00:00 UTC (3h ago): the commands are larger than 1 MiB."}},
		{"the QA branch is missing", solo, func(in *Input) {
			in.problem("solo.main", "qa", `the QA repository https://x has no branch "nope": check deploy.qa_repo_branch of solo`)
		}, []Kind{ActedUpon, Succeeded, NoRunMade, NextLook}, []string{`has no branch "nope": check deploy.qa_repo_branch of solo.`}},
		{"the cluster refuses", solo, func(in *Input) { in.problem("solo.*", "create-denied", "more branches, one of them: quota") }, []Kind{ActedUpon, Succeeded, NoRunMade, NextLook}, []string{"quota"}},
		{"members without room", web, func(in *Input) { in.problem("shop", plan.NoRoom, "dev-1 of api has no room") }, []Kind{Recorded, LeftOut, NextLook}, []string{"dev-1 of api has no room"}},
		{"behind a run by hand", solo, func(in *Input) {
			in.problem("solo.main", "held", "a change waits for the run x, which was started by hand")
		}, []Kind{ActedUpon, Succeeded, BehindSomebody, NextLook}, []string{"the run x"}},
		{"deployed along with its group", web, func(in *Input) { in.Past = []result.Result{along(web, api)} }, []Kind{Recorded, DeployedAlong, NextLook}, []string{"The run shop-1 of its group deployed it at aaaaaaa as well"}},
		{"left out of its group's run", web, func(in *Input) {
			in.Past = []result.Result{along(api)}
			delete(in.Snapshot.Repositories, "web")
		}, []Kind{NeverSeen, NotAlong, NextLook}, []string{"was made without web, of which nothing was known then, 2026-03-01 11:59:00 UTC (1m ago)."}},
		{"seen after a run of its group", web, func(in *Input) {
			in.Past = []result.Result{along(api)}
			in.branch(web, state.Branch{SHA: sha("a"), Time: now})
		}, []Kind{Recorded, NotAlong, NextLook}, []string{"was made without web, of which nothing was known then"}},
		{"not in its group's run", web, func(in *Input) { in.Past = []result.Result{along(api)} }, []Kind{Recorded, NotAlong, NextLook}, []string{"it was no member then, or had no room"}},
		{"unchanged, and so not along", web, func(in *Input) {
			in.Past = []result.Result{along(api)}
			in.Config.Groups["shop"] = config.Group{Name: "shop", OnBusy: config.Queue, Deploy: config.Changed}
		}, []Kind{Recorded, NotAlong, NextLook}, []string{"which had not changed (deploy: changed)"}},

		{"asked: nothing is due", solo, func(in *Input) { in.sees(sha("a")) }, []Kind{ActedUpon, Succeeded, Head, NothingDue}, []string{"Its head is aaaaaaa now.", "nothing is due"}},
		{"asked: due", solo, func(in *Input) { in.sees(sha("b")) }, []Kind{ActedUpon, Succeeded, Head, WouldRun}, []string{"A run of solo.main is due: the next cycle makes it.", "no 'sentry watch' is at work"}},
		{"asked: due again", solo, func(in *Input) { in.problem("solo.main", "qa", "gone"); in.sees(sha("b")) }, []Kind{ActedUpon, Succeeded, NoRunMade, Head, WouldRun}, []string{"tries again to make it"}},
		{"asked: due in its group", web, func(in *Input) { in.sees(sha("a")); in.Observed[0].Heads["main"] = sha("b") }, []Kind{Recorded, Head, WouldRun}, []string{"A run of shop is due, with 2 deployments"}},
		{"asked: due without a member", web, func(in *Input) {
			in.sees(sha("a"))
			in.Observed[0].Heads["main"] = sha("b")
			delete(in.Snapshot.Repositories, "api")
			in.Observed[1] = repo.Observation{Err: errors.New("down")}
		}, []Kind{Recorded, Head, WouldRun}, []string{"without api, of which nothing is known"}},
		{"asked: behind the active run", solo, func(in *Input) { in.Runs[0].Active = true; in.sees(sha("b")) }, []Kind{ActedUpon, Active, Head, WouldWait}, []string{"It waits for the end of solo-2 (on_busy: queue)"}},
		{"paused", solo, func(in *Input) {
			pause := state.NewPause("ann", "the database moves", now.Add(-time.Hour))
			in.Snapshot.SetPause("solo.main", &pause)
		}, []Kind{ActedUpon, Succeeded, Paused, NextLook}, []string{"by ann: the database moves. Nothing runs in it until it is resumed: sentry resume solo.main."}},
		{"in a window of not_on", solo, func(in *Input) {
			in.Config.Repositories[2].Deploy = &config.Deploy{NotOn: windows(t, "Sat 16:00 - Mon 06:00")} // it is Sunday
		}, []Kind{ActedUpon, Succeeded, Frozen, NextLook}, []string{
			"Nothing of solo.main is started until 2026-03-02 06:00 UTC, by not_on: Sat 16:00 - Mon 06:00.", "A change would wait until 2026-03-02 06:00 UTC",
		}},
		{"asked: in a window of not_on", solo, func(in *Input) {
			in.Config.Repositories[2].Deploy = &config.Deploy{NotOn: windows(t, "Sat 16:00 - Mon 06:00")}
			in.sees(sha("b"))
		}, []Kind{ActedUpon, Succeeded, Frozen, Head, WouldFreeze}, []string{"It waits until 2026-03-02 06:00 UTC (not_on: Sat 16:00 - Mon 06:00), and runs the newest commit then."}},
		{"asked: as many runs as may be", solo, func(in *Input) {
			in.Config.Global.MaxRuns = 1
			busy := run("shop-1", "shop", plan.Change{Ref: web, N: 1, New: sha("a")})
			busy.Active = true
			in.Runs = append(in.Runs, busy)
			in.sees(sha("b"))
		}, []Kind{ActedUpon, Succeeded, Head, WouldQueue}, []string{"It waits for a place: 1 runs are active of the 1 that global.max_runs allows"}},
		{"paused by itself and with its repository", solo, func(in *Input) {
			pause, all := state.NewPause("ann", "", now.Add(-time.Hour)), state.NewPause("", "", now.Add(-2*time.Hour))
			in.Snapshot.SetPause("solo.main", &pause)
			in.Snapshot.SetPause(state.AllOf("solo"), &all)
			in.sees(sha("b"))
		}, []Kind{ActedUpon, Succeeded, Paused, Paused, Head, WouldPause}, []string{
			"by ann. Nothing runs in it until it is resumed: sentry resume solo.", "solo is paused as a whole, too, 2026-03-01 10:00:00 UTC (2h ago): sentry resume solo ends both.",
			"It waits until the unit is resumed (sentry resume solo)",
		}},
		{"asked: paused with all of its repository", solo, func(in *Input) {
			pause := state.NewPause("", "", now.Add(-time.Hour))
			in.Snapshot.SetPause(state.AllOf("solo"), &pause)
			in.sees(sha("b"))
		}, []Kind{ActedUpon, Succeeded, Paused, Head, WouldPause}, []string{"It waits until the unit is resumed (sentry resume solo), and runs the newest commit then."}},
		{"asked: cancels the active run", web, func(in *Input) {
			in.Config.Groups["shop"] = config.Group{Name: "shop", OnBusy: config.CancelOld, Deploy: config.All}
			busy := run("shop-1", "shop", plan.Change{Ref: api, N: 1, New: sha("a")})
			busy.Active = true
			in.Runs = append(in.Runs, busy)
			in.sees(sha("a"))
			in.Observed[0].Heads["main"] = sha("b")
		}, []Kind{Recorded, Busy, Head, WouldCancel}, []string{"cancels shop-1 (on_busy: cancel), and it starts once that has ended"}},
		{"asked: beyond what a cycle makes", repo.Ref{Repository: "solo", Branch: "dev-99"}, func(in *Input) {
			in.sees(sha("a"))
			for i := 10; i < 100; i++ {
				in.Observed[2].Heads[fmt.Sprintf("dev-%d", i)] = sha("c")
			}
		}, []Kind{NotRemembered, Head, WouldDefer}, []string{"More than 30 of solo are"}},
		{"asked: first sight", solo, func(in *Input) { delete(in.Snapshot.Repositories, "solo"); in.sees(sha("b")) }, []Kind{NeverSeen, Head, WouldRecord}, []string{"records bbbbbbb, and runs nothing"}},
		{"asked: gone from the host", solo, func(in *Input) { in.sees(sha("a")); in.Observed[2].Heads = map[string]repo.SHA{"dev-1": sha("a")} }, []Kind{ActedUpon, Succeeded, NoHead, WouldForget}, nil},
		{"asked: cannot be read", solo, func(in *Input) { in.sees(sha("a")); in.Observed[2] = repo.Observation{Err: errors.New("no route")} }, []Kind{ActedUpon, Succeeded, NotReadable, NextLook}, []string{"solo cannot be read now: no route."}},
		{"asked: damaged", solo, func(in *Input) {
			in.sees(sha("b"))
			p := state.NewProblem(state.Unreadable, "mend it", now)
			in.Snapshot.Repositories["solo"] = state.Repository{Damaged: []byte("x"), Problem: &p}
		}, []Kind{StateDamaged, Head, NothingDue}, []string{"Nothing runs for solo until its entry"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in := world(t)
			tt.make(in)
			s := New(*in).Of(tt.ref)
			var kinds []Kind
			var words strings.Builder
			for _, said := range s.Statements {
				kinds = append(kinds, said.Kind)
				words.WriteString(said.Words + "\n")
			}
			if diff := cmp.Diff(append([]Kind{Watched, Unit}, tt.want...), kinds); diff != "" {
				t.Errorf("what is said of %s (-want +got):\n%s\n%s", tt.ref, diff, &words)
			}
			for _, want := range tt.words {
				if !strings.Contains(words.String(), want) {
					t.Errorf("nothing says %q:\n%s", want, &words)
				}
			}
		})
	}
}

func (in *Input) trouble(kind, message string) {
	p := state.NewProblem(kind, message, now.Add(-3*time.Hour))
	in.edit(func(r *state.Repository) { r.Problem = &p })
}

// along is a run of the group that api triggered, with the members that are given.
func along(members ...repo.Ref) result.Result {
	p := result.Result{Name: "shop-1", Unit: "shop", Created: now.Add(-time.Minute), Verdict: result.Succeeded, Refs: []result.Ref{{Ref: api, SHA: sha("b")}}}
	for _, ref := range members {
		p.Members = append(p.Members, result.Member{Ref: result.Ref{Ref: ref, SHA: sha("a")}, Verdict: result.Succeeded})
	}
	return p
}

func TestNotWatched(t *testing.T) {
	in := world(t)
	for branch, want := range map[string]string{
		"release":     "no entry of monitor.branches of solo (main, dev-.*) matches it.\nSo nothing runs for it",
		"main-backup": `An entry has to match the whole name: "main" matches only a part of it.`,
	} {
		s := New(*in).Of(repo.Ref{Repository: "solo", Branch: branch})
		words := ""
		for _, said := range s.Statements {
			words += said.Words + "\n"
		}
		if s.Statements[0].Kind != NotWatched || !strings.Contains(words, want) {
			t.Errorf("of %s it says\n%swant %q", branch, words, want)
		}
	}
}

func TestNamed(t *testing.T) {
	in := world(t)
	in.branch(repo.Ref{Repository: "solo", Branch: "dev-x"}, state.Branch{SHA: sha("a")})
	for name, want := range map[string]string{
		"solo":          "[solo@dev-x solo@main] <nil>",
		"solo.dev-x":    "[solo@dev-x] <nil>",
		"solo.dev-y":    "[solo@dev-y] <nil>",
		"solo@other/x":  "[solo@other/x] <nil>",
		"shop":          "[web@main api@main] <nil>",
		"web":           "[web@main] <nil>",
		"web.main":      `[] no repository, group or unit is named "web.main" (did you mean "shop", or "web@main"?)`,
		"slo":           `[] no repository, group or unit is named "slo" (did you mean "solo"?)`,
		"slo@main":      `[] no repository, group or unit is named "slo" (did you mean "solo"?)`,
		"shop@main":     `[] "shop" is a group: name one of its repositories before the @`,
		"solo@a..b":     `[] "a..b" is not a branch name: it contains .. or @{`,
		"solo.x..12345": `[] nothing is known of a branch that is "solo.x..12345", and what is watched has no example of one: write REPOSITORY@BRANCH`,
	} {
		refs, err := New(*in).Named(name)
		if got := fmt.Sprint(refs, err); got != want {
			t.Errorf("%s stands for %s\nwant %s", name, got, want)
		}
	}
}

func TestSpan(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", -time.Hour: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m1s", time.Hour: "1h", 90 * time.Minute: "1h30m", 49 * time.Hour: "2d1h",
	} {
		if got := span(d); got != want {
			t.Errorf("span(%s) = %s, want %s", d, got, want)
		}
	}
}
