// Package result says how runs ended for Sentry, which is not always what their engine says: a run that reads Succeeded
// with a failure that it was told to go on after has failed. It is pure.
package result

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/audit"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Verdict is how a run, or one of its deployments, ended for us.
type Verdict string

// The verdicts. Skipped and RolledBack are those of a deployment alone: it did not begin, as what it waited for failed, or as the
// run ended; or it succeeded, and was rolled back with its group.
const (
	Succeeded  Verdict = "succeeded"
	Failed     Verdict = "failed" // an ignored failure is one
	Cancelled  Verdict = "cancelled"
	TimedOut   Verdict = "timed out"
	Superseded Verdict = "superseded" // cancelled, since a newer change replaces it
	Skipped    Verdict = "skipped"
	RolledBack Verdict = "rolled back" // whatever became of that: see Member.Rollback
)

// Result is how a run ended. The history keeps it.
type Result struct {
	Name    string    `json:"name"`
	Cluster string    `json:"cluster,omitempty"` // "" is the one that Sentry runs in
	Unit    string    `json:"unit"`              // its label
	Created time.Time `json:"created"`
	Seconds int       `json:"seconds"`           // from its creation to its end
	Verdict Verdict   `json:"verdict,omitempty"` // "" in what a Sentry before there were verdicts remembered
	Reason  string    `json:"reason"`            // the engine's: Succeeded, Completed, Failed, Cancelled, PipelineRunTimeout, …
	// Why says in words for people why it did not succeed: the first deployment's words, or those of the run. One line.
	Why     string    `json:"why,omitempty"`
	Seen    time.Time `json:"seen,omitzero"` // when its change was seen
	Manual  bool      `json:"manual,omitempty"`
	N       int       `json:"n,omitempty"`    // its number in the unit; 0 of one that a person asked for
	Word    string    `json:"word,omitempty"` // the random one that stands for the number then
	By      audit.By  `json:"by,omitzero"`    // which person asked for it, as their command said
	Refs    []Ref     `json:"refs,omitempty"` // what triggered it
	Members []Member  `json:"members,omitempty"`
}

// Ref is a ref at a commit.
type Ref struct {
	repo.Ref
	SHA repo.SHA `json:"sha"`
}

// Member is how one deployment ended.
type Member struct {
	Task string `json:"task"`
	Ref
	QA      repo.SHA     `json:"qa,omitempty"` // revision of the QA repository
	Verdict Verdict      `json:"verdict"`
	Request repo.Request `json:"request,omitzero"` // what its host said of it, where it is a request
	// Rollback is how its rollback ended: succeeded, failed, timed out or cancelled; "" where none began.
	Rollback Verdict `json:"rollback,omitempty"`
	Seconds  int     `json:"seconds,omitempty"`
	// Began is when it did, for who is told of the end; the history does not keep it.
	Began   time.Time `json:"-"`
	Why     string    `json:"why,omitempty"`     // as in Result
	Command string    `json:"command,omitempty"` // that failed: "2 of 3: make deploy"
	Exit    int       `json:"exit,omitempty"`    // its exit code
	Output  []string  `json:"output,omitempty"`  // the last lines of what the deployment printed
}
