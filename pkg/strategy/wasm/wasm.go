// Package wasm works out who waits for whom in a group by WebAssembly modules. Nobody has to trust one: it runs in a process of its own,
// with bounds of work and memory, without files, network, clock and chance, and its answer is checked.
package wasm

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tekton-sentry/sentry/pkg/oneline"
	"github.com/tekton-sentry/sentry/pkg/strategy"
)

// Bounds of a module.
const (
	// MaxModule is the size of one, in bytes, also where its file is compressed.
	MaxModule = 16 << 20
	// MaxAnswer is the size of what one may answer, in bytes.
	MaxAnswer = 1 << 20

	maxSaid  = 500         // bytes that are kept of what one says of its failure
	patience = time.Minute // for the process that runs one, on a machine that has little time for it
	maxKnown = 1000        // answers that are remembered, and
	maxNames = 1 << 20     // names in them

	// A module that was refused is asked again after retry, as the machine may have had too little time, and after twice as long each
	// time, up to maxRetry.
	retry, maxRetry = time.Minute, time.Hour
	// share is for how long modules may run in one cycle, of all groups together; what began by then goes on. With patience it is less
	// than what makes a loop count as stuck.
	share = 20 * time.Second
)

// magic is with what each module begins.
var magic = []byte("\x00asm")

// question is what a module is asked, as JSON on its standard input.
type question struct {
	Group   string           `json:"group"`
	Members []strategy.About `json:"members"`
}

// answer is what it has to write as JSON on its standard output.
type answer struct {
	Needs map[string][]string `json:"needs"` // by the member that waits; who is not in it waits for nobody
}

// errEnds and errLater are no answers: who asks again may get one.
var (
	errEnds  = errors.New("the module was not asked to the end, as Sentry ends")
	errLater = fmt.Errorf("the module waits for the next cycle, since modules ran for %v in this one", share)
)

// Modules runs modules, one at a time, and remembers what they answered: a module is pinned by its digest and knows nothing but the
// question, so that its answer is always the same. The zero value is ready for use, also by several goroutines.
type Modules struct {
	now  func() time.Time // nil = time.Now
	turn sync.Mutex       // of whoever runs a module

	mu    sync.Mutex // guards what follows, and is not held while a module runs
	known map[key]known
	ages  []key // of known, the oldest first
	names int   // in all that is known
	until context.Context
	left  time.Duration // of share
	ended func()        // nil = share is not counted
}

// key is the digest of a module and of a question; of a module alone, where it is refused whatever it is asked.
type key [sha256.Size]byte

func keyOf(digest string, asked []byte) key {
	return sha256.Sum256(append([]byte(digest+" "), asked...))
}

type known struct {
	needs map[string][]string
	err   error
	again time.Time     // from which on what was refused is asked again
	wait  time.Duration // until then
}

// Until has a module that runs when ctx ends be ended, and none begin after that.
func (m *Modules) Until(ctx context.Context) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.until = ctx
}

// Cycle says that a cycle begins, for which modules have 20 s in all: those that come after that are asked in the next one. ended is called
// when one has run. Without a call of Cycle nothing is counted.
func (m *Modules) Cycle(ended func()) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.left, m.ended = share, ended
}

// Needs implements strategy.Modules. The error says what is wrong with the module, or with its answer.
func (m *Modules) Needs(module strategy.Module, group string, members []strategy.About) (map[string][]string, error) {
	return m.ask(strings.ToLower(module.SHA256), group, members, func() ([]byte, error) {
		code, digest, err := Read(module.File)
		if err == nil && digest != strings.ToLower(module.SHA256) {
			err = fmt.Errorf("%s has the SHA-256 %s; want that of the file that you trust in sha256, or that file", module.File, digest)
		}
		return code, err
	})
}

// Known implements strategy.Modules.
func (m *Modules) Known(module strategy.Module, group string, members []strategy.About) (map[string][]string, bool) {
	asked, err := json.Marshal(question{group, members})
	if err != nil {
		return nil, false
	}
	k, ok := m.look(strings.ToLower(module.SHA256), asked)
	return k.needs, ok && k.err == nil
}

// Run asks a module that is not pinned.
func (m *Modules) Run(code []byte, group string, members []strategy.About) (map[string][]string, error) {
	sum := sha256.Sum256(code)
	return m.ask(hex.EncodeToString(sum[:]), group, members, func() ([]byte, error) { return code, nil })
}

// ask asks the module with the digest, unless its answer is known.
func (m *Modules) ask(digest, group string, members []strategy.About, read func() ([]byte, error)) (map[string][]string, error) {
	asked, err := json.Marshal(question{group, members})
	if err != nil {
		return nil, fmt.Errorf("write the question: %w", err)
	}
	if k, ok := m.look(digest, asked); ok {
		return k.needs, k.err
	}
	m.turn.Lock()
	defer m.turn.Unlock()
	if k, ok := m.look(digest, asked); ok { // by who had the turn before
		return k.needs, k.err
	}
	ctx, ran, err := m.begin()
	if err != nil {
		return nil, err
	}
	defer ran()
	code, err := read()
	if err != nil {
		m.keep(keyOf(digest, asked), known{err: err, again: m.clock().Add(retry)}) // another file may come at any time
		return nil, err
	}
	needs, began, err := answerOf(ctx, code, asked, members)
	switch {
	case errors.Is(err, errEnds):
	case err == nil:
		m.keep(keyOf(digest, asked), known{needs: needs})
	case began:
		m.refuse(keyOf(digest, asked), err)
	default:
		m.refuse(keyOf(digest, nil), err)
	}
	return needs, err
}

