// Package plan decides what runs. It is pure: from the configuration, what is remembered, what was
// observed and which runs are active it makes the runs to create and the snapshot that follows. It
// does no I/O and reads no clock.
package plan

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/freeze"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// Input is all that planning depends on.
type Input struct {
	Config   *config.Config
	Snapshot state.Snapshot
	Key      naming.Key // behind the names and signatures of runs
	// Observed has one for each of Config.Repositories, in their order. Whoever plans several times while the hosts'
	// answers come in makes them repo.Cached after the first time.
	Observed []repo.Observation
	Now      time.Time
}

// Plan is what follows from an Input.
type Plan struct {
	Runs    []Run // to create, in the order of the file
	Waiting []Run // due, but their unit is busy; filled by Hold
	// Snapshot is the input's with all that needs no run: first sights, forgotten branches, problems. It is a fork of
	// the input's, unless it is equal to it and there are no Runs.
	Snapshot state.Snapshot
	Events   []Event // what was noticed, for the log
}

// Event is something noticed that a log line should tell.
type Event struct {
	Kind   EventKind
	Ref    repo.Ref
	From   repo.SHA
	To     repo.SHA
	Detail string
}

// EventKind says what was noticed.
type EventKind string

// The kinds of events.
const (
	FirstSeen EventKind = "first seen" // of a repository: its heads, some of which are in Detail, were recorded, and nothing runs
	NewBranch EventKind = "new branch"
	Moved     EventKind = "moved"
	Missing   EventKind = "missing"   // not in a good answer, for the first time
	Forgotten EventKind = "forgotten" // missing for the second time
	Failing   EventKind = "failing"   // a repository cannot be read, newly or for another reason
	Recovered EventKind = "recovered"
	Ignored   EventKind = EventKind(repo.Ignored)   // a head was passed over for its message
	Untouched EventKind = EventKind(repo.Untouched) // a head was passed over for its paths
)

// Run is one PipelineRun to be.
type Run struct {
	Name    string // a DNS label of at most 41 characters: Unit.Prefix, a dash, ten hexadecimal digits
	Unit    naming.Unit
	Group   config.Group // the group, or config.Alone()
	Trigger Trigger
	Members []Member     // one task each, in the order of the file
	LeftOut []string     // members never seen, whose head is not known either
	Refused []string     // refs that are left out since a run cannot take their names; filled by Without
	NoRoom  []string     // refs that are left out since a run cannot hold them; filled by Split
	Cancel  []string     // active runs to cancel first (on_busy: cancel); filled by Hold
	Behind  []Existing   // the unit's active runs, which have to end first; filled by Hold
	Pause   *state.Pause // its unit is paused; filled by Paused
	Freeze  *freeze.Hold // nothing of its unit is started now; filled by Frozen
	MaxRuns int          // global.max_runs, where it waits for one of these places; filled by the loop
	By      audit.By     // the person who asked for it, where one did
	turns   []repo.Ref   // of the members, in the order in which they get a place
	epoch   string
	key     hiddenKey
}

// Trigger is why a run exists. As JSON it is the annotation tekton-sentry.dev/trigger.
type Trigger struct {
	Refs    []Change  `json:"refs"`              // sorted by ref
	Seen    time.Time `json:"seen"`              // when the change was observed
	Manual  string    `json:"manual,omitempty"`  // a random word for `sentry trigger`
	Waiting int       `json:"waiting,omitempty"` // changes of the unit that had no place in the run; see Run.Split
}

// Change is one ref that moved.
type Change struct {
	repo.Ref
	N   int      `json:"n"`             // the how-manieth run of its unit, the same in all Refs; 0 when asked for by hand
	Old repo.SHA `json:"old,omitempty"` // "" for a new branch
	New repo.SHA `json:"new"`
	Of  string   `json:"of,omitempty"` // config.Repository.ID, of a repository that was found; "" when asked for by hand
}

// Member is one deployment of a run: what one task does.
type Member struct {
	Task       string // name of the task: a DNS label, unique in the run
	Repository *config.Repository
	Branch     string       // of the watched repository
	SHA        repo.SHA     // its head; the last known one when it could not be read
	Previous   repo.SHA     // acted upon before, whether or not that succeeded; "" for a new branch
	Succeeded  repo.SHA     // the last one whose deployment succeeded; "" when none is known
	Changed    bool         // false for a member that runs because another one changed, or that was asked for by hand and did not
	QASHA      repo.SHA     // revision of the QA repository; filled by Pin
	Request    repo.Request // what its host said of it, where Branch is a request
}

// Untrusted reports whether the member is a request of a fork, whose code is that of strangers, and gets no secrets.
func (m Member) Untrusted() bool {
	_, request := repo.RequestNumber(m.Branch)
	return request && !m.Request.Own && (!m.Repository.Monitor.Exposed || !m.Repository.Monitor.Branches.Forks())
}
