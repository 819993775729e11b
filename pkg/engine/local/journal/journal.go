// Package journal keeps what an engine on this machine ran: a directory with a file for each run, so that its runs outlive
// it as those of a cluster do. The file is on the disk before the run starts. How the run went is in the file's name,
// since that can be changed when the disk is full.
package journal

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// Dir is the directory of a journal, which need not exist; "" for none.
type Dir string

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

// Begin notes a run that is about to start. One that was asked for by hand is nobody's to take up again, and is not noted.
func (d Dir) Begin(r plan.Existing) (err error) {
	if d == "" || r.Trigger.Manual != "" {
		return nil
	}
	text, err := json.Marshal(entry{r.Unit, r.Trigger})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		return err
	}
	path := d.path(r.Name + underWay)
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
	return errors.Join(err, f.Close(), d.sync())
}

// End notes how a run ended. One that was not noted is no error.
func (d Dir) End(name string, good bool) error {
	if d == "" {
		return nil
	}
	how := failed
	if good {
		how = succeeded
	}
	path := d.path(name)
	if err := os.Rename(path+underWay, path+how); err != nil {
		return ignoreMissing(err)
	}
	return d.sync()
}

// Drop forgets a run.
func (d Dir) Drop(name string) error {
	if d == "" {
		return nil
	}
	var errs []error
	for _, how := range []string{underWay, succeeded, failed} {
		errs = append(errs, ignoreMissing(os.Remove(d.path(name+how))))
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
func (d Dir) sync() error {
	dir, err := os.Open(string(d))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}

func (d Dir) path(name string) string { return filepath.Join(string(d), name) }

// Ended is a run that came to its end.
type Ended struct {
	plan.Existing
	Succeeded bool
}

// Read returns the runs that have ended, and those that have not, each oldest first. It is for who takes them up, and removes
// what was never written in full.
func (d Dir) Read() (ended []Ended, cutOff []plan.Existing, err error) { return d.read(os.Remove) }

// Look is Read for who only wants to know, while somebody else may write.
func (d Dir) Look() (ended []Ended, begun []plan.Existing, err error) {
	for range lookTries {
		ended, begun, err = d.read(func(string) error { return nil })
		if !errors.Is(err, fs.ErrNotExist) {
			break
		}
	}
	return ended, begun, err
}

// lookTries bounds how often Look begins again since a run ended meanwhile, and its file has another name.
const lookTries = 20

// read is Read, with what is done to a file that was not written in full.
func (d Dir) read(leftover func(path string) error) (ended []Ended, cutOff []plan.Existing, err error) {
	if d == "" {
		return nil, nil, nil
	}
	files, err := os.ReadDir(string(d))
	if err != nil {
		return nil, nil, ignoreMissing(err)
	}
	for _, f := range files {
		how := filepath.Ext(f.Name())
		if how != underWay && how != succeeded && how != failed {
			continue
		}
		path := d.path(f.Name())
		text, err := readFile(path)
		if err != nil {
			return nil, nil, err
		}
		var e entry
		err = json.Unmarshal(text, &e)
		run := plan.Existing{Name: strings.TrimSuffix(f.Name(), how), Unit: e.Unit, Trigger: e.Trigger}
		switch {
		case err != nil && how == underWay: // Sentry ended while it wrote this, before the run started
			if err := leftover(path); err != nil {
				return nil, nil, err
			}
		case err != nil:
			return nil, nil, fmt.Errorf("%s: %w: delete it if its commit is deployed", path, oneline.WrongJSON(err))
		case how == underWay:
			cutOff = append(cutOff, run)
		default:
			ended = append(ended, Ended{run, how == succeeded})
		}
	}
	slices.SortStableFunc(ended, func(a, b Ended) int { return a.Trigger.Seen.Compare(b.Trigger.Seen) })
	slices.SortStableFunc(cutOff, func(a, b plan.Existing) int {
		return cmp.Or(a.Trigger.Seen.Compare(b.Trigger.Seen), cmp.Compare(a.Name, b.Name))
	})
	return ended, cutOff, nil
}

// maxEntry bounds what is read of a file, in bytes. What a run changes takes a PipelineRun's annotation, which has at most 256 KiB.
const maxEntry = 4 << 20

func readFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxEntry))
}
