package wasm

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/tekton-sentry/sentry/pkg/strategy/wasm/wasmtest"
)

// The process that runs a module is given nothing: no variable, and no file but its input and its output. It leaves no dump of itself,
// and Ctrl-C on the terminal is not for it.
func TestProcess(t *testing.T) {
	t.Setenv("SENTRY_TEST_SECRET", "hush")
	const secret = "pipe:"
	r, w, err := os.Pipe() // as any file that Sentry has open
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close()
	ours, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", w.Fd()))
	if err != nil || !strings.HasPrefix(ours, secret) {
		t.Fatalf("%s, %v", ours, err)
	}
	// With much to read, so that it runs for long enough to be looked at.
	code := wasmtest.Module{Functions: [][]byte{forever}, Pages: 64, Data: make([]byte, 2<<20)}.Bytes()
	ended := make(chan error, 1)
	go func() {
		var m Modules
		_, err := m.Run(code, "shop", shop)
		ended <- err
	}()
	for {
		select {
		case err := <-ended:
			t.Fatalf("the process was not seen before it ended: %v", err)
		default:
			runtime.Gosched()
		}
		pid := boundedChild()
		if pid == "" {
			continue
		}
		environ, err := os.ReadFile("/proc/" + pid + "/environ")
		if err != nil || len(environ) > 0 {
			t.Errorf("its variables are %q, %v, want none", environ, err)
		}
		stat, err := os.ReadFile("/proc/" + pid + "/stat")
		if fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:])); err != nil || fields[2] != pid {
			t.Errorf("its process group is that of %s, %v, want its own, %s", fields[2], err, pid)
		}
		fds, err := filepath.Glob("/proc/" + pid + "/fd/*")
		if err != nil || len(fds) < 3 {
			t.Errorf("it has the files %v, %v", fds, err)
		}
		for _, fd := range fds {
			if target, _ := os.Readlink(fd); target == ours {
				t.Errorf("it has the file %s of the process that started it", fd)
			}
		}
		break
	}
	if err := <-ended; err == nil || !strings.Contains(err.Error(), "of a processor") {
		t.Errorf("got %v, want it refused", err)
	}
}

// boundedChild returns the id of a child of this process that has bounded itself, and "" when there is none.
func boundedChild() string {
	lists, _ := filepath.Glob("/proc/self/task/*/children")
	for _, list := range lists {
		children, _ := os.ReadFile(list)
		for _, pid := range strings.Fields(string(children)) {
			limits, _ := os.ReadFile("/proc/" + pid + "/limits")
			for _, line := range strings.Split(string(limits), "\n") {
				if f := strings.Fields(line); len(f) > 5 && strings.HasPrefix(line, "Max core file size") && f[4] == "0" && f[5] == "0" && strings.Contains(string(limits), fmt.Sprint(maxData)) {
					return pid
				}
			}
		}
	}
	return ""
}
