// Package discover keeps what hosts say that owners have: what follows of a new list for what is known, and as which bytes that is kept. It
// is pure but for the Finder, which asks.
package discover

import (
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/config/discover"
	"github.com/tekton-sentry/sentry/pkg/githost"
)

// News is what a list changed, by paths.
type News struct {
	Came, Went []string
	Moved      []string // "before -> now"
	Held       string   // why the list is not taken, for people; "" = it is
	// Missing are the IDs of those that are watched and would be watched no more, where the list is held.
	Missing map[string]bool
}

// Take returns what is known once a host gave a whole list. wanted reports whether a repository is watched; before is News.Missing of the
// list before this one.
//
//   - An empty list changes nothing, and of one that lacks more than half of those that are watched the next one has to lack them, too: an
//     account that lost its rights for a while is told of fewer repositories.
//   - Who is known keeps its place and its name, whatever its path is now.
//   - No more than most are kept: those that are known go first.
//   - One that comes in the same list in which another goes with that name, comes with the next list. So nothing that is remembered of
//     the one is taken for the other's.
func Take(known discover.List, got []githost.OwnedRepository, wanted func(discover.Repository) bool, before map[string]bool, most int) (discover.List, News) {
	var news News
	now := make(map[string]discover.Repository, len(got))
	for _, g := range got {
		if r, ok := of(known.Question, g); ok {
			now[r.ID] = r
		}
	}
	missing, watched := map[string]bool{}, 0
	for _, r := range known.Repositories {
		if !wanted(r) {
			continue
		}
		watched++
		if next, there := now[r.ID]; !there || !wanted(next) {
			missing[r.ID] = true
		}
	}
	switch again := before != nil && !slices.ContainsFunc(slices.Collect(maps.Keys(missing)), func(id string) bool { return !before[id] }); {
	case len(now) == 0 && len(known.Repositories) > 0:
		news.Held = "it is empty"
	case 2*len(missing) > watched && !again:
		news.Held, news.Missing = "it lacks more than half of what is watched; the next one decides", missing
	}
	if news.Held != "" {
		return known, news
	}
	next := discover.List{Question: known.Question}
	gone, here := map[string]bool{}, map[string]bool{}
	for _, was := range known.Repositories {
		r, there := now[was.ID]
		if !there {
			gone[was.Name] = true
			news.Went = append(news.Went, was.Path)
			continue
		}
		if r.Path != was.Path {
			news.Moved = append(news.Moved, was.Path+" -> "+r.Path)
		}
		r.Name = was.Name
		here[r.ID] = true
		next.Repositories = append(next.Repositories, r)
	}
	for _, g := range got {
		r, ok := now[g.ID]
		if !ok || here[g.ID] || gone[r.Name] || len(next.Repositories) >= most {
			continue
		}
		here[g.ID] = true
		news.Came = append(news.Came, r.Path)
		next.Repositories = append(next.Repositories, r)
	}
	return next, news
}

// of returns what is kept of a repository, unless it has no ID, no name that a unit could have, or is below another owner.
func of(q discover.Question, g githost.OwnedRepository) (discover.Repository, bool) {
	r := discover.Repository{
		ID: g.ID, Name: discover.NameOf(q.Owner, g.Path), Path: g.Path, Branch: g.DefaultBranch, Topics: g.Topics,
		Archived: g.Archived, Fork: g.Fork, File: g.File != nil,
	}
	if g.Empty {
		r.Branch = ""
	}
	return r, r.ID != "" && r.Name != "" && valid(r)
}
