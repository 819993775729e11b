// Package stopping has what is done go on for a while after the signal to end.
package stopping

import (
	"context"
	"time"
)

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
