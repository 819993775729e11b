package metrics

import (
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/state"
)

const (
	// maxUnits bounds the values of the label unit. What comes after is other.
	maxUnits = 1000
	// maxBranches bounds those of one repository, as whoever may push makes branches. What comes after is all of them together.
	maxBranches = 20
	other       = "other"
)

// units are the values of the label unit.
type units struct {
	owners   map[string]bool // of the configuration: groups by their labels, repositories by their names and "/"
	known    map[string]*unit
	branches map[string]int // of known, by the owner
}

// unit is one value.
type unit struct {
	label, owner string
	ref          repo.Ref  // of a unit that is one branch
	since        time.Time // when it became known
	ended        time.Time // the end of the last run that tells whether it fails
	failing      time.Time // the end of its first failure in a row; zero when it does not fail
}

// apply takes up the groups and repositories of cfg, and returns the labels that are no more.
func (u *units) apply(cfg *config.Config) (gone []string) {
	u.owners = map[string]bool{}
	for _, r := range cfg.Repositories {
		if r.Group != "" {
			u.owners[naming.GroupLabel(r.Group)] = true
		} else {
			u.owners[ofRepository(r.Name)] = true
		}
	}
	for label, k := range u.known {
		if !u.owners[k.owner] {
			gone = append(gone, u.forget(label)...)
		}
	}
	return gone
}

// ofRepository is the owner that a repository is. No group has such a label.
func ofRepository(name string) string { return name + "/" }

// follow forgets how units fare.
func (u *units) follow() {
	for _, k := range u.known {
		k.ended, k.failing = time.Time{}, time.Time{}
	}
}

// forget takes a label away, and returns it if it was known.
func (u *units) forget(label string) []string {
	k := u.known[label]
	if k == nil {
		return nil
	}
	delete(u.known, label)
	if u.branches[k.owner]--; u.branches[k.owner] == 0 {
		delete(u.branches, k.owner)
	}
	return []string{label}
}

// label returns the value for the unit of a run that was triggered by the branch, perhaps beside others.
func (u *units) label(label string, ref repo.Ref) string {
	if k := u.of(label, ref); k != nil {
		return k.label
	}
	owner, more := u.owner(label, ref.Repository), state.More(label)
	if owner == "" || more == "" || u.known[more] == nil && !u.room(more, owner, repo.Ref{}) {
		return other
	}
	return more
}

// of returns a unit, if it has a value of its own.
func (u *units) of(label string, ref repo.Ref) *unit {
	if k := u.known[label]; k != nil {
		return k
	}
	owner := u.owner(label, ref.Repository)
	if owner == "" || u.branches[owner] >= maxBranches || !u.room(label, owner, ref) {
		return nil
	}
	return u.known[label]
}

// room makes a label known, if there is room for it.
func (u *units) room(label, owner string, ref repo.Ref) bool {
	if len(u.known) >= maxUnits {
		return false
	}
	if u.known == nil {
		u.known, u.branches = map[string]*unit{}, map[string]int{}
	}
	u.known[label] = &unit{label: label, owner: owner, ref: ref, since: time.Now()}
	u.branches[owner]++
	return true
}

// owner returns what of the configuration a unit belongs to, "" for nothing.
func (u *units) owner(label, repository string) string {
	owner := label
	if naming.IsRefLabel(label) {
		owner = ofRepository(repository)
		if !strings.HasPrefix(label, naming.LabelStart(repository)) {
			return ""
		}
	}
	if !u.owners[owner] {
		return ""
	}
	return owner
}
