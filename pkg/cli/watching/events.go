package watching

import (
	"context"
	"fmt"
	"io"
	"time"

	"github.com/tekton-sentry/sentry/pkg/cli/setup"
	"github.com/tekton-sentry/sentry/pkg/event"
	"github.com/tekton-sentry/sentry/pkg/event/kubesink"
	"github.com/tekton-sentry/sentry/pkg/event/logsink"
	"github.com/tekton-sentry/sentry/pkg/instance"
	"github.com/tekton-sentry/sentry/pkg/notify"
	"github.com/tekton-sentry/sentry/pkg/traces/otlp"
	"github.com/tekton-sentry/sentry/pkg/watch/stopping"
)

// sinks are where the loop's events go, by the names that the log has for them. They run beside the loop, which
// replaces the configuration: none may look at w.
func (w *watching) sinks() map[string]event.Sink {
	sinks := map[string]event.Sink{
		"log":         logsink.New(w.log),
		"webhook_url": notify.Sink(w.log, w.network.Connections()),
	}
	w.traces = otlp.New(w.cfg, otlp.Options{
		Log: w.log, Transport: w.network.Connections(), Version: w.Version, Replica: w.flags.replica, Hide: w.Hider.Hide,
	})
	sinks["traces"] = w.traces.Take
	if w.machine == nil { // on this machine a run's output is here anyway
		sinks["output"] = printCommands(w.Out, w.cfg.Global.RunsIn())
	}
	if w.cluster != nil {
		sinks["kubernetes"] = kubesink.Sink(w.api, instance.Instance{Name: w.cfg.Global.Instance}, w.log)
	}
	if w.board != nil && w.machine != nil {
		sinks["progress"] = w.show
	}
	if w.hooks != nil {
		sinks["webhooks"] = w.hooks.Sink
	}
	if w.metrics != nil {
		sinks["metrics"] = w.metrics.Sink
	}
	return sinks
}

// printCommands returns the sink that prints how to follow each run that was created in the namespace.
func printCommands(out io.Writer, namespace string) event.Sink {
	return func(_ context.Context, events []event.Event) {
		for _, e := range events {
			if created, ok := e.(event.RunCreated); ok {
				fmt.Fprintln(out, setup.LogsOf(created.Run, namespace))
			}
		}
	}
}

// endGrace is how long Sentry takes at most to end after the signal: less than the 30 s that
// Kubernetes gives a pod by default. The loop needs up to 20 s of it, and what is told the rest.
const endGrace = 25 * time.Second

// tellTheRest returns what ends the bus: it has ten seconds, but not beyond endGrace after the signal.
func (w *watching) tellTheRest(signal context.Context, bus *event.Bus) func() {
	ending, cancel := stopping.Outlasting(signal, endGrace)
	return func() {
		defer cancel()
		ctx, done := context.WithTimeout(ending, 10*time.Second)
		defer done()
		bus.Close(ctx)
		if !w.flags.once {
			w.log.Info("stopped")
		}
	}
}
