// Command sentry watches Git branches and turns each change into a Tekton PipelineRun.
package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"syscall"

	"github.com/tekton-sentry/sentry/pkg/cli"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm"
)

func main() {
	if code, is := wasm.Child(); is {
		os.Exit(code)
	}
	signals := []os.Signal{os.Interrupt, syscall.SIGTERM}
	if !signal.Ignored(syscall.SIGHUP) { // as nohup makes it
		signals = append(signals, syscall.SIGHUP)
	}
	ctx, stop := signal.NotifyContext(context.Background(), signals...)
	// After the first signal the default action is back: a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	ctx, left := context.WithCancel(ctx)
	// A reader of the output that leaves, such as `head`, is like Ctrl-C. The default action of SIGPIPE would
	// end the process at once, and leave the steps of a local run behind. Ignoring it would be inherited by them.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{Program: os.Args[0], In: os.Stdin, Out: stream{os.Stdout, left}, Err: stream{os.Stderr, left}}))
}

// stream calls left when nobody reads it any more.
type stream struct {
	*os.File
	left func()
}

// Write implements io.Writer.
func (s stream) Write(b []byte) (int, error) {
	n, err := s.File.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		s.left()
	}
	return n, err
}
