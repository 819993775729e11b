// Package filelock locks files between the processes of one machine. A lock ends with its process, however
// that ends. Windows has none of it: there nothing runs that needs a lock.
package filelock

import (
	"fmt"
	"os"
)

// Lock is a file that this process has locked.
type Lock struct{ f *os.File }

// HeldError says that another process has the lock.
type HeldError struct {
	Path string
	PID  int // 0 when it is not known
}

// Error implements error.
func (e *HeldError) Error() string {
	if e.PID == 0 {
		return e.Path + " is held by another process"
	}
	return fmt.Sprintf("%s is held by process %d", e.Path, e.PID)
}

// Unlock gives the lock back.
func (l *Lock) Unlock() {
	_ = l.f.Truncate(0) // the next holder may not be a Sentry, and not write its own
	_ = l.f.Close()
}
