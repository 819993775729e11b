package state

import (
	"time"

	"github.com/tekton-sentry/sentry/pkg/repo"
)

// NewTags returns what tells, of a tag that is not remembered, whether it came since the tags were looked for. One that did not was there
// before anybody looked, or what was known of it is lost. watched are the patterns of tags of today.
func (r Repository) NewTags(watched repo.Patterns) func(name string) bool {
	looked := watched
	if watched.Memo() != r.Tags {
		looked = repo.Recall(r.Tags)
	}
	lost := r.Unseen || r.Tagged && !r.HasTags()
	return func(name string) bool { return !lost && looked.Match(name) }
}

// Old returns what tells, of what is not remembered, whether it was there before somebody looked for it: a branch of a repository that
// was never seen, a tag that is not one of NewTags, and a request by patterns by which nobody looked that it matches.
func (r Repository) Old(watched repo.Patterns, requests map[string]repo.Request) func(name string) bool {
	var looked repo.Pattern
	ok := false
	if len(requests) > 0 {
		looked, ok = repo.Recall(r.Tags).Requests()
		if now, is := watched.Requests(); is && watched.Memo() == r.Tags {
			looked, ok = now, true
		}
	}
	var isNew func(tag string) bool
	return func(name string) bool {
		if _, tag := repo.Tag(name); tag {
			if isNew == nil { // mostly there is no tag to ask about
				isNew = r.NewTags(watched.Tags())
			}
			return !isNew(name)
		}
		if q, request := requests[name]; request {
			return r.Unseen || !ok || !looked.Takes(q)
		}
		return r.Unseen
	}
}

// Remember notes in r.Branches that sha was acted upon by the run n of its unit, or recorded.
func (r *Repository) Remember(branch string, sha repo.SHA, n int, now time.Time) {
	r.Branches.Set(branch, r.Branches.Get(branch).Deployed(sha, n, now))
	if _, tag := repo.Tag(branch); tag {
		r.Tagged = true
	}
}

// HasTags reports whether a tag is remembered.
func (r Repository) HasTags() bool {
	for name, b := range r.Branches.All() {
		if _, tag := repo.Tag(name); tag && !b.Forgotten() {
			return true
		}
	}
	return false
}
