package schema

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
)

// Error is one thing that is wrong in a file.
type Error struct {
	File    string // that the text is of; "" where it has no name
	Line    int    // counted from 1
	Key     string // such as repositories[0].deploy.commands; "" for the file as a whole
	Message string // one line: what is wrong; what would be right. It holds no secret
}

// Error returns file:line: key: message.
func (e Error) Error() string {
	place := fmt.Sprintf("%s:%d: ", e.File, e.Line)
	if e.File == "" {
		place = fmt.Sprintf("line %d: ", e.Line)
	}
	if e.Key != "" {
		place += e.Key + ": "
	}
	return place + e.Message
}

// Errors is all that is wrong in a file, sorted by line.
type Errors []Error

// Error returns the errors, one a line.
func (es Errors) Error() string {
	lines := make([]string, len(es))
	for i, e := range es {
		lines[i] = e.Error()
	}
	return strings.Join(lines, "\n")
}

// Warning is something in a valid file that is hardly meant so.
type Warning Error

// String returns file:line: key: message.
func (w Warning) String() string { return Error(w).Error() }

func compareErrors(a, b Error) int {
	return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Key, b.Key), cmp.Compare(a.Message, b.Message))
}

// plainKey reports whether a key is of A-Z a-z 0-9 _ and -, and not long.
func plainKey(key string) bool {
	for i := range len(key) {
		c := key[i]
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return 0 < len(key) && len(key) <= 64
}

// JoinKey returns the path of key in the section at path. A key that is not a plain word is quoted, so
// that a message stays one short line. It is cut off where a value may begin: where a blank was forgotten, a
// token is a part of the key.
func JoinKey(path, key string) string {
	if !plainKey(key) {
		value := func(r rune) bool { return r == ':' || r == '=' || unicode.IsSpace(r) }
		if end := strings.IndexFunc(key, value); end >= 0 {
			key = key[:end+1] + "…"
		}
		key = fmt.Sprintf("%.40q", key)
	}
	if path == "" {
		return key
	}
	return path + "." + key
}

// OneOf joins words for a message: "a, b or c".
func OneOf(words []string) string {
	words = slices.Clone(words)
	if len(words) < 2 {
		return strings.Join(words, "")
	}
	last := len(words) - 1
	return strings.Join(words[:last], ", ") + " or " + words[last]
}
