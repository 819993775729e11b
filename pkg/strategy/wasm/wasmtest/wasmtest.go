// Package wasmtest makes small WebAssembly modules for tests, byte by byte.
package wasmtest

import (
	"bytes"
	"encoding/binary"
)

// Module is one whose first function is called when it starts. All its functions take and return nothing.
type Module struct {
	Imports   [][2]string // functions, by module and name; each takes four numbers and returns one
	Functions [][]byte    // instructions of each, without the end; their indexes are behind those of Imports
	Locals    uint32      // numbers that each has
	Pages     uint32      // of its memory, 64 KiB each
	Table     uint32      // entries of its table
	Data      []byte      // with which its memory begins
	Name      string      // of the export of the first function; "" = _start
}

// Bytes returns the module as a file.
func (m Module) Bytes() []byte {
	if m.Name == "" {
		m.Name = "_start"
	}
	const number, function = 0x7f, 0x60
	types := list([]byte{function, 0, 0}, []byte{function, 4, number, number, number, number, 1, number})
	var imports, functions, bodies [][]byte
	for _, i := range m.Imports {
		imports = append(imports, concat(text(i[0]), text(i[1]), []byte{0, 1}))
	}
	for _, f := range m.Functions {
		locals := list(append(leb(m.Locals), number))
		body := concat(locals, f, []byte{0x0b})
		functions = append(functions, []byte{0})
		bodies = append(bodies, concat(leb(uint32(len(body))), body))
	}
	exports := list(concat(text(m.Name), []byte{0}, leb(uint32(len(m.Imports)))), concat(text("memory"), []byte{2, 0}))
	data := list(concat([]byte{0, 0x41, 0, 0x0b}, leb(uint32(len(m.Data))), m.Data))
	return concat(Header, Section(1, types), Section(2, list(imports...)), Section(3, list(functions...)),
		Section(4, list(concat([]byte{0x70, 0}, leb(m.Table)))), Section(5, list(concat([]byte{0}, leb(m.Pages)))), Section(7, exports), Section(10, list(bodies...)), Section(11, data))
}

// Header is with what each module begins.
var Header = []byte("\x00asm\x01\x00\x00\x00")

// Section returns a section of a module.
func Section(id byte, content []byte) []byte {
	return concat([]byte{id}, leb(uint32(len(content))), content)
}

// Answering returns a module that answers the text, whatever it is asked.
func Answering(answer string) []byte {
	const at = 16 // behind the place and the length, and the number of bytes that were written
	data := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32(nil, at), uint32(len(answer)))
	data = append(append(data, make([]byte, at-len(data))...), answer...)
	return Module{
		Imports: [][2]string{FDWrite},
		// fd_write(1, 0, 1, 8)
		Functions: [][]byte{{0x41, 1, 0x41, 0, 0x41, 1, 0x41, 8, 0x10, 0, 0x1a}},
		Pages:     uint32(len(data))>>16 + 1, Data: data,
	}.Bytes()
}

// FDWrite is the function that writes.
var FDWrite = [2]string{"wasi_snapshot_preview1", "fd_write"}

func concat(parts ...[]byte) []byte { return bytes.Join(parts, nil) }

func list(items ...[]byte) []byte { return concat(leb(uint32(len(items))), concat(items...)) }

func text(s string) []byte { return append(leb(uint32(len(s))), s...) }

// leb returns a number as modules have it.
func leb(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }
