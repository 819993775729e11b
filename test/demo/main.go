// Command demo shows Sentry at work on this machine: it makes an application and a QA repository, serves
// them over HTTP on the loopback interface, starts `sentry watch --local`, commits, and shows what follows.
// It needs git and sh, reaches nothing outside, and removes what it made.
package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/tekton-sentry/sentry/pkg/githost/githosttest"
)

const deployScript = `#!/bin/sh
set -eu
echo "deploying $SENTRY_REPO, branch $SENTRY_BRANCH: $(echo "$SENTRY_PREVIOUS_SHA" | cut -c1-7) -> $(echo "$SENTRY_SHA" | cut -c1-7)"
echo "here would be: kubectl apply -f ."
`

const configText = `polling_interval: 60
groups:
  shop:
    execution_strategy: sequential
repositories:
  - name: backend
    group: shop
    monitor: {repo_url: "%[1]s/backend", branches: [main], repo_type: git}
    deploy:
      qa_repo_url: "%[1]s/qa"
      repo_type: git
      commands: [cd scripts, ./deploy.sh, 'echo "still in $(basename "$PWD")"']
  - name: frontend
    group: shop
    monitor: {repo_url: "%[1]s/backend", branches: [main], repo_type: git}
    deploy:
      qa_repo_url: "%[1]s/qa"
      repo_type: git
      commands: [cd scripts, ./deploy.sh]
`

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PATH-OF-SENTRY; better: make demo")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

func run(sentry string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	dir, err := os.MkdirTemp("", "sentry-demo-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	say("1. Two Git repositories: an application, and the QA repository with its deploy script")
	app, qa := filepath.Join(dir, "backend"), filepath.Join(dir, "qa")
	if err := commit(ctx, app, "price.txt", "9 EUR\n", "Sell for 9 EUR"); err != nil {
		return err
	}
	if err := commit(ctx, qa, "scripts/deploy.sh", deployScript, "Deploy"); err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	server := &http.Server{Handler: githosttest.GitHandler(dir), ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()

	configFile := filepath.Join(dir, "sentry.yaml")
	text := fmt.Sprintf(configText, "http://"+listener.Addr().String())
	if err := os.WriteFile(configFile, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Println(text)

	say("2. sentry watch --local: the first look records the heads and runs nothing")
	state := filepath.Join(dir, "state.json")
	watch := exec.CommandContext(ctx, sentry, "watch", "--local", "--interval", "1s", "-c", configFile, "--state", state)
	watch.Cancel = func() error { return watch.Process.Signal(syscall.SIGTERM) }
	watch.WaitDelay = 10 * time.Second
	pipe, writer := io.Pipe()
	watch.Stdout, watch.Stderr = writer, writer
	if err := watch.Start(); err != nil {
		return err
	}
	exited := make(chan error, 1)
	go func() {
		exited <- watch.Wait()
		_ = writer.Close() // never fails
	}()
	lines := bufio.NewScanner(pipe)
	if err := showUntil(lines, "cycle done"); err != nil {
		return err
	}

	say("3. A commit to the application")
	if err := commit(ctx, app, "price.txt", "8 EUR\n", "Sell for 8 EUR"); err != nil {
		return err
	}
	say("4. Sentry sees it, plans one PipelineRun of two tasks, and runs them in order")
	if err := showUntil(lines, "Tasks Completed: 2 (Failed: 0"); err != nil {
		return err
	}

	say("5. What Sentry remembers now: sentry status --local")
	if err := show(ctx, sentry, "status", "--local", "-c", configFile, "--state", state); err != nil {
		return err
	}
	say("6. SIGTERM ends it after the cycle in hand")
	if err := watch.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	for lines.Scan() {
		fmt.Println(lines.Text())
	}
	if err := <-exited; err != nil {
		return fmt.Errorf("sentry watch ended with %w, want exit code 0", err)
	}
	say("Done. On a cluster the same two tasks are one PipelineRun: see the README.")
	return nil
}

func say(text string) { fmt.Printf("\n== %s\n", text) }

// showUntil prints lines until one contains text.
func showUntil(lines *bufio.Scanner, text string) error {
	for lines.Scan() {
		fmt.Println(lines.Text())
		if strings.Contains(lines.Text(), text) {
			return nil
		}
	}
	return fmt.Errorf("sentry ended before it printed %q", text)
}

// commit writes a file into the repository, which is made when it is not there, and commits it to main.
func commit(ctx context.Context, dir, file, content, message string) error {
	if _, err := os.Stat(dir); errors.Is(err, os.ErrNotExist) {
		if err := show(ctx, "git", "init", "--quiet", "--initial-branch=main", dir); err != nil {
			return err
		}
	}
	path := filepath.Join(dir, file)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(path, []byte(content), 0o755); err != nil {
		return err
	}
	if err := show(ctx, "git", "-C", dir, "add", file); err != nil {
		return err
	}
	return show(ctx, "git", "-C", dir, "-c", "user.name=Demo", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", message)
}

// show runs a command with its output on ours, after a line that says which.
func show(ctx context.Context, name string, args ...string) error {
	fmt.Println("$", filepath.Base(name), strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd.Run()
}
