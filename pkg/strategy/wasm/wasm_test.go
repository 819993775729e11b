//go:build unix

package wasm

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
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
	{"has a table of 1 GiB", wasmtest.Module{Functions: [][]byte{nil}, Table: 1 << 27}.Bytes(), "it takes more memory than there is for it"},
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

// Each hostile module is refused, with a word of what it is, before a processor has worked for it for a quarter of a second.
func TestHostile(t *testing.T) {
	const most = 250 * time.Millisecond
	for _, tt := range hostile {
		var m Modules
		before := children(t)
		needs, err := m.Run(tt.module, "shop", shop)
		took := children(t) - before
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

// Little is remembered of many questions, and of one that is large.
func TestKnownIsBounded(t *testing.T) {
	var m Modules
	large := make([]string, maxNames/3)
	for i := range byte(4) {
		m.keep([sha256.Size]byte{i}, known{needs: map[string][]string{"web": large}})
	}
	if len(m.known) != 2 {
		t.Errorf("of four answers with %d names each, %d are known; want two", len(large), len(m.known))
	}
	for i := range 2*maxKnown + 1 {
		m.keep(sha256.Sum256(fmt.Append(nil, i)), known{})
	}
	if len(m.known) > maxKnown {
		t.Errorf("%d answers are known; want at most %d", len(m.known), maxKnown)
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
