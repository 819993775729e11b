// Package words says what a run is and why it exists, for lists, the Dashboard and a label. Its texts hold nothing that
// Tekton would substitute or a terminal would take for more than a character. It is pure.
package words

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// Listed is how many refs or members a sentence names before it says "and N more".
const Listed = 10

// Title is the PipelineRun's displayName: what a list of runs shows.
func Title(run plan.Run) string {
	refs := make([]string, len(run.Trigger.Refs))
	for i, c := range run.Trigger.Refs {
		refs[i] = at(c.Repository, c.Branch, c.New)
	}
	t := List(refs, 1)
	if run.Unit.Group != "" {
		t = run.Unit.Group + ": " + t
	}
	if run.Trigger.Manual != "" {
		t += " (by hand)"
	}
	return Plain(t)
}

// Shown is the value of the label that the Dashboard shows:
// [group.]repository.branch-at-1111111[-and-N-more][-by-hand]. It fits a label whatever the branch is called: other
// characters become dashes, and the longest name is cut where there is no room for all.
func Shown(run plan.Run) string {
	const most = 63
	c := run.Trigger.Refs[0]
	end := "-at-" + c.New.Short()
	if more := len(run.Trigger.Refs) - 1; more > 0 {
		end += fmt.Sprintf("-and-%d-more", more)
	}
	if run.Trigger.Manual != "" {
		end += "-by-hand"
	}
	names := []string{run.Unit.Group, c.Repository, c.Branch}
	for i, name := range names {
		names[i] = labelText(name)
	}
	names = slices.DeleteFunc(names, func(name string) bool { return name == "" })
	for len(strings.Join(names, "."))+len(end) > most {
		longest := 0
		for i, name := range names {
			if len(name) > len(names[longest]) {
				longest = i
			}
		}
		names[longest] = labelText(names[longest][:len(names[longest])-1])
	}
	return labelText(strings.Join(names, ".") + end)
}

// labelText returns text with a dash for each run of characters that a label's value cannot hold, and
// without dashes and dots at its ends.
func labelText(text string) string {
	return strings.Trim(notInLabels.ReplaceAllString(text, "-"), "-._")
}

var notInLabels = regexp.MustCompile(`[^A-Za-z0-9._-]+`)

// Describe says in sentences why the run exists.
func Describe(run plan.Run) string {
	changes := make([]string, len(run.Trigger.Refs))
	for i, c := range run.Trigger.Refs {
		changes[i] = at(c.Repository, c.Branch, c.New)
		switch {
		case run.Trigger.Manual != "":
		case c.Old == "":
			changes[i] += " is new"
		default:
			changes[i] = fmt.Sprintf("%s moved from %s to %s", c.Ref, c.Old.Short(), c.New.Short())
		}
	}
	who := "Sentry saw"
	if run.Trigger.Manual != "" {
		who = "Triggered by hand"
	}
	text := fmt.Sprintf("%s at %s: %s.", who, run.Trigger.Seen.UTC().Format(time.RFC3339), List(changes, Listed))
	if n := run.Trigger.Waiting; n > 0 {
		text += fmt.Sprintf(" One run does not hold all: %d more wait for the next.", n)
	}
	if len(run.NoRoom) > 0 {
		text += " Left out, since the run would be too large: " + List(run.NoRoom, Listed) + "."
	}
	if len(run.Refused) > 0 {
		text += " Left out, since no param can hold their names: " + List(run.Refused, Listed) + "."
	}
	if len(run.LeftOut) > 0 {
		text += " Left out, since their branches could never be read: " + List(run.LeftOut, Listed) + "."
	}
	return Plain(text)
}

// OfTask is a task's displayName: what is deployed, and for which commit.
func OfTask(m plan.Member) string {
	t := at(m.Repository.Name, m.Branch, m.SHA)
	if m.Repository.Project != m.Repository.Name {
		t = m.Repository.Project + ": " + t
	}
	return Plain(t)
}

// OfRollback is the displayName of the task that rolls a member back.
func OfRollback(m plan.Member) string {
	to := ", of which no good commit is known"
	if m.Succeeded != "" {
		to = " to " + m.Succeeded.Short()
	}
	return Plain("roll back " + m.Ref().String() + to)
}

func at(repository, branch string, sha repo.SHA) string {
	return repo.Ref{Repository: repository, Branch: branch}.String() + " at " + sha.Short()
}

// List joins the first words of a list, and counts the rest.
func List(words []string, most int) string {
	if len(words) <= most {
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%s and %d more", strings.Join(words[:most], ", "), len(words)-most)
}

// Plain makes text for people of text from outside: it breaks $(…), which Tekton substitutes in a
// displayName, and shows nothing that a terminal would take for more than a character.
func Plain(s string) string {
	s = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
	return strings.ReplaceAll(s, "$(", "$ (")
}
