package model

import (
	"fmt"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// odds are how likely accidents are, in percent of the cases in which they are possible.
type odds struct {
	host, engine, store int // a call fails, in one way or another
	crash               int // a cycle ends in the middle
	twins               int // two Sentrys have a cycle at the same time
	edit, wipe, foreign int // the file is edited, the state deleted, a name taken
	term                int // a cycle is told to end in the middle
	part                int // a cycle looks at some repositories only
	hang                int // a replica has an old view of who is alive; 0 is no replicas: each Sentry looks at everything
}

// world is everything around Sentry. What people and processes do to it happens under mu, at different
// instants of a fake clock, so that a seed gives one history.
type world struct {
	mu       sync.Mutex
	seed     uint64
	rand     *rand.Rand // of the people; processes have their own
	forgers  *rand.Rand // of those who make runs that look like Sentry's
	late     *rand.Rand // of what was added later: the stories of the seeds stay as they are without it
	parts    *rand.Rand // of the cycles that look at a part
	ends     *rand.Rand // of how runs end, and of who pauses a unit
	shares   *rand.Rand // of what replicas take for alive
	tags     *rand.Rand // of tags; nil where there are none
	requests *rand.Rand // of requests; nil where there are none
	reloads  *rand.Rand // of whether a Sentry is started anew with another file, or has it applied
	odds     odds
	calm     bool // nothing fails, and nobody does anything
	told     []string
	bad      string // the first thing that must not be

	urls   map[string]*remote
	file   file
	limits limits
	lists  *lists // nil where nothing is found
	places places
	most   int            // deployments in one run; 0 is as many as in life
	stored state.Snapshot // the state; without an epoch when there is none
	rev    int            // rises with each write of it
	writes int
	runs   map[string]*run // that there are
	past   []result.Result // the history
	// sentrys are those that were started last, by name.
	sentrys map[string]*process
	truth   truth
}

// remote is a repository on a host.
type remote struct {
	heads  map[string]repo.SHA
	past   []map[string]repo.SHA // of before, the newest last
	pushed map[repo.SHA]bool
}

// file is what sentry.yaml says.
type file struct {
	entries []entry
	onBusy  map[string]config.OnBusy
	scope   config.Scope
	first   config.OnFirstSeen
	tags    string // that are watched; "" is none
}

type entry struct{ name, group string }

// url is where a repository lives: a renamed one is where it was.
func url(name string) string { return "https://" + strings.TrimSuffix(name, "-renamed") + ".example/x" }

const qaURL = "https://qa.example/x"

var (
	branches = []string{"main", "dev-1", "dev-2"}
	tags     = []string{"refs/tags/v1", "refs/tags/main"}
	all      = slices.Concat(branches, tags, requests)
	groups   = []string{"", "site", "ops"}
	choices  = []config.OnBusy{config.Queue, config.CancelOld, config.StartAtOnce}
)

func newWorld(seed uint64) *world {
	w := &world{
		seed: seed, rand: rand.New(rand.NewPCG(seed, 1)), late: rand.New(rand.NewPCG(seed, 2)), forgers: rand.New(rand.NewPCG(seed, 3)), parts: rand.New(rand.NewPCG(seed, 4)),
		ends: rand.New(rand.NewPCG(seed, 5)), shares: rand.New(rand.NewPCG(seed, 6)), reloads: rand.New(rand.NewPCG(seed, 7)),
		urls: map[string]*remote{}, runs: map[string]*run{}, sentrys: map[string]*process{}, truth: newTruth(),
	}
	pick := func(of ...int) int { return of[w.rand.IntN(len(of))] }
	w.odds = odds{
		host: pick(0, 5, 25), engine: pick(0, 5, 25), store: pick(0, 5, 25), crash: pick(0, 10, 40),
		twins: pick(0, 0, 60), edit: pick(0, 10, 25), wipe: pick(0, 0, 5), foreign: pick(0, 5),
	}
	if w.late.IntN(3) == 0 {
		w.odds.term = 20
	}
	w.odds.part = []int{0, 0, 40}[w.parts.IntN(3)]
	if w.odds.hang = []int{0, 0, 0, 30}[w.shares.IntN(4)]; w.odds.hang > 0 {
		w.odds.twins = 80
	}
	if tags := rand.New(rand.NewPCG(seed, 8)); tags.IntN(3) == 0 {
		w.tags = tags
	}
	w.limits = newLimits(seed)
	if w.lists = newLists(seed, w.odds); w.lists == nil {
		w.requests, w.places = newRequests(seed), newPlaces(seed)
	}
	w.most = []int{0, 0, 1, 2, 3}[w.late.IntN(5)]
	w.file = file{onBusy: map[string]config.OnBusy{}, scope: config.All, first: config.Record}
	if w.tags != nil {
		w.file.tags = ".*"
	}
	if w.one(3) {
		w.file.scope = config.Changed
	}
	if w.one(4) {
		w.file.first = config.DeployFirst
	}
	for _, g := range groups {
		w.file.onBusy[g] = choices[w.rand.IntN(3)]
	}
	w.remote(qaURL).push("main", "f")
	for i, name := range []string{"web", "api", "db", "rag"} {
		w.file.entries = append(w.file.entries, entry{name, groups[[]int{1, 1, w.rand.IntN(3), 0}[i]]})
		w.push(name, "main")
	}
	if w.lists != nil {
		w.lists.all = []file{w.file}
	}
	return w
}

func (w *world) one(in int) bool         { return w.rand.IntN(in) == 0 }
func (w *world) chance(percent int) bool { return w.rand.IntN(100) < percent }
func (w *world) entry() entry            { return w.file.entries[w.rand.IntN(len(w.file.entries))] }
func (w *world) tell(format string, a ...any) {
	w.told = append(w.told, time.Now().Format("15:04:05.000 ")+fmt.Sprintf(format, a...))
}

// wrong notes the first thing that must not be.
func (w *world) wrong(format string, a ...any) {
	w.tell("WRONG: "+format, a...)
	if w.bad == "" {
		w.bad = fmt.Sprintf(format, a...)
	}
}

func (w *world) remote(url string) *remote {
	if w.urls[url] == nil {
		w.urls[url] = &remote{heads: map[string]repo.SHA{}, pushed: map[repo.SHA]bool{}}
	}
	return w.urls[url]
}

func (r *remote) keep() {
	r.past = append(r.past, maps.Clone(r.heads))
	r.past = r.past[max(0, len(r.past)-4):]
}

func (r *remote) push(branch, digits string) {
	r.keep()
	sha := repo.SHA(digits + strings.Repeat("0", 40-len(digits)))
	r.heads[branch] = sha
	r.pushed[sha] = true
}

// push moves a branch to a new commit, or back to one of before.
func (w *world) push(name, branch string) {
	r := w.remote(url(name))
	if old := slices.Sorted(maps.Keys(r.pushed)); len(old) > 0 && w.one(2) {
		sha := old[len(old)-1-w.rand.IntN(min(3, len(old)))]
		r.push(branch, string(sha))
	} else {
		r.push(branch, fmt.Sprintf("%07x", 0xa000000+len(w.told)*256+len(r.pushed)))
	}
	w.tell("somebody pushes %s to %s@%s", r.heads[branch].Short(), name, branch)
}

// people do something to the branches or the runs.
func (w *world) people() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.tag()
	w.request()
	e, branch := w.entry(), branches[w.rand.IntN(3)]
	switch w.rand.IntN(10) {
	case 0, 1, 2, 3, 4:
		w.push(e.name, branch)
	case 5:
		if r := w.remote(url(e.name)); branch != "main" && r.heads[branch] != "" {
			r.keep()
			delete(r.heads, branch)
			w.tell("somebody deletes %s@%s", e.name, branch)
		}
	default:
		w.touchRun()
	}
}

