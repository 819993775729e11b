//go:build unix

package wasm

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tekton-sentry/sentry/pkg/strategy"
	"github.com/tekton-sentry/sentry/pkg/strategy/wasm/wasmtest"
)

func TestMain(m *testing.M) {
	if code, is := Child(); is {
		os.Exit(code)
	}
	os.Exit(m.Run())
}

var shop = []strategy.About{{Name: "database"}, {Name: "api"}, {Name: "web"}}

func TestAnswer(t *testing.T) {
	var m Modules
	got, err := m.Run(wasmtest.Answering(`{"needs": {"api": ["database"], "web": ["api", "database"], "database": []}}`), "shop", shop)
	if want := "map[api:[database] database:[] web:[api database]]"; err != nil || fmt.Sprint(got) != want {
		t.Errorf("got %v, %v, want %s", got, err, want)
	}
}

// Instructions.
var (
	forever    = []byte{0x03, 0x40, 0x0c, 0, 0x0b}
	trap       = []byte{0x00}
	grow       = []byte{0x03, 0x40, 0x41, 1, 0x40, 0, 0x1a, 0x0c, 0, 0x0b}
	callItself = []byte{0x10, 0}
	// growTable adds 3.5 million entries to a table, again and again: a loop of table.grow 0 (ref.null func, 3500000).
	growTable = []byte{0x03, 0x40, 0xd0, 0x70, 0x41, 0xe0, 0xcf, 0xd5, 0x01, 0xfc, 0x0f, 0, 0x1a, 0x0c, 0, 0x0b}
	// fillAll fills 32 MiB: memory.fill(0, 0, 32 MiB)
	fillAll = []byte{0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x80, 0x10, 0xfc, 0x0b, 0}
)

// exponential returns functions each of which calls the next one twice.
func exponential() [][]byte {
	var functions [][]byte
	for i := range byte(40) {
		functions = append(functions, []byte{0x10, i + 1, 0x10, i + 1})
	}
	return append(functions, nil)
}

// hostile are modules, with what is said of each.
var hostile = []struct {
	what   string
	module []byte
	want   string
}{
	{"loops", wasmtest.Module{Functions: [][]byte{forever}}.Bytes(), "it takes more than 100ms of a processor"},
	{"calls exponentially", wasmtest.Module{Functions: exponential()}.Bytes(), "it takes more than 100ms of a processor"},
	{"calls itself", wasmtest.Module{Functions: [][]byte{callItself}}.Bytes(), "refused"},
	{"calls itself with much on the stack", wasmtest.Module{Functions: [][]byte{callItself}, Locals: 50_000}.Bytes(), "it takes more"},
	{"eats memory", wasmtest.Module{Functions: [][]byte{grow}}.Bytes(), "it takes more than 100ms of a processor"},
	{"works without a loop or a call", wasmtest.Module{Functions: [][]byte{bytes.Repeat(fillAll, 5000)}, Pages: memory}.Bytes(), "of a processor"},
	{"begins with too much memory", wasmtest.Module{Functions: [][]byte{nil}, Pages: memory + 1}.Bytes(), "it is no WebAssembly module that can be run: section memory"},
	{"says that it has 4 billion exports", append(wasmtest.Header[:8:8], wasmtest.Section(7, []byte{0xff, 0xff, 0xff, 0xff, 0x0f})...), "it takes more"},
	{"has a table of 1 GiB", wasmtest.Module{Functions: [][]byte{nil}, Table: 1 << 27}.Bytes(), "it takes more"},
	{"grows a table", wasmtest.Module{Functions: [][]byte{growTable}, Table: 1}.Bytes(), "it is no WebAssembly module that can be run"},
	{"is much code", wasmtest.Module{Functions: [][]byte{bytes.Repeat([]byte{0x41, 0, 0x1a}, 1_000_000)}}.Bytes(), "it takes more"},
	{"answers a circle", wasmtest.Answering(`{"needs": {"api": ["web"], "web": ["database"], "database": ["api"]}}`), "it has members wait for each other: database needs api needs web needs database"},
	{"answers itself", wasmtest.Answering(`{"needs": {"api": ["api"]}}`), "it has api wait for itself"},
	{"answers an unknown name", wasmtest.Answering(`{"needs": {"api": ["databse\u001b"]}}`), `it has api wait for "databse\x1b", which is no member of the group`},
	{"answers for an unknown name", wasmtest.Answering(`{"needs": {"apy": []}}`), `it names "apy", which is no member of the group`},
	{"answers a name twice", wasmtest.Answering(`{"needs": {"api": ["web", "web"]}}`), "it has api wait for web twice"},
	{"answers too many", wasmtest.Answering(`{"needs": {"api": ["web", "web", "web", "web"]}}`), "it has api wait for 4 others, and the group has 3 members"},
	{"answers nothing", wasmtest.Answering(""), "its answer is not"},
	{"answers no needs", wasmtest.Answering("{}"), "needs is missing"},
	{"answers more", wasmtest.Answering(`{"needs": {}, "run": "rm"}`), `unknown field "run"`},
	{"answers twice", wasmtest.Answering(`{"needs": {}}{"needs": {}}`), "there is more behind it"},
	{"answers 100 MB", hundredMB(), "it answers more than 1 MiB"},
	{"traps", wasmtest.Module{Functions: [][]byte{trap}}.Bytes(), "unreachable"},
	{"has no start", wasmtest.Module{Functions: [][]byte{nil}, Name: "main"}.Bytes(), "it exports no function _start"},
	{"is no module", []byte("#!/bin/sh\nrm -rf /\n"), "it is no WebAssembly module that can be run: invalid magic number"},
	{"is nothing", nil, "it is no WebAssembly module that can be run"},
	{"opens files", wasmtest.Module{Functions: [][]byte{nil}, Imports: [][2]string{{"wasi_snapshot_preview1", "path_open"}}}.Bytes(), `it imports "path_open" of "wasi_snapshot_preview1", which it may not have`},
	{"opens sockets", wasmtest.Module{Functions: [][]byte{nil}, Imports: [][2]string{{"wasi_snapshot_preview1", "sock_accept"}}}.Bytes(), `it imports "sock_accept"`},
	{"wants what nobody has", wasmtest.Module{Functions: [][]byte{nil}, Imports: [][2]string{{"env\n", "system"}}}.Bytes(), `it imports "system" of "env\n"`},
}

