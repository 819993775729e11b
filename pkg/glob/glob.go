// Package glob has patterns of paths as they stand in .gitignore (gitignore(5)). It is a leaf: it imports only the standard library.
package glob

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"
)

// Patterns choose files by their paths, in the order in which they are written.
type Patterns []Pattern

// Match reports whether the last of the patterns that matches the path is none with a ! before it.
//
// In .gitignore nothing below an excluded folder is looked at any more. Here it is: each file is looked at on its own, so that
// services/rag/** and then !*.md leaves out a text in any folder.
func (ps Patterns) Match(path string) bool {
	for i := len(ps) - 1; i >= 0; i-- {
		if ps[i].re.MatchString(path) {
			return !ps[i].not
		}
	}
	return false
}

// Key returns a text that only patterns have that match the same.
func (ps Patterns) Key() string {
	var key strings.Builder
	for _, p := range ps {
		fmt.Fprintf(&key, "%q", p.text)
	}
	return key.String()
}

// String returns the patterns, separated by commas.
func (ps Patterns) String() string {
	texts := make([]string, len(ps))
	for i, p := range ps {
		texts[i] = p.text
	}
	return strings.Join(texts, ", ")
}

// Pattern is one line of them.
type Pattern struct {
	text string
	not  bool
	re   *regexp.Regexp
}

// Not reports whether the pattern begins with a !.
func (p Pattern) Not() bool { return p.not }

// maxPattern bounds a pattern in bytes.
const maxPattern = 1000

// Parse reads one pattern. It matches the paths that a line of a .gitignore at the root ignores, and all below a folder that
// matches. A line that ignores nothing there, such as one with an unclosed bracket, is an error.
func Parse(text string) (Pattern, error) {
	p := Pattern{text: text}
	if len(text) > maxPattern || !utf8.ValidString(text) {
		return p, fmt.Errorf("it is longer than %d bytes, or not UTF-8", maxPattern)
	}
	rest, not := strings.CutPrefix(text, "!")
	p.not = not
	folder := strings.HasSuffix(rest, "/")
	rest = strings.TrimSuffix(rest, "/")
	anywhere := !strings.Contains(rest, "/")
	rest = strings.TrimPrefix(rest, "/")
	if rest == "" {
		return p, errors.New("it names no path")
	}
	var re strings.Builder
	re.WriteString(`(?s)^`)
	if anywhere {
		re.WriteString(`(?:.*/)?`)
	}
	inside, err := translate(&re, rest, anywhere)
	if err != nil {
		return p, err
	}
	switch {
	case folder:
		re.WriteString(`/.*$`)
	case inside:
		re.WriteString(`$`)
	default:
		re.WriteString(`(?:/.*)?$`)
	}
	p.re, err = regexp.Compile(re.String())
	return p, err
}

// translate appends a pattern as a regular expression. inside says that it ends with /**, which is all below a folder.
func translate(re *strings.Builder, pattern string, name bool) (inside bool, err error) {
	for i := 0; i < len(pattern); {
		switch c := pattern[i]; c {
		case '*':
			stars := len(pattern[i:]) - len(strings.TrimLeft(pattern[i:], "*"))
			first, last := i == 0 || pattern[i-1] == '/', i+stars == len(pattern)
			i += stars
			switch {
			case stars < 2 || !first || name || !last && pattern[i] != '/':
				re.WriteString(`[^/]*`)
			case last:
				re.WriteString(`.+`)
				inside = true
			default:
				re.WriteString(`(?:.*/)?`)
				i++
			}
		case '?':
			re.WriteString(`[^/]`)
			i++
		case '[':
			class, n, err := class(pattern[i:])
			if err != nil {
				return false, err
			}
			re.WriteString(class)
			i += n
		case '\\':
			if i++; i == len(pattern) {
				return false, errors.New("it ends with a backslash")
			}
			_, n := utf8.DecodeRuneInString(pattern[i:])
			re.WriteString(regexp.QuoteMeta(pattern[i : i+n]))
			i += n
		default:
			_, n := utf8.DecodeRuneInString(pattern[i:])
			re.WriteString(regexp.QuoteMeta(pattern[i : i+n]))
			i += n
		}
	}
	return inside, nil
}

// classes are those of POSIX, without the slash, which no bracket matches.
var classes = map[string]string{
	"alnum": `0-9A-Za-z`, "alpha": `A-Za-z`, "blank": ` \t`, "cntrl": `\x00-\x1f\x7f`, "digit": `0-9`, "graph": `!-.0-~`, "lower": `a-z`,
	"print": ` -.0-~`, "punct": "!-.:-@\\[-`{-~", "space": `\t-\r `, "upper": `A-Z`, "xdigit": `0-9A-Fa-f`,
}

var errBracket = errors.New("it has a [ without its ]")

// class returns the expression of a bracket at the start of a pattern, and how long that is.
func class(pattern string) (string, int, error) {
	var set strings.Builder
	i, not := 1, false
	if i < len(pattern) && (pattern[i] == '!' || pattern[i] == '^') {
		i, not = 2, true
	}
	for first := true; ; first = false {
		if i >= len(pattern) {
			return "", 0, errBracket
		}
		if pattern[i] == ']' && !first {
			i++
			break
		}
		if strings.HasPrefix(pattern[i:], "[:") {
			name, _, closed := strings.Cut(pattern[i+2:], ":]")
			known, ok := classes[name]
			if !closed || !ok {
				return "", 0, fmt.Errorf("it has an unknown class %.20q", pattern[i:])
			}
			set.WriteString(known)
			i += len(name) + 4
			continue
		}
		low, n, err := member(pattern[i:])
		if err != nil {
			return "", 0, err
		}
		i += n
		high := low
		if i+1 < len(pattern) && pattern[i] == '-' && pattern[i+1] != ']' {
			if high, n, err = member(pattern[i+1:]); err != nil {
				return "", 0, err
			}
			i += n + 1
		}
		if high < low {
			return "", 0, errors.New("it has a range that ends before it begins")
		}
		for _, r := range [][2]rune{{low, min(high, '/'-1)}, {max(low, '/'+1), high}} {
			if r[0] <= r[1] {
				fmt.Fprintf(&set, `\x{%x}-\x{%x}`, r[0], r[1])
			}
		}
	}
	switch {
	case not:
		return `[^/` + set.String() + `]`, i, nil
	case set.Len() == 0:
		return `[^\x00-\x{10ffff}]`, i, nil
	}
	return `[` + set.String() + `]`, i, nil
}

// member reads one character of a bracket.
func member(pattern string) (rune, int, error) {
	escaped := 0
	if pattern[0] == '\\' {
		escaped = 1
	}
	if len(pattern) == escaped {
		return 0, 0, errBracket
	}
	r, n := utf8.DecodeRuneInString(pattern[escaped:])
	return r, n + escaped, nil
}