// tag has a person make, move or delete a tag.
func (w *world) tag() {
	if w.tags == nil || w.tags.IntN(3) > 0 {
		return
	}
	e := w.file.entries[w.tags.IntN(len(w.file.entries))]
	name, r := tags[w.tags.IntN(len(tags))], w.remote(url(e.name))
	if w.tags.IntN(4) == 0 && r.heads[name] != "" {
		r.keep()
		delete(r.heads, name)
		w.tell("somebody deletes %s@%s", e.name, name)
		return
	}
	old := slices.Sorted(maps.Keys(r.pushed))
	r.push(name, string(old[w.tags.IntN(len(old))]))
	w.tell("somebody tags %s of %s as %s", r.heads[name].Short(), e.name, name)
}

// pause has a person pause a unit or a repository, or resume all, as the commands do it.
func (w *world) pause() {
	if w.stored.Epoch == "" || w.ends.IntN(4) > 0 {
		return
	}
	e := w.file.entries[w.ends.IntN(len(w.file.entries))]
	label, what := state.AllOf(e.name), e.name
	if e.group != "" {
		label, what = e.group, e.group
	} else if branch := branches[w.ends.IntN(3)]; w.ends.IntN(2) == 0 {
		label = naming.RefLabel(repo.Ref{Repository: e.name, Branch: branch})
		what = label
	}
	if w.ends.IntN(2) == 0 {
		w.resume()
		return
	}
	pause := state.NewPause("somebody", "", time.Now())
	s := w.stored.Fork()
	if s.SetPause(label, &pause) {
		w.stored, w.rev = s, w.rev+1
		w.tell("somebody pauses %s", what)
	}
}

