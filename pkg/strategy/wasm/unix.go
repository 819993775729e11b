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

// nonblock has nobody wait for the other end of what is opened, such as a pipe.
const nonblock = syscall.O_NONBLOCK

// apart keeps what a terminal sends from a child: who started it ends it.
func apart() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// limit has the kernel end this process when it wants more memory than that, in bytes, or works some seconds longer than it may, and keep
// nothing of it on a disk. Only Linux counts all memory of Go's runtime.
func limit(data uint64, work time.Duration) error {
	seconds := uint64(work/time.Second) + 2
	for resource, most := range map[int]uint64{syscall.RLIMIT_CORE: 0, syscall.RLIMIT_DATA: data, syscall.RLIMIT_CPU: seconds} {
		var now syscall.Rlimit
		if err := syscall.Getrlimit(resource, &now); err != nil {
			return err
		}
		most = min(most, now.Max) // what is bounded already stays so
		if err := syscall.Setrlimit(resource, &syscall.Rlimit{Cur: most, Max: most}); err != nil {
			return err
		}
	}
	return nil
}
