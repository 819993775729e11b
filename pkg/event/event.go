// Package event holds what the loop tells the rest of Sentry, and the Bus that takes it to whoever
// wants to know. The events are values: they link neither a Git host nor a cluster.
package event

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// Event is one thing that the loop did or noticed. The types below are all there are.
type Event interface{ event() }

// RunDue says that a change has a run to follow. It comes once a run, before all else about it.
type RunDue struct {
	Run    plan.Run
	Reason string // why the look was made that found it, as in CycleDone
}

// RunCreated says that the engine made a run.
type RunCreated struct {
	Run         plan.Run
	Looked      time.Time // when the look began that found its change
	Asked, Made time.Time // when the engine was called, and when it had made it
}

// RunFound says that a run which was to be made existed: an earlier attempt had made it.
type RunFound struct{ Run plan.Run }

// RunWaiting says that a run is due and waits for those in its Behind, or for the end of its Pause. It comes once a run.
type RunWaiting struct{ Run plan.Run }

// RunsDeferred says that a repository has more runs due than the Most that one cycle makes, and how many wait for the
// next one.
type RunsDeferred struct {
	Repository string
	Runs, Most int
}

// RunCancelled says that the active run Name of a unit was cancelled since that of a newer change, For,
// replaces it, or, with an Err, that it could not be.
type RunCancelled struct {
	Unit, Name string
	For        string
	Err        error
}

// RunEnded says how a run ended.
type RunEnded struct{ Result result.Result }

// PastUnknown says that it cannot be read how earlier runs ended, and so which commits they deployed. It comes when that begins.
type PastUnknown struct{ Err error }

// RunsLearned says that the engine had runs which the state did not know. They are remembered now.
type RunsLearned struct{ Repositories []string }

// RunDeleted says that a finished run of a unit was deleted, as there are more than keep_runs.
type RunDeleted struct{ Unit, Name string }

// RunsKept says that a unit's finished runs beyond keep_runs could not be deleted; Unit "" is all.
type RunsKept struct {
	Unit string
	Err  error
}

// UnitFailing says that a unit's run could not be made, or was made without some of its members. It
// comes when the problem begins or changes its kind, and in the first cycle.
type UnitFailing struct {
	Unit string
	Name string // of the run
	Kind string
	Err  error
	Made bool // the run was made, without some of its members
}

// UnitHeld says that a unit's change waits for the run Name, which was started or is held back by hand.
type UnitHeld struct{ Unit, Name string }

// OtherSentry says that another Sentry works on the same state: it made the unit's run Name, or, where
// both are "", it wrote the state.
type OtherSentry struct{ Unit, Name string }

// StateDamaged says that what is remembered of a repository cannot be read. It comes once.
type StateDamaged struct{ Repository, Message string }

// Noticed is what a cycle saw in the repositories. It comes once what follows from it is remembered.
type Noticed struct {
	Events []plan.Event
	First  bool // in the first cycle, whose end names all that cannot be read
}

// HeadUnclear says that it could not be told whether a head that moved runs nothing, by what Key of monitor asks for, so that it
// counts as a change. It comes once a head.
type HeadUnclear struct {
	repo.Ref
	SHA repo.SHA
	Key string
	Err error
}

// CycleDone is the end of a cycle.
type CycleDone struct {
	Report
	Reason   string // why it was done, for people
	First    bool
	Whole    bool          // it looked at everything
	Every    time.Duration // between the looks at everything
	Late     time.Duration // how much later than due it began; 0 for one that had no time to be due at
	Duration time.Duration
	Unread   []Failure // in the first cycle: the repositories that cannot be read, and why
}

// CycleFailed says that the state or the engine failed, and that the cycle is tried again.
type CycleFailed struct{ Err error }

// ConfigurationChanged says that what the File says is used: since it changed, or is again what was used all the time.
type ConfigurationChanged struct {
	File    string
	Changes []string // what that changes, for people and without a secret; none when the file says the same in other words
	Kept    []string // the keys at which it says something else than at the start, where alone they are read
}

// ConfigurationRefused says that what the configuration says now cannot be used, so that Sentry goes on as before. It comes when that
// begins, and when Why is another one.
type ConfigurationRefused struct{ Why string }

// Failure is why a repository counts as unchanged.
type Failure struct{ Repository, Message string }

// Report says what a cycle did.
type Report struct {
	Repositories int      // read or tried
	Failing      int      // of them could not be read
	NotAsked     int      // of the failing: nothing was sent, such as to a host that is down
	Overdue      int      // of the failing: the time was up before the host answered
	Created      []string // names of the runs that were created
	Waiting      int      // runs that are due while their unit is busy
	Problems     int      // units whose run could not be made
	Wrote        int      // writes of the state
	Stopped      bool     // the context ended before all was looked at and made
}

func (RunDue) event()       {}
func (RunCreated) event()   {}
func (RunFound) event()     {}
func (RunWaiting) event()   {}
func (RunsDeferred) event() {}
func (RunCancelled) event() {}
func (RunEnded) event()     {}
func (PastUnknown) event()  {}
func (RunsLearned) event()  {}
func (RunDeleted) event()   {}
func (RunsKept) event()     {}
func (UnitFailing) event()  {}
func (UnitHeld) event()     {}
func (OtherSentry) event()  {}
func (StateDamaged) event() {}
func (Noticed) event()      {}
func (HeadUnclear) event()  {}
func (CycleDone) event()    {}
func (CycleFailed) event()  {}

func (ConfigurationChanged) event() {}
func (ConfigurationRefused) event() {}
