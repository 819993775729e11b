//go:build unix

package filelock

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// Try locks the file at path, which it makes where there is none, or returns a *HeldError at once. The file
// holds the holder's process ID, and stays after Unlock: removing it could let two processes lock two files
// of one name.
func Try(path string) (*Lock, error) {
	// Opening a named pipe must not wait, and what a link leads to must not be written.
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	for {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EINTR) {
			break
		}
	}
	switch {
	case err == nil:
		// The process ID is for people: where it cannot be written, the lock holds all the same.
		if f.Truncate(0) == nil {
			_, _ = fmt.Fprintln(f, os.Getpid())
		}
		return &Lock{f}, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		err = &HeldError{Path: path, PID: holder(f)}
	default:
		err = fmt.Errorf("lock %s: %w", path, err)
	}
	f.Close()
	return nil, err
}

// holder returns the process ID that the file holds, or 0 when there is none or no process of that ID.
func holder(r io.Reader) int {
	text, err := io.ReadAll(io.LimitReader(r, 20))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil || pid <= 0 || errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
		return 0
	}
	return pid
}
