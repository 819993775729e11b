// Package audit has the words by which Sentry tells what it does to others: the keys of a log line, and the annotation of a run
// that a person asked for. It is a leaf.
package audit

import (
	"encoding/json"

	"github.com/tekton-sentry/sentry/pkg/oneline"
)

// Verb is what was done, as the key audit of a line has it.
type Verb string

// The verbs.
const (
	Created    Verb = "created"
	Cancelled  Verb = "cancelled"
	Deleted    Verb = "deleted"
	Reported   Verb = "reported"
	Paused     Verb = "paused"
	Resumed    Verb = "resumed"
	Registered Verb = "registered"
	Repaired   Verb = "repaired"
	Removed    Verb = "removed"
)

// Verbs are all of them.
var Verbs = []Verb{Created, Cancelled, Deleted, Reported, Paused, Resumed, Registered, Repaired, Removed}

// What has Sentry do something, beside the commands of people, which go by their names.
const (
	Change   = "change"    // a branch moved
	KeepRuns = "keep_runs" // there are more finished runs than that
	Run      = "run"       // a run began or ended
)

// By is who or what had it done.
type By struct {
	Cause string `json:"cause"`           // the command of a person, such as trigger, or what else it was
	Who   string `json:"who,omitempty"`   // who gave the command, as the API server knows them
	Claim string `json:"claim,omitempty"` // who they are to their own machine, which nobody vouches for
}

// Attrs returns what a line has that tells of the deed.
func (b By) Attrs(v Verb) []any { return append([]any{"audit", string(v)}, b.Keys()...) }

// Keys returns what a line has that tells whose deed something was; nothing where that is not known.
func (b By) Keys() []any {
	if b.Cause == "" {
		return nil
	}
	attrs := []any{"by", b.Cause}
	if b.Who != "" {
		attrs = append(attrs, "who", b.Who)
	}
	if b.Claim != "" {
		attrs = append(attrs, "claim", b.Claim)
	}
	return attrs
}

// Person returns who gave the command, such as kubernetes-admin (ada); "" where that is not known.
func (b By) Person() string {
	if b.Who != "" && b.Claim != "" {
		return b.Who + " (" + b.Claim + ")"
	}
	return b.Who + b.Claim
}

// Annotations of a PipelineRun that say which person asked for it, and which one had it cancelled. They are what that person's
// command wrote, which nobody vouches for: the API server's own audit log does.
const (
	AnnotationBy        = "tekton-sentry.dev/by"
	AnnotationCancelled = "tekton-sentry.dev/cancelled-by"
)

// note is the value of an annotation. It has the run's own name, as who runs one again copies its annotations.
type note struct {
	Run string `json:"run"`
	By
}

// maxText bounds each text of an annotation, in bytes: anybody may have written it.
const maxText = 100

// Note returns the value of an annotation of the run.
func (b By) Note(run string) string {
	text, err := oneline.JSON(note{run, b})
	if err != nil {
		return "" // texts can always be encoded
	}
	return text
}

// Noted returns what an annotation of the run says, and false where it says nothing of that run.
func Noted(text, run string) (By, bool) {
	var n note
	if json.Unmarshal([]byte(text), &n) != nil || n.Run != run {
		return By{}, false
	}
	for _, s := range []*string{&n.Cause, &n.Who, &n.Claim} {
		*s = oneline.Of(*s, maxText)
	}
	return n.By, n.Cause != ""
}
