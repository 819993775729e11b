package githosttest

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"time"
)

// Status is a status of a commit: what it was made with, by the names that the host has for it.
type Status struct {
	ID   int
	SHA  string
	At   time.Time // in whole seconds
	Body map[string]any
}

// AddStatus gives a commit a status, as somebody else would.
func (a *API) AddStatus(path, sha string, body map[string]any) {
	a.Change(path, func(r *Repository) { r.AddStatus(sha, a.now(), body) })
}

// AddStatus gives a commit a status, which is the newest, and returns it.
func (r *Repository) AddStatus(sha string, at time.Time, body map[string]any) *Status {
	r.statuses = append(r.statuses, &Status{len(r.statuses) + 1, sha, at.Truncate(time.Second), body})
	return r.statuses[len(r.statuses)-1]
}

// Statuses returns the statuses of a commit that keep accepts, oldest first.
func (r *Repository) Statuses(sha string, keep func(*Status) bool) []*Status {
	return slices.DeleteFunc(slices.Clone(r.statuses), func(s *Status) bool { return s.SHA != sha || !keep(s) })
}

// StatusesOf returns all statuses of a commit, oldest first.
func (a *API) StatusesOf(path, sha string) (all []Status) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, s := range a.repos[path].Statuses(sha, func(*Status) bool { return true }) {
		all = append(all, Status{s.ID, s.SHA, s.At, maps.Clone(s.Body)})
	}
	return all
}

// HasCommit reports whether a branch or a request of a repository points at a commit: no other is known to be there.
func (r *Repository) HasCommit(sha string) bool {
	for _, q := range r.Requests {
		if q.Head == sha {
			return true
		}
	}
	return slices.Contains(slices.Collect(maps.Values(r.Branches)), sha)
}

// SetReadOnly lets no token change anything about a repository.
func (a *API) SetReadOnly(path string) { a.Change(path, func(r *Repository) { r.readOnly = true }) }

// ReadOnly reports whether no token may change anything about a repository.
func (r *Repository) ReadOnly() bool { return r.readOnly }

// Sent returns the object that a request has for its body, nil where that is none.
func (a *Asked) Sent() map[string]any {
	var sent map[string]any
	if json.NewDecoder(a.Body).Decode(&sent) != nil {
		return nil
	}
	return sent
}

// Page returns which part of n things a request asks for, most at most, and the number of the page after it, 0 for none.
func (a *Asked) Page(n, most int) (from, to, next int) {
	q := a.URL.Query()
	page, _ := strconv.Atoi(q.Get("page"))
	size, _ := strconv.Atoi(cmp.Or(q.Get("per_page"), q.Get("limit")))
	page, size = max(page, 1), min(cmp.Or(size, 30), most)
	from = min((page-1)*size, n)
	to = min(from+size, n)
	if to < n {
		next = page + 1
	}
	return from, to, next
}

// Now returns the time by the host's clock.
func (a *Asked) Now() time.Time { return a.api.now() }