// hundredMB writes all of its memory, four times.
func hundredMB() []byte {
	write := []byte{0x41, 1, 0x41, 0, 0x41, 1, 0x41, 8, 0x10, 0, 0x1a}
	return wasmtest.Module{
		Imports: [][2]string{wasmtest.FDWrite}, Functions: [][]byte{bytes.Repeat(write, 4)},
		Pages: memory, Data: []byte{0, 0, 0, 0, 0, 0, 0, 2}, // 32 MiB from 0
	}.Bytes()
}

// Each hostile module is refused, with a word of what it is, before a processor has worked for it for a quarter of a second, and the
// longer by what may be read of a large one.
func TestHostile(t *testing.T) {
	for _, tt := range hostile {
		most := 250*time.Millisecond + workPerMiB*time.Duration(len(tt.module))/(1<<20)
		var needs map[string][]string
		var err error
		took := time.Hour
		for tries := 0; took > most && tries < 4; tries++ { // what else a machine does only adds to it
			var m Modules
			before := children(t)
			needs, err = m.Run(tt.module, "shop", shop)
			took = min(took, children(t)-before)
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || strings.ContainsAny(err.Error(), "\n\x1b") || len(err.Error()) > 700 {
			t.Errorf("a module that %s: %v, %v, want %s", tt.what, needs, err, tt.want)
		}
		if took > most {
			t.Errorf("a module that %s took %v of a processor, want at most %v", tt.what, took, most)
		}
		t.Logf("%-40s %4d ms, %5d bytes: %v", tt.what, took.Milliseconds(), len(tt.module), err)
	}
}

// children returns for how long processors worked for processes that this one started.
func children(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &used); err != nil {
		t.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, text []byte) strategy.Module {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return strategy.Module{File: file, SHA256: fmt.Sprintf("%X", sha256.Sum256(text))}
	}
	var m Modules
	plain := write("plain.wasm", wasmtest.Answering(`{"needs": {"web": ["api"]}}`))
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	if _, err := z.Write(wasmtest.Answering(`{"needs": {"web": ["api"]}}`)); err != nil || z.Close() != nil {
		t.Fatal(err)
	}
	for _, module := range []strategy.Module{plain, write("packed.wasm.gz", packed.Bytes())} {
		if needs, err := m.Needs(module, "shop", shop); err != nil || fmt.Sprint(needs) != "map[web:[api]]" {
			t.Errorf("%s: got %v, %v", module.File, needs, err)
		}
	}
	var bomb bytes.Buffer
	z = gzip.NewWriter(&bomb)
	for range 17 {
		if _, err := z.Write(make([]byte, 1<<20)); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	other := write("other.wasm", wasmtest.Answering(`{"needs": {}}`))
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for want, module := range map[string]strategy.Module{
		"want that of the file that you trust in sha256": {File: other.File, SHA256: plain.SHA256[:63] + "0"},
		"absent: no such file":                           {File: filepath.Join(dir, "absent"), SHA256: "a"},
		"is no file":                                     {File: dir, SHA256: "d"},
		"pipe is no file":                                {File: pipe, SHA256: "e"},
		"is larger than 16 MiB":                          write("large.wasm", make([]byte, MaxModule+1)),
		"bomb.gz is larger than":                         write("bomb.gz", bomb.Bytes()),
		"decompress the module":                          write("cut.gz", packed.Bytes()[:20]),
	} {
		if needs, err := m.Needs(module, "shop", shop); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, %v, want %s", module.File, needs, err, want)
		}
	}
	token := write("token", []byte("hunter2"))
	if _, err := m.Needs(strategy.Module{File: token.File, SHA256: other.SHA256}, "shop", shop); err == nil || strings.Contains(err.Error(), strings.ToLower(token.SHA256)) ||
		!strings.HasSuffix(err.Error(), "token is no WebAssembly module") {
		t.Errorf("a file with a secret: %v, want no word of what is in it", err)
	}
}

