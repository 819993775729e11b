// Package drawing lays out who waits for whom: boxes in columns, each right of all that it waits for, and the lines between
// them. It is pure.
package drawing

import (
	"fmt"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Sizes in pixels of a page that is not zoomed.
const (
	BoxWidth   = 176
	BoxHeight  = 40
	gapX, gapY = 56, 12
	edge       = 2 // around all, for the focus ring
)

// What is drawn at most. Beyond it a drawing is no help any more, and takes more of the wire than a view has.
const (
	maxBoxes = 60
	maxLines = 200
	maxRows  = 12 // of a column; what is beyond stands in a further one of the same rank
)

// Box is where a task is.
type Box struct {
	Task int // as in the graph
	X, Y int // its upper left corner
}

// Drawing is a graph as boxes and lines.
type Drawing struct {
	Width, Height int
	Boxes         []Box
	Lines         []string // paths of SVG, from the right of a box to the left of one that waits for it
}

// Stages returns the tasks by how many others are before them at least: those of one stage wait for none of the same.
func Stages(g strategy.Graph) [][]int {
	ranks, done := make([]int, len(g.After)), make([]bool, len(g.After))
	var rank func(task int) int
	rank = func(task int) int {
		if !done[task] {
			done[task] = true
			for _, before := range g.After[task] {
				ranks[task] = max(ranks[task], rank(before)+1)
			}
		}
		return ranks[task]
	}
	var stages [][]int
	for task := range g.After {
		for len(stages) <= rank(task) {
			stages = append(stages, nil)
		}
		stages[ranks[task]] = append(stages[ranks[task]], task)
	}
	return stages
}

// Of draws a graph. ok is false where it is too large for that.
func Of(g strategy.Graph) (d Drawing, ok bool) {
	lines := 0
	for _, after := range g.After {
		lines += len(after)
	}
	if len(g.After) == 0 || len(g.After) > maxBoxes || lines > maxLines {
		return Drawing{}, false
	}
	places := make([]Box, len(g.After))
	column, rows := 0, 0
	for _, stage := range Stages(g) {
		for i, task := range stage {
			if i > 0 && i%maxRows == 0 {
				column++
			}
			places[task] = Box{task, edge + column*(BoxWidth+gapX), edge + (i%maxRows)*(BoxHeight+gapY)}
		}
		rows = max(rows, min(len(stage), maxRows))
		column++
	}
	d.Width, d.Height = 2*edge+column*(BoxWidth+gapX)-gapX, 2*edge+rows*(BoxHeight+gapY)-gapY
	d.Boxes = places
	for task, after := range g.After {
		for _, before := range after {
			from, to := places[before], places[task]
			x1, y1, x2, y2 := from.X+BoxWidth, from.Y+BoxHeight/2, to.X, to.Y+BoxHeight/2
			bend := min((x2-x1)/2, gapX)
			d.Lines = append(d.Lines, fmt.Sprintf("M%d %dC%d %d %d %d %d %d", x1, y1, x1+bend, y1, x2-bend, y2, x2, y2))
		}
	}
	return d, true
}
