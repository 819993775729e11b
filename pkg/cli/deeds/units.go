package deeds

import (
	"fmt"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/named"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/spelling"
	"github.com/tekton-sentry/sentry/pkg/state"
)

// meant is what a name stands for.
type meant struct {
	label  string // of a unit, or state.AllOf a repository
	unseen bool   // it is a unit, and no branch is known that is it
}

// unitsOf returns what the names stand for, of which none means everything in the configuration, each once.
func unitsOf(cfg *config.Config, s state.Snapshot, names []string) (all []meant, err error) {
	add := func(u meant) {
		if !slices.Contains(all, u) {
			all = append(all, u)
		}
	}
	for _, r := range cfg.Repositories {
		switch {
		case len(names) > 0:
		case r.Group == "":
			add(meant{label: state.AllOf(r.Name)})
		default:
			add(meant{label: naming.GroupLabel(r.Group)})
		}
	}
	if err := named.Check(cfg, names); err != nil {
		return nil, err
	}
	for _, name := range names {
		u, err := unitOf(cfg, s, name)
		if err != nil {
			return nil, err
		}
		add(u)
	}
	return all, nil
}

// unitOf returns what a name stands for, which named.Check knows.
func unitOf(cfg *config.Config, s state.Snapshot, name string) (meant, error) {
	label, branch, err := LabelOf(cfg, name)
	if err != nil || !branch {
		return meant{label: label}, err
	}
	var near []string
	var patterns repo.Patterns
	for i := range cfg.Repositories {
		r := &cfg.Repositories[i]
		if r.Group != "" || !isOf(label, state.AllOf(r.Name)) {
			continue
		}
		for b := range s.Repositories[r.Name].Branches.All() {
			near = append(near, naming.UnitOf(r, b).Label)
		}
		if slices.Contains(near, label) {
			return meant{label: label}, nil
		}
		for _, p := range r.Monitor.Branches {
			b, exact := p.Exact()
			if exact {
				near = append(near, naming.UnitOf(r, b).Label)
			} else {
				b = branchOf(r.Name, name)
			}
			// A hash tells nothing of the branch that it stands for.
			hashed := !exact && b == "" && strings.Contains(label, "..")
			if hashed || b != "" && p.Match(b) && naming.UnitOf(r, b).Label == label {
				return meant{label, true}, nil
			}
		}
		patterns = append(patterns, r.Monitor.Branches...)
	}
	hint := ""
	if n := spelling.Nearest(label, near); n != "" {
		hint = fmt.Sprintf(" (did you mean %q?)", n)
	}
	return meant{}, fmt.Errorf("no branch is %.80q: none is known, and none that monitor.branches (%s) matches can be%s", name, patterns, hint)
}

// branchOf returns the branch that a name has in full, of a repository; "" where it has none.
func branchOf(repository, name string) string {
	for _, start := range []string{repository + "@", repository + "."} {
		if b, ok := strings.CutPrefix(name, start); ok && !strings.Contains(b, "..") {
			return b
		}
	}
	return ""
}

// LabelOf returns the label of what is called name: of a group, of the unit that a branch is, or state.AllOf a repository. A
// member of a group is no unit, and neither is its branch.
func LabelOf(cfg *config.Config, name string) (label string, isBranch bool, err error) {
	if r, ok := cfg.Lookup(name); ok && r.Group == "" {
		return state.AllOf(name), false, nil
	}
	if slices.ContainsFunc(cfg.Repositories, func(r config.Repository) bool { return r.Group == name }) {
		return naming.GroupLabel(name), false, nil
	}
	before, branch, _ := strings.Cut(name, "@")
	switch r, ok := cfg.Lookup(before); {
	case !ok:
		return name, true, nil
	case r.Group != "":
		return "", false, fmt.Errorf("%s runs as a part of the group %s, which is one unit: name that one", name, r.Group)
	default:
		return naming.UnitOf(r, branch).Label, true, nil
	}
}
