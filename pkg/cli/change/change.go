// Package change tells what the change from one configuration to another one means: which keys say something else, and what
// follows for what is watched. It asks nobody.
package change

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/config/place"
	"github.com/tekton-sentry/sentry/pkg/oneline"
)

// maxShown bounds what is shown of a setting, in bytes.
const maxShown = 100

// Keys lists the keys that differ, each with what it said and says. What came or went as a whole is one line.
func Keys(before, after map[string]config.Setting) []string {
	return keys(before, after, func(key, old, now string, _ bool) string { return fmt.Sprintf("  %s: %s -> %s", key, old, now) })
}

// KeysInBrief is Keys for a log, which more people read than the file: what may hold a text of any kind, such as a command, is
// named and not shown.
func KeysInBrief(before, after map[string]config.Setting) []string {
	return keys(before, after, func(key, old, now string, long bool) string {
		if long {
			return key + ": changed"
		}
		return fmt.Sprintf("%s: %s -> %s", key, old, now)
	})
}

func keys(before, after map[string]config.Setting, changed func(key, old, now string, long bool) string) []string {
	was, is := owners(before), owners(after)
	lines := map[string]string{}
	for _, key := range slices.Concat(slices.Collect(maps.Keys(before)), slices.Collect(maps.Keys(after))) {
		o, old := before[key]
		n, now := after[key]
		switch owner := ownerOf(key); {
		case old && now && o.Same(n):
		case owner != "" && !was[owner]:
			lines[owner] = "+ " + owner
		case owner != "" && !is[owner]:
			lines[owner] = "- " + owner
		default:
			lines[key] = changed(key, shown(o, old), shown(n, now), o.Long || n.Long)
		}
	}
	sorted := make([]string, 0, len(lines))
	for _, key := range slices.Sorted(maps.Keys(lines)) {
		sorted = append(sorted, lines[key])
	}
	return sorted
}

// ownerOf returns the group or the repository that a key belongs to, such as repositories.rag; "" for other keys.
func ownerOf(key string) string {
	parts := strings.SplitN(key, ".", 3)
	if len(parts) < 3 || parts[0] != "groups" && parts[0] != "repositories" {
		return ""
	}
	return parts[0] + "." + parts[1]
}

func owners(settings map[string]config.Setting) map[string]bool {
	all := map[string]bool{}
	for key := range settings {
		all[ownerOf(key)] = true
	}
	return all
}

func shown(s config.Setting, given bool) string {
	if !given {
		return "(none)"
	}
	return oneline.Of(s.Text, maxShown)
}

// Meaning tells what the change means for what is watched.
func Meaning(before, after *config.Config) []string {
	var lines []string
	say := func(format string, args ...any) { lines = append(lines, fmt.Sprintf(format, args...)) }
	b, a := before.Global, after.Global
	if b.Namespace != a.Namespace || b.Instance != a.Instance {
		say("Sentry remembers nothing at the new place: every repository is seen for the first time.")
	}
	if b.RunsIn() != a.RunsIn() {
		say("Runs are created in the namespace %s; those in %s stay, and nobody waits for them or prunes them.",
			cmp.Or(a.RunsIn(), "that is current"), cmp.Or(b.RunsIn(), "that was current"))
	}
	was, is := byName(before), byName(after)
	newAt := map[string][]string{} // names by URL
	for i := range after.Repositories {
		r := &after.Repositories[i]
		old := was[r.Name]
		if old == nil {
			newAt[r.Monitor.URL] = append(newAt[r.Monitor.URL], r.Name)
			say("%s: is seen for the first time: %s.", r.Name, firstSight(a.OnFirstSeen))
			continue
		}
		lines = append(lines, changes(old, r)...)
		if was, now := before.GroupOf(old).Cluster, after.GroupOf(r).Cluster; was != now {
			say("%s: its runs are created in the cluster %s; those in %s stay, and nobody waits for them. What was acted upon is not deployed again there.",
				r.Name, cmp.Or(now, place.Home), cmp.Or(was, place.Home))
		}
	}
	for i := range before.Repositories {
		r := &before.Repositories[i]
		if is[r.Name] != nil {
			continue
		}
		say("%s: is forgotten; its PipelineRuns stay, and nobody prunes them.", r.Name)
		for _, name := range newAt[r.Monitor.URL] {
			say("%s: is another repository than %s to Sentry, though it has the same URL: what is remembered belongs to the name.", name, r.Name)
		}
	}
	return lines
}

func byName(cfg *config.Config) map[string]*config.Repository {
	all := make(map[string]*config.Repository, len(cfg.Repositories))
	for i := range cfg.Repositories {
		all[cfg.Repositories[i].Name] = &cfg.Repositories[i]
	}
	return all
}

func firstSight(o config.OnFirstSeen) string {
	if o == config.DeployFirst {
		return "its heads are deployed (on_first_seen)"
	}
	return "its heads are recorded, and nothing runs (on_first_seen)"
}

// changes tells what a repository's change means for what is watched of it.
func changes(old, now *config.Repository) []string {
	var lines []string
	if old.Monitor.URL != now.Monitor.URL {
		lines = append(lines, now.Name+": is read from another URL: heads that differ from those of before are deployed.")
	}
	entries := func(r *config.Repository) []string {
		var all []string
		for _, p := range r.Monitor.Branches {
			all = append(all, p.String())
		}
		return all
	}
	was, is := entries(old), entries(now)
	if added := without(is, was); len(added) > 0 {
		lines = append(lines, fmt.Sprintf("%s: branches that only %s matches are new ones, and each is deployed.", now.Name, Few(added)))
	}
	if gone := without(was, is); len(gone) > 0 {
		lines = append(lines, fmt.Sprintf("%s: branches that only %s matched are forgotten.", now.Name, Few(gone)))
	}
	switch {
	case old.Group == now.Group:
	case now.Group == "":
		lines = append(lines, now.Name+": runs by itself, one PipelineRun for each branch.")
	default:
		lines = append(lines, fmt.Sprintf("%s: runs with the group %s.", now.Name, now.Group))
	}
	return lines
}

// without returns the texts that are not among others.
func without(texts, others []string) []string {
	return slices.DeleteFunc(slices.Clone(texts), func(s string) bool { return slices.Contains(others, s) })
}

// Few names the first of many.
func Few(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%s and %d more", strings.Join(names[:most], ", "), more)
	}
	return strings.Join(names, ", ")
}
