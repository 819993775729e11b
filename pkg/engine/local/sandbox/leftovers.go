package sandbox

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tekton-sentry/sentry/pkg/filelock"
)

// RemoveLeftovers ends what the tasks of engines whose process was killed still run, and removes their
// directories, which are those in parent that are this user's, hold a lock file, and have nobody who locks it.
// A step's process is known by its environment, which only Linux shows: elsewhere none is ended. Neither is one
// that has made itself a session or an environment of its own.
func RemoveLeftovers(ctx context.Context, parent string, grace time.Duration, log *slog.Logger) error {
	dirs, err := filepath.Glob(filepath.Join(globQuote(parent), sandboxPrefix+"*"))
	if err != nil {
		return err
	}
	var dead []string
	for _, dir := range dirs {
		lock, ok := abandoned(dir)
		if !ok {
			continue
		}
		defer lock.Unlock() // held until all is done: another engine that starts leaves it alone
		dead = append(dead, dir)
	}
	if len(dead) == 0 {
		return nil
	}
	ended, err := endStrays(ctx, dead, grace)
	if ended > 0 {
		log.Info("ended what the steps of a Sentry that was killed still ran", "processes", ended)
	}
	if err != nil {
		return err
	}
	var errs []error
	for _, dir := range dead {
		if err := removeSandbox(dir); err != nil {
			errs = append(errs, err)
			continue
		}
		log.Info("removed what a Sentry that was killed left", "dir", dir)
	}
	return errors.Join(errs...)
}

// abandoned locks the sandbox of an engine that is gone. Anybody may put anything under such a name into a
// directory for temporary files.
func abandoned(dir string) (*filelock.Lock, bool) {
	file := filepath.Join(dir, lockFile)
	if info, ok := ours(dir); !ok || !info.IsDir() || info.Mode().Perm()&0o022 != 0 {
		return nil, false
	}
	if info, ok := ours(file); !ok || !info.Mode().IsRegular() {
		return nil, false
	}
	if strings.HasSuffix(os.Getenv(markVariable), ":"+filepath.Base(dir)) {
		return nil, false // this process is part of what it would end
	}
	lock, err := filelock.Try(file)
	return lock, err == nil
}

// globQuote returns a pattern that matches only path.
func globQuote(path string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(path)
}

const (
	strayLook  = 20 * time.Millisecond // between two looks at the processes
	strayLimit = 5 * time.Second       // what a process gets to be gone after SIGKILL
)

// endStrays sends the processes of the sandboxes' steps SIGTERM and, after the grace, SIGKILL. It returns how
// many there were, when none is left.
func endStrays(ctx context.Context, dirs []string, grace time.Duration) (int, error) {
	start := time.Now()
	told := map[int]bool{} // that have got SIGTERM
	for {
		found := strays(dirs)
		waited := time.Since(start)
		for _, p := range found {
			if waited >= grace {
				_ = p.Kill() // it may be gone
			} else if !told[p.Pid] {
				_ = p.Signal(syscall.SIGTERM)
			}
			told[p.Pid] = true
			_ = p.Release()
		}
		switch {
		case len(found) == 0:
			return len(told), nil
		case waited >= grace+strayLimit:
			return len(told), fmt.Errorf("%d processes of a Sentry that was killed do not end", len(found))
		}
		select {
		case <-time.After(strayLook):
		case <-ctx.Done():
			return len(told), ctx.Err()
		}
	}
}
