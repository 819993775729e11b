// Package object takes JSON objects apart without a copy of what they hold.
package object

import (
	"bytes"
	"encoding/json"
	"iter"
	"unicode/utf8"
)

// Members yields the members of an object in their order: each name decoded, each value as it stands. The text must be
// valid JSON, which package json can tell, and begin with the brace. The values share its memory.
func Members(text []byte) iter.Seq2[string, []byte] {
	return func(yield func(string, []byte) bool) {
		rest := trim(text[1:])
		for rest[0] != '}' {
			n := end(rest)
			name := String(rest[:n])
			rest = trim(trim(rest[n:])[1:]) // the colon
			n = end(rest)
			if !yield(name, rest[:n]) {
				return
			}
			if rest = trim(rest[n:]); rest[0] == ',' {
				rest = trim(rest[1:])
			}
		}
	}
}

// String returns the string that a JSON literal is.
func String(literal []byte) string {
	if plain := literal[1 : len(literal)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
		return string(plain)
	}
	var text string
	_ = json.Unmarshal(literal, &text) // a valid string has no error
	return text
}

func trim(text []byte) []byte { return bytes.TrimLeft(text, " \t\r\n") }

// end returns the length of the value that the text begins with.
func end(text []byte) int {
	switch text[0] {
	case '"':
		return quoted(text)
	case '{', '[':
		depth := 0
		for i := 0; ; i++ {
			switch text[i] {
			case '"':
				i += quoted(text[i:]) - 1
			case '{', '[':
				depth++
			case '}', ']':
				if depth--; depth == 0 {
					return i + 1
				}
			}
		}
	}
	if n := bytes.IndexAny(text, ",}] \t\r\n"); n >= 0 {
		return n
	}
	return len(text)
}

// quoted returns the length of the string literal that the text begins with.
func quoted(text []byte) int {
	for i := 1; ; i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i + 1
		}
	}
}
