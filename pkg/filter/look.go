package filter

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

// look is all that is asked of one repository at once.
type look struct {
	*Filter
	source    config.Source
	questions []Question
	began     time.Time // of the call
	late      bool      // there is no time left to ask
	diffs     map[span]changed
}

// span is from one commit to another.
type span struct{ before, after repo.SHA }

// changed is what is known of a span. The paths are not kept: there may be many spans, and many paths in each.
type changed struct {
	wanted map[*config.Monitor]bool // whether something of paths is among them, by whose head has the span
	err    error                    // why it is not known of the others
}

func (l *look) ask(ctx context.Context) []Answer {
	messages, failed := l.messages(ctx)
	answers := make([]Answer, len(l.questions))
	for i, q := range l.questions {
		a := &answers[i]
		a.At = q.At
		for _, h := range q.Heads {
			k := keyOf(q.Monitor, h)
			why, known := l.recall(k)
			switch {
			case known:
			case l.late || l.over(q.Monitor, h):
				a.Late = errLate
				continue
			default:
				var unclear []Unclear
				why, unclear = l.decide(ctx, q.Monitor, h, messages, failed)
				if len(unclear) == 0 {
					break
				}
				if i := slices.IndexFunc(unclear, isUnsent); why == "" && i >= 0 {
					if l.postpone(k.place) {
						a.Late = unclear[i].Err
						continue
					}
					unclear[i].Err = fmt.Errorf("%w, %d times in a row", unclear[i].Err, maxTries)
				}
				if why == "" {
					a.Unclear = append(a.Unclear, l.news(k, unclear)...)
					continue
				}
			}
			l.learn(k, why)
			if why != "" {
				if a.Passed == nil {
					a.Passed = map[string]repo.Pass{}
				}
				a.Passed[h.Branch] = why
			}
		}
	}
	return answers
}

// over reports whether there is no time left for what has to be asked about a head. The first comparison of all always has some.
func (l *look) over(m *config.Monitor, h Head) bool {
	_, known := l.diffs[span{h.Base, h.SHA}]
	return m.Paths != nil && h.Base != "" && !known && len(l.diffs) > 0 && time.Since(l.began) > patience
}

// decide says whether a head runs nothing. failed is why its message could not be read.
func (l *look) decide(ctx context.Context, m *config.Monitor, h Head, messages map[repo.SHA]string, failed error) (why repo.Pass, unclear []Unclear) {
	switch {
	case m.Ignore == nil:
	case failed != nil:
		unclear = append(unclear, Unclear{h, "ignore", failed})
	case m.Ignore.MatchString(messages[h.SHA]):
		return repo.Ignored, nil
	}
	if m.Paths == nil || h.Base == "" {
		return "", unclear
	}
	s := span{h.Base, h.SHA}
	d, known := l.diffs[s]
	if !known {
		d = l.compare(ctx, s)
		if l.diffs == nil {
			l.diffs = map[span]changed{}
		}
		l.diffs[s] = d
	}
	switch {
	case d.wanted[m]:
		return "", unclear
	case d.err != nil:
		return "", append(unclear, Unclear{h, "paths", d.err})
	}
	return repo.Untouched, unclear
}

// compare compares two commits for all whose heads have the span, until it is known of each of them that it is concerned.
func (l *look) compare(ctx context.Context, s span) changed {
	d := changed{wanted: map[*config.Monitor]bool{}}
	var open []*config.Monitor
	for _, q := range l.questions {
		if q.Monitor.Paths != nil && slices.ContainsFunc(q.Heads, func(h Head) bool { return s == span{h.Base, h.SHA} }) {
			open = append(open, q.Monitor)
		}
	}
	d.err = l.Commits.Diff(ctx, l.source, s.before, s.after, func(path string) bool {
		open = slices.DeleteFunc(open, func(m *config.Monitor) bool {
			if m.Paths.Match(path) {
				d.wanted[m] = true
			}
			return d.wanted[m]
		})
		return len(open) > 0
	})
	return d
}

// messages reads the messages of the heads of which nothing is known, each commit once.
func (l *look) messages(ctx context.Context) (map[repo.SHA]string, error) {
	var commits []repo.SHA
	for _, q := range l.questions {
		for _, h := range q.Heads {
			if _, known := l.recall(keyOf(q.Monitor, h)); !known && q.Monitor.Ignore != nil {
				commits = append(commits, h.SHA)
			}
		}
	}
	slices.Sort(commits)
	commits = slices.Compact(commits)
	if l.late || len(commits) == 0 {
		return nil, nil
	}
	texts, err := l.Commits.Messages(ctx, l.source, commits)
	if err != nil {
		return nil, err
	}
	messages := make(map[repo.SHA]string, len(commits))
	for i, c := range commits {
		messages[c] = texts[i]
	}
	return messages, nil
}