func (m *Modules) clock() time.Time {
	if m.now != nil {
		return m.now()
	}
	return time.Now()
}

// look returns what is known of a question, unless it is to be asked again.
func (m *Modules) look(digest string, asked []byte) (known, bool) {
	now := m.clock()
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, key := range []key{keyOf(digest, asked), keyOf(digest, nil)} {
		if k, ok := m.known[key]; ok && (k.err == nil || now.Before(k.again)) {
			return k, true
		}
	}
	return known{}, false
}

// begin says whether a module may run, and until when. ran is to be called when it has.
func (m *Modules) begin() (ctx context.Context, ran func(), err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ctx = m.until
	if ctx == nil {
		ctx = context.Background()
	}
	switch {
	case ctx.Err() != nil:
		return nil, nil, errEnds
	case m.ended != nil && m.left <= 0:
		return nil, nil, errLater
	}
	began := m.clock()
	return ctx, func() {
		took := m.clock().Sub(began)
		m.mu.Lock()
		defer m.mu.Unlock()
		m.left -= took
		if m.ended != nil {
			m.ended()
		}
	}, nil
}

// refuse remembers that a module was refused, and for how long that holds.
func (m *Modules) refuse(of key, err error) {
	m.mu.Lock()
	wait := min(max(retry, 2*m.known[of].wait), maxRetry)
	m.mu.Unlock()
	m.keep(of, known{err: err, wait: wait, again: m.clock().Add(wait)})
}

// keep remembers what became of a question. What is too much to remember makes room by what is known for longest.
func (m *Modules) keep(of key, k known) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil {
		m.known = make(map[key]known)
	}
	if _, ok := m.known[of]; ok {
		m.forget(slices.Index(m.ages, of))
	}
	for len(m.ages) > 0 && (len(m.ages) == maxKnown || m.names+k.names() > maxNames) {
		m.forget(0)
	}
	m.known[of], m.ages, m.names = k, append(m.ages, of), m.names+k.names()
}

// forget forgets what is known of one of ages.
func (m *Modules) forget(at int) {
	m.names -= m.known[m.ages[at]].names()
	delete(m.known, m.ages[at])
	m.ages = slices.Delete(m.ages, at, at+1)
}

func (k known) names() int {
	names := 0
	for _, needed := range k.needs {
		names += 1 + len(needed)
	}
	return names
}

// answerOf runs a module and checks what it answers. It returns whether the module began: one that did not is refused whatever it is asked.
func answerOf(ctx context.Context, code, asked []byte, members []strategy.About) (needs map[string][]string, began bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	text, err := inChild(ctx, code, asked)
	began = len(text) > 0
	if err != nil {
		return nil, began, fmt.Errorf("the module is refused: %w", err)
	}
	var a answer
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	err = d.Decode(&a)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("there is more behind it")
		}
	}
	if err == nil && a.Needs == nil {
		err = errors.New("needs is missing")
	}
	if err != nil {
		return nil, began, fmt.Errorf("the module is refused: its answer is not {\"needs\": {\"NAME\": [\"NAME\"]}}: %s", oneline.Of(err.Error(), maxSaid))
	}
	if err := strategy.CheckNeeds(members, a.Needs); err != nil {
		return nil, began, fmt.Errorf("the module is refused: %w", err)
	}
	return a.Needs, true, nil
}

// Read returns the module of a file, which may be compressed by gzip, and the SHA-256 of the file in hexadecimal digits.
func Read(file string) (code []byte, digest string, err error) {
	f, err := os.OpenFile(file, os.O_RDONLY|nonblock, 0)
	if err != nil {
		return nil, "", fmt.Errorf("read the module: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, "", fmt.Errorf("read the module: %w", err)
	}
	if !info.Mode().IsRegular() {
		return nil, "", fmt.Errorf("read the module: %s is no file", file)
	}
	code, err = io.ReadAll(io.LimitReader(f, MaxModule+1))
	if err != nil {
		return nil, "", fmt.Errorf("read the module: %w", err)
	}
	sum := sha256.Sum256(code)
	if bytes.HasPrefix(code, []byte{0x1f, 0x8b}) {
		z, err := gzip.NewReader(bytes.NewReader(code))
		if err == nil {
			code, err = io.ReadAll(io.LimitReader(z, MaxModule+1))
		}
		if err != nil {
			return nil, "", fmt.Errorf("decompress the module %s: %w", file, err)
		}
	}
	if len(code) > MaxModule {
		return nil, "", fmt.Errorf("the module %s is larger than %d MiB; want a smaller one", file, MaxModule>>20)
	}
	if !bytes.HasPrefix(code, magic) { // of which nothing is told, not even a digest: it may be a file with a secret
		return nil, "", fmt.Errorf("%s is no WebAssembly module", file)
	}
	return code, hex.EncodeToString(sum[:]), nil
}
