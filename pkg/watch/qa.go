package watch

import (
	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// qa collects the QA repositories of several runs, so that each is asked once, and tells which runs have
// all of theirs.
type qa struct {
	want  []config.Monitor
	known map[int]repo.Observation // by index in want
	needs [][]int                  // for each run, its indices in want
	done  []bool                   // for each run, whether answer returned it
}

type qaKey struct {
	source config.Source
	branch string
}

func newQA(runs []plan.Run) *qa {
	q := &qa{known: map[int]repo.Observation{}, needs: make([][]int, len(runs)), done: make([]bool, len(runs))}
	index := map[qaKey]int{}
	for i, run := range runs {
		for _, m := range run.QA() {
			key := qaKey{m.Source, m.Branches.String()}
			at, ok := index[key]
			if !ok {
				at = len(q.want)
				index[key] = at
				q.want = append(q.want, m)
			}
			q.needs[i] = append(q.needs[i], at)
		}
	}
	return q
}

// answer takes observations by their index in want and returns the runs that are complete by them.
func (q *qa) answer(batch map[int]repo.Observation) []int {
	for at, o := range batch {
		q.known[at] = o
	}
	var complete []int
	for i, needs := range q.needs {
		if q.done[i] || !q.has(needs) {
			continue
		}
		q.done[i] = true
		complete = append(complete, i)
	}
	return complete
}

func (q *qa) has(needs []int) bool {
	for _, at := range needs {
		if _, ok := q.known[at]; !ok {
			return false
		}
	}
	return true
}

// heads returns the observations for the run's QA repositories, in the order of its QA().
func (q *qa) heads(run int) []repo.Observation {
	heads := make([]repo.Observation, len(q.needs[run]))
	for i, at := range q.needs[run] {
		heads[i] = q.known[at]
	}
	return heads
}
