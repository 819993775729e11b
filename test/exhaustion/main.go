// Command exhaustion has one thing go wrong at a time, at each request that Sentry makes of an API server and of a Git host in each state of a unit,
// and fails unless all that was owed is there two cycles after it: each commit deployed once, told of, and in the history. The API server is a real one. Run it
// in the repository's root by `make exhaustion`.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// most is how many requests of one kind in one phase have faults: what comes more often is asked again and again.
const most = 2

func main() {
	cache, _ := os.UserCacheDir()
	programs := flag.String("programs", filepath.Join(cmp.Or(os.Getenv("SENTRY_CLUSTER_CACHE"), filepath.Join(cache, "sentry-cluster")), "bin"), "where the test cluster's programs are")
	program := flag.String("sentry", "bin/sentry", "the program to try")
	parallel := flag.Int("parallel", 16, "how many lives are lived at a time")
	every := flag.Int("every", 1, "live every nth case only")
	only := flag.String("only", "", "live the cases alone whose name this regular expression matches")
	verbose := flag.Bool("v", false, "print each case, and what Sentry printed in those that failed")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	x := &exhaustion{ctx: ctx, parallel: *parallel, every: max(1, *every), verbose: *verbose}
	var err error
	if x.only, err = regexp.Compile(*only); err == nil {
		err = x.run(*programs, *program)
	}
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "exhaustion:", err)
		os.Exit(1)
	}
}

type exhaustion struct {
	ctx      context.Context
	server   *server
	program  string
	dir      string
	parallel int
	every    int
	only     *regexp.Regexp
	verbose  bool
}

// one is one case.
type one struct {
	at point
	f  fault
	outcome
}

func (c *one) String() string { return fmt.Sprintf("%s, %s", c.at, c.f) }

func (x *exhaustion) run(programs, program string) (err error) {
	begun := time.Now()
	if x.program, err = filepath.Abs(program); err != nil {
		return err
	}
	if x.dir, err = os.MkdirTemp("", "exhaustion"); err != nil {
		return err
	}
	defer os.RemoveAll(x.dir)
	if x.server, err = startServer(x.ctx, x.dir, programs); err != nil {
		return err
	}
	defer x.server.close()
	points, err := x.points()
	if err != nil {
		return err
	}
	var cases []*one
	for _, p := range points {
		for _, f := range faults {
			if f == stale && !strings.HasPrefix(p.what, "GET") {
				continue // only an answer can be stale
			}
			c := &one{at: p, f: f}
			if x.only.MatchString(c.String()) {
				cases = append(cases, c)
			}
		}
	}
	all := len(cases)
	cases = every(cases, x.every)
	fmt.Printf("%d requests in %d phases; %d of %d cases\n", len(points), int(over), len(cases), all)
	x.live(cases)
	return x.tell(cases, time.Since(begun))
}

func every(cases []*one, n int) (some []*one) {
	for i := 0; i < len(cases); i += n {
		some = append(some, cases[i])
	}
	return some
}

// points returns the requests of lives without a fault.
func (x *exhaustion) points() (all []point, err error) {
	for i := range 2 {
		o := live(x.ctx, x.server, x.program, x.dir, fmt.Sprintf("reference-%d", i), point{}, none)
		if o.err != nil {
			return nil, fmt.Errorf("without any fault: %w\n%s", o.err, o.log)
		}
		for _, p := range o.points {
			if p.n <= most && p.phase < over && !slices.Contains(all, p) {
				all = append(all, p)
			}
		}
	}
	return all, nil
}

// live lives all cases, some at a time.
func (x *exhaustion) live(cases []*one) {
	waiting, done := make(chan *one), make(chan *one)
	var workers sync.WaitGroup
	for range x.parallel {
		workers.Go(func() {
			for c := range waiting {
				i := slices.Index(cases, c)
				c.outcome = live(x.ctx, x.server, x.program, x.dir, fmt.Sprintf("case-%d", i), c.at, c.f)
				done <- c
			}
		})
	}
	go func() {
		for _, c := range cases {
			waiting <- c
		}
		close(waiting)
		workers.Wait()
		close(done)
	}()
	n, failed := 0, 0
	for c := range done {
		n++
		if c.err != nil {
			failed++
		}
		switch {
		case c.err != nil:
			fmt.Printf("FAILED %s: %v\n", c, c.err)
			if x.verbose {
				fmt.Println(c.log)
			}
		case x.verbose:
			fmt.Printf("%s: reached %t, %.1f s, %d starts\n", c, c.reached, c.late.Seconds(), c.starts)
		case n%50 == 0:
			fmt.Printf("%d of %d, %d failed\n", n, len(cases), failed)
		}
	}
}

// tell prints a row for each fault.
func (x *exhaustion) tell(cases []*one, took time.Duration) error {
	fmt.Printf("\n| fault | cases | not reached | failed | Sentry started again | all there after, at most |\n| --- | ---: | ---: | ---: | ---: | ---: |\n")
	failed := 0
	for _, f := range faults {
		var n, unreached, bad, starts int
		var late time.Duration
		for _, c := range cases {
			if c.f != f {
				continue
			}
			n++
			if c.err != nil {
				bad++
			}
			if !c.reached {
				unreached++
			}
			starts += max(0, c.starts-2)
			late = max(late, c.late)
		}
		failed += bad
		fmt.Printf("| %s | %d | %d | %d | %d | %.0f s |\n", f, n, unreached, bad, starts, late.Seconds())
	}
	fmt.Printf("\n%d cases in %s\n", len(cases), took.Round(time.Second))
	if failed > 0 || x.ctx.Err() != nil {
		return fmt.Errorf("%d of %d cases failed", failed, len(cases))
	}
	return nil
}
