package gitproto

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

const (
	// maxPkt is the largest pkt-line with its four digits of length, from gitprotocol-common(5).
	maxPkt = 65520
	// maxRefs bounds the refs that are read of one answer. The largest public repositories have about
	// half a million.
	maxRefs = 1_000_000
	// maxSaid bounds what is kept of an ERR packet, in bytes, beyond what is shown of it.
	maxSaid = 1 << 10
	// usualAnswer is the buffer that an answer starts with, in bytes: the heads of a few branches.
	usualAnswer = 1 << 10
)

// pkt is one packet: a line, or one of the special packets that carry nothing.
type pkt struct {
	kind pktKind
	line string // without the newline at its end
}

type pktKind int

const (
	data        pktKind = iota
	flush               // 0000
	delimiter           // 0001
	responseEnd         // 0002
)

// remoteError is what a server says in an ERR packet.
type remoteError string

func (e remoteError) Error() string { return "the server says: " + string(e) }

// protocolError says in what an answer differs from the Git protocol.
type protocolError string

func (e protocolError) Error() string { return string(e) }

func notGit(format string, args ...any) error {
	return protocolError("the answer is not the Git protocol: " + fmt.Sprintf(format, args...))
}

// pktReader reads packets one at a time.
type pktReader struct {
	r   *bufio.Reader
	buf []byte
}

// pktReaders are those that are not in use: ten thousand repositories are read a cycle, eight at a time.
var pktReaders = sync.Pool{New: func() any { return &pktReader{r: bufio.NewReaderSize(nil, usualAnswer)} }}

// newPktReader returns a reader of r, to be released when it is not used any more.
func newPktReader(r io.Reader) *pktReader {
	p := pktReaders.Get().(*pktReader)
	p.r.Reset(r)
	return p
}

func (p *pktReader) release() {
	p.r.Reset(nil)
	if cap(p.buf) > usualAnswer {
		p.buf = nil // one long line must not stay for ever
	}
	pktReaders.Put(p)
}

// rest reads to the flush packet and the end of the answer, so that the connection can be used again, but
// gives up on a long rest.
func (p *pktReader) rest() {
	for range 1000 {
		if line, err := p.next(); err != nil || line.kind == flush {
			p.end()
			return
		}
	}
}

// end reads the end of the answer after its flush packet.
func (p *pktReader) end() { _, _ = p.r.ReadByte() }

// next returns the next packet. The end of the bytes is always an error: io.ErrUnexpectedEOF, as every
// answer ends with a flush packet. An ERR packet is an error of type remoteError.
func (p *pktReader) next() (pkt, error) {
	kind, line, err := p.raw()
	if err != nil || kind != data {
		return pkt{kind: kind}, err
	}
	text := strings.TrimSuffix(string(line), "\n")
	if said, ok := strings.CutPrefix(text, "ERR "); ok {
		return pkt{}, remoteError(strings.Clone(said[:min(len(said), maxSaid)]))
	}
	return pkt{kind: data, line: text}, nil
}

// raw returns the next packet as it came. Its bytes are there until the one after it is read.
func (p *pktReader) raw() (pktKind, []byte, error) {
	var digits [4]byte
	if _, err := io.ReadFull(p.r, digits[:]); err != nil {
		return 0, nil, cutShort(err)
	}
	size, err := strconv.ParseUint(string(digits[:]), 16, 16)
	if err != nil {
		return 0, nil, notGit("a line starts with %q", digits[:])
	}
	switch {
	case size <= 2:
		return pktKind(size) + flush, nil, nil
	case size < 4 || size > maxPkt:
		return 0, nil, notGit("a line of %d bytes", size)
	}
	p.buf = slices.Grow(p.buf[:0], int(size-4))
	line := p.buf[:size-4]
	if _, err := io.ReadFull(p.r, line); err != nil {
		return 0, nil, cutShort(err)
	}
	return data, line, nil
}

func cutShort(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// appendPkt appends a line as a packet.
func appendPkt(b []byte, line string) []byte {
	return fmt.Appendf(b, "%04x%s", len(line)+4, line)
}
