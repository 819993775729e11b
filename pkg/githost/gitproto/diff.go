package gitproto

import (
	"context"
	"maps"
	"slices"

	"github.com/tekton-sentry/sentry/pkg/githost"
	"github.com/tekton-sentry/sentry/pkg/githost/internal/pack"
	"github.com/tekton-sentry/sentry/pkg/repo"
)

const (
	// maxPaths and maxPathBytes bound what differs between two commits. Whoever changes more has changed everything.
	maxPaths     = 100_000
	maxPathBytes = 16 << 20
	// maxPath bounds a path in bytes, as Linux does.
	maxPath = 4096
)

// Diff implements githost.Commits. The two root folders are compared, then those in them that differ, and so on: a request for
// each level, of the folders on the way to what changed. So it takes as much as changed, however large the repository is.
func (h *host) Diff(ctx context.Context, repoURL string, before, after repo.SHA) (paths []string, err error) {
	err = h.fetching(ctx, repoURL, func(ctx context.Context, r route) error {
		d := &diff{fetch: h.newFetch(r, before)}
		d.deep = true
		if err := d.get(ctx, "tree:1", []repo.SHA{before, after}); err != nil {
			return err
		}
		_, from, err := d.objects[before].Message()
		if err != nil {
			return notGit("commit %s: %v", before.Short(), err)
		}
		_, to, err := d.objects[after].Message()
		if err != nil {
			return notGit("commit %s: %v", after.Short(), err)
		}
		for err = d.compare("", from, to); len(d.open) > 0 && err == nil; {
			err = d.level(ctx)
		}
		paths = d.paths
		return err
	})
	if err != nil {
		return nil, err
	}
	return paths, nil
}

// diff is a comparison at work.
type diff struct {
	*fetch
	open  []folder // that have yet to be compared
	paths []string
	size  int // of paths, in bytes
	// folders counts those that differ.
	folders int
}

// folder is a folder that differs. One of the two is "" where there is none.
type folder struct {
	path          string // with a slash at its end; "" for the root
	before, after repo.SHA
}

// compare opens a folder that differs. One tree may stand at a thousand paths, each of which has a thousand others: it is paths that are
// counted, and not trees.
func (d *diff) compare(path string, before, after repo.SHA) error {
	if before == after {
		return nil
	}
	d.folders++
	if d.size += len(path); d.folders > maxPaths || d.size > maxPathBytes {
		return githost.NewError(githost.TooLarge, d.name, "too many folders differ")
	}
	d.open = append(d.open, folder{path, before, after})
	return nil
}

// empty are the names of a folder without anything in it, which Git knows without an object.
var empty = []repo.SHA{"4b825dc642cb6eb9a060e54bf8d69288fbee4904", "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321"}

// level compares all that is open, by one request, and opens the folders in it that differ.
func (d *diff) level(ctx context.Context) error {
	var want []repo.SHA
	for _, f := range d.open {
		for _, tree := range []repo.SHA{f.before, f.after} {
			if tree != "" && !slices.Contains(empty, tree) {
				want = append(want, tree)
			}
		}
	}
	slices.Sort(want)
	if err := d.get(ctx, "tree:0", slices.Compact(want)); err != nil {
		return err
	}
	level := d.open
	d.open = nil
	for _, f := range level {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		before, err := d.entries(f.before)
		if err != nil {
			return err
		}
		after, err := d.entries(f.after)
		if err != nil {
			return err
		}
		names := maps.Clone(before)
		maps.Copy(names, after)
		for name := range names {
			if err := d.entry(f.path+name, before[name], after[name]); err != nil {
				return err
			}
		}
	}
	return nil
}

// entries returns what is in a folder, by name.
func (d *diff) entries(tree repo.SHA) (map[string]pack.Entry, error) {
	if tree == "" || slices.Contains(empty, tree) {
		return map[string]pack.Entry{}, nil
	}
	list, err := d.objects[tree].Entries(d.wide)
	if err != nil {
		return nil, notGit("tree %s: %v", tree.Short(), err)
	}
	entries := make(map[string]pack.Entry, len(list))
	for _, e := range list {
		if e.Mode&^0o777 == 0o100000 && e.Mode&0o100 != 0 { // as Git sees the modes that it wrote once
			e.Mode = 0o100755
		} else if e.Mode&^0o777 == 0o100000 {
			e.Mode = 0o100644
		}
		entries[e.Name] = e
	}
	return entries, nil
}

// entry compares what is at a path. What is not there is the zero Entry.
func (d *diff) entry(path string, before, after pack.Entry) error {
	if before.Mode == after.Mode && before.ID == after.ID {
		return nil
	}
	if len(path) > maxPath {
		return githost.NewError(githost.TooLarge, d.name, "a path has more than %d bytes", maxPath)
	}
	if err := d.compare(path+"/", folderOf(before), folderOf(after)); err != nil {
		return err
	}
	isFile := func(e pack.Entry) bool { return e.Mode != 0 && e.Mode != pack.ModeTree }
	if isFile(before) {
		if err := d.add(path, before.Mode); err != nil {
			return err
		}
	}
	if isFile(after) && (!isFile(before) || (before.Mode == pack.ModeCommit) != (after.Mode == pack.ModeCommit)) {
		return d.add(path, after.Mode)
	}
	return nil
}

// folderOf returns the name of a folder's tree, "" of anything else.
func folderOf(e pack.Entry) repo.SHA {
	if e.Mode == pack.ModeTree {
		return e.ID
	}
	return ""
}

// add adds a path that differs. That of a submodule has a slash at its end, as it is a folder to who has it cloned.
func (d *diff) add(path string, mode int) error {
	if mode == pack.ModeCommit {
		path += "/"
	}
	d.size += len(path)
	if len(d.paths) >= maxPaths || d.size > maxPathBytes {
		return githost.NewError(githost.TooLarge, d.name, "more than %d files differ", len(d.paths))
	}
	d.paths = append(d.paths, path)
	return nil
}
