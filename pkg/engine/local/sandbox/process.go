package sandbox

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"
)

// What is read after a step's process ended: only a process that left the group, as a daemon does, still
// holds its output then. The kernel keeps up to 64 KiB in a pipe; a reader that is behind still gets that.
const (
	drainTime = 500 * time.Millisecond // how long it is waited for, once
	lookTime  = 10 * time.Millisecond  // and then, each time
	maxLate   = 128 << 10              // bytes
)

// Process is one step: an interpreter, in a process group of its own, whose output is passed on.
type Process struct {
	Args  []string // the interpreter's path first
	Env   []string
	Dir   string
	Grace time.Duration   // between SIGTERM and SIGKILL
	Print func(io.Reader) // reads the output to its end
}

// Run runs the process to its end, and returns its exit status as a container's: 128 + n for signal n.
// When ctx ends the group gets SIGTERM, and after the grace SIGKILL. Whatever the group still holds when
// the process ends is killed, as it would be with a container.
func (p Process) Run(ctx context.Context) (int, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return 0, fmt.Errorf("make a pipe for the output: %w", err)
	}
	cmd := &exec.Cmd{
		Path: p.Args[0], Args: p.Args, Env: p.Env, Dir: p.Dir, Stdout: w, Stderr: w,
		SysProcAttr: ownGroup(),
	}
	err = cmd.Start()
	w.Close()
	if err != nil {
		r.Close()
		return 0, err
	}
	printed := make(chan struct{})
	go func() {
		defer close(printed)
		p.Print(&pipe{File: r})
		r.Close()
	}()
	err = p.wait(ctx, cmd)
	// From here on only what is there already is printed: somebody outside of the group may hold the other end.
	if r.SetReadDeadline(time.Now()) != nil {
		r.Close()
	}
	<-printed
	return exitStatus(err)
}

// wait returns what cmd.Wait does, when the whole group has been killed.
func (p Process) wait(ctx context.Context, cmd *exec.Cmd) error {
	signal := func(s syscall.Signal) { signalGroup(cmd.Process.Pid, s) }
	defer signal(syscall.SIGKILL)
	waited := make(chan error, 1)
	go func() { waited <- cmd.Wait() }()
	select {
	case err := <-waited:
		return err
	case <-ctx.Done():
	}
	signal(syscall.SIGTERM)
	timer := time.NewTimer(p.Grace)
	defer timer.Stop()
	select {
	case err := <-waited:
		return err
	case <-timer.C:
	}
	signal(syscall.SIGKILL)
	return <-waited
}

func exitStatus(err error) (int, error) {
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return 0, err
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal()), nil
	}
	return exit.ExitCode(), nil
}

// pipe is the reading end of a step's output. After its deadline it gives what is there, and then ends.
type pipe struct {
	*os.File
	late bool // the deadline has passed
	left int  // bytes that it gives then
}

// Read returns io.EOF when the deadline has passed and nothing comes any more, or too much.
func (p *pipe) Read(b []byte) (int, error) {
	n, err := p.File.Read(b)
	if errors.Is(err, os.ErrDeadlineExceeded) {
		wait := lookTime
		if !p.late {
			p.late, p.left, wait = true, maxLate, drainTime
		}
		if err := p.SetReadDeadline(time.Now().Add(wait)); err != nil {
			return 0, err
		}
		n, err = p.File.Read(b)
	}
	if p.late {
		if p.left -= n; p.left < 0 {
			return 0, io.EOF
		}
	}
	return n, err
}
