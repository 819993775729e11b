package view

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/cli/overview"
	"github.com/tekton-sentry/sentry/pkg/result"
)

// class is how a verdict looks: what it is called in the style.
func class(verdict string) string {
	switch verdict {
	case string(result.Succeeded):
		return "good"
	case string(result.Failed), string(result.TimedOut):
		return "bad"
	case overview.Active, overview.HeldBack, "Running":
		return "active"
	}
	return "still"
}

// glyph stands before a verdict, so that its shape tells what its colour does.
func glyph(verdict string) string {
	switch verdict {
	case string(result.Succeeded):
		return "✓"
	case string(result.Failed):
		return "✕"
	case string(result.TimedOut):
		return "◷"
	case overview.Active, "Running":
		return "●"
	case overview.HeldBack:
		return "‖"
	case string(result.Cancelled):
		return "⊘"
	case string(result.RolledBack):
		return "↶"
	case string(result.Superseded):
		return "↷"
	case string(result.Skipped):
		return "–"
	}
	return "○"
}

// Strip is how the last runs ended, as bars from left to right: those that succeeded stand on the line, those that failed hang below it,
// and all others are a dot on it. A bar is the longer the longer its run took.
type Strip struct {
	Width, Height, Line int
	Good, Bad, Still    string // paths of SVG
	Words               string
}

// Of a bar, in pixels.
const (
	barStep   = 6
	barTop    = 13 // the longest that stands
	barBottom = 9  // the longest that hangs
)

// StripOf draws results, newest first; nil where there are none.
func StripOf(results []*result.Result) *Strip {
	if len(results) == 0 {
		return nil
	}
	s := &Strip{Width: barStep * len(results), Height: barTop + barBottom + 2, Line: barTop + 1}
	longest := 1
	for _, r := range results {
		longest = max(longest, r.Seconds)
	}
	var good, bad, still strings.Builder
	counts := map[result.Verdict]int{}
	for i, r := range slices.Backward(results) {
		counts[r.Verdict]++
		x := (len(results)-1-i)*barStep + barStep/2
		// A third for any, and the rest by the root, so that one long run does not flatten all others.
		part := 1.0/3 + 2.0/3*math.Sqrt(float64(r.Seconds)/float64(longest))
		switch class(string(r.Verdict)) {
		case "good":
			fmt.Fprintf(&good, "M%d %dv-%d", x, s.Line, int(math.Round(part*barTop)))
		case "bad":
			fmt.Fprintf(&bad, "M%d %dv%d", x, s.Line, int(math.Round(part*barBottom)))
		default:
			fmt.Fprintf(&still, "M%d %dv2", x, s.Line-1)
		}
	}
	var words []string
	for _, v := range []result.Verdict{result.Succeeded, result.Failed, result.TimedOut, result.Cancelled, result.Superseded} {
		if n := counts[v]; n > 0 {
			words = append(words, fmt.Sprintf("%d %s", n, v))
		}
	}
	s.Good, s.Bad, s.Still = good.String(), bad.String(), still.String()
	s.Words = "The last " + Plural(len(results), "run") + ": " + strings.Join(words, ", ")
	return s
}
