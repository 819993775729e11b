// Package discover keeps what hosts say that owners have: what follows of a new list for what is known, and as which bytes that is kept. It
// is pure but for the Finder, which asks.
package discover

import (
	"strings"
	"time"
	"unicode/utf8"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// News is what a list changed, by paths.
type News struct {
	Came, Went []string
	Moved      []string // "before -> now"
	Lacks      []string // that are watched, and that this list is the first to lack
	Many       bool     // it lacks more than half of those that are watched
	Held       string   // why the list is not taken, for people; "" = it is
}

const (
	// soon is how long lists have to lack a repository before it goes, and long how long where they lack more than half.
	soon = 5 * time.Minute
	long = 24 * time.Hour
)

// Taking is what Take goes by beside the list.
type Taking struct {
	Wanted func(discover.Repository) bool // whether a repository is watched
	At     time.Time                      // when the list came
	Last   int64                          // when one was found last, over all owners, in seconds of Unix time
	Every  time.Duration                  // between two lists
	Most   int                            // repositories that are kept
}

// Take returns what is known once a host gave a whole list as the answer to q.
//
//   - An empty list changes nothing.
//   - One that is watched, and would be watched no more, goes with a second list that says so, some minutes after the first. Those that
//     were among more than half of what is watched go after a day: an account that lost its rights for a while is told of fewer.
//   - One whose address is another one's by now goes at once.
//   - Who is known keeps its place and its name, whatever its path is now.
//   - No more than Most are kept: those that are known go first.
func Take(known discover.List, q discover.Question, got []githost.OwnedRepository, t Taking) (discover.List, News) {
	now := make(map[string]discover.Repository, len(got)) // by ID
	addresses := make(map[string]bool, len(got))
	for _, g := range got {
		now[g.ID] = of(q, g)
		addresses[strings.ToLower(g.Path)] = true
	}
	if delete(now, ""); len(now) == 0 && len(known.Repositories) > 0 {
		return known, News{Held: "it is empty"}
	}
	lacks, many := t.lacks(known, q, now)
	news := News{Many: many}
	next := discover.List{Question: q}
	here := map[string]bool{}
	for _, was := range known.Repositories {
		r, there := now[was.ID]
		replaced := !there && addresses[strings.ToLower(was.Path)]
		switch {
		case there && !valid(r):
			r = was
		case lacks[was.ID] && !replaced && !t.enough(&was, many):
			if was.Missing == t.At.Unix() {
				news.Lacks = append(news.Lacks, was.Path)
			}
			r, there = was, true
		case there:
			r.Name, r.Since = was.Name, was.Since
		}
		if !there {
			news.Went = append(news.Went, was.Path)
			continue
		}
		if r.Path != was.Path {
			news.Moved = append(news.Moved, was.Path+" -> "+r.Path)
		}
		here[r.ID] = true
		next.Repositories = append(next.Repositories, r)
	}
	for _, g := range got {
		r, ok := now[g.ID]
		if !ok || here[g.ID] || r.Name == "" || !valid(r) || len(next.Repositories) >= t.Most {
			continue
		}
		here[g.ID] = true
		r.Since = max(t.At.Unix(), t.Last+1) // after all others, also as the clock was set back: the first one has a name
		news.Came = append(news.Came, r.Path)
		next.Repositories = append(next.Repositories, r)
	}
	return next, news
}

// lacks returns which of those that are watched would be watched no more, and whether they are more than half. What is known by the answer
// to another question, such as for another file, does not have to be wanted by that to this one.
func (t Taking) lacks(known discover.List, q discover.Question, now map[string]discover.Repository) (lacks map[string]bool, many bool) {
	lacks = map[string]bool{}
	watched := 0
	for _, was := range known.Repositories {
		if !t.Wanted(was) {
			continue
		}
		watched++
		r, there := now[was.ID]
		if !there || known.Question == q && valid(r) && !t.Wanted(r) {
			lacks[was.ID] = true
		}
	}
	return lacks, 2*len(lacks) > watched
}

// enough notes in a repository that a list lacks it, and reports whether lists have for long enough.
func (t Taking) enough(r *discover.Repository, many bool) bool {
	at := t.At.Unix()
	if r.Missing == 0 || r.Missing > at { // as the clock was set back
		r.Missing = at
	}
	r.Many = r.Many || many
	wait := min(soon, t.Every)
	if r.Many {
		wait = long
	}
	return r.Missing < at && time.Duration(at-r.Missing)*time.Second >= wait.Truncate(time.Second)
}

// of returns what is kept of a repository.
func of(q discover.Question, g githost.OwnedRepository) discover.Repository {
	r := discover.Repository{
		ID: g.ID, Name: discover.NameOf(q.Owner, g.Path), Path: g.Path, Branch: g.DefaultBranch, Topics: bounded(g.Topics),
		Archived: g.Archived, Fork: g.Fork, File: g.File != nil,
	}
	if g.Empty {
		r.Branch = ""
	}
	return r
}

// bounded returns as many topics as are kept.
func bounded(topics []string) (kept []string) {
	bytes := 0
	for _, topic := range topics {
		if bytes += len(topic); bytes > maxTopicBytes || len(kept) == maxTopics {
			break
		}
		kept = append(kept, topic)
	}
	return kept
}

// valid reports whether the texts of a repository are short enough to be kept, and UTF-8.
func valid(r discover.Repository) bool {
	if len(r.Topics) > maxTopics || len(strings.Join(r.Topics, "")) > maxTopicBytes {
		return false
	}
	for _, s := range append([]string{r.ID, r.Name, r.Path, r.Branch}, r.Topics...) {
		if len(s) > maxPart || !utf8.ValidString(s) {
			return false
		}
	}
	return true
}
