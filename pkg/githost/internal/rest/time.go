package rest

import (
	"context"
	"time"
)

// HalfTime returns what says whether there is more than half left of the time that there is now: the other half is for the last page, where the
// server is slow.
func HalfTime(ctx context.Context) (more func() bool) {
	deadline, limited := ctx.Deadline()
	half := time.Until(deadline) / 2
	return func() bool { return !limited || time.Until(deadline) >= half }
}
