//go:build unix

package sandbox

import (
	"os"
	"syscall"
)

// Supported returns why nothing can run here, or nil.
func Supported() error { return nil }

func ownGroup() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setpgid: true} }

// signalGroup tells all processes of the group of that ID, of which there may be none.
func signalGroup(id int, s syscall.Signal) { _ = syscall.Kill(-id, s) }

// ours returns what is at path itself, if it belongs to this user.
func ours(path string) (os.FileInfo, bool) {
	info, err := os.Lstat(path)
	if err != nil {
		return nil, false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return info, ok && int(stat.Uid) == os.Geteuid()
}
