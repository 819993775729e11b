// Package history is what is remembered of runs that have ended: which of them, how much of each, and as which bytes. It is
// pure. The stores are result/configmap and result/file.
package history

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/result"
)

const version = 1

// MaxSize bounds an encoded history, in bytes: what one takes at most, and as much again.
const MaxSize = 2 << 20

// Bounds of the history: the newest runs, in all and of one unit. 2,000 of usual size take some 600 KB; what is left of a
// ConfigMap's 1 MiB has the deployments of the newest.
const (
	maxRuns    = 2000
	maxUnit    = 200
	maxBytes   = 700 << 10 // without the deployments
	spare      = 100       // of those, for what stands around the runs
	maxDetails = 200 << 10 // the deployments
	maxNames   = 10        // refs, and deployments that failed, of a run whose deployments are left out
	maxOutput  = 8 << 10   // of what the deployments of one run printed
)

// entry is one run. A Sentry before there were verdicts reads and writes Failed and More.
type entry struct {
	result.Result
	Failed []string `json:"failed,omitempty"` // tasks whose deployment failed
	More   int      `json:"more,omitempty"`   // refs and failed tasks that are left out, of a large run
}

type document struct {
	Version int     `json:"version"`
	Runs    []entry `json:"runs"` // oldest first
}

// Decode returns the runs, oldest first; none of no data. Of those that an older Sentry wrote, the deployments are known that
// failed.
func Decode(data []byte) ([]result.Result, error) {
	var d document
	if len(data) == 0 {
		return nil, nil
	}
	if err := json.Unmarshal(data, &d); err != nil {
		return nil, oneline.WrongJSON(err)
	}
	if d.Version != version {
		return nil, fmt.Errorf("format version %d, want %d: is it of a newer Sentry?", d.Version, version)
	}
	runs := make([]result.Result, len(d.Runs))
	for i, e := range d.Runs {
		runs[i] = e.Result
		if len(e.Members) > 0 {
			continue
		}
		for _, task := range e.Failed {
			runs[i].Members = append(runs[i].Members, result.Member{Task: task, Verdict: result.Failed})
		}
	}
	return runs, nil
}

// Identity tells runs apart: a name may come again.
type Identity struct {
	name    string // behind its cluster
	created int64
}

// Of returns the identity of a run.
func Of(r result.Result) Identity { return Identity{naming.At(r.Cluster, r.Name), r.Created.Unix()} }

// Add returns old with what is new in it, oldest first. A run is there once. What was known of it stays, unless only an older
// Sentry knew it.
func Add(old, runs []result.Result) []result.Result {
	all := slices.Clone(old)
	index := map[Identity]int{}
	for i, r := range all {
		index[Of(r)] = i
	}
	for _, r := range runs {
		i, known := index[Of(r)]
		switch {
		case !known:
			index[Of(r)] = len(all)
			all = append(all, r)
		case all[i].Verdict == "":
			all[i] = r
		}
	}
	slices.SortStableFunc(all, func(a, b result.Result) int {
		return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.Name, b.Name))
	})
	return all
}

// share returns what shares the bounds for one unit with a run, and whether it is a guest's: one of a request, as whoever opens one makes a
// unit, or one in another cluster, as whoever may make runs there makes any number.
func share(r result.Result) (of string, guest bool) {
	of = r.Unit
	if len(r.Refs) > 0 {
		of = naming.Share(r.Unit, r.Refs[0].Ref)
	}
	return naming.At(r.Cluster, of), of != r.Unit || r.Cluster != ""
}

