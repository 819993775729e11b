package watch

import (
	"context"
	"time"

	"github.com/tekton-sentry/sentry/pkg/watch/stopping"
)

// shutdownGrace is how long the call in hand may go on after the cycle's context ended, and after that what remembers the
// cycle. Both together are less than the 30 s that Kubernetes gives a pod by default.
const shutdownGrace = 10 * time.Second

// outlasting returns a context that ends shutdownGrace after ctx: a call that is cut short leaves it open whether it was done.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return stopping.Outlasting(ctx, shutdownGrace)
}
