//go:build !linux && !darwin

package wasm

import (
	"syscall"
	"time"
)

var started = time.Now()

// cpu returns for how long this process is there: what processors did for it is not known here.
func cpu() time.Duration { return time.Since(started) }

// nonblock is for files that there are not here.
const nonblock = 0

func apart() *syscall.SysProcAttr { return nil }

// limit bounds nothing, as nothing here would hold it.
func limit(uint64, time.Duration) error { return nil }