// resume ends all pauses.
func (w *world) resume() {
	s := w.stored.Fork()
	for _, label := range slices.Collect(maps.Keys(s.Units)) {
		s.SetPause(label, nil)
	}
	w.stored, w.rev = s, w.rev+1
	w.tell("somebody resumes everything")
}

// between does what happens only while no cycle is at work. It reports whether all Sentrys have to follow another file.
func (w *world) between() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.chance(w.odds.wipe) {
		w.stored, w.rev = state.Snapshot{}, w.rev+1
		w.truth.wiped()
		w.tell("somebody deletes the state")
	}
	for range w.rand.IntN(3) {
		w.deleteRun()
	}
	w.pause()
	w.fall()
	if w.lists != nil {
		return w.change()
	}
	f := &w.file
	if w.tags != nil && w.odds.edit > 0 && w.tags.IntN(20) == 0 {
		f.tags = []string{"", "v.*", ".*"}[w.tags.IntN(3)]
		w.tell("somebody edits the file: tags that are watched: %q", f.tags)
		return true
	}
	if !w.chance(w.odds.edit) {
		return false
	}
	i := w.rand.IntN(len(f.entries))
	f.entries = slices.Clone(f.entries)
	switch w.rand.IntN(5) {
	case 0:
		if len(f.entries) > 2 {
			f.entries = slices.Delete(f.entries, i, i+1)
		}
	case 1:
		for _, name := range []string{"web", "api", "db", "rag"} {
			if !slices.ContainsFunc(f.entries, func(e entry) bool { return url(e.name) == url(name) }) {
				f.entries = append(f.entries, entry{name, groups[w.rand.IntN(3)]})
			}
		}
	case 2:
		if short, ok := strings.CutSuffix(f.entries[i].name, "-renamed"); ok {
			f.entries[i].name = short
		} else {
			f.entries[i].name += "-renamed"
		}
	case 3:
		f.entries[i].group = groups[w.rand.IntN(3)]
	case 4:
		f.onBusy = maps.Clone(f.onBusy)
		f.onBusy[groups[1+w.rand.IntN(2)]] = choices[w.rand.IntN(3)]
	}
	w.truth.edited(*f)
	w.tell("somebody edits the file: %v, on_busy %v", f.entries, f.onBusy)
	return true
}

// config returns the file as package config gives it.
func (w *world) config() *config.Config {
	c := &config.Config{Hash: "0123456789ab", Groups: map[string]config.Group{}}
	c.Global = config.Global{
		TmpDir: "/tmp/sentry", Namespace: "ci", ServiceAccount: "deployer", CredentialsSecret: "sentry-credentials",
		Image: "deploy:1", GitImage: "git:1", Cleanup: true, KeepRuns: 2, OnFirstSeen: w.file.first,
	}
	patterns := repo.Patterns{repo.ExactPattern("main"), devBranches}
	if w.file.tags != "" {
		patterns = patterns.With(tagPatterns[w.file.tags])
	}
	for _, e := range w.file.entries {
		r := config.Repository{Name: e.name, Group: e.group, Project: e.name}
		r.Monitor = config.Monitor{Source: config.Source{URL: url(e.name), Type: config.Git}, Branches: patterns}
		r.Deploy = &config.Deploy{
			Source: config.Source{URL: qaURL, Type: config.Git}, Branch: "main",
			Commands: []string{"true"}, Image: "deploy:1", Timeout: time.Minute, ServiceAccount: "deployer",
		}
		c.Repositories = append(c.Repositories, r)
		if e.group != "" {
			g := config.Alone()
			g.Name, g.OnBusy, g.Deploy = e.group, w.file.onBusy[e.group], w.file.scope
			if e.group == "ops" {
				g.Strategy = strategy.Sequential
			}
			c.Groups[e.group] = g
		}
	}
	if w.requests != nil {
		c.Repositories = append(c.Repositories, requestsEntry())
	}
	w.limits.apply(c)
	w.places.apply(c)
	return c
}

var devBranches = func() repo.Pattern {
	p, err := repo.ParsePattern("dev.*")
	if err != nil {
		panic(err)
	}
	return p
}()

var tagPatterns = func() map[string]repo.Pattern {
	all := map[string]repo.Pattern{}
	for _, text := range []string{"v.*", ".*"} {
		p, err := repo.ParseTagPattern(text)
		if err != nil {
			panic(err)
		}
		all[text] = p
	}
	return all
}()
