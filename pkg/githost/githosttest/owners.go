package githosttest

import (
	"cmp"
	"net/http"
	"slices"
	"strings"
	"time"
)

// Owner is an organisation, a group or a user.
type Owner struct {
	ID   int
	User bool
}

// AddOwner makes an owner, which is there without a repository then. The owner of a repository is there without it, as no user.
func (a *API) AddOwner(path string, user bool) {
	a.Set(func() {
		a.lastID++
		a.owners[strings.ToLower(path)] = Owner{a.lastID, user}
	})
}

// SetTopics sets the topics of a repository.
func (a *API) SetTopics(path string, topics ...string) {
	a.Change(path, func(r *Repository) { r.Topics, r.Labelled = topics, a.now() })
}

// SetFile pushes a file to the default branch, or takes it away there with an empty text.
func (a *API) SetFile(path, file, text string) {
	a.Change(path, func(r *Repository) {
		if r.Files == nil {
			r.Files = make(map[string]string)
		}
		if r.Files[file] = text; text == "" {
			delete(r.Files, file)
		}
		if r.Branches["main"] == "" {
			r.Branches["main"] = strings.Repeat("f", 40)
		}
		r.Pushed = a.now().Truncate(time.Second)
	})
}

// Archive archives a repository, or puts it back to use.
func (a *API) Archive(path string, archived bool) {
	a.Set(func() { a.repos[path].Archived, a.repos[path].Updated = archived, a.now() })
}

// SetFork makes a repository a fork of another one.
func (a *API) SetFork(path string) { a.Change(path, func(r *Repository) { r.Fork = true }) }

// Hide has a repository hidden from every credential, as from one whose rights were narrowed.
func (a *API) Hide(path string, hidden bool) { a.Set(func() { a.repos[path].hidden = hidden }) }

// Owner returns an owner, in whatever case its name is written, and whether there is one.
func (a *Asked) Owner(path string) (Owner, bool) {
	key := strings.ToLower(path)
	if o, ok := a.api.owners[key]; ok {
		return o, true
	}
	for of := range a.Repos {
		if strings.HasPrefix(strings.ToLower(of), key+"/") {
			a.api.lastID++
			a.api.owners[key] = Owner{ID: a.api.lastID}
			return a.api.owners[key], true
		}
	}
	return Owner{}, false
}

// Owned returns the repositories of an owner, and of the groups in it, that a request may see: the oldest first.
func (a *Asked) Owned(path string) (all []*Repository) {
	prefix := strings.ToLower(path) + "/"
	for of, r := range a.Repos {
		if strings.HasPrefix(strings.ToLower(of), prefix) && a.Sees(r) && !r.denied {
			all = append(all, r)
		}
	}
	slices.SortFunc(all, func(x, y *Repository) int { return cmp.Compare(x.ID, y.ID) })
	return all
}

// NewestFirst sorts repositories by a time, those without one last.
func NewestFirst(all []*Repository, at func(*Repository) time.Time) {
	slices.SortStableFunc(all, func(x, y *Repository) int { return at(y).Compare(at(x)) })
}

// Here returns the repositories of an owner as Owned does for who has the token. It is called within Set.
func (a *API) Here(path string) []*Repository {
	return (&Asked{Repos: a.repos, api: a, Request: &http.Request{Header: http.Header{"Private-Token": {a.token}}}}).Owned(path)
}
