package gitproto

import (
	"bytes"
	"cmp"
	"context"
	"encoding/hex"
	"errors"
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
	// perFolder is what an open folder takes beside its path, in bytes.
	perFolder = 3*16 + 2*64
)

// Diff implements githost.Commits. The two root folders are compared, then those in them that differ, and so on: a request for
// each level, of the folders on the way to what changed. So it takes as much as changed, however large the repository is.
func (h *host) Diff(ctx context.Context, repoURL string, before, after repo.SHA, differs func(path string) bool) error {
	return h.fetching(ctx, repoURL, func(ctx context.Context, r route) error {
		fetch, ctx := h.newFetch(ctx, r, before)
		d := &diff{fetch: fetch, differs: differs}
		defer func() { d.leave() }()
		d.deep = true
		if err := d.get(ctx, "tree:1", []repo.SHA{before, after}); err != nil {
			return ended(ctx, err)
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
		if errors.Is(err, errEnough) {
			return nil
		}
		return ended(ctx, err)
	})
}

// errEnough ends a comparison of which no more is wanted.
var errEnough = errors.New("enough is known")

// diff is a comparison at work.
type diff struct {
	*fetch
	differs func(path string) bool
	open    []folder // that have yet to be compared
	size    int      // of paths, in bytes
	// folders and paths count those that differ.
	folders, paths int
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
	return d.kept(len(path) + perFolder)
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
			return context.Cause(ctx)
		}
		if err := d.folder(f); err != nil {
			return err
		}
	}
	return nil
}

// folder compares what is in the two trees of a folder, side by side: entries stand in one order in all trees, and what is the same in
// both takes no memory.
func (d *diff) folder(f folder) error {
	before, after := d.entries(f.before), d.entries(f.after)
	for before.More || after.More {
		var from, to pack.Entry
		order := before.Compare(after)
		if order <= 0 {
			from = before.Entry
			before.Step()
		}
		if order >= 0 {
			to = after.Entry
			after.Step()
		}
		if from.Mode == to.Mode && bytes.Equal(from.ID, to.ID) {
			continue
		}
		name := from.Name
		if name == nil {
			name = to.Name
		}
		if err := d.entry(f.path+string(name), from, to); err != nil {
			return err
		}
	}
	if before.Err != nil || after.Err != nil {
		return notGit("%s of the trees %s and %s: %v", cmp.Or(f.path, "the root"), f.before.Short(), f.after.Short(), cmp.Or(before.Err, after.Err))
	}
	return nil
}

// entries returns the way through a folder.
func (d *diff) entries(tree repo.SHA) *pack.Walk {
	if tree == "" || slices.Contains(empty, tree) {
		return new(pack.Walk)
	}
	return d.objects[tree].Walk(d.wide)
}

// entry compares what is at a path. What is not there is the zero Entry.
func (d *diff) entry(path string, before, after pack.Entry) error {
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
		return repo.SHA(hex.EncodeToString(e.ID))
	}
	return ""
}

// add tells of a path that differs. That of a submodule has a slash at its end, as it is a folder to who has it cloned.
func (d *diff) add(path string, mode int) error {
	if mode == pack.ModeCommit {
		path += "/"
	}
	d.size += len(path)
	d.paths++
	if d.paths > maxPaths || d.size > maxPathBytes {
		return githost.NewError(githost.TooLarge, d.name, "more than %d files differ", d.paths-1)
	}
	if !d.differs(path) {
		return errEnough
	}
	return nil
}

// kept counts what is kept beside the trees.
func (d *diff) kept(bytes int) error {
	err := d.limits.Take(bytes)
	if errors.Is(err, pack.ErrTooLarge) {
		return githost.NewError(githost.TooLarge, d.name, "%w", err)
	}
	return err
}
