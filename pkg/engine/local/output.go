package local

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"sync"
)

// maxLine is how many bytes one line of output may have; a longer one is printed as several.
const maxLine = 64 << 10

// output prints lines of many steps at a time, never one inside another.
type output struct {
	mu   sync.Mutex
	w    io.Writer
	hide func(line string) string
}

// printf prints one line. The steps go on when it cannot be written: whoever reads the output has left.
func (o *output) printf(format string, args ...any) {
	line := o.hide(fmt.Sprintf(format, args...))
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintln(o.w, line)
}

// lastLines is how many lines of a step that failed are kept, and maxKept how many bytes of one.
const (
	lastLines = 10
	maxKept   = 1 << 10
)

// copy prints what r gives until it ends, each line after the prefix that `tkn pipelinerun logs` prints. It returns the last ones.
func (o *output) copy(r io.Reader, task, step string) (last []string) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if n := len(line); n > 0 {
			if line[n-1] == '\n' {
				line = line[:n-1]
			}
			o.printf("[%s : %s] %s", task, step, line)
			kept := o.hide(string(line))
			last = append(last[max(0, len(last)-lastLines+1):], kept[:min(len(kept), maxKept)])
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return last
		}
	}
}
