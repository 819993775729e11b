package watch

import (
	"context"
	"time"
)

// shutdownGrace is how long the call in hand may go on after the cycle's context ended, and after
// that what remembers the cycle. Both together are less than the 30 s that Kubernetes gives a pod
// by default.
const shutdownGrace = 10 * time.Second

// outlasting returns a context that ends shutdownGrace after ctx: a call that is cut short leaves
// it open whether it was done.
func outlasting(ctx context.Context) (context.Context, context.CancelFunc) {
	return Outlasting(ctx, shutdownGrace)
}

// Outlasting returns a context that ends so long after ctx, or after now where ctx has ended.
func Outlasting(ctx context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(grace)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}
