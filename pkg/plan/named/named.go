// Package named says what the names mean by which people ask for runs: those of repositories, groups, units and branches. It is
// pure.
package named

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/plan/naming"
	"github.com/tekton-sentry/sentry/pkg/repo"
	"github.com/tekton-sentry/sentry/pkg/spelling"
)

// Asked reports whether names, of which none means everything, ask for the repository, and returns the branches that
// they name, as units or REPOSITORY@BRANCH: these need not match what is watched.
func Asked(r *config.Repository, names []string) (branches []string, ok bool) {
	ok = len(names) == 0
	for _, name := range names {
		ok = ok || name == r.Name || name == r.Group || mayBeBranch(r, name)
		for _, start := range []string{r.Name + ".", r.Name + "@"} {
			if branch, plain := strings.CutPrefix(name, start); plain && Is(r, branch, name) {
				branches = append(branches, branch)
			}
		}
	}
	return branches, ok
}

// mayBeBranch reports whether name is that of a branch of r, as far as that can be told without the branches.
func mayBeBranch(r *config.Repository, name string) bool {
	if branch, ok := strings.CutPrefix(name, r.Name+"@"); ok {
		return repo.CheckBranch(branch) == nil
	}
	return r.Group == "" && (strings.HasPrefix(name, r.Name+".") || strings.HasPrefix(name, naming.LabelStart(r.Name)))
}

// Is reports whether name is that of this branch of r.
func Is(r *config.Repository, branch, name string) bool {
	return branch != "" && (name == r.Name+"@"+branch || r.Group == "" && naming.UnitOf(r, branch).Label == name)
}

// Choice is a repository that was asked for by hand.
type Choice struct {
	Repository int    // its index
	Branch     string // the name of the one that was named; "" = the repository or its group was
}

// Check returns an error that lists the names which are nothing's, as far as that can be told without the branches.
func Check(c *config.Config, names []string) error {
	_, err := Choose(c, names)
	return err
}

// Choose returns what names mean, in the order of the file.
func Choose(c *config.Config, names []string) ([]Choice, error) {
	known := make(map[string][]int)
	for i, r := range c.Repositories {
		if r.Group != "" {
			known[r.Group] = append(known[r.Group], i)
		}
	}
	for i, r := range c.Repositories {
		known[r.Name] = []int{i}
	}
	var chosen []Choice
	var unknown []string
	for _, name := range names {
		if indices, ok := known[name]; ok {
			for _, i := range indices {
				chosen = append(chosen, Choice{Repository: i})
			}
			continue
		}
		i := slices.IndexFunc(c.Repositories, func(r config.Repository) bool { return mayBeBranch(&r, name) })
		if i >= 0 {
			chosen = append(chosen, Choice{i, name})
			continue
		}
		unknown = append(unknown, fmt.Sprintf("%.80q%s", name, hint(c, name, slices.Sorted(maps.Keys(known)))))
	}
	if len(unknown) > 0 {
		slices.Sort(unknown)
		return nil, fmt.Errorf("no repository, group or unit is named %s", strings.Join(slices.Compact(unknown), ", "))
	}
	if len(names) == 0 {
		for i := range c.Repositories {
			// Of requests none is the first.
			if _, requests := c.Repositories[i].Monitor.Branches.Requests(); !requests {
				chosen = append(chosen, Choice{Repository: i})
			}
		}
	}
	slices.SortFunc(chosen, func(a, b Choice) int {
		return cmp.Or(cmp.Compare(a.Repository, b.Repository), cmp.Compare(a.Branch, b.Branch))
	})
	return slices.Compact(chosen), nil
}

// hint says which of the known names was probably meant.
func hint(c *config.Config, name string, known []string) string {
	if before, branch, dotted := strings.Cut(name, "."); dotted {
		if r, ok := c.Lookup(before); ok && r.Group != "" {
			return fmt.Sprintf(" (did you mean %q, or \"%s@%.80s\"?)", r.Group, r.Name, branch)
		}
	}
	if near := spelling.Nearest(name, known); near != "" {
		return fmt.Sprintf(" (did you mean %q?)", near)
	}
	if near := spelling.Nearby(name, known); len(near) > 0 {
		return fmt.Sprintf(" (there is %s)", strings.Join(near, ", "))
	}
	return ""
}
