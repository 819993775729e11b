// Package oneline makes texts of others fit for a log line and for the state. It is a leaf.
package oneline

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Of returns text as printable characters on one line of at most so many bytes, of which there must be ten or more. What
// is too much is taken from the middle: what failed stands first in an error, and what would mend it last.
func Of(text string, most int) string {
	text = strings.Join(strings.FieldsFunc(text, func(r rune) bool {
		return r == utf8.RuneError || r == ' ' || !unicode.IsPrint(r)
	}), " ")
	if len(text) <= most {
		return text
	}
	const more = "…"
	end := most * 3 / 5
	for !utf8.RuneStart(text[end]) {
		end--
	}
	rest := len(text) - (most - end - len(more))
	for !utf8.RuneStart(text[rest]) {
		rest++
	}
	return text[:end] + more + text[rest:]
}
