//go:build windows

package sandbox

import (
	"errors"
	"os"
	"syscall"
)

// Supported returns why nothing can run here. The functions below are there to be compiled.
func Supported() error {
	return errors.New("deployments need a Unix shell and process groups, which Windows lacks: use WSL for --local, or a cluster")
}

func ownGroup() *syscall.SysProcAttr { return nil }

func signalGroup(int, syscall.Signal) {}

// ours takes nothing for this user's: what is not known is left alone.
func ours(string) (os.FileInfo, bool) { return nil, false }