// A ConfigMap that is mounted is replaced as a whole, by one link. A module is another one when sentry.yaml has another digest, and not before.
func TestReplaced(t *testing.T) {
	dir := t.TempDir()
	replace := func(version, answer string) strategy.Module {
		t.Helper()
		code := wasmtest.Answering(answer)
		link := filepath.Join(dir, "..data_tmp")
		for _, err := range []error{
			os.Mkdir(filepath.Join(dir, version), 0o700), os.WriteFile(filepath.Join(dir, version, "order.wasm"), code, 0o600),
			os.Symlink(version, link), os.Rename(link, filepath.Join(dir, "..data")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
		return strategy.Module{File: filepath.Join(dir, "order.wasm"), SHA256: fmt.Sprintf("%x", sha256.Sum256(code))}
	}
	if err := os.Symlink("..data/order.wasm", filepath.Join(dir, "order.wasm")); err != nil {
		t.Fatal(err)
	}
	var m Modules
	ask := func(what string, module strategy.Module, want string) {
		t.Helper()
		if needs, err := m.Needs(module, "shop", shop); err != nil || fmt.Sprint(needs) != want {
			t.Errorf("%s: got %v, %v, want %s", what, needs, err, want)
		}
	}
	first := replace("..1", `{"needs": {"web": ["api"]}}`)
	ask("the first", first, "map[web:[api]]")
	second := replace("..2", `{"needs": {"api": ["web"]}}`)
	ask("another file with the digest of the first", first, "map[web:[api]]")
	ask("another file with its digest", second, "map[api:[web]]")
}

// A program that never asks whether it is a child would start itself for ever.
func TestNoChild(t *testing.T) {
	able.Store(false)
	defer able.Store(true)
	var m Modules
	if _, err := m.Run(wasmtest.Answering(`{"needs": {}}`), "shop", shop); err == nil || !strings.Contains(err.Error(), "this program runs no modules") {
		t.Errorf("got %v, want it refused", err)
	}
}

// Little is remembered of many questions, and of those that are large. What is known for longest makes room.
func TestKnownIsBounded(t *testing.T) {
	var m Modules
	large := make([]string, maxNames/4)
	for i := range byte(5) {
		m.keep(key{i}, known{needs: map[string][]string{"web": large}})
	}
	for i, want := range []bool{false, false, true, true, true} { // four have more names than may be remembered, with those that wait
		if _, ok := m.known[key{byte(i)}]; ok != want {
			t.Errorf("answer %d of 5 that are large: known %t, want %t", i+1, ok, want)
		}
	}
	for i := range 2*maxKnown + 1 {
		m.keep(keyOf(fmt.Sprint(i), nil), known{})
	}
	if _, ok := m.known[keyOf(fmt.Sprint(maxKnown+1), nil)]; len(m.known) != maxKnown || !ok || m.names != 0 {
		t.Errorf("%d answers with %d names are known, the oldest that should be %t; want %d with none", len(m.known), m.names, ok, maxKnown)
	}
}

// What a module answered is known for good, also where its file is gone. One that was refused is asked again later.
func TestKnown(t *testing.T) {
	file := filepath.Join(t.TempDir(), "order.wasm")
	code := wasmtest.Answering(`{"needs": {"web": ["api"]}}`)
	module := strategy.Module{File: file, SHA256: fmt.Sprintf("%x", sha256.Sum256(code))}
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := Modules{now: func() time.Time { return clock }}
	ask := func(want bool) {
		t.Helper()
		if _, err := m.Needs(module, "shop", shop); (err == nil) != want {
			t.Errorf("answers: %v, want %t", err, want)
		}
	}
	ask(false)
	if err := os.WriteFile(file, code, 0o600); err != nil {
		t.Fatal(err)
	}
	ask(false)
	clock = clock.Add(retry)
	ask(true)
	if err := os.Remove(file); err != nil {
		t.Fatal(err)
	}
	ask(true)
	if _, err := m.Needs(module, "shop", shop[:2]); err == nil {
		t.Error("the answer for one group is that for another")
	}
}

// asks asks a module, and returns whether it had to run for that.
func asks(m *Modules, code []byte, group string) (ran bool, err error) {
	_, err = m.ask(fmt.Sprintf("%x", sha256.Sum256(code)), group, shop, func() ([]byte, error) {
		ran = true
		return code, nil
	})
	return ran, err
}

// What is refused is asked less and less often, and one that cannot be run at all only once for all groups.
func TestRefused(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := Modules{now: func() time.Time { return clock }}
	traps := wasmtest.Module{Functions: [][]byte{trap}}.Bytes()
	useless := wasmtest.Module{Functions: [][]byte{nil}, Name: "main"}.Bytes()
	for _, wait := range []time.Duration{1, 2, 4, 8, 16, 32, 60, 60} {
		for _, tt := range []struct {
			code  []byte
			group string
			want  bool
		}{{traps, "shop", true}, {traps, "shop", false}, {traps, "other", true}, {useless, "shop", true}, {useless, "other", false}} {
			if ran, err := asks(&m, tt.code, tt.group); ran != tt.want || err == nil {
				t.Errorf("before a wait of %d min: ran %t for %s, %v; want %t", wait, ran, tt.group, err, tt.want)
			}
		}
		clock = clock.Add(wait*time.Minute - time.Second)
		if ran, err := asks(&m, traps, "shop"); ran || err == nil {
			t.Errorf("a second before %d min: ran %t, %v", wait, ran, err)
		}
		clock = clock.Add(time.Second)
	}
}

// A cycle has modules run for a bounded time, and the next one goes on. Nothing is forgotten, and each end is told.
func TestCycle(t *testing.T) {
	clock := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	m := Modules{now: func() time.Time { return clock }}
	ended, slow := 0, 15*time.Second
	ask := func(group string) error {
		_, err := m.ask("digest", group, shop, func() ([]byte, error) {
			clock = clock.Add(slow)
			return wasmtest.Answering(`{"needs": {}}`), nil
		})
		return err
	}
	m.Cycle(func() { ended++ })
	for _, group := range []string{"a", "b", "a"} {
		if err := ask(group); err != nil {
			t.Errorf("group %s: %v", group, err)
		}
	}
	if err := ask("c"); !errors.Is(err, errLater) {
		t.Errorf("after 30 s in one cycle: %v, want %v", err, errLater)
	}
	if err := ask("b"); err != nil {
		t.Errorf("a known answer, after 30 s in one cycle: %v", err)
	}
	m.Cycle(func() { ended++ })
	if err := ask("c"); err != nil || ended != 3 {
		t.Errorf("in the next cycle: %v, with %d ends told; want 3", err, ended)
	}
}

// What is known is told while another module runs, and without one that runs.
func TestKnownAtOnce(t *testing.T) {
	var m Modules
	code := wasmtest.Answering(`{"needs": {"web": ["api"]}}`)
	module := strategy.Module{File: "absent", SHA256: fmt.Sprintf("%X", sha256.Sum256(code))}
	if needs, ok := m.Known(module, "shop", shop); ok {
		t.Errorf("before it was asked: %v", needs)
	}
	if _, err := m.Run(code, "shop", shop); err != nil {
		t.Fatal(err)
	}
	m.turn.Lock() // as who runs another one has it
	defer m.turn.Unlock()
	if needs, err := m.Run(code, "shop", shop); err != nil || fmt.Sprint(needs) != "map[web:[api]]" {
		t.Errorf("got %v, %v", needs, err)
	}
	if needs, ok := m.Known(module, "shop", shop); !ok || fmt.Sprint(needs) != "map[web:[api]]" {
		t.Errorf("got %v, %t", needs, ok)
	}
}

// A module ends with Sentry, and is not refused for it.
func TestUntil(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var m Modules
	m.Until(ctx)
	code := wasmtest.Module{Functions: [][]byte{forever}, Pages: 64, Data: make([]byte, 15<<20)}.Bytes()
	_, err := m.ask("digest", "shop", shop, func() ([]byte, error) {
		cancel()
		return code, nil
	})
	if !errors.Is(err, errEnds) || len(m.known) > 0 {
		t.Errorf("%v, with %d refusals known; want %v and none", err, len(m.known), errEnds)
	}
	if ran, err := asks(&m, code, "shop"); ran || !errors.Is(err, errEnds) {
		t.Errorf("after that it ran %t, %v", ran, err)
	}
}
