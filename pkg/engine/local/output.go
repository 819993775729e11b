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
	mu sync.Mutex
	w  io.Writer
}

// printf prints one line. The steps go on when it cannot be written: whoever reads the output has left.
func (o *output) printf(format string, args ...any) {
	o.mu.Lock()
	defer o.mu.Unlock()
	fmt.Fprintf(o.w, format+"\n", args...)
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
			last = append(last[max(0, len(last)-lastLines+1):], string(line[:min(len(line), maxKept)]))
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return last
		}
	}
}
