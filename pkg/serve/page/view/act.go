package view

import (
	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Act leads to the view that asks whether something shall be done.
type Act struct{ Link, Words string }

// Pinned is a commit that would be deployed.
type Pinned struct {
	Commit
	Task string
	Was  repo.SHA // acted upon last; "" = none, or the same
}

// Order is a task, and whom it waits for.
type Order struct {
	Task  string
	After []string
}

// Planned is what would be done, in the words of who would do it.
type Planned struct {
	Lead    string // what is done, in a sentence
	Run     string // its name; "" = none is made, or it has none yet
	Commits []Pinned
	Tasks   []Order
	Notes   []string // what is good to know before
	Text    string   // the PipelineRun
}

// Confirm asks once.
type Confirm struct {
	Title, Button, Action, Form, Back, By string
	Reason                                bool // one may be given
	Planned
}

// maxCommits bounds those that are shown of a run, and maxText its text, in bytes.
const (
	maxCommits = 60
	maxText    = 32 << 10
)

func (c Confirm) text() string {
	if len(c.Text) > maxText {
		return c.Text[:maxText] + "\n… and so on: 'sentry render' prints all of it"
	}
	return c.Text
}

// Session is who acts.
type Session struct {
	Name  string   // "" = nobody
	May   []string // in words
	Given bool     // a proxy says so for each request, and it cannot be left here
}

// Log is the end of what a run printed.
type Log struct {
	Run     string
	Lines   []string
	Cut     bool // there was more before
	Most    int  // KiB that are shown
	Events  string
	Trouble string
}

// Line returns a text of others on one line of bounded length.
func Line(text string) string { return line(text) }

// Clean returns one line of a log without what moves a cursor or hides other text.
func Clean(text string) string { return clean(text) }

// fewAfter bounds the tasks that are named which one waits for.
const fewAfter = 5

// long returns a text of others on one line that may be a message with advice.
func long(text string) string { return oneline.Of(text, 4*maxLine) }

// entry is what the way to a session is called.
func (f Frame) entry() string {
	if f.Acting {
		return "Acting"
	}
	return "Act"
}
