package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"syscall"
	"testing"
	"time"
)

// keeper runs Sentry, kills it and starts it again.
type keeper struct {
	t      *testing.T
	proxy  *apiProxy
	random *rand.Rand
	args   []string
	kills  int
	made   map[string]int // kills and troubles, by kind
	log    cycleLog
}

// keep kills Sentry so many times, calls killed, and lets it work on until ctx ends.
func (k *keeper) keep(ctx context.Context, killed func()) {
	troubled, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	random := rand.New(rand.NewPCG(k.random.Uint64(), 3))
	counts := map[string]int{}
	go func() { defer close(ended); disturb(troubled, k.proxy, random, counts) }()
	for i := range k.kills {
		if !k.live(ctx) {
			break
		}
		if n := i + 1; n%25 == 0 {
			k.t.Logf("killed %d times of %d", n, k.kills)
		}
	}
	stop()
	<-ended
	for kind, n := range counts {
		k.made[kind] += n
	}
	k.proxy.unset()
	killed()
	if ctx.Err() == nil {
		k.work(ctx)
	}
}

// once has Sentry do one cycle, which must be a good one.
func (k *keeper) once() {
	k.t.Helper()
	run(k.t, "", env.sentry, append([]string{"watch", "--once"}, k.args...)...)
}

// work has Sentry work undisturbed until ctx ends.
func (k *keeper) work(ctx context.Context) {
	watch, exited := k.start()
	select {
	case err := <-exited:
		k.t.Errorf("sentry watch ended by itself: %v", err)
	case <-ctx.Done():
		_ = watch.Process.Signal(syscall.SIGTERM)
		if err := <-exited; err != nil {
			k.t.Errorf("sentry watch after SIGTERM: %v, want exit code 0", err)
		}
	}
}

// disturb has the API server get into trouble and out of it until ctx ends.
func disturb(ctx context.Context, p *apiProxy, random *rand.Rand, counts map[string]int) {
	pause := func(least, most time.Duration) {
		select {
		case <-time.After(least + time.Duration(random.Int64N(int64(most-least)))):
		case <-ctx.Done():
		}
	}
	for ctx.Err() == nil {
		pause(time.Second, 6*time.Second)
		what := troubles[random.IntN(len(troubles))]
		p.begin(what)
		counts[string(what)]++
		pause(200*time.Millisecond, 3*time.Second)
		p.recover()
	}
}

// live starts Sentry and kills it: a third of the times at a random moment, else as soon as one of its writes
// is on its way to the API server, or done and not answered. It returns false when Sentry ended by itself,
// or ctx.
func (k *keeper) live(ctx context.Context) bool {
	var moment <-chan struct{}
	limit := 5 * time.Second
	var kind string
	switch k.random.IntN(3) {
	case 0:
		moment, kind = k.proxy.set(k.random.IntN(3), false), "killed before a write"
	case 1:
		moment, kind = k.proxy.set(k.random.IntN(3), true), "killed after a write"
	default:
		k.proxy.unset()
		limit, kind = time.Duration(k.random.Int64N(int64(3*time.Second))), "killed at random"
	}
	watch, exited := k.start()
	select {
	case <-moment:
	case <-time.After(limit):
		if moment != nil {
			kind = "killed while idle"
		}
	case <-ctx.Done():
	case err := <-exited:
		k.t.Errorf("sentry watch ended by itself: %v", err)
		return false
	}
	_ = watch.Process.Kill()
	<-exited
	k.made[kind]++
	return ctx.Err() == nil
}

func (k *keeper) start() (*exec.Cmd, <-chan error) {
	watch := exec.Command(env.sentry, append([]string{"watch", "--interval", "1s"}, k.args...)...)
	watch.Stderr = &k.log
	exited := make(chan error, 1)
	if err := watch.Start(); err != nil {
		exited <- err
		return watch, exited
	}
	go func() { exited <- watch.Wait() }()
	return watch, exited
}

// cycleLog reads Sentry's log for the cycles that were good in everything. One process writes at a time.
type cycleLog struct {
	all    bytes.Buffer
	rest   []byte
	last   *span // good unless the next line says that the cycle failed
	cycles []span
}

// Write implements io.Writer.
func (l *cycleLog) Write(text []byte) (int, error) {
	l.all.Write(text)
	l.rest = append(l.rest, text...)
	for {
		line, rest, ok := bytes.Cut(l.rest, []byte("\n"))
		if !ok {
			return len(text), nil
		}
		l.rest = rest
		var entry struct {
			Time              time.Time
			Level, Msg        string
			Duration          string
			Failing, Problems int
		}
		if json.Unmarshal(line, &entry) != nil {
			continue // cut by a kill
		}
		if l.last != nil && entry.Level != "ERROR" {
			l.cycles = append(l.cycles, *l.last)
		}
		l.last = nil
		if entry.Msg == "cycle done" && entry.Failing+entry.Problems == 0 {
			duration, err := time.ParseDuration(entry.Duration)
			if err != nil {
				return 0, fmt.Errorf("a cycle's duration: %w", err)
			}
			l.last = &span{from: entry.Time.Add(-duration), to: entry.Time}
		}
	}
}

// keep writes the log to a file that stays, and returns its path.
func (l *cycleLog) keep() string {
	file, err := os.CreateTemp("", "sentry-soak-*.log")
	if err != nil {
		return err.Error()
	}
	defer func() { _ = file.Close() }()
	_, _ = file.Write(l.all.Bytes())
	return file.Name()
}
