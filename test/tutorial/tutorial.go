// Package tutorial runs the command blocks of docs/tutorial.md, as somebody does who types what stands there.
package tutorial

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Block is a block of commands and what has to be among the lines that they print, in this order. In a line, … stands
// for anything.
type Block struct {
	Heading, Commands string
	Want              []string
}

var (
	fence   = regexp.MustCompile("(?ms)^## ([^\n]*)$|^```(sh|text)\n(.*?)^```$")
	cluster = regexp.MustCompile(`(kind|cluster)-(up|down)`)
)

// MakesCluster reports whether the block makes a cluster or ends it.
func (b Block) MakesCluster() bool { return cluster.MatchString(b.Commands) }

// Read returns the blocks of a page.
func Read(t *testing.T, page string) (blocks []Block) {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	heading := ""
	for _, m := range fence.FindAllStringSubmatch(string(text), -1) {
		switch m[2] {
		case "":
			heading = m[1]
		case "sh":
			blocks = append(blocks, Block{Heading: heading, Commands: m[3]})
		case "text":
			if len(blocks) == 0 {
				t.Fatalf("%s shows an output before any command:\n%s", page, m[3])
			}
			last := &blocks[len(blocks)-1]
			last.Want = append(last.Want, strings.Split(strings.TrimSpace(m[3]), "\n")...)
		}
	}
	return blocks
}

// Checkout copies what a build of Sentry needs from the checkout at root, and returns the copy.
func Checkout(t *testing.T, root string) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "sentry")
	for _, folder := range []string{"cmd", "pkg", "tekton", "manifests", "test/gitserver"} {
		if err := os.CopyFS(filepath.Join(dir, folder), os.DirFS(filepath.Join(root, folder))); err != nil {
			t.Fatal(err)
		}
	}
	for _, file := range []string{"go.mod", "go.sum", "Makefile"} {
		text, err := os.ReadFile(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, file), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// environment is that of this process with a home of its own, in which Go finds its caches and settings all the same.
func environment(t *testing.T) []string {
	t.Helper()
	env := append(os.Environ(), "HOME="+t.TempDir(), "GIT_CONFIG_GLOBAL="+os.DevNull)
	for _, name := range []string{"GOCACHE", "GOENV", "GOMODCACHE", "GOPATH"} {
		value, err := exec.CommandContext(t.Context(), "go", "env", name).Output()
		if err != nil {
			t.Fatal(err)
		}
		env = append(env, name+"="+strings.TrimSpace(string(value)))
	}
	return env
}

// freePort is one that nothing listens at.
func freePort(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	_, port, _ := net.SplitHostPort(listener.Addr().String()) // it has one
	return port
}

// What is printed after each block, and after the end of the shell.
const (
	done   = "== the block is done"
	failed = "== the shell has ended"
)

// Run runs the blocks one after the other in one shell that begins in dir. The first command that fails ends the test, and
// so does a block whose output lacks a line. The page's port is replaced by one that is free.
func Run(t *testing.T, dir string, blocks []Block) {
	t.Helper()
	port := strings.NewReplacer("8418", freePort(t))
	scripts := t.TempDir()
	read, write, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	shell := exec.CommandContext(t.Context(), "sh", "-eu")
	shell.Dir, shell.Env, shell.Stdout, shell.Stderr = dir, environment(t), write, write
	shell.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // so that what it started in the background ends with it
	stdin, err := shell.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := shell.Start(); err != nil {
		t.Fatal(err)
	}
	exited := make(chan struct{})
	go func() {
		_ = shell.Wait() // what it printed tells
		fmt.Fprintln(write, failed)
		_ = write.Close()
		close(exited)
	}()
	defer func() {
		_ = stdin.Close()
		_ = syscall.Kill(-shell.Process.Pid, syscall.SIGKILL)
		<-exited
	}()
	lines := make(chan string)
	go scan(read, lines)
	for i, b := range blocks {
		file := filepath.Join(scripts, fmt.Sprintf("%d.sh", i))
		if err := os.WriteFile(file, []byte(port.Replace(b.Commands)), 0o600); err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(stdin, ". %s </dev/null\necho '%s'\n", file, done)
		var want []string
		for _, line := range b.Want {
			want = append(want, port.Replace(line))
		}
		background := strings.Contains(b.Commands, "&\n")
		if said, err := await(lines, want, background); err != nil {
			t.Fatalf("%s: %v\n%s\n-- printed --\n%s", b.Heading, err, b.Commands, said)
		}
	}
}

func scan(from io.Reader, lines chan<- string) {
	defer close(lines)
	for s := bufio.NewScanner(from); s.Scan(); {
		lines <- s.Text()
	}
}

// limit is the time that a block has. The longest one builds Sentry.
const limit = 10 * time.Minute

// await reads lines until the block is done and those that are wanted have come. What was started in the background may
// print them later.
func await(lines <-chan string, want []string, background bool) (said string, err error) {
	timeout := time.After(limit)
	for ended := false; !ended || len(want) > 0; {
		select {
		case line := <-lines:
			switch {
			case line == done:
				ended = true
			case line == failed:
				return said, errors.New("a command failed")
			case len(want) > 0 && matches(want[0], line):
				want = want[1:]
			}
			said += line + "\n"
		case <-timeout:
			return said, fmt.Errorf("after %s it lacks %q", limit, want)
		}
		if ended && len(want) > 0 && !background {
			return said, fmt.Errorf("the output lacks the line %q", want[0])
		}
	}
	return said, nil
}

// matches reports whether a line is what the page shows.
func matches(want, line string) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
	return regexp.MustCompile("^" + pattern + "$").MatchString(line)
}
