//go:build linux || darwin

package wasm

import (
	"syscall"
	"time"
)

// cpu returns how long processors worked for this process.
func cpu() time.Duration {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// limit has the kernel end this process when it wants more memory than that, in bytes, or works some seconds longer than it may. Only Linux
// counts all memory of Go's runtime.
func limit(data uint64, work time.Duration) error {
	if err := syscall.Setrlimit(syscall.RLIMIT_DATA, &syscall.Rlimit{Cur: data, Max: data}); err != nil {
		return err
	}
	seconds := uint64(work/time.Second) + 2
	return syscall.Setrlimit(syscall.RLIMIT_CPU, &syscall.Rlimit{Cur: seconds, Max: seconds})
}
