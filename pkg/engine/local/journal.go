package local

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/engine"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// journal is a directory with a file for each run, so that an engine's runs outlive it as those of a cluster
// do. The file is on the disk before the run starts. How the run went is in the file's name, since that can be
// changed when the disk is full.
type journal struct{ dir string } // "" for none

// The endings of the files' names.
const (
	underWay  = ".running"
	succeeded = ".succeeded"
	failed    = ".failed"
)

// entry is what a file holds.
type entry struct {
	Unit    string       `json:"unit"`
	Trigger plan.Trigger `json:"trigger"`
}

// keeps reports whether the journal has a place for the run: one that was asked for by hand is nobody's to
// take up again.
func (j journal) keeps(r *run) bool { return j.dir != "" && r.trigger.Manual == "" }

// begin notes a run that is about to start.
func (j journal) begin(r *run) (err error) {
	if !j.keeps(r) {
		return nil
	}
	text, err := json.Marshal(entry{r.unit, r.trigger})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(j.dir, 0o700); err != nil {
		return err
	}
	path := filepath.Join(j.dir, r.schedule.run+underWay)
	f, err := os.OpenFile(path, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			_ = os.Remove(path) // the error that led here is the one to tell
		}
	}()
	_, err = f.Write(text)
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close(), j.sync())
}

// end notes how a run ended. One that the journal does not keep is no error.
func (j journal) end(name string, good bool) error {
	if j.dir == "" {
		return nil
	}
	how := failed
	if good {
		how = succeeded
	}
	path := filepath.Join(j.dir, name)
	if err := os.Rename(path+underWay, path+how); err != nil {
		return ignoreMissing(err)
	}
	return j.sync()
}

// drop forgets a run.
func (j journal) drop(name string) error {
	if j.dir == "" {
		return nil
	}
	var errs []error
	for _, how := range []string{underWay, succeeded, failed} {
		errs = append(errs, ignoreMissing(os.Remove(filepath.Join(j.dir, name+how))))
	}
	return errors.Join(errs...)
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// sync makes the names in the directory last through a power failure.
func (j journal) sync() error {
	d, err := os.Open(j.dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// read returns the runs that have ended, and those that have not, each oldest first.
func (j journal) read() (ended []*run, cutOff []plan.Existing, err error) {
	if j.dir == "" {
		return nil, nil, nil
	}
	files, err := os.ReadDir(j.dir)
	if err != nil {
		return nil, nil, ignoreMissing(err)
	}
	for _, f := range files {
		how := filepath.Ext(f.Name())
		if how != underWay && how != succeeded && how != failed {
			continue
		}
		path := filepath.Join(j.dir, f.Name())
		name := strings.TrimSuffix(f.Name(), how)
		text, err := os.ReadFile(path)
		if err != nil {
			return nil, nil, err
		}
		var e entry
		switch err := json.Unmarshal(text, &e); {
		case err != nil && how == underWay: // Sentry ended while it wrote this, before the run started
			if err := os.Remove(path); err != nil {
				return nil, nil, err
			}
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w: delete it if its commit is deployed", path, err)
		case how == underWay:
			cutOff = append(cutOff, plan.Existing{Name: name, Unit: e.Unit, Trigger: e.Trigger})
		default:
			ended = append(ended, pastRun(name, e, how == succeeded))
		}
	}
	slices.SortStableFunc(ended, func(a, b *run) int { return a.trigger.Seen.Compare(b.trigger.Seen) })
	slices.SortStableFunc(cutOff, func(a, b plan.Existing) int {
		return cmp.Or(a.Trigger.Seen.Compare(b.Trigger.Seen), cmp.Compare(a.Name, b.Name))
	})
	return ended, cutOff, nil
}

// pastRun is a run of an engine before this one, which has ended.
func pastRun(name string, e entry, good bool) *run {
	return &run{
		unit: e.Unit, trigger: e.Trigger, schedule: &schedule{run: name},
		cancel: make(chan struct{}, 1), changed: make(chan struct{}),
		outcome: engine.Outcome{Name: name, Done: true, Succeeded: good},
	}
}
