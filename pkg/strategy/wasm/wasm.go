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
	retry    = time.Minute // after which a module that was refused is asked again: the machine may have had too little time
	maxKnown = 1000        // answers that are remembered, and
	maxNames = 1 << 20     // names in them
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

// Modules runs modules, one at a time, and remembers what they answered: a module is pinned by its digest and knows nothing but the
// question, so that its answer is always the same. The zero value is ready for use, also by several goroutines.
type Modules struct {
	turn  sync.Mutex
	known map[[sha256.Size]byte]known // by the digest of the module and of the question
	names int                         // in all that is known
	now   func() time.Time            // nil = time.Now
}

type known struct {
	needs map[string][]string
	err   error
	at    time.Time
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
	m.turn.Lock()
	defer m.turn.Unlock()
	now := time.Now
	if m.now != nil {
		now = m.now
	}
	key := sha256.Sum256(append([]byte(digest+" "), asked...))
	if k, ok := m.known[key]; ok && (k.err == nil || now().Before(k.at.Add(retry))) {
		return k.needs, k.err
	}
	k := known{}
	code, err := read()
	if err == nil {
		k.needs, err = answerOf(code, asked, members)
	}
	k.err, k.at = err, now()
	m.keep(key, k)
	return k.needs, k.err
}

// keep remembers what became of a question. What is too much to remember makes room by all that was known.
func (m *Modules) keep(key [sha256.Size]byte, k known) {
	names := 0
	for _, needed := range k.needs {
		names += 1 + len(needed)
	}
	if m.known == nil || len(m.known) >= maxKnown || m.names+names > maxNames {
		m.known, m.names = make(map[[sha256.Size]byte]known), 0
	}
	m.names += names
	m.known[key] = k
}

// answerOf runs a module and checks what it answers.
func answerOf(code, asked []byte, members []strategy.About) (map[string][]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	text, err := inChild(ctx, code, asked)
	if err != nil {
		return nil, fmt.Errorf("the module is refused: %w", err)
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
		return nil, fmt.Errorf("the module is refused: its answer is not {\"needs\": {\"NAME\": [\"NAME\"]}}: %s", oneline.Of(err.Error(), maxSaid))
	}
	if err := strategy.CheckNeeds(members, a.Needs); err != nil {
		return nil, fmt.Errorf("the module is refused: %w", err)
	}
	return a.Needs, nil
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
