// Package sandbox is where the tasks of the local engine run: a directory for each, the processes of its steps, and
// what finds both again when the engine's own process was killed.
package sandbox

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/tekton-sentry/sentry/pkg/filelock"
)

const (
	sandboxPrefix = "sentry-"
	// lockFile is in every sandbox, and locked while its engine lives. Directories without it are not ours.
	lockFile = "sentry-task.lock"
	// markVariable tells, in a step's environment, which sandbox the process belongs to.
	markVariable = "SENTRY_LOCAL_TASK"
)

// mark is the variable by which a process is known as one of a sandbox's steps. A process that made itself a
// session of its own, as a daemon does, does not fit it any more.
func mark(dir string, session int) string {
	return fmt.Sprintf("%s=%d:%s", markVariable, session, filepath.Base(dir))
}

// Sandbox is where one task runs. The zero Sandbox is none.
type Sandbox struct {
	Dir     string
	Volumes map[string]string // the directories that stand in for the volumes, by name
	lock    *filelock.Lock
}

// New makes a sandbox with these volumes for a task of the run. It must be removed.
func New(parent, run string, volumes []string) (_ Sandbox, err error) {
	dir, err := os.MkdirTemp(parent, sandboxPrefix+run+"-*")
	if err != nil {
		return Sandbox{}, err
	}
	s := Sandbox{Dir: dir, Volumes: map[string]string{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.Remove())
		}
	}()
	// The name is there only with the lock: an engine that starts just now must not take this for a leftover.
	const unnamed = lockFile + ".new"
	if s.lock, err = filelock.Try(filepath.Join(dir, unnamed)); err != nil {
		return Sandbox{}, err
	}
	if err := os.Rename(filepath.Join(dir, unnamed), filepath.Join(dir, lockFile)); err != nil {
		return Sandbox{}, err
	}
	for _, name := range volumes {
		s.Volumes[name] = filepath.Join(dir, "volumes", name)
		if err := os.MkdirAll(s.Volumes[name], 0o700); err != nil {
			return Sandbox{}, err
		}
	}
	return s, nil
}

// Mark is the variable that the environment of the sandbox's processes must have, so that they are found again.
func (s Sandbox) Mark() string { return mark(s.Dir, session()) }

// Remove removes the sandbox with all that is in it.
func (s Sandbox) Remove() error {
	if s.lock != nil {
		defer s.lock.Unlock()
	}
	return removeSandbox(s.Dir)
}

// removeSandbox removes the directory. The lock file goes last: by it the rest is found when the process is
// killed before the end.
func removeSandbox(dir string) error {
	_ = os.Chmod(dir, 0o700) // ReadDir says what is in the way
	entries, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	for _, entry := range entries {
		if entry.Name() == lockFile {
			continue
		}
		if err := removeAll(filepath.Join(dir, entry.Name())); err != nil {
			return err
		}
	}
	return removeAll(dir)
}

// removeAll removes a file or a directory, also one that holds directories made read-only. A process that
// is just being killed may still write there, hence the tries.
func removeAll(dir string) error {
	var err error
	for range 100 {
		if err = os.RemoveAll(dir); err == nil {
			return nil
		}
		_ = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err == nil && d.IsDir() {
				_ = os.Chmod(path, 0o700) // RemoveAll says what is in the way
			}
			return nil
		})
		time.Sleep(10 * time.Millisecond) //nolint:forbidigo // nothing tells when the last process is gone
	}
	return err
}