// Encode returns the runs, which are oldest first, without what is too old or too much. The newest have their deployments with
// what these printed as long as there is room, then without that, and then the names of those alone that failed. Guests have at most
// half of each bound, however many there are.
func Encode(runs []result.Result) ([]byte, error) {
	var kept []entry // newest first
	var all, guests span
	units := map[string]int{}
	noMore := false // of guests
	for _, r := range slices.Backward(runs) {
		of, guest := share(r)
		if units[of]++; units[of] > maxUnit || guest && noMore {
			continue
		}
		e := bare(r)
		n, err := sizeOf(e)
		if err != nil {
			return nil, err
		}
		with := all
		if with.add(r, n); with.over(1) {
			break
		}
		if guest {
			if guests.add(r, n); guests.over(2) {
				noMore = true
				continue
			}
		}
		all, kept = with, append(kept, e)
	}
	whole := map[Identity]result.Result{}
	for _, r := range runs {
		whole[Of(r)] = r
	}
	room, theirs := maxDetails, maxDetails/2
	for i, e := range kept {
		r := whole[Of(e.Result)]
		_, guest := share(e.Result)
		for _, more := range []entry{withOutput(r), withMembers(r)} {
			n, err := sizeOf(more)
			if err != nil {
				return nil, err
			}
			least, err := sizeOf(e)
			if err != nil {
				return nil, err
			}
			if n -= least; n > room || guest && n > theirs {
				continue
			}
			kept[i], room = more, room-n
			if guest {
				theirs -= n
			}
			break
		}
	}
	slices.Reverse(kept)
	return json.Marshal(document{version, kept})
}

// span is a part of a history.
type span struct {
	runs, size, largest int
	oldest              time.Time
}

func (s *span) add(r result.Result, size int) {
	if s.runs++; s.runs == 1 || r.Created.Before(s.oldest) {
		s.oldest = r.Created
	}
	s.size, s.largest = s.size+size, max(s.largest, size)
}

// over reports whether it is more than that part of a history's bounds.
func (s *span) over(part int) bool { return s.runs > maxRuns/part || s.size > (maxBytes-spare)/part }

// forgets reports whether a run that was created then may have been left out, as it is older than all of what has no room for another one.
func (s *span) forgets(part int, created time.Time) bool {
	full := s.runs >= maxRuns/part || s.size+s.largest > (maxBytes-spare)/part
	return full && created.Before(s.oldest)
}

// Forgets returns what reports whether a run may have been left out of a history that has these runs: one that is
// older than all that a full one has, in all, of guests, or of its unit. Of the run, its cluster, its unit, its first ref and when it was created count.
func Forgets(runs []result.Result) func(result.Result) bool {
	var all, guests span
	units := map[string]*span{}
	for _, r := range runs {
		n, err := sizeOf(bare(r))
		if err != nil {
			n = maxBytes // it cannot be written again
		}
		of, guest := share(r)
		if units[of] == nil {
			units[of] = &span{}
		}
		units[of].add(r, n)
		if all.add(r, n); guest {
			guests.add(r, n)
		}
	}
	return func(r result.Result) bool {
		of, guest := share(r)
		s := units[of]
		return all.forgets(1, r.Created) || guest && guests.forgets(2, r.Created) || s != nil && s.runs >= maxUnit && r.Created.Before(s.oldest)
	}
}

func sizeOf(e entry) (int, error) {
	text, err := json.Marshal(e)
	if err != nil {
		return 0, fmt.Errorf("encode the history: %w", err)
	}
	return len(text) + 1, nil
}

// bare is a run without its deployments, but for the names of some that failed.
func bare(r result.Result) entry {
	e := entry{Result: r, Failed: slices.Concat(r.Tasks(result.Failed), r.Tasks(result.TimedOut))}
	e.Created, e.Seen, e.Members = inTime(r.Created), inTime(r.Seen), nil
	if n := len(e.Refs) - maxNames; n > 0 {
		e.Refs, e.More = e.Refs[:maxNames], e.More+n
	}
	if n := len(e.Failed) - maxNames; n > 0 {
		e.Failed, e.More = e.Failed[:maxNames], e.More+n
	}
	return e
}

// inTime returns a time that JSON can hold, as people can edit annotations.
func inTime(t time.Time) time.Time {
	if t = t.UTC(); t.Year() < 1 || t.Year() > 9998 {
		return time.Time{}
	}
	return t
}

func withMembers(r result.Result) entry {
	e := bare(r)
	e.Refs, e.Members = r.Refs, slices.Clone(r.Members)
	e.More = 0
	for i := range e.Members {
		e.Members[i].Output = nil
	}
	return e
}

func withOutput(r result.Result) entry {
	e := withMembers(r)
	room := maxOutput
	for i, m := range r.Members {
		for _, line := range m.Output {
			room -= len(line)
		}
		if room < 0 {
			break
		}
		e.Members[i].Output = m.Output
	}
	return e
}
