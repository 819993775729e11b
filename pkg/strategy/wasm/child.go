package wasm

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
	"github.com/tetratelabs/wazero/sys"

	"github.com/tekton-sentry/sentry/pkg/oneline"
)

const (
	// childName is how a program is called that is to run a module, and nothing else.
	childName = "sentry-strategy-module"
	// refused is the exit code of a child that says why on its standard error.
	refused = 3

	// memory is what a module may have, in pages of 64 KiB: 32 MiB. One that Go made begins with 4 MiB.
	memory = 512
	// maxHeld is what Go's runtime may hold in the whole process, in bytes: wazero itself is made to allocate GiBs by a module of 15 bytes. It is
	// looked at with the time, so that more is held between two looks. What Go made has 100 MiB.
	maxHeld = 160 << 20
	// maxData is what the kernel gives the process, and so what Sentry's container has to have room for: the kernel ends it as a whole
	// when both together have more than it may. Go's runtime takes 64 MiB at a time, and what Go made needs three of them.
	maxData = 256 << 20
	// work and workPerMiB are the time of a processor that a module may take. What Go made has 3 MiB, and takes half a second, most
	// of which is to read it.
	work, workPerMiB = 100 * time.Millisecond, 400 * time.Millisecond
	// look is how often the child looks whether that is over.
	look = 5 * time.Millisecond
)

// able says that this program has asked whether it is a child: one that does not would start itself for ever.
var able atomic.Bool

// begun is what a child writes before the module begins: white space before the answer, for whoever reads that.
const begun = "\n"

// inChild returns what a module writes that is asked, behind begun, which is there also where it fails after that. It has that done by a
// process of its own: wazero has no bounds of work, and those of memory that it has are for what a module does, not for what it says of
// itself.
func inChild(ctx context.Context, code, asked []byte) ([]byte, error) {
	if !able.Load() {
		return nil, errors.New("this program runs no modules, as it has not called wasm.Child")
	}
	program := "/proc/self/exe" // also where the file was replaced since
	if runtime.GOOS != "linux" {
		var err error
		if program, err = os.Executable(); err != nil {
			return nil, fmt.Errorf("find this program, to run the module by: %w", err)
		}
	}
	cmd := exec.CommandContext(ctx, program)
	cmd.Args, cmd.Env, cmd.SysProcAttr = []string{childName}, []string{}, apart()
	size := binary.BigEndian.AppendUint32(nil, uint32(len(code))) // at most MaxModule
	cmd.Stdin = io.MultiReader(bytes.NewReader(size), bytes.NewReader(code), bytes.NewReader(asked))
	out, said := &capped{most: MaxAnswer + len(begun) + 1}, &capped{most: maxSaid}
	cmd.Stdout, cmd.Stderr = out, said
	err := cmd.Run()
	var ended *exec.ExitError
	switch {
	case err == nil:
		return out.Bytes(), nil
	case errors.Is(ctx.Err(), context.Canceled):
		return out.Bytes(), errEnds
	case ctx.Err() != nil:
		return out.Bytes(), fmt.Errorf("it has not answered for %v, as this machine had no time for it", patience)
	case errors.As(err, &ended) && ended.ExitCode() == refused:
		return out.Bytes(), errors.New(oneline.Of(said.String(), maxSaid))
	case errors.As(err, &ended): // without a word: whatever it did, the kernel or Go's runtime stopped it
		return out.Bytes(), fmt.Errorf("it takes more memory than there is for it, or more time: the process that ran it ended with %w", ended)
	}
	return out.Bytes(), fmt.Errorf("start the process that runs it: %w", err)
}

// capped keeps the first bytes that are written.
type capped struct {
	bytes.Buffer
	most int
}

func (c *capped) Write(b []byte) (int, error) {
	c.Buffer.Write(b[:min(len(b), c.most-c.Len())])
	return len(b), nil
}

// Child runs a module if this process was started for that, and returns with which code it has to exit then. A program that uses Modules calls
// it before it does anything else.
func Child() (code int, is bool) {
	if len(os.Args) != 1 || os.Args[0] != childName {
		able.Store(true)
		return 0, false
	}
	if err := child(os.Stdin, os.Stdout); err != nil {
		line, _, _ := strings.Cut(err.Error(), "\n")
		fmt.Fprintln(os.Stderr, line)
		return refused, true
	}
	return 0, true
}

