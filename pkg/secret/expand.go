package secret

import (
	"errors"
	"regexp"
	"strings"
)

// A "${" that is neither escaped nor the start of a reference is matched last, as an error.
var reference = regexp.MustCompile(`\$\$\{|\$\{([A-Za-z_][A-Za-z0-9_]*)(?::-([^{}]*))?\}|\$\{`)

// ErrReference says that a text holds ${ and no reference.
var ErrReference = errors.New("holds ${ that starts no reference; want ${NAME} or ${NAME:-default} with no braces inside, or $${ for the two characters themselves")

// Expand replaces ${NAME} and ${NAME:-default} in text, once: what a variable holds is not expanded
// again. As in a shell, the default stands in for a variable that is unset or empty. $${ gives ${. The
// variables that are unset and have no default expand to nothing and are returned.
func Expand(text string, lookup func(string) (string, bool)) (value string, unset []string, err error) {
	if !strings.Contains(text, "${") {
		return text, nil, nil
	}
	var b strings.Builder
	end := 0
	for _, m := range reference.FindAllStringSubmatchIndex(text, -1) {
		b.WriteString(text[end:m[0]])
		end = m[1]
		switch {
		case m[2] >= 0:
			name := text[m[2]:m[3]]
			v, ok := lookup(name)
			switch {
			case m[4] >= 0 && v == "":
				v = text[m[4]:m[5]]
			case !ok:
				unset = append(unset, name)
			}
			b.WriteString(v)
		case text[m[0]:m[1]] == "$${":
			b.WriteString("${")
		default:
			return "", nil, ErrReference
		}
	}
	b.WriteString(text[end:])
	return b.String(), unset, nil
}

// HasReference reports whether text holds a reference to a variable.
func HasReference(text string) bool {
	if !strings.Contains(text, "${") {
		return false
	}
	for _, m := range reference.FindAllStringSubmatch(text, -1) {
		if m[1] != "" {
			return true
		}
	}
	return false
}
