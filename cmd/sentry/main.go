// Command sentry watches Git branches and turns each change into a Tekton PipelineRun.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/tekton-sentry/sentry/pkg/cli"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	// After the first signal the default action is back: a second one ends the process at once.
	context.AfterFunc(ctx, stop)
	os.Exit(cli.Main(ctx, os.Args[1:], cli.Streams{Out: os.Stdout, Err: os.Stderr}))
}