// child runs the module that it reads. It returns as soon as a bound is passed, while the module still runs: the process has to exit then.
func child(in io.Reader, out io.Writer) error {
	began := cpu()
	var size uint32
	if err := binary.Read(in, binary.BigEndian, &size); err != nil || size > MaxModule {
		return fmt.Errorf("read the module: %d bytes, %w", size, err)
	}
	allowed := work + workPerMiB*time.Duration(size)/(1<<20)
	if err := limit(maxData, began+allowed); err != nil {
		return fmt.Errorf("bound the process: %w", err)
	}
	// To collect garbage, Go stops all of itself: while the module copies memory that takes long, and nobody looks on. So it is put off.
	debug.SetGCPercent(-1)
	debug.SetMemoryLimit(maxHeld * 3 / 4)
	ended := make(chan error, 1)
	go func() {
		defer func() {
			if r := recover(); r != nil {
				ended <- fmt.Errorf("wazero fails at it: %v", r)
			}
		}()
		ended <- answers(in, out, size)
	}()
	ticks := time.NewTicker(look)
	defer ticks.Stop()
	for {
		select {
		case err := <-ended:
			return cmp.Or(err, tooMuch()) // the kernel lets Go take what it has set aside, and refuses only what it asks for after that
		case <-ticks.C:
			if cpu()-began > allowed {
				return fmt.Errorf("it takes more than %v of a processor", allowed.Round(time.Millisecond))
			}
			if err := tooMuch(); err != nil {
				return err
			}
		}
	}
}

// tooMuch says that Go's runtime has more of the system's memory than it may hold; nil = it has not.
func tooMuch() error {
	all := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(all)
	if all[0].Value.Uint64()-all[1].Value.Uint64() <= maxHeld {
		return nil
	}
	return fmt.Errorf("it takes more memory than the %d MiB that there are for it", maxHeld>>20)
}

// answers reads a module of so many bytes and what it is asked, and runs it.
func answers(in io.Reader, out io.Writer, size uint32) error {
	code := make([]byte, size)
	if _, err := io.ReadFull(in, code); err != nil {
		return fmt.Errorf("read the module: %w", err)
	}
	asked, err := io.ReadAll(in)
	if err != nil {
		return fmt.Errorf("read the question: %w", err)
	}
	return run(context.Background(), code, asked, out)
}

// allowedImports are the functions that a module may import: those that a program of Go needs to start, to read and to write. Clocks stand still
// but for a step each time, and chance is the same each time, as wazero has them without other words.
var allowedImports = strings.Fields(`args_get args_sizes_get clock_time_get environ_get environ_sizes_get fd_close fd_fdstat_get
	fd_fdstat_set_flags fd_prestat_dir_name fd_prestat_get fd_read fd_write poll_oneoff proc_exit random_get sched_yield`)

// run runs a module with what it is asked as its input.
func run(ctx context.Context, code, asked []byte, out io.Writer) error {
	// Tables cannot grow without reference types: they are no part of the memory that has a limit, and Go makes none.
	features := api.CoreFeaturesV2.SetEnabled(api.CoreFeatureReferenceTypes, false)
	r := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter().WithMemoryLimitPages(memory).WithCoreFeatures(features))
	compiled, err := r.CompileModule(ctx, code)
	if err != nil {
		return fmt.Errorf("it is no WebAssembly module that can be run: %w", err)
	}
	for _, f := range compiled.ImportedFunctions() {
		if module, name, _ := f.Import(); module != wasi_snapshot_preview1.ModuleName || !slices.Contains(allowedImports, name) {
			return fmt.Errorf("it imports %.50q of %.50q, which it may not have", name, module)
		}
	}
	if _, ok := compiled.ExportedFunctions()["_start"]; !ok {
		return errors.New("it exports no function _start; want one that was built with GOOS=wasip1 GOARCH=wasm")
	}
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, r); err != nil {
		return fmt.Errorf("make what it may import: %w", err)
	}
	if _, err := io.WriteString(out, begun); err != nil {
		return err
	}
	answer, said := &bounded{w: out, left: MaxAnswer}, &capped{most: maxSaid}
	config := wazero.NewModuleConfig().WithStdin(bytes.NewReader(asked)).WithStdout(answer).WithStderr(said)
	_, err = r.InstantiateModule(ctx, compiled, config)
	var exit *sys.ExitError
	switch {
	case answer.left < 0:
		return errMuch
	case errors.As(err, &exit) && exit.ExitCode() == 0:
		return nil
	case errors.As(err, &exit):
		return fmt.Errorf("it ended with code %d: %s", exit.ExitCode(), oneline.Of(said.String(), maxSaid/2))
	}
	return err
}

var errMuch = fmt.Errorf("it answers more than %d MiB", MaxAnswer>>20)

// bounded refuses what is written when it is too much.
type bounded struct {
	w    io.Writer
	left int
}

func (b *bounded) Write(p []byte) (int, error) {
	if b.left -= len(p); b.left < 0 {
		return 0, errMuch
	}
	return b.w.Write(p)
}
