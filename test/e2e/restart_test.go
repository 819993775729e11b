package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// restartAPIServer kills the real API server, which is started again by whoever runs it, every now and then until the
// channel is closed, and at least once. It returns how often, when the last one is ready.
func (s *soak) restartAPIServer(until <-chan struct{}) int {
	random := rand.New(rand.NewPCG(s.seed, 4))
	for n := 1; ; n++ {
		if err := restartAPIServer(s.t.Context()); err != nil {
			s.t.Errorf("restart %d of the API server: %v", n, err)
			return n - 1
		}
		select {
		case <-time.After(20*time.Second + time.Duration(random.Int64N(int64(40*time.Second)))):
		case <-until:
			return n
		}
	}
}

func restartAPIServer(ctx context.Context) error {
	before, err := apiServerStarted(ctx)
	if err != nil {
		return err
	}
	if _, err := command(ctx, "", "sh", "-c", env.killAPIServer); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err = command(ctx, "", "kubectl", "get", "--raw", "/readyz"); err == nil {
			if now, err := apiServerStarted(ctx); err == nil && now != before {
				return nil
			}
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("it started %s before it was killed, and is not there again: %w", before, err)
		}
	}
}

// apiServerStarted returns the time that the API server says it started.
func apiServerStarted(ctx context.Context) (string, error) {
	metrics, err := command(ctx, "", "kubectl", "get", "--raw", "/metrics")
	if err != nil {
		return "", err
	}
	for line := range strings.Lines(metrics) {
		if started, ok := strings.CutPrefix(line, "process_start_time_seconds "); ok {
			return strings.TrimSpace(started), nil
		}
	}
	return "", fmt.Errorf("the API server's metrics do not say when it started")
}
