// Command mutants builds faults into Sentry, each by itself, and fails unless the test that is named for each
// notices it. The source stays as it is: go test -overlay compiles the changed file in its place. Run it in
// the repository's root by `make mutants`.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// limit bounds the test of one mutant: some make the code hang.
const limit = 6 * time.Minute

func main() {
	part := flag.String("part", "1/1", "which part of the mutants to try, such as 2/3 for every third, from the second one on")
	flag.Parse()
	if err := run(*part, flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(1)
	}
}

// run tries a part of the mutants, or of those whose name contains one of the words, one on each processor: much of the time is that of
// linkers, which use one.
func run(part string, words []string) error {
	var first, of int
	if n, err := fmt.Sscanf(part, "%d/%d", &first, &of); n != 2 || err != nil || first < 1 || first > of {
		return fmt.Errorf("-part %s: want one such as 2/3", part)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	waiting := make(chan mutant)
	var survived atomic.Int64
	var workers sync.WaitGroup
	for i := range runtime.NumCPU() {
		workers.Go(func() {
			for m := range waiting {
				begun := time.Now()
				verdict := "noticed by " + m.pkg + " " + m.test
				if err := m.try(ctx, filepath.Join(dir, strconv.Itoa(i))); err != nil {
					survived.Add(1)
					verdict = "SURVIVED: " + err.Error()
				}
				fmt.Printf("%-64s %s (%.0fs)\n", m.name, verdict, time.Since(begun).Seconds())
			}
		})
	}
	for i, m := range mutants {
		if i%of == first-1 && m.wanted(words) && ctx.Err() == nil {
			waiting <- m
		}
	}
	close(waiting)
	workers.Wait()
	if n := survived.Load(); n > 0 {
		return fmt.Errorf("%d mutants survived", n)
	}
	return ctx.Err()
}

func (m mutant) wanted(words []string) bool {
	for _, w := range words {
		if strings.Contains(m.name, w) {
			return true
		}
	}
	return len(words) == 0
}

// mutate returns the changed file.
func (m mutant) mutate(root string) ([]byte, error) {
	text, err := os.ReadFile(filepath.Join(root, m.file))
	if err != nil {
		return nil, err
	}
	if n := strings.Count(string(text), m.old); n != 1 {
		return nil, fmt.Errorf("%s has %q %d times, want once: mend the mutant", m.file, m.old, n)
	}
	return []byte(strings.Replace(string(text), m.old, m.new, 1)), nil
}

// try returns nil when the test fails with the fault built in. It writes what it builds in to dir.
func (m mutant) try(ctx context.Context, dir string) error {
	text, err := m.mutate(".")
	if err != nil {
		return err
	}
	changed, overlay := filepath.Join(dir, "changed.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs(m.file)
	if err != nil {
		return err
	}
	list, err := json.Marshal(map[string]map[string]string{"Replace": {original: changed}})
	if err != nil {
		return err
	}
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(changed, text, 0o600), os.WriteFile(overlay, list, 0o600)); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	out, err := exec.CommandContext(ctx, "go", "test", "-vet=off", "-count=1", "-overlay", overlay, "-run", "^"+m.test, m.pkg).CombinedOutput()
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case err == nil:
		return errors.New("the test passes")
	case !strings.Contains(string(out), "--- FAIL"):
		return fmt.Errorf("the test did not run: %s", out)
	}
	return nil
}
