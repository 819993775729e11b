package imagine

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/pipelinerun"
	"github.com/tekton-sentry/sentry/pkg/plan"
)

// Check says why a cluster would refuse the runs, in their order. Tekton's part of that takes some milliseconds
// each, so they are spread over the processors.
func Check(ctx context.Context, cfg *config.Config, runs []plan.Run) error {
	errs := make([]error, len(runs))
	var next atomic.Int64
	var checking sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		checking.Go(func() {
			for i := int(next.Add(1)) - 1; i < len(runs) && ctx.Err() == nil; i = int(next.Add(1)) - 1 {
				pr, err := pipelinerun.Generate(cfg, runs[i])
				if err == nil {
					err = pipelinerun.Validate(ctx, pr)
				}
				if err != nil {
					errs[i] = fmt.Errorf("%s: %w", runs[i].Unit.Label, err)
				}
			}
		})
	}
	checking.Wait()
	return errors.Join(errs...)
}
