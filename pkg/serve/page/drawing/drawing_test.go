package drawing

import (
	"reflect"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Whoever waits stands right of all that it waits for, no two boxes touch, and each line goes from one to the other.
func TestOf(t *testing.T) {
	for name, after := range map[string][][]int{
		"alone":    {nil},
		"parallel": make([][]int, 40),
		"chain":    {nil, {0}, {1}, {2}},
		"diamond":  {nil, {0}, {0}, {1, 2}},
		"backward": {{2}, {0}, nil, {1}},
	} {
		d, ok := Of(strategy.Graph{After: after})
		if !ok {
			t.Fatalf("%s: it is not drawn", name)
		}
		lines := 0
		for task, before := range after {
			lines += len(before)
			for _, b := range before {
				if from, to := d.Boxes[b], d.Boxes[task]; from.X+BoxWidth >= to.X {
					t.Errorf("%s: %d at %v waits for %d at %v", name, task, to, b, from)
				}
			}
		}
		if len(d.Lines) != lines {
			t.Errorf("%s: %d lines, want %d", name, len(d.Lines), lines)
		}
		for i, a := range d.Boxes {
			if a.Task != i || a.X < 0 || a.Y < 0 || a.X+BoxWidth > d.Width || a.Y+BoxHeight > d.Height {
				t.Errorf("%s: box %d is %v in %d × %d", name, i, a, d.Width, d.Height)
			}
			for _, b := range d.Boxes[i+1:] {
				if a.X < b.X+BoxWidth && b.X < a.X+BoxWidth && a.Y < b.Y+BoxHeight && b.Y < a.Y+BoxHeight {
					t.Errorf("%s: boxes %v and %v overlap", name, a, b)
				}
			}
		}
	}
	if _, ok := Of(strategy.Graph{After: make([][]int, maxBoxes+1)}); ok {
		t.Error("a graph that is too large is drawn")
	}
}

func TestStages(t *testing.T) {
	if got, want := Stages(strategy.Graph{After: [][]int{{2}, {0, 2}, nil, nil}}), [][]int{{2, 3}, {0}, {1}}; !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
