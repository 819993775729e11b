package view

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/serve/page/drawing"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Member is a deployment of a run, or what would be one.
type Member struct {
	Task     string
	Ref      repo.Ref // without a repository where it is not known
	SHA      repo.SHA
	Link     string
	Verdict  string // "" = it has not begun
	Rollback string
	Took     string
	Began    time.Time
	Why      string
	Command  string
	Exit     int
	Output   []string
}

// maxLabel is how many characters of a name have room in a box.
const maxLabel = 22

// label returns the name of a member that has room in a box.
func (m Member) label() string {
	if r := []rune(m.Task); len(r) > maxLabel {
		return string(r[:maxLabel-1]) + "…"
	}
	return m.Task
}

// Graph is the members with who waits for whom: drawn, or in stages where they are too many.
type Graph struct {
	Members []Member // in the order of the graph
	Drawing *drawing.Drawing
	Stages  [][]Member
}

// GraphOf returns the members with who waits for whom.
func GraphOf(members []Member, after strategy.Graph) *Graph {
	g := &Graph{Members: members}
	if d, ok := drawing.Of(after); ok {
		g.Drawing = &d
		return g
	}
	for _, stage := range drawing.Stages(after) {
		var named []Member
		for _, i := range stage {
			named = append(named, members[i])
		}
		g.Stages = append(g.Stages, named)
	}
	return g
}

// state returns how a member goes, in words that have room in a box.
func (m Member) state() string {
	text := glyph(m.Verdict) + " " + verdictWords(m.Verdict)
	if m.Took != "" {
		text += " · " + m.Took
	}
	return text
}
