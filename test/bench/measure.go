package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
	"github.com/tekton-sentry/sentry/pkg/githost/transport"
)

// measurement is what one way of polling cost one process.
type measurement struct {
	Host     config.HostType
	N        int // repositories
	Way      string
	First    cost
	Idle     cost
	Changed  cost          // one repository in a hundred was pushed to
	Peak     int           // KiB, VmHWM: the most memory that was resident at any time of the process
	Duration time.Duration // all of it, with starting the server
}

// cost is that of one cycle.
type cost struct {
	Requests int
	Points   int           // of the host's limit, where it tells
	Bytes    int64         // read and written at the TCP connections: with HTTP's headers, without TLS
	CPU      time.Duration // user and system, of the polling process alone
	Wall     time.Duration
}

// add adds what another process paid for the same cycle at the same time.
func (c *cost) add(o cost) {
	c.Requests, c.Points, c.Bytes, c.CPU, c.Wall = c.Requests+o.Requests, c.Points+o.Points, c.Bytes+o.Bytes, c.CPU+o.CPU, max(c.Wall, o.Wall)
}

// way is a way to poll: it does cycles. Each returns how many repositories it found changed.
type way interface {
	cycle(ctx context.Context) (changed int, err error)
}

const (
	sentryWay   = "sentry"
	replicasWay = "sentry, several replicas"
	getWay      = "conditional GET a branch"
	advertWay   = "advertisement a repository"
	bitbucket   = config.HostType("bitbucket")
	parallelism = 16 // of the other ways: as many connections as transport.NewTransport makes
)

// ways returns how a host can be polled, ours first.
func ways(host config.HostType) []string {
	switch host {
	case config.Git:
		return []string{sentryWay, replicasWay, advertWay}
	case config.Gitea, bitbucket: // have no ETags
		return []string{sentryWay, replicasWay, advertWay}
	}
	return []string{sentryWay, replicasWay, getWay}
}

// measure does a first cycle, an idle one, and one in which a hundredth has changed, and checks that each
// finds just what has changed. They begin at equal distances, which by the host's clock are a minute.
func measure(ctx context.Context, s settings) (measurement, error) {
	m := measurement{Host: s.host, N: s.n, Way: s.role}
	var bytes atomic.Int64
	base := transport.NewTransport()
	dial := base.DialContext
	base.DialContext = func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := dial(ctx, network, address)
		return &countedConn{c, &bytes}, err
	}
	p, err := newWay(s, base)
	if err != nil {
		return m, err
	}
	owned, pushed := s.owned(), 0
	for i := 0; i < s.n; i += 100 { // as the server does
		if owned(name(i)) {
			pushed++
		}
	}
	type step struct {
		cost    *cost
		changed int
	}
	var began time.Time
	var distance time.Duration
	before := 0 // requests of the last cycle
	steps := []step{{&m.First, 0}, {&m.Idle, 0}, {&m.Changed, pushed}}
	for len(steps) > 0 {
		step := steps[0]
		if distance == 0 && !began.IsZero() {
			distance = time.Since(began)
		}
		if err := sleep(ctx, distance-time.Since(began)); err != nil {
			return m, err
		}
		began = time.Now()
		if _, err := control(ctx, s.url, "minute"); err != nil {
			return m, err
		}
		if step.cost == &m.Changed {
			if _, err := control(ctx, s.url, "change"); err != nil {
				return m, err
			}
		}
		if _, err := control(ctx, s.url, "take"); err != nil {
			return m, err
		}
		runtime.GC() // what the cycle before left behind is its own
		bytes.Store(0)
		cpu, start := cpuTime(), time.Now()
		changed, err := profiled(s, step.cost == &m.Idle, func() (int, error) { return p.cycle(ctx) })
		if err != nil {
			return m, err
		}
		*step.cost = cost{Bytes: bytes.Load(), CPU: cpuTime() - cpu, Wall: time.Since(start)}
		if changed != step.changed {
			return m, fmt.Errorf("%d repositories were found changed, want %d", changed, step.changed)
		}
		a, err := control(ctx, s.url, "take")
		if err != nil {
			return m, err
		}
		step.cost.Requests, step.cost.Points = a.Requests, a.Points
		if step.cost != &m.Idle || !warming(s, a.Requests, before) {
			steps = steps[1:]
		}
		before = a.Requests
	}
	m.Peak, err = peakMemory()
	return m, err
}

// warming reports whether an idle cycle is still one in which Sentry gets to know a list, and reads what it does not
// know yet: more than the fifteenth that has its turn in the sweep, and the list. How many such cycles there are depends on
// how fast the server is; each costs fewer requests than the one before.
func warming(s settings, requests, before int) bool {
	return (s.host == config.Gitea || s.host == bitbucket) && s.role == sentryWay && requests > s.n/max(1, s.replicas)/10+20 && requests < before
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(max(0, d))
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// profiled calls cycle and writes, where that was asked for, what it spent time on and what it allocated.
func profiled(s settings, idle bool, cycle func() (int, error)) (int, error) {
	if s.profile == "" || s.role != sentryWay || s.replicas > 1 || !idle {
		return cycle()
	}
	base := filepath.Join(s.profile, fmt.Sprintf("%s-%d", s.host, s.n))
	cpu, err := os.Create(base + ".cpu")
	if err != nil {
		return 0, err
	}
	defer cpu.Close()
	if err := pprof.StartCPUProfile(cpu); err != nil {
		return 0, err
	}
	changed, err := cycle()
	pprof.StopCPUProfile()
	if err != nil {
		return 0, err
	}
	allocs, err := os.Create(base + ".allocs")
	if err != nil {
		return 0, err
	}
	defer allocs.Close()
	return changed, pprof.Lookup("allocs").WriteTo(allocs, 0)
}

func newWay(s settings, transport http.RoundTripper) (way, error) {
	switch s.role {
	case sentryWay:
		return newSentry(s, transport)
	case getWay:
		return newGetter(s, transport), nil
	case advertWay:
		return newAdvertised(s, transport), nil
	}
	return nil, fmt.Errorf("-role %q", s.role)
}

// control asks the server for what is not part of the measurement.
func control(ctx context.Context, url, verb string) (a asked, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url+"/-/"+verb, nil)
	if err != nil {
		return a, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	if verb == "take" {
		err = json.NewDecoder(resp.Body).Decode(&a)
	}
	return a, err
}

// countedConn counts what goes through a connection, both ways.
type countedConn struct {
	net.Conn
	bytes *atomic.Int64
}

// Read implements net.Conn.
func (c *countedConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.bytes.Add(int64(n))
	return n, err
}

// Write implements net.Conn.
func (c *countedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	c.bytes.Add(int64(n))
	return n, err
}

// cpuTime is what this process has used of the processors since it started.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		panic(err) // it only fails for wrong arguments
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// peakMemory returns the largest resident size that this process had, in KiB.
func peakMemory() (int, error) {
	f, err := os.Open("/proc/self/status")
	if err != nil {
		return 0, err
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), "VmHWM:"); ok {
			return strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(value, "kB")))
		}
	}
	return 0, fmt.Errorf("/proc/self/status tells no VmHWM: %w", lines.Err())
}
