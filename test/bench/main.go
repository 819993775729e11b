// Command bench measures what a cycle costs. It starts a simulated Git host as one process and a Sentry, or
// what other pollers do, as another, so that the host's work is not counted as ours, and prints tables in
// Markdown: `make bench`, and docs/performance.md for what they say.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/tekton-sentry/sentry/pkg/config"
)

// settings are the flags. Those from role on are for the processes that the program starts itself as.
type settings struct {
	latency time.Duration
	hosts   string
	sizes   string
	peers   int
	write   string
	profile string

	replicas int // processes that share the repositories
	replica  int // which of them this one is, from 0

	role  string
	host  config.HostType
	n     int
	url   string
	state string
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) error {
	var s settings
	var host string
	f := flag.NewFlagSet("bench", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.DurationVar(&s.latency, "latency", 2*time.Millisecond, "of every answer")
	f.StringVar(&s.hosts, "hosts", "github,gitlab,gitea,bitbucket,git", "which hosts")
	f.StringVar(&s.sizes, "sizes", "100,1000,10000,50000", "how many repositories, on every host")
	f.IntVar(&s.peers, "peers", 10_000, "up to how many repositories the other ways are measured")
	f.StringVar(&s.write, "write", "", "replace the tables in this `file`, between its marks, instead of printing them")
	f.StringVar(&s.profile, "profile", "", "write profiles of Sentry's idle cycles to this `directory`")
	f.IntVar(&s.replicas, "replicas", 1, "how many replicas share the repositories; above 1, they are measured beside one that has all")
	f.IntVar(&s.replica, "replica", 0, "internal")
	f.StringVar(&s.role, "role", "", "serve: be a host, and print its URL, until the input ends; config: print the sentry.yaml for a host; else internal")
	f.StringVar(&host, "host", "", "with -role: which host")
	f.IntVar(&s.n, "n", 0, "with -role: how many repositories")
	f.StringVar(&s.url, "url", "", "with -role config: of the host")
	f.StringVar(&s.state, "state", "", "internal")
	if err := f.Parse(args); err != nil {
		return err
	}
	s.host = config.HostType(host)
	switch s.role {
	case "":
		return compare(ctx, s, stdout, stderr)
	case "serve":
		return serve(s, stdin, stdout)
	case "config":
		return printConfiguration(s, stdout)
	}
	m, err := measure(ctx, s)
	if err != nil {
		return fmt.Errorf("%s, %d repositories, %s: %w", s.host, s.n, s.role, err)
	}
	return json.NewEncoder(stdout).Encode(m)
}

// compare measures every host, size and way of polling, and prints the tables.
func compare(ctx context.Context, s settings, stdout, stderr io.Writer) error {
	var sizes []int
	for text := range strings.SplitSeq(s.sizes, ",") {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("-sizes %q: want numbers", s.sizes)
		}
		sizes = append(sizes, n)
	}
	var all []measurement
	for host := range strings.SplitSeq(s.hosts, ",") {
		for _, n := range sizes {
			some, err := compareAt(ctx, s, config.HostType(host), n, stderr)
			if err != nil {
				return err
			}
			all = append(all, some...)
		}
	}
	if s.write != "" {
		return replaceTables(s.write, tables(all, s))
	}
	_, err := io.WriteString(stdout, tables(all, s))
	return err
}

// compareAt measures all ways of polling n repositories on one host.
func compareAt(ctx context.Context, s settings, host config.HostType, n int, stderr io.Writer) (all []measurement, err error) {
	for _, way := range ways(host) {
		if n > s.peers && way != sentryWay && way != replicasWay || way == replicasWay && s.replicas < 2 {
			continue // it would take minutes to show what grows with the number of branches
		}
		m, err := one(ctx, s, host, n, way, stderr)
		if err != nil {
			return nil, err
		}
		fmt.Fprintf(stderr, "%s, %d repositories, %s: %s\n", host, n, way, m.Duration.Round(time.Millisecond))
		all = append(all, m)
	}
	return all, nil
}

// one starts a server and a client of it, and returns what the client measured.
func one(ctx context.Context, s settings, host config.HostType, n int, way string, stderr io.Writer) (m measurement, err error) {
	program, err := os.Executable()
	if err != nil {
		return m, err
	}
	start := time.Now()
	common := []string{"-host", string(host), "-n", strconv.Itoa(n), "-latency", s.latency.String(), "-profile", s.profile}
	server := exec.CommandContext(ctx, program, append(common, "-role", "serve")...)
	server.Stderr = stderr
	stop, err := server.StdinPipe()
	if err != nil {
		return m, err
	}
	out, err := server.StdoutPipe()
	if err != nil {
		return m, err
	}
	if err := server.Start(); err != nil {
		return m, err
	}
	defer func() {
		_ = stop.Close() // it serves until its input ends
		if e := server.Wait(); err == nil && e != nil {
			err = fmt.Errorf("the server: %w", e)
		}
	}()
	url, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		return m, fmt.Errorf("the server does not start: %w", err)
	}
	dir, err := os.MkdirTemp("", "sentry-bench-")
	if err != nil {
		return m, err
	}
	defer os.RemoveAll(dir)
	common = append(common, "-url", strings.TrimSpace(url), "-state", filepath.Join(dir, "state.json"))
	if way != replicasWay {
		m, err = client(ctx, program, append(common, "-role", way, "-replicas", "1"), stderr)
	} else {
		m, err = shared(ctx, program, append(common, "-role", sentryWay, "-replicas", strconv.Itoa(s.replicas)), s.replicas, stderr)
	}
	m.Way, m.Duration = way, time.Since(start)
	return m, err
}

// shared measures one replica after the other, all with one state, and returns what they cost together. The largest of them is
// the last one, since the state it has in memory is that of all.
func shared(ctx context.Context, program string, args []string, replicas int, stderr io.Writer) (all measurement, err error) {
	for i := range replicas {
		m, err := client(ctx, program, append(args, "-replica", strconv.Itoa(i)), stderr)
		if err != nil {
			return m, fmt.Errorf("replica %d: %w", i, err)
		}
		m.First.add(all.First)
		m.Idle.add(all.Idle)
		m.Changed.add(all.Changed)
		m.Peak = max(m.Peak, all.Peak)
		all = m
	}
	return all, nil
}

// client runs this program as one that polls.
func client(ctx context.Context, program string, args []string, stderr io.Writer) (m measurement, err error) {
	c := exec.CommandContext(ctx, program, args...)
	c.Stderr = stderr
	text, err := c.Output()
	if err != nil {
		return m, fmt.Errorf("%s: %w", strings.Join(args, " "), err)
	}
	return m, json.Unmarshal(text, &m)
}
